//! What a room may ask of a shard. Commands are applied in the order sent; one that names an unknown key is ignored,
//! because the thing may just have ended.

use super::{Codec, LegKey, PeerKey, TrackKey};
use crate::limits::SIF_TRAILER_BYTES;
use crate::media::allocate::Rules;
use crate::media::bandwidth::ProbeIntervals;
use crate::media::degrade::Degradation;
use bytes::Bytes;
use std::time::Duration;

pub enum Command {
    /// Creates a transport. Its events go to `PeerSetup::events`.
    AddPeer(Box<PeerSetup>),
    /// Applies what the client's description says of its transport: ICE, DTLS, SCTP. Repeating it is harmless;
    /// changed ICE credentials are a restart by the client.
    SetRemote {
        peer: PeerKey,
        remote: RemoteTransport,
    },
    /// A trickled candidate as an SDP candidate line, with or without the leading `candidate:`.
    AddCandidate {
        peer: PeerKey,
        candidate: String,
    },
    /// New local ICE credentials (an ICE restart); DTLS and everything above go on.
    RestartIce {
        peer: PeerKey,
        creds: IceCredentials,
    },
    /// Ends a transport with all its tracks and legs. If it was still coming up, what was tried is logged within `span`.
    RemovePeer {
        peer: PeerKey,
        span: tracing::Span,
    },
    /// Fixes what the connection of a subscriber of video is taken to carry, in bits per second; `None` goes by the estimate
    /// again.
    SetCapacity {
        peer: PeerKey,
        bps: Option<u64>,
    },
    /// What the node takes from subscribers of video because it is overloaded.
    Degrade(Degradation),
    /// Opens a data channel in-band (DCEP) once SCTP is up.
    OpenChannel {
        peer: PeerKey,
        channel: Channel,
    },
    /// Sends one message on the channel of that kind, whoever opened it.
    SendData {
        peer: PeerKey,
        channel: Channel,
        bytes: Bytes,
    },
    /// Starts receiving a track.
    AddTrack(Box<TrackSetup>),
    /// A muted track is not forwarded; unmuting asks for a key frame.
    MuteTrack {
        track: TrackKey,
        muted: bool,
    },
    /// Stops receiving a track and ends all its legs.
    RemoveTrack {
        track: TrackKey,
    },
    /// Keeps a mirror of a track whose publisher is on another shard.
    MirrorTrack(Box<MirrorSetup>),
    /// Hands what arrives of a track to the shard that mirrors it, from now on.
    FeedMirror {
        track: TrackKey,
        shard: u8,
    },
    StarveMirror {
        track: TrackKey,
        shard: u8,
    },
    /// Starts forwarding a track to a subscriber.
    AddLeg(Box<LegSetup>),
    /// Changes what a leg forwards.
    SetLeg {
        leg: LegKey,
        target: LegTarget,
    },
    RemoveLeg {
        leg: LegKey,
    },
}

/// ICE username fragment and password of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub pwd: String,
}

/// Everything a transport needs from the start.
pub struct PeerSetup {
    pub peer: PeerKey,
    /// Local credentials from [`crate::shard::Shard::credentials`], which write the shard's index into the ufrag.
    pub creds: IceCredentials,
    pub ice_lite: bool,
    /// Candidate families to use, see [`CandidatePolicy`].
    pub candidates: CandidatePolicy,
    /// Where this peer's events go.
    pub events: super::EventSender,
    /// Whether congestion may pause its legs altogether; `None` as configured.
    pub allow_pause: Option<bool>,
}

/// Which local candidates a peer may use (WIRE.md §3.8 fallback).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CandidatePolicy {
    #[default]
    All,
    TcpOnly,
    UdpOnly,
}

/// The client's side of a transport, read from its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteTransport {
    pub creds: IceCredentials,
    pub ice_lite: bool,
    /// (hash function as SDP names it, digest bytes).
    pub fingerprints: Vec<(String, Vec<u8>)>,
    /// We send the ClientHello.
    pub dtls_active: bool,
    /// Present if there is an application section.
    pub sctp: Option<RemoteSctp>,
    /// Candidate lines in the description.
    pub candidates: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteSctp {
    pub port: u16,
    /// `a=max-message-size` in bytes; 65536 when absent (RFC 8841 §6.1), 0 is no limit.
    pub max_message_bytes: u32,
}

/// LiveKit's three data channels, known by label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `_reliable`: ordered, reliable.
    Reliable,
    /// `_lossy`: unordered, no retransmits.
    Lossy,
    /// `_data_track`: as lossy.
    DataTrack,
}

/// Ids of the header extensions negotiated on a connection or section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub repaired_rid: Option<u8>,
    pub audio_level: Option<u8>,
    pub transport_cc: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub abs_capture_time: Option<u8>,
    pub dependency_descriptor: Option<u8>,
    pub playout_delay: Option<u8>,
}

/// One payload type of a section with its retransmission type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadType {
    pub codec: Codec,
    pub pt: u8,
    pub rtx_pt: Option<u8>,
}

/// How the spatial layers of a video codec travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayerMode {
    /// One stream per layer: simulcast, or a single layer.
    #[default]
    OnePerStream,
    /// All layers in one stream: VP9 and AV1 SVC.
    ManyPerStream,
}

/// One encoding a client announced; RID-based ones have no SSRC until packets show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub rid: Option<String>,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    /// 0 lowest. For a track without simulcast 0.
    pub spatial: u8,
}

#[derive(Clone)]
pub struct TrackSetup {
    pub track: TrackKey,
    /// The publisher's transport.
    pub peer: PeerKey,
    pub mid: String,
    /// What may arrive, preferred first.
    pub payloads: Vec<PayloadType>,
    pub extensions: ExtensionIds,
    pub encodings: Vec<Encoding>,
    pub layer_mode: LayerMode,
    /// Picture sizes by spatial layer as the client announced them, (0, 0) unknown.
    pub layer_sizes: [(u32, u32); 3],
    /// End-to-end encrypted: payloads may not be read beyond what the client leaves clear.
    pub encrypted: bool,
    /// Counts for active speakers (source MICROPHONE).
    pub is_microphone: bool,
    pub is_screen_share: bool,
    pub muted: bool,
}

/// A track as its mirror on another shard sees it.
pub struct MirrorSetup {
    pub setup: TrackSetup,
    /// The publisher's shard.
    pub from: u8,
    /// Where the room hears of a fault.
    pub events: super::EventSender,
}

pub struct LegSetup {
    pub leg: LegKey,
    pub track: TrackKey,
    /// The subscriber's transport.
    pub peer: PeerKey,
    pub mid: String,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    /// What the subscriber accepted for this section, preferred first.
    pub payloads: Vec<PayloadType>,
    pub extensions: ExtensionIds,
    pub target: LegTarget,
    /// CNAME of the sender reports' SDES: the msid stream id.
    pub cname: String,
    /// The track is end-to-end encrypted: nothing may be taken apart, and what is made up ends so.
    pub encrypted: Option<[u8; SIF_TRAILER_BYTES]>,
    /// The track is plain Opus and goes as RED, which `payloads` has first.
    pub adds_red: bool,
    /// Least and most time the subscriber should hold pictures back, where the extension was negotiated.
    pub playout_delay_ms: (u32, u32),
}

/// What a leg should forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegTarget {
    /// Highest spatial layer wanted, 0..=2.
    pub spatial: u8,
    /// Highest temporal layer wanted, 0..=3.
    pub temporal: u8,
    /// The subscriber disabled the track.
    pub paused: bool,
    /// Among the subscriber's video when bandwidth is short, 255 first; 0 is the usual one of its source.
    pub priority: u8,
}

/// Timings and sizes a shard takes from the configuration.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    pub video_history_packets: usize,
    pub audio_history_packets: usize,
    /// Least time between key-frame requests, by spatial layer.
    pub pli_throttle: [Duration; 3],
    pub audio: AudioLevelConfig,
    /// Publishers of Opus hear of the loss of their worst subscriber.
    pub audio_loss_proxying: bool,
    pub congestion: CongestionConfig,
    /// How long packets of an unfinished picture wait for the rest of it.
    pub gather_window: Duration,
    /// The kernel may hand over datagrams of one sender joined.
    pub receive_offload: bool,
}

/// Congestion control towards subscribers (WIRE.md §4.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CongestionConfig {
    pub enabled: bool,
    pub rules: Rules,
    /// Shared out whatever the estimate, in bits per second.
    pub capacity_min_bps: u64,
    pub probes: ProbeIntervals,
}

/// Active-speaker rules (WIRE.md §4.10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AudioLevelConfig {
    /// -dBov; quieter packets are silence.
    pub active_level: u8,
    /// Percent of the window that must be active.
    pub min_percentile: u8,
    pub update_interval: Duration,
    pub smooth_intervals: u32,
}
