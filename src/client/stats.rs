//! What a participant can say of its media: plain numbers, filled in by `incoming`, `outgoing` and `peer`, read by whoever
//! asks a `Participant`.

use std::time::Duration;

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
    /// Since the track was described to us.
    pub first_packet: Option<Duration>,
    pub first_key_frame: Option<Duration>,
    /// One way, from the publisher's clock to ours.
    pub latency: Latency,
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

/// One transport.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionStats {
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Datagrams the transport refused, or media of unknown streams.
    pub dropped: u64,
    /// Transport-wide feedback received and sent.
    pub feedback_in: u64,
    pub feedback_out: u64,
    /// Data-channel messages nobody took in time.
    pub messages_dropped: u64,
}

const BUCKETS: usize = 33;

/// A histogram of delays. Each bucket is half as wide again as the one before, from 100 us to 6.5 s.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    counts: [u64; BUCKETS],
    pub max: Duration,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { counts: [0; BUCKETS], max: Duration::ZERO }
    }
}

impl Latency {
    pub fn note(&mut self, delay: Duration) {
        let bucket = (0..BUCKETS - 1).find(|i| delay <= upper_bound(*i)).unwrap_or(BUCKETS - 1);
        self.counts[bucket] += 1;
        self.max = self.max.max(delay);
    }

    pub fn merge(&mut self, other: &Latency) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.max = self.max.max(other.max);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A bound that the fraction `q` (0..=1) of all delays kept; `None` without any.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        Some(upper_bound(bucket).min(self.max))
    }

    /// Upper bounds with their counts.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.counts.iter().enumerate().map(|(i, count)| (upper_bound(i), *count))
    }
}

/// 100 us doubled every second bucket.
fn upper_bound(bucket: usize) -> Duration {
    let doubled = Duration::from_micros(100) * (1 << (bucket / 2));
    if bucket.is_multiple_of(2) { doubled } else { doubled * 1414 / 1000 }
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
        assert!(p50 >= Duration::from_millis(50) && p50 < Duration::from_millis(75), "{p50:?}");
        assert_eq!(latency.quantile(1.0), Some(Duration::from_millis(100)));
        latency.note(Duration::from_secs(100));
        assert_eq!(latency.count(), 101);
        assert_eq!(latency.buckets().map(|(_, n)| n).sum::<u64>(), 101);
    }

    #[test]
    fn bounds_rise() {
        assert!((1..BUCKETS).all(|i| upper_bound(i) > upper_bound(i - 1)));
        assert!(upper_bound(BUCKETS - 1) > Duration::from_secs(6));
    }
}
