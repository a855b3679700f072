//! How much a subscriber's connection can take, seen from the sender: Google congestion control
//! (draft-ietf-rmcat-gcc-02) on transport-wide feedback, or the receiver's own estimate where that is all there is.
//!
//! One for each connection, owned by the shard, which tells it every numbered packet it sends and every report that comes
//! back. Knows no tracks; what the estimate is spent on is `allocate`'s. Without any report nothing is limited.

mod aimd;
mod arrival;
mod loss;
mod probe;
mod queueing;
mod rate_window;
mod remote;
mod sent;
mod trend;

pub use probe::{ProbeCluster, ProbeInterval, ProbeIntervals};
pub use sent::Purpose;

use super::bitrate::Bitrate;
use crate::wire::rtcp::{PacketStatus, TransportCc};
use aimd::{Acknowledged, RateControl};
use arrival::{Bursts, ReferenceClock, TICK_US};
use loss::LossControl;
use probe::{Found, Prober};
use queueing::Queueing;
use rate_window::RateWindow;
use remote::RemoteEstimate;
use sent::{Fate, SentPacket, SentPackets};
use std::time::{Duration, Instant};
use trend::{DelayTrend, Usage};

/// Rates that arrive: while a queue grows it passes its link's rate at every moment, otherwise frames make it uneven.
const SHORT_US: i64 = 150_000;
const LONG_US: i64 = 500_000;
/// Feedback this old no longer counts: the receiver's own estimate may.
const FEEDBACK_STALE: Duration = Duration::from_secs(5);
/// Feedback comes each 50 to 100 ms: none for so long, though packets were sent, means that none get through.
const SILENCE: Duration = Duration::from_secs(1);
const RTT_START: Duration = Duration::from_millis(100);
const RTT_WEIGHT: f64 = 0.2;
/// Packets that all wait this long wait in a queue…
const QUEUED_US: i64 = 60_000;
/// …which explains losses for a while.
const QUEUED_LATELY: Duration = Duration::from_millis(1_500);
/// A queue as long as this…
const CLOGGED_US: i64 = 90_000;
/// …for such a time says that too much is sent.
const CLOGGED: Duration = Duration::from_millis(250);
/// What of the estimate is used while packets wait.
const QUEUED_PACE: f64 = 0.6;
/// From this long on, with less arriving than was sent by this share, in one that only less traffic will empty.
const OVERRUN_US: i64 = 90_000;
const OVERRUN: f64 = 0.75;
/// The same where only reports tell the round trip.
const QUEUED_RTT: Duration = Duration::from_millis(120);
/// What a probe must find, of what it asked for, for the next to ask for more.
const OPENED: f64 = 0.9;
/// What is known by then is all that is waited for.
const OPENING_MAX: Duration = Duration::from_secs(3);

/// The bandwidth of one connection.
#[derive(Debug)]
pub struct Bandwidth {
    epoch: Instant,
    sent: SentPackets,
    sending: RateWindow,
    arriving: RateWindow,
    clock: ReferenceClock,
    bursts: Bursts,
    trend: DelayTrend,
    delay: RateControl,
    loss: LossControl,
    probes: Prober,
    remote: RemoteEstimate,
    rtt: Duration,
    queueing: Queueing,
    /// When packets were last known to wait in a queue.
    queued: Option<Instant>,
    /// Since when they wait in a long one.
    clogged: Option<Instant>,
    feedback_at: Option<Instant>,
    /// The first packet sent since feedback last came.
    unanswered_since: Option<Instant>,
    /// The last packet heard of was part of a probe or key frame, or waited behind one.
    in_wake: bool,
    opening: Opening,
}

/// Whether the path is asked what it takes before more than the least is sent over it: once, while nothing is known of it.
#[derive(Clone, Copy, Debug, Default)]
enum Opening {
    #[default]
    NotYet,
    /// Since then; the last probe asked for that much.
    Under {
        since: Instant,
        asked: Bitrate,
    },
    Over,
}

impl Bandwidth {
    pub fn new(now: Instant) -> Bandwidth {
        Bandwidth {
            epoch: now,
            sent: SentPackets::default(),
            sending: RateWindow::default(),
            arriving: RateWindow::default(),
            clock: ReferenceClock::default(),
            bursts: Bursts::default(),
            trend: DelayTrend::default(),
            delay: RateControl::default(),
            loss: LossControl::default(),
            probes: Prober::default(),
            remote: RemoteEstimate::default(),
            rtt: RTT_START,
            queueing: Queueing::default(),
            queued: None,
            clogged: None,
            feedback_at: None,
            unanswered_since: None,
            in_wake: false,
            opening: Opening::NotYet,
        }
    }

    pub fn set_probe_intervals(&mut self, intervals: ProbeIntervals) {
        self.probes.set_intervals(intervals);
    }

    fn us(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.epoch).as_micros() as i64
    }

    /// Notes a packet sent under a transport-wide sequence number.
    ///
    /// # Cost
    /// No allocation but when the packets in flight are more than ever before.
    pub fn note_sent(&mut self, now: Instant, sequence: u16, bytes: usize) {
        let purpose = self.note_unnumbered(now, bytes);
        self.unanswered_since.get_or_insert(now);
        self.sent.note(sequence, self.us(now), bytes, purpose);
    }

    /// Notes a packet sent without such a number, of a kind the receiver's own estimate counts.
    /// Answers what it counts as.
    pub fn note_unnumbered(&mut self, now: Instant, bytes: usize) -> Purpose {
        let now_us = self.us(now);
        self.sending.add(now_us, bytes);
        self.probes.note_sent(now_us, bytes)
    }

    /// A key frame goes out, many times as large as other frames: the queue it makes says nothing of the media.
    pub fn note_burst(&mut self, now: Instant) {
        let now_us = self.us(now);
        self.probes.note_burst(now_us);
    }

    /// Takes in what became of numbered packets.
    ///
    /// # Cost
    /// No allocation; a look-up for each packet named.
    pub fn handle_feedback(&mut self, now: Instant, feedback: &TransportCc<'_>) {
        let mut arrived_us = self.clock.unwrap_us(feedback.header.reference_time);
        let mut newest_us = None;
        for status in feedback.statuses() {
            arrived_us += i64::from(status.delta.unwrap_or(0)) * TICK_US;
            newest_us = newest_us.max(self.note_status(&status, arrived_us));
        }
        let Some(newest_us) = newest_us else { return };
        (self.feedback_at, self.unanswered_since) = (Some(now), None);
        self.note_round_trip(now, newest_us);
        self.settle(now, newest_us);
    }

    /// Notes one packet's fate and answers when it was sent, if it is known and arrived.
    fn note_status(&mut self, status: &PacketStatus, arrived_us: i64) -> Option<i64> {
        let packet = self.sent.find(status.sequence)?;
        let before = packet.fate;
        packet.fate = if status.delta.is_some() || before == Fate::Arrived { Fate::Arrived } else { Fate::Lost };
        let packet = *packet;
        self.note_fate(&packet, before);
        if packet.fate == Fate::Lost || before == Fate::Arrived {
            return None;
        }
        self.note_arrived(&packet, arrived_us);
        Some(packet.at_us)
    }

    fn note_fate(&mut self, packet: &SentPacket, before: Fate) {
        if matches!(packet.purpose, Purpose::Probe | Purpose::Wake) {
            return;
        }
        let sent = self.epoch + Duration::from_micros(packet.at_us.max(0) as u64);
        match (before, packet.fate) {
            (Fate::Flying, Fate::Lost) => self.loss.note_lost(sent),
            (Fate::Flying, Fate::Arrived) => self.loss.note_arrived(sent),
            (Fate::Lost, Fate::Arrived) => self.loss.note_late(sent),
            _ => {}
        }
    }

    fn note_arrived(&mut self, packet: &SentPacket, arrived_us: i64) {
        let bytes = usize::from(packet.bytes);
        self.queueing.note(packet.at_us, arrived_us);
        self.probes.note_arrived(packet.at_us, arrived_us, bytes);
        // Padding proves nothing of what the media uses.
        if packet.purpose != Purpose::Probe {
            self.arriving.add(arrived_us, bytes);
        }
        if packet.purpose == Purpose::Media {
            self.note_delay(packet.at_us, arrived_us);
        }
        self.in_wake = packet.purpose != Purpose::Media;
    }

    fn note_delay(&mut self, sent_us: i64, arrived_us: i64) {
        if self.in_wake {
            // The queue a probe or a key frame left says nothing of the media.
            self.bursts.restart();
        }
        if let Some(variation) = self.bursts.observe(sent_us, arrived_us) {
            self.trend.observe(&variation);
        }
    }

    fn note_round_trip(&mut self, now: Instant, sent_us: i64) {
        let measured = Duration::from_micros((self.us(now) - sent_us).max(0) as u64);
        self.rtt = self.rtt.mul_f64(1.0 - RTT_WEIGHT) + measured.mul_f64(RTT_WEIGHT);
        self.delay.set_rtt(self.rtt);
    }

    fn raise(&mut self, bps: f64) {
        self.delay.raise(bps);
        self.loss.raise(bps);
    }

    /// Packets wait on the path: what is sent now makes it worse.
    pub fn is_queued(&self) -> bool {
        self.queueing.standing_us() > QUEUED_US
    }

    /// They wait so long, and have for such a time, that less must be sent, whatever the estimate: it is slow to see that layers take more than
    /// they took.
    pub fn is_clogged(&self, now: Instant) -> bool {
        self.clogged.is_some_and(|since| now >= since + CLOGGED)
    }

    /// How fast media may go: into a queue slower than it empties, so that it is not lost there, nor sound with it.
    pub fn pace(&self) -> Bitrate {
        self.estimate().scaled(if self.is_queued() { QUEUED_PACE } else { 1.0 })
    }

    fn was_queued(&self, now: Instant) -> bool {
        self.queued.is_some_and(|at| now < at + QUEUED_LATELY)
    }

    /// The path takes so much less than what is sent that waiting for a trend would only fill its queue.
    fn is_overrun(&self, now: Instant, arriving: f64) -> bool {
        let sending = self.sending.at(self.us(now), LONG_US).unwrap_or_default();
        !self.in_wake && self.queueing.standing_us() > OVERRUN_US && arriving < sending * OVERRUN
    }

    fn settle(&mut self, now: Instant, newest_us: i64) {
        if self.is_queued() {
            self.queued = Some(now);
        }
        let waits_long = self.queueing.standing_us() > CLOGGED_US;
        self.clogged = waits_long.then(|| self.clogged.unwrap_or(now));
        if let Some(found) = self.probes.poll_found(now, newest_us) {
            self.note_found(now, found);
        }
        let rates = self.arriving.latest(SHORT_US).zip(self.arriving.latest(LONG_US));
        let acknowledged = rates.map(|(now, lately)| Acknowledged { now, lately, used: self.loss.sent(lately) });
        let overrun = acknowledged.is_some_and(|acknowledged| self.is_overrun(now, acknowledged.now));
        let usage = self.trend.poll_usage();
        let mut reduced = self.delay.update(now, if overrun { Usage::Over } else { usage }, acknowledged);
        if let Some(acknowledged) = acknowledged {
            reduced |= self.loss.update(now, self.was_queued(now), acknowledged.lately);
        }
        if reduced {
            self.probes.postpone(now);
            self.opening = Opening::Over;
        }
    }

    fn note_found(&mut self, now: Instant, found: Found) {
        match found {
            Found::Passes(bps) => self.raise(bps),
            Found::Full { takes, safe } => {
                self.raise(safe);
                self.delay.limit(now, takes);
            }
            Found::Nothing => {}
        }
        if let Opening::Under { asked, .. } = self.opening
            && self.estimate() < asked.scaled(OPENED)
        {
            self.opening = Opening::Over;
        }
    }

    /// Holds a path of which nothing is known to `rate` until probes tell what it takes. Answers whether that began.
    pub fn open(&mut self, now: Instant, rate: Bitrate) -> bool {
        let begins = matches!(self.opening, Opening::NotYet) && !self.is_limited();
        if begins {
            self.opening = Opening::Under { since: now, asked: Bitrate::ZERO };
            self.delay.limit(now, rate.as_f64());
        }
        begins
    }

    /// Whether what was asked for last is still to be heard of, or more to be asked for.
    pub fn is_opening(&self) -> bool {
        matches!(self.opening, Opening::Under { .. })
    }

    /// The path takes all that is wanted: there is no limit until it shows one.
    pub fn finish_opening(&mut self) {
        self.opening = Opening::Over;
        self.delay.lift();
    }

    /// Takes in the receiver's own estimate; ignored while numbered packets are reported on.
    pub fn handle_remb(&mut self, now: Instant, estimate: Bitrate) {
        if self.has_feedback(now) {
            return;
        }
        let sending = self.sending.at(self.us(now), LONG_US).map_or(Bitrate::ZERO, Bitrate::from_f64);
        if self.remote.handle(estimate, sending) {
            self.probes.postpone(now);
        }
        self.probes.handle_remote(now, estimate);
    }

    /// Takes in the share of packets, 0..=1, a receiver report says were lost; ignored as above.
    pub fn handle_loss(&mut self, now: Instant, fraction: f64, rtt: Duration) {
        if self.has_feedback(now) || !self.remote.is_known() {
            return;
        }
        let Some(sending) = self.sending.at(self.us(now), LONG_US) else { return };
        let packets = sending / 8.0 / 1_200.0;
        let queued = rtt > QUEUED_RTT;
        if self.loss.judge(now, queued, fraction, packets, sending * (1.0 - fraction)) {
            self.probes.postpone(now);
        }
    }

    fn has_feedback(&self, now: Instant) -> bool {
        self.feedback_at.is_some_and(|at| now < at + FEEDBACK_STALE)
    }

    /// Feedback that stays out means that nothing gets through; where there never was any, that it is not sent.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Opening::Under { since, .. } = self.opening
            && now >= since + OPENING_MAX
        {
            self.opening = Opening::Over;
            if self.feedback_at.is_none() {
                self.delay.lift();
            }
        }
        let silent = self.unanswered_since.is_some_and(|since| now >= since + SILENCE + 2 * self.rtt);
        if silent && self.has_feedback(now) {
            self.unanswered_since = Some(now);
            let rate = self.estimate().as_f64().min(self.arriving.latest(LONG_US).unwrap_or_default());
            self.delay.limit(now, rate / 2.0);
            self.probes.postpone(now);
        }
    }

    /// What the connection can take, [`Bitrate::UNLIMITED`] until something told otherwise.
    pub fn estimate(&self) -> Bitrate {
        let by_loss = self.loss.bound().map_or(Bitrate::UNLIMITED, Bitrate::from_f64);
        self.delay.rate().min(by_loss).min(self.remote.limit())
    }

    /// Whether the connection is known to be narrower than what was sent.
    pub fn is_limited(&self) -> bool {
        !self.estimate().is_unlimited()
    }

    /// True while a queue grows: no time to ask for more.
    pub fn is_overused(&self) -> bool {
        self.trend.usage() == Usage::Over
    }

    /// How long an effect takes to be heard of.
    pub fn rtt(&self) -> Duration {
        self.rtt
    }

    /// What the subscriber's tracks could use if there were more; `None` if they have all they want.
    pub fn set_goal(&mut self, goal: Option<Bitrate>) {
        self.probes.set_goal(goal);
    }

    /// A probe to begin now: until it ends, fill up with padding what the media leaves of its rate.
    pub fn poll_probe(&mut self, now: Instant) -> Option<ProbeCluster> {
        let now_us = self.us(now);
        self.probes.poll_found(now, i64::MIN);
        if self.is_overused() || self.is_queued() || !self.is_limited() {
            return None;
        }
        let sustained = !self.has_feedback(now) && self.remote.is_known();
        let cluster = self.probes.poll(now, now_us, self.estimate(), sustained)?;
        if let Opening::Under { asked, .. } = &mut self.opening {
            *asked = cluster.rate;
        }
        Some(cluster)
    }

    /// When to call [`Bandwidth::poll_probe`] and [`Bandwidth::handle_timeout`] next.
    pub fn deadline(&self) -> Option<Instant> {
        self.probes.deadline().filter(|_| self.is_limited())
    }
}

#[cfg(test)]
mod tests;
