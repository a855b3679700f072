//! Asks the path for more than the media uses: short bursts at a higher rate, whose spacing on arrival tells what passes.
//! Where the receiver only reports its own estimate, longer ones that let it grow.

use super::sent::Purpose;
use crate::media::bitrate::Bitrate;
use std::time::{Duration, Instant};

/// Long enough for five packets and for the receiver's clock, short enough not to fill a queue.
const BURST: Duration = Duration::from_millis(40);
const SUSTAINED: Duration = Duration::from_secs(1);
/// A step is at most this many times what is known to pass.
const STEP_MAX: f64 = 3.0;
/// Eight packets of padding.
const BYTES_MIN: usize = 2_200;
const SUSTAINED_STEP_MAX: f64 = 1.4;
const RATE_MIN: f64 = 200_000.0;
/// After one that found what was asked for.
const NEXT_STEP: Duration = Duration::from_millis(200);
/// After congestion.
const RECOVER: Duration = Duration::from_millis(2_500);
/// What a burst leaves in a queue disturbs the media this long.
const WAKE_US: i64 = 300_000;
const BURST_APART_US: i64 = 3_000_000;
/// A result is believed if at least this share arrived, in at least so many packets.
const HEARD_MIN: f64 = 0.8;
const PACKETS_MIN: u32 = 5;
/// Less than this share of the rate sent: the path was full, and a little below is safe…
const FULL: f64 = 0.9;
/// …and much less tells what the path takes, not only that it takes this.
const BRIM: f64 = 0.7;
const SAFE: f64 = 0.95;
const GIVE_UP: Duration = Duration::from_millis(1_500);

/// A burst to send: media counts, padding fills it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCluster {
    pub rate: Bitrate,
    pub duration: Duration,
}

impl ProbeCluster {
    pub fn bytes(&self) -> usize {
        self.rate.bytes_in(self.duration)
    }
}

/// How long to wait after probes that found nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeInterval {
    pub first: Duration,
    /// Of each wait to the one before.
    pub factor: f64,
    pub most: Duration,
}

impl Default for ProbeInterval {
    /// Short bursts disturb little, and a link that is wide again should be found soon.
    fn default() -> ProbeInterval {
        ProbeInterval { first: Duration::from_secs(2), factor: 1.5, most: Duration::from_millis(3_500) }
    }
}

impl ProbeInterval {
    fn after(&self, wait: Duration) -> Duration {
        let longer = Duration::try_from_secs_f64(wait.as_secs_f64() * self.factor.max(1.0));
        longer.map_or(self.most, |longer| longer.min(self.most)).max(self.first)
    }
}

/// By what tells of their success.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbeIntervals {
    /// Transport-wide feedback.
    pub numbered: ProbeInterval,
    /// The receiver's own estimate.
    pub remote: ProbeInterval,
}

/// What a burst found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// This much passes, in bit/s.
    Passes(f64),
    /// The path takes this and no more, of which so much is safe.
    Full {
        takes: f64,
        safe: f64,
    },
    Nothing,
}

#[derive(Clone, Debug)]
struct Active {
    cluster: ProbeCluster,
    began_us: i64,
    last_sent_us: i64,
    last_sent_bytes: usize,
    sent_bytes: usize,
    sent_packets: u32,
    arrived: Option<Arrived>,
    gives_up: Instant,
    sustained: bool,
}

#[derive(Clone, Copy, Debug)]
struct Arrived {
    first_us: i64,
    first_bytes: usize,
    last_us: i64,
    bytes: usize,
    packets: u32,
    first_sent_us: i64,
    last_sent_us: i64,
    last_sent_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct Prober {
    goal: Option<f64>,
    next: Option<Instant>,
    intervals: ProbeIntervals,
    /// After the next probe that finds nothing; `None` is the first.
    interval: Option<Duration>,
    active: Option<Active>,
    wake_until_us: i64,
    burst_until_us: i64,
}

impl Default for Prober {
    fn default() -> Prober {
        Prober {
            goal: None,
            next: None,
            intervals: ProbeIntervals::default(),
            interval: None,
            active: None,
            wake_until_us: i64::MIN,
            burst_until_us: i64::MIN,
        }
    }
}

impl Prober {
    pub fn set_intervals(&mut self, intervals: ProbeIntervals) {
        self.intervals = intervals;
    }

    /// What the subscriber's tracks could use, if more than they have.
    pub fn set_goal(&mut self, goal: Option<Bitrate>) {
        self.goal = goal.map(Bitrate::as_f64);
    }

    /// Congestion: not now.
    pub fn postpone(&mut self, now: Instant) {
        self.next = self.next.max(Some(now + RECOVER));
    }

    /// When a probe may be due.
    pub fn deadline(&self) -> Option<Instant> {
        self.goal?;
        self.active.as_ref().map(|active| active.gives_up).or(self.next)
    }

    /// A burst to begin now. `sustained` where only the receiver's own estimate tells the result.
    pub fn poll(&mut self, now: Instant, now_us: i64, estimate: Bitrate, sustained: bool) -> Option<ProbeCluster> {
        let goal = self.goal.filter(|goal| *goal > estimate.as_f64())?;
        let next = *self.next.get_or_insert(now + NEXT_STEP);
        if self.active.is_some() || now < next {
            return None;
        }
        let (step, duration) = if sustained { (SUSTAINED_STEP_MAX, SUSTAINED) } else { (STEP_MAX, BURST) };
        let rate = Bitrate::from_f64(goal.min(estimate.as_f64() * step).max(RATE_MIN));
        let duration = duration.max(Duration::from_secs_f64((BYTES_MIN * 8) as f64 / rate.as_f64()));
        let cluster = ProbeCluster { rate, duration };
        self.active = Some(Active {
            cluster,
            began_us: now_us,
            last_sent_us: now_us,
            last_sent_bytes: 0,
            sent_bytes: 0,
            sent_packets: 0,
            arrived: None,
            gives_up: now + duration + GIVE_UP,
            sustained,
        });
        Some(cluster)
    }

    /// Notes a packet of any kind and answers whether it is part of a probe or waits behind one.
    pub fn note_sent(&mut self, at_us: i64, bytes: usize) -> Purpose {
        let media = self.purpose_of_media(at_us);
        let Some(active) = self.active.as_mut().filter(|active| active.takes(at_us)) else { return media };
        active.sent_bytes += bytes;
        active.sent_packets += 1;
        (active.last_sent_us, active.last_sent_bytes) = (at_us, bytes);
        if active.sustained {
            return media;
        }
        self.wake_until_us = at_us + WAKE_US;
        Purpose::Probe
    }

    fn purpose_of_media(&self, at_us: i64) -> Purpose {
        if at_us < self.wake_until_us {
            Purpose::Wake
        } else if at_us < self.burst_until_us {
            Purpose::Burst
        } else {
            Purpose::Media
        }
    }

    /// Packets sent from now on, for a while, are or wait behind a key frame. Where those follow each other closely they
    /// are what congests.
    pub fn note_burst(&mut self, now_us: i64) {
        if now_us > self.burst_until_us.saturating_add(BURST_APART_US) {
            self.burst_until_us = now_us + WAKE_US;
        }
    }

    /// Notes that a packet of a burst, or of its wake, arrived.
    pub fn note_arrived(&mut self, sent_us: i64, arrived_us: i64, bytes: usize) {
        let Some(active) = self.active.as_mut() else { return };
        if sent_us >= active.began_us && sent_us <= active.last_sent_us {
            active.note_arrived(sent_us, arrived_us, bytes);
        }
    }

    /// What the burst found, once its end has been heard of, or was waited for too long. `newest_us` is when the newest
    /// packet feedback named was sent.
    pub fn poll_found(&mut self, now: Instant, newest_us: i64) -> Option<Found> {
        let active = self.active.as_ref().filter(|active| !active.sustained)?;
        let ended = active.began_us + active.cluster.duration.as_micros() as i64 * 2;
        if newest_us <= ended.max(active.last_sent_us) && now < active.gives_up {
            return None;
        }
        let (found, asked) = (active.found(), active.cluster.rate.as_f64());
        self.end(now, matches!(found, Found::Passes(bps) if bps >= asked * FULL));
        Some(found)
    }

    /// The receiver's own estimate: what a sustained burst is judged by at its end.
    pub fn handle_remote(&mut self, now: Instant, estimate: Bitrate) {
        let Some(active) = self.active.as_ref().filter(|active| active.sustained) else { return };
        if now + GIVE_UP >= active.gives_up {
            let held = estimate.as_f64() * SUSTAINED_STEP_MAX >= active.cluster.rate.as_f64() * FULL;
            self.end(now, held);
        }
    }

    fn end(&mut self, now: Instant, reached: bool) {
        let Some(ended) = self.active.take() else { return };
        let interval = if ended.sustained { self.intervals.remote } else { self.intervals.numbered };
        let wait = self.interval.take().unwrap_or(interval.first);
        if !reached {
            self.interval = Some(interval.after(wait));
        }
        self.next = Some(now + if reached { NEXT_STEP } else { wait });
    }
}

impl Active {
    fn takes(&self, at_us: i64) -> bool {
        let within = at_us <= self.began_us + self.cluster.duration.as_micros() as i64 * 2;
        within && self.sent_bytes < self.cluster.bytes()
    }

    fn note_arrived(&mut self, sent_us: i64, arrived_us: i64, bytes: usize) {
        let arrived = self.arrived.get_or_insert(Arrived {
            first_us: arrived_us,
            first_bytes: bytes,
            last_us: arrived_us,
            bytes: 0,
            packets: 0,
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            last_sent_bytes: bytes,
        });
        arrived.last_us = arrived.last_us.max(arrived_us);
        arrived.bytes += bytes;
        arrived.packets += 1;
        (arrived.last_sent_us, arrived.last_sent_bytes) = (sent_us, bytes);
    }

    /// What the burst shows, if enough of it was sent and arrived.
    fn found(&self) -> Found {
        let Some((sent, came)) = self.rates() else { return Found::Nothing };
        // Steps of a timer send faster than the rate asked for: more than that was not asked.
        let asked = sent.min(self.cluster.rate.as_f64());
        match came / asked {
            ..BRIM => Found::Full { takes: came, safe: came * SAFE },
            ..FULL => Found::Passes(came * SAFE),
            _ => Found::Passes(asked.min(came)),
        }
    }

    /// At what rates it was sent and came, in bit/s.
    fn rates(&self) -> Option<(f64, f64)> {
        let arrived = self.arrived?;
        let heard = arrived.bytes as f64 / self.sent_bytes.max(1) as f64;
        let filled = self.sent_bytes as f64 / self.cluster.bytes().max(1) as f64;
        if arrived.packets < PACKETS_MIN || heard < HEARD_MIN || filled < HEARD_MIN {
            return None;
        }
        let rate = |bytes: usize, us: i64| bytes as f64 * 8_000_000.0 / us.max(1) as f64;
        let sent = rate(arrived.bytes - arrived.last_sent_bytes, arrived.last_sent_us - arrived.first_sent_us);
        let came = rate(arrived.bytes - arrived.first_bytes, arrived.last_us - arrived.first_us);
        Some((sent, came))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Instant {
        crate::media::test_epoch() + Duration::from_millis(ms as u64)
    }

    /// Sends a burst in steps of 10 ms from `ms` on through a link, in bit/s; `lost` of ten packets do not arrive.
    fn probe(prober: &mut Prober, ms: i64, estimate: Bitrate, link: f64, lost: usize) -> Option<(Bitrate, Found)> {
        let cluster = prober.poll(at(ms), ms * 1_000, estimate, false)?;
        let (mut free_us, mut count) = (0, 0);
        for step in 0..5 {
            let now_us = (ms + step * 10) * 1_000;
            let due = cluster.rate.bytes_in(Duration::from_millis((step * 10 + 10) as u64)).min(cluster.bytes());
            while count * 267 < due {
                assert_eq!(prober.note_sent(now_us, 267), Purpose::Probe);
                free_us = now_us.max(free_us) + (267.0 * 8_000_000.0 / link) as i64;
                if count % 10 >= lost {
                    prober.note_arrived(now_us, free_us + 777_000, 267);
                }
                count += 1;
            }
        }
        let found = prober.poll_found(at(ms + 200), (ms + 190) * 1_000)?;
        Some((cluster.rate, found))
    }

    fn prober(goal: u64) -> Prober {
        let mut prober = Prober::default();
        prober.set_goal(Some(Bitrate::kbps(goal)));
        assert!(prober.poll(at(0), 0, Bitrate::kbps(500), false).is_none(), "not at once");
        prober
    }

    #[test]
    fn finds_what_was_asked_for_or_what_passes() {
        let (rate, found) = probe(&mut prober(1_200), 300, Bitrate::kbps(500), 10e6, 0).unwrap();
        assert_eq!((rate, found), (Bitrate::kbps(1_200), Found::Passes(1_200_000.0)));
        let (rate, found) = probe(&mut prober(5_000), 300, Bitrate::kbps(500), 700e3, 0).unwrap();
        assert_eq!(rate, Bitrate::kbps(1_500), "three times what is known");
        let Found::Full { takes, safe } = found else { panic!("{found:?}") };
        assert!((650e3..720e3).contains(&takes) && (600e3..takes).contains(&safe), "{found:?}");
        assert_eq!(probe(&mut prober(1_200), 300, Bitrate::kbps(500), 10e6, 3).unwrap().1, Found::Nothing);
    }

    #[test]
    fn nothing_is_asked_for_that_is_not_needed() {
        let mut idle = Prober::default();
        assert!(idle.poll(at(5_000), 5_000_000, Bitrate::kbps(500), false).is_none());
        idle.set_goal(Some(Bitrate::kbps(400)));
        assert!(idle.poll(at(9_000), 9_000_000, Bitrate::kbps(500), false).is_none());
        assert_eq!(idle.note_sent(9_000_000, 100), Purpose::Media);
    }

    #[test]
    fn vain_probes_become_rare_and_good_ones_follow_each_other() {
        let mut prober = prober(5_000);
        let mut times = Vec::new();
        for ms in (200..20_000).step_by(100) {
            times.extend(probe(&mut prober, ms, Bitrate::kbps(500), 600e3, 0).map(|_| ms));
        }
        let gaps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(gaps, [2_200, 3_200, 3_700, 3_700, 3_700], "the last ones are at the limit");
        prober.postpone(at(30_000));
        assert!(probe(&mut prober, 32_000, Bitrate::kbps(500), 9e6, 0).is_none());
        assert!(probe(&mut prober, 32_500, Bitrate::kbps(500), 9e6, 0).is_some());
        assert!(probe(&mut prober, 32_900, Bitrate::kbps(1_500), 9e6, 0).is_some());
    }

    #[test]
    fn vain_probes_wait_as_long_as_they_are_told_to() {
        let interval = ProbeInterval { first: Duration::from_secs(5), factor: 2.0, most: Duration::from_secs(15) };
        let mut prober = prober(5_000);
        prober.set_intervals(ProbeIntervals { numbered: interval, ..ProbeIntervals::default() });
        let mut times = Vec::new();
        for ms in (200..60_000).step_by(100) {
            times.extend(probe(&mut prober, ms, Bitrate::kbps(500), 600e3, 0).map(|_| ms));
        }
        let gaps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(gaps, [5_200, 10_200, 15_200, 15_200]);
    }

    #[test]
    fn what_follows_a_burst_is_in_its_wake() {
        let mut prober = prober(1_200);
        probe(&mut prober, 300, Bitrate::kbps(500), 10e6, 0).unwrap();
        assert_eq!(prober.note_sent(600_000, 1_000), Purpose::Wake);
        assert_eq!(prober.note_sent(660_000, 1_000), Purpose::Media);
    }

    #[test]
    fn key_frames_are_bursts_unless_there_are_too_many() {
        let mut prober = Prober::default();
        let purposes = [0, 200_000, 1_000_000, 3_400_000].map(|us| {
            prober.note_burst(us);
            prober.note_sent(us + 50_000, 1_000)
        });
        assert_eq!(purposes, [Purpose::Burst, Purpose::Burst, Purpose::Media, Purpose::Burst]);
    }

    #[test]
    fn a_receivers_own_estimate_judges_a_sustained_one() {
        let mut prober = prober(1_200);
        let cluster = prober.poll(at(300), 300_000, Bitrate::kbps(500), true).unwrap();
        assert_eq!((cluster.rate, cluster.duration), (Bitrate::kbps(700), SUSTAINED));
        prober.handle_remote(at(800), Bitrate::kbps(520));
        assert!(prober.poll(at(1_200), 1_200_000, Bitrate::kbps(520), true).is_none());
        prober.handle_remote(at(1_300), Bitrate::kbps(540));
        assert!(prober.poll(at(1_500), 1_500_000, Bitrate::kbps(540), true).is_some(), "it grew: go on");
    }
}
