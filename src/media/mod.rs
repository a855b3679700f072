//! What a forwarder knows of one published track ([`UpTrack`]) and of one subscriber's copy of it ([`DownTrack`]): sans-IO
//! state machines that are told the time and hand out values and bytes.
//!
//! Called by `shard` only. Packets come decrypted and are kept once, in the track's history; a leg keeps numbers. Knows no
//! keys, addresses, participants or names. RFC 3550, 4585, 4588; WIRE.md §4.
//!
//! A packet's way: [`UpTrack::handle_rtp`] makes an [`Arrival`], each leg's [`DownTrack::plan`] answers with a [`Plan`], and
//! [`Outgoing::write`] puts the leg's copy together.

pub mod allocate;
pub mod arrival;
pub mod bandwidth;
pub mod bitrate;
mod blank;
mod clock;
pub mod degrade;
mod dissect;
pub mod down_track;
pub mod drop_reason;
pub mod feedback;
mod history;
mod inject;
mod key_frame;
pub mod layer;
mod layer_meter;
mod leg_reports;
mod lookahead;
mod nack;
mod number_map;
pub mod opening;
pub mod outgoing;
pub mod pace;
mod playout;
mod put;
pub mod quality;
mod reception;
pub mod redundancy;
mod rewrite;
mod sent;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod speaker;
pub mod stats;
mod tracker;
pub mod unstable;
mod up_stream;
pub mod up_track;
mod vp8;

pub use arrival::Arrival;
pub use bandwidth::Bandwidth;
pub use bitrate::Bitrate;
pub use blank::SifTrailer;
pub use down_track::{DownTrack, Plan};
pub use drop_reason::{DropReason, Drops};
pub use feedback::TransportFeedback;
pub use inject::Injected;
pub use layer::{Layers, Target};
pub use outgoing::Outgoing;
pub use settings::{Extensions, LegSettings, Payload, UpSettings};
pub use speaker::{Loudness, SpeakerRule};
pub use up_track::UpTrack;

/// The moment tests begin at, the same for all of a process.
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
fn test_epoch() -> std::time::Instant {
    static EPOCH: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}
