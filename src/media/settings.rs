//! What the shard tells a track or leg when it is made: negotiated numbers and configured limits.

use super::blank::SifTrailer;
use super::layer::Target;
use super::speaker::SpeakerRule;
use crate::wire::codec::Codec;
use crate::wire::ext::PlayoutDelay;
use std::time::Duration;

/// One payload type with its retransmission type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    pub codec: Codec,
    pub pt: u8,
    pub rtx_pt: Option<u8>,
}

/// Ids of the header extensions media reads or passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    pub audio_level: Option<u8>,
    pub abs_capture_time: Option<u8>,
    pub dependency_descriptor: Option<u8>,
}

#[derive(Clone, Debug)]
pub struct UpSettings {
    /// What may arrive, preferred first.
    pub payloads: Vec<Payload>,
    pub extensions: Extensions,
    /// Spatial layers the client announced, bit 0 is layer 0; 0 if unknown.
    pub announced_layers: u8,
    /// Spatial layers travel in one stream (SVC).
    pub layered: bool,
    pub is_screen_share: bool,
    /// Packets of history for each stream.
    pub history_packets: usize,
    /// Least time between key frame requests, by spatial layer.
    pub pli_throttle: [Duration; 3],
    /// Present if the track counts for active speakers.
    pub speaker: Option<SpeakerRule>,
}

#[derive(Clone, Debug)]
pub struct LegSettings {
    pub ssrc: u32,
    /// Without it packets are sent again on the main SSRC.
    pub rtx_ssrc: Option<u32>,
    /// What the subscriber accepted, preferred first.
    pub payloads: Vec<Payload>,
    pub extensions: Extensions,
    pub target: Target,
    /// Packets that can be asked for again: the history of the track.
    pub history_packets: usize,
    /// End-to-end encrypted: what is made up ends so, and nothing may be taken out of RED.
    pub encrypted: Option<SifTrailer>,
    /// Plain Opus is put into RED, which `payloads` has first.
    pub adds_red: bool,
    /// The extension that tells how long to hold back pictures, and between what bounds.
    pub playout: Option<(u8, PlayoutDelay)>,
    /// Numbers to begin with where the track does not give them: random.
    pub first_sequence: u16,
    pub first_timestamp: u32,
}

/// The payload type with that number, or whose retransmission type it is (then `true`).
pub fn payload_of(payloads: &[Payload], pt: u8) -> Option<(&Payload, bool)> {
    let plain = payloads.iter().find(|p| p.pt == pt).map(|p| (p, false));
    plain.or_else(|| payloads.iter().find(|p| p.rtx_pt == Some(pt)).map(|p| (p, true)))
}

pub fn is_video(payloads: &[Payload]) -> bool {
    payloads.first().is_some_and(|p| !p.codec.is_audio())
}

/// RTP clock of the preferred payload type, in Hz.
pub fn clock_rate(payloads: &[Payload]) -> u32 {
    payloads.first().map_or(90_000, |p| p.codec.clock_rate())
}
