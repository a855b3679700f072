//! What a track and a leg have counted, for metrics. Plain values: read, never reset.

use super::drop_reason::Drops;
use std::time::Duration;

/// Of a published track, all encodings together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpStats {
    pub packets: u64,
    pub bytes: u64,
    /// Not arrived by themselves, whether recovered or not.
    pub lost: u64,
    /// Packets asked for again, repetitions counted.
    pub nacked: u64,
    pub jitter: Duration,
    pub drops: Drops,
}

/// Of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    pub resent: u64,
    /// Packets the subscriber asked for again.
    pub nacks: u64,
    /// Key frames the subscriber asked for.
    pub key_frame_requests: u64,
    /// As the subscriber reports it, in total.
    pub lost: u64,
    pub rtt: Option<Duration>,
    pub jitter: Duration,
    pub drops: Drops,
}
