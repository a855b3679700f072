//! What a shard tells the room a peer belongs to.

use super::{Channel, LegKey, PeerKey, TrackKey};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// Where a peer's events go: its room's bounded queue.
pub type EventSender = tokio::sync::mpsc::Sender<Event>;

#[derive(Debug)]
pub enum Event {
    /// ICE has a working pair for the first time, or again after `IceLost`.
    IceConnected { peer: PeerKey, pair: CandidatePair },
    /// The chosen pair moved.
    PairChanged { peer: PeerKey, pair: CandidatePair },
    /// No check or packet for the disconnect time (10 s); may come back.
    IceLost { peer: PeerKey },
    /// ICE and DTLS are up: media and data may flow.
    Connected { peer: PeerKey, took: Duration },
    /// The subscriber has lost a quarter or more for long.
    Unstable { peer: PeerKey },
    /// The transport is beyond repair.
    Failed { peer: PeerKey, why: PeerFailure },
    /// A data channel can be written; comes for channels of either side.
    ChannelOpen { peer: PeerKey, label: String, channel: Option<Channel>, ordered: bool, reliable: bool },
    /// One of LiveKit's data channels ended while the transport goes on.
    ChannelClosed { peer: PeerKey, channel: Channel },
    /// A message arrived. `channel` is `None` for a label that is not LiveKit's.
    Data { peer: PeerKey, channel: Option<Channel>, reliable: bool, binary: bool, bytes: Bytes },
    /// The first packet of a track arrived.
    TrackStarted { track: TrackKey },
    /// Which spatial layers of a video track flow now (bit 0 is layer 0), and the sizes seen.
    Layers { track: TrackKey, flowing: u8 },
    /// A leg has sent its first packet.
    LegStarted { leg: LegKey },
    /// Loudness of the peer's microphone tracks, each `update_interval`; tracks below the threshold are absent.
    Speakers { peer: PeerKey, levels: Vec<SpeakerLevel> },
    /// Quality of the peer's tracks and legs over the last window, each 5 s.
    Quality { peer: PeerKey, tracks: Vec<(TrackKey, Score)>, legs: Vec<(LegKey, Score)> },
    /// Legs of a subscriber that congestion has paused (`true`) or resumed.
    StreamState { peer: PeerKey, legs: Vec<(LegKey, bool)> },
    /// The node's load leaves a leg of a camera other spatial layers than before.
    Kept { peer: PeerKey, leg: LegKey, kept: Kept },
}

/// What an overloaded node still forwards to a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    #[default]
    All,
    /// Spatial layers.
    UpTo(u8),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeakerLevel {
    pub track: TrackKey,
    /// Smoothed, linear, 0..=1.
    pub level: f32,
    pub active: bool,
}

/// A quality score 0..=100 (WIRE.md §4.18).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score(pub f32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidatePair {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub tcp: bool,
}

/// Why a transport ended, with what an operator needs to find the cause.
#[derive(Clone, Debug)]
pub enum PeerFailure {
    /// No pair worked; the addresses checks came from or were tried with, and the client's candidates.
    Ice {
        tried: Vec<String>,
    },
    Dtls {
        why: String,
    },
    /// The client broke a limit.
    Abuse {
        why: &'static str,
    },
    /// Our own mistake; the log has where.
    Fault,
}
