//! What a participant can say of its media: plain numbers, filled in by `incoming`, `outgoing` and `peer`, read by whoever
//! asks a `Participant`.

use std::time::{Duration, Instant};

/// One participant's media at one moment.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub received: Vec<TrackStats>,
    pub sent: Vec<StreamStats>,
    pub connections: Vec<ConnectionStats>,
}

impl Stats {
    /// The track of that sid.
    pub fn track(&self, sid: &str) -> Option<&TrackStats> {
        self.received.iter().find(|t| t.track_sid == sid)
    }

    /// What came to pass after `earlier`. Extremes and latencies are not sums: they stay as they are.
    pub fn since(mut self, earlier: &Stats) -> Stats {
        for track in &mut self.received {
            if let Some(before) = earlier.track(&track.track_sid) {
                track.subtract(before);
            }
        }
        for stream in &mut self.sent {
            if let Some(before) = earlier.sent.iter().find(|s| (&s.cid, s.rid) == (&stream.cid, stream.rid)) {
                stream.subtract(before);
            }
        }
        self.connections.iter_mut().zip(&earlier.connections).for_each(|(now, before)| now.subtract(before));
        self
    }
}

/// One received track.
#[derive(Clone, Debug, Default)]
pub struct TrackStats {
    pub track_sid: String,
    pub is_video: bool,
    /// Distinct media packets, recovered ones included; padding alone does not count.
    pub packets: u64,
    /// Payload bytes of these.
    pub bytes: u64,
    /// Numbers missing between the first and the newest packet.
    pub lost: u64,
    /// Packets older than one that came before, not counting retransmissions.
    pub reordered: u64,
    pub duplicates: u64,
    /// Packets that came as retransmissions.
    pub recovered: u64,
    /// Packets the publisher stamped that never came although no number of this leg is missing: lost on the way up, or
    /// left out by the server, as it does with temporal layers.
    pub skipped: u64,
    pub nacks: u64,
    pub plis: u64,
    pub frames: u64,
    /// Frames begun of which a packet was still missing 32 frames later.
    pub frames_broken: u64,
    pub key_frames: u64,
    /// Encoding of the newest packet, 0 the lowest.
    pub layer: u8,
    pub layer_changes: u64,
    /// Packets of each encoding.
    pub layer_packets: [u64; 3],
    /// Packets whose timestamp does not fit the time they were sent at.
    pub timestamp_jumps: u64,
    /// Times the picture stood still, or the sound was away, for longer than a receiver can bridge.
    pub freezes: u64,
    /// Their length together.
    pub frozen: Duration,
    /// Longest time without a whole frame.
    pub longest_gap: Duration,
    /// Frames that never came in such a time; `latency` has each with the age it had when something newer came.
    pub omitted: u64,
    /// Requests for key frames that were answered, and the longest wait for one.
    pub key_frame_waits: u64,
    pub key_frame_wait_max: Duration,
    /// Since the track was described to us.
    pub first_packet: Option<Duration>,
    pub first_key_frame: Option<Duration>,
    /// When the track was described to us, its first packet came, and its first frame was whole (for video: that a
    /// decoder can begin with).
    pub described_at: Option<Instant>,
    pub first_packet_at: Option<Instant>,
    pub first_frame_at: Option<Instant>,
    /// One way, from the publisher's clock to ours.
    pub latency: Latency,
}

impl TrackStats {
    fn subtract(&mut self, before: &TrackStats) {
        let pairs = [
            (&mut self.packets, before.packets),
            (&mut self.bytes, before.bytes),
            (&mut self.lost, before.lost),
            (&mut self.reordered, before.reordered),
            (&mut self.duplicates, before.duplicates),
            (&mut self.recovered, before.recovered),
            (&mut self.skipped, before.skipped),
            (&mut self.nacks, before.nacks),
            (&mut self.plis, before.plis),
            (&mut self.frames, before.frames),
            (&mut self.frames_broken, before.frames_broken),
            (&mut self.key_frames, before.key_frames),
            (&mut self.layer_changes, before.layer_changes),
            (&mut self.timestamp_jumps, before.timestamp_jumps),
            (&mut self.freezes, before.freezes),
            (&mut self.omitted, before.omitted),
            (&mut self.key_frame_waits, before.key_frame_waits),
        ];
        subtract(pairs);
        self.frozen = self.frozen.saturating_sub(before.frozen);
        self.layer_packets.iter_mut().zip(before.layer_packets).for_each(|(now, then)| *now = now.saturating_sub(then));
    }
}

fn subtract<const N: usize>(pairs: [(&mut u64, u64); N]) {
    for (now, then) in pairs {
        *now = now.saturating_sub(then);
    }
}

/// One sent stream; a simulcast track has several.
#[derive(Clone, Debug, Default)]
pub struct StreamStats {
    pub cid: String,
    pub rid: Option<&'static str>,
    pub active: bool,
    pub packets: u64,
    pub bytes: u64,
    pub frames: u64,
    pub key_frames: u64,
    pub resent: u64,
    /// Requests for key frames.
    pub plis: u64,
    /// From the newest receiver report: 1/256 and packets.
    pub fraction_lost: u8,
    pub reported_lost: i32,
    pub reports: u64,
}

impl StreamStats {
    fn subtract(&mut self, before: &StreamStats) {
        subtract([
            (&mut self.packets, before.packets),
            (&mut self.bytes, before.bytes),
            (&mut self.frames, before.frames),
            (&mut self.key_frames, before.key_frames),
            (&mut self.resent, before.resent),
            (&mut self.plis, before.plis),
            (&mut self.reports, before.reports),
        ]);
    }
}

/// One transport.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionStats {
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Media packets of known tracks, retransmissions among them, and their payload bytes.
    pub packets_in: u64,
    pub bytes_in: u64,
    /// Numbers missing in them.
    pub lost: i64,
    /// Datagrams the transport refused, or media of unknown streams.
    pub dropped: u64,
    /// Transport-wide feedback received and sent.
    pub feedback_in: u64,
    pub feedback_out: u64,
    /// When media first came.
    pub first_media: Option<Instant>,
    /// Data-channel messages nobody took in time.
    pub messages_dropped: u64,
}

impl ConnectionStats {
    fn subtract(&mut self, before: &ConnectionStats) {
        subtract([
            (&mut self.datagrams_in, before.datagrams_in),
            (&mut self.datagrams_out, before.datagrams_out),
            (&mut self.packets_in, before.packets_in),
            (&mut self.bytes_in, before.bytes_in),
            (&mut self.dropped, before.dropped),
            (&mut self.feedback_in, before.feedback_in),
            (&mut self.feedback_out, before.feedback_out),
            (&mut self.messages_dropped, before.messages_dropped),
        ]);
        self.lost -= before.lost;
    }
}

/// Buckets of one doubling, so that a bucket is at most a sixteenth wide.
const STEPS: usize = 16;
/// Below this many microseconds each has a bucket of its own.
const EXACT_US: usize = 2 * STEPS;
/// Up to 2^27 us, two minutes.
const BUCKETS: usize = EXACT_US + 22 * STEPS;

/// A histogram of delays with a relative error of at most 1/16.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    counts: [u32; BUCKETS],
    pub max: Duration,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { counts: [0; BUCKETS], max: Duration::ZERO }
    }
}

impl Latency {
    pub fn note(&mut self, delay: Duration) {
        let us = usize::try_from(delay.as_micros()).unwrap_or(usize::MAX);
        let count = &mut self.counts[bucket_of(us)];
        *count = count.saturating_add(1);
        self.max = self.max.max(delay);
    }

    pub fn merge(&mut self, other: &Latency) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a = a.saturating_add(*b));
        self.max = self.max.max(other.max);
    }

    /// What came after `earlier`, a copy of this one. The maximum stays that of all.
    pub fn since(&self, earlier: &Latency) -> Latency {
        let mut counts = self.counts;
        counts.iter_mut().zip(&earlier.counts).for_each(|(now, then)| *now = now.saturating_sub(*then));
        Latency { counts, max: self.max }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// A bound that the fraction `q` (0..=1) of all delays kept; `None` without any.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below >= wanted
        })?;
        Some(upper_bound(bucket).min(self.max))
    }

    /// Upper bounds with their counts.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.counts.iter().enumerate().map(|(i, count)| (upper_bound(i), u64::from(*count)))
    }
}

fn bucket_of(us: usize) -> usize {
    if us < EXACT_US {
        return us;
    }
    let doublings = (us / STEPS).ilog2() as usize;
    ((us >> doublings) + doublings * STEPS).min(BUCKETS - 1)
}

/// The largest time that falls into the bucket.
fn upper_bound(bucket: usize) -> Duration {
    if bucket < EXACT_US {
        return Duration::from_micros(bucket as u64);
    }
    let doublings = bucket / STEPS - 1;
    let step = bucket - doublings * STEPS;
    Duration::from_micros((((step + 1) << doublings) - 1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        (1..=100).for_each(|ms| latency.note(Duration::from_millis(ms)));
        let p50 = latency.quantile(0.5).unwrap();
        assert!(p50 >= Duration::from_millis(50) && p50 < Duration::from_millis(54), "{p50:?}");
        assert_eq!(latency.quantile(1.0), Some(Duration::from_millis(100)));
        latency.note(Duration::from_secs(100));
        assert_eq!(latency.count(), 101);
        assert_eq!(latency.buckets().map(|(_, n)| n).sum::<u64>(), 101);
    }

    #[test]
    fn every_time_lies_below_its_bucket_s_bound_and_above_the_one_before() {
        for us in (0..100_000).chain([1 << 20, (1 << 20) + 1, 3_000_000, 60_000_000]) {
            let (bucket, time) = (bucket_of(us), Duration::from_micros(us as u64));
            assert!(time <= upper_bound(bucket), "{us}");
            assert!(bucket == 0 || time > upper_bound(bucket - 1), "{us}");
        }
        assert!(upper_bound(BUCKETS - 1) > Duration::from_secs(120));
        assert_eq!(bucket_of(usize::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_difference_counts_only_what_came_after() {
        let track = |packets, lost| TrackStats { track_sid: "TR".into(), packets, lost, ..TrackStats::default() };
        let stats = |packets, lost| Stats { received: vec![track(packets, lost)], ..Stats::default() };
        let later = stats(10, 1).since(&stats(4, 2));
        assert_eq!((later.received[0].packets, later.received[0].lost), (6, 0), "late packets filled a gap");
        assert_eq!(stats(3, 0).since(&Stats::default()).received[0].packets, 3);
    }
}
