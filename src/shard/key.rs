//! Keys by which rooms name what lives on a shard. They are never reused within a process.

use std::sync::atomic::{AtomicU64, Ordering};

/// One transport: ICE, DTLS, SRTP and SCTP of one peer connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

/// One published track: all encodings of one media section a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackKey(pub u64);

/// One subscriber's copy of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegKey(pub u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl PeerKey {
    pub fn fresh() -> PeerKey {
        PeerKey(next())
    }
}

impl TrackKey {
    pub fn fresh() -> TrackKey {
        TrackKey(next())
    }
}

impl LegKey {
    pub fn fresh() -> LegKey {
        LegKey(next())
    }
}
