//! The media plane: one thread per core, each with its own sockets and readiness loop. Above it are only keys, commands
//! and events; below it protocol code that knows neither sockets nor the clock.

mod cadence;
mod candidate;
pub mod command;
mod congestion;
mod degrade;
mod demux;
pub mod event;
mod forward;
mod gather;
pub mod handle;
mod handover;
pub mod key;
mod media;
mod mirror;
mod outbox;
mod peer;
mod report;
mod route;
mod run;
mod sockets;
mod spread;
mod start;
mod state;
mod timer;
mod wall;

pub use crate::media::allocate::Rules as AllocationRules;
pub use crate::media::bandwidth::{ProbeInterval, ProbeIntervals};
pub use crate::media::bitrate::Bitrate;
pub use crate::media::degrade::Degradation;
pub use crate::wire::codec::Codec;
pub use candidate::LocalAddress;
pub use command::*;
pub use event::*;
pub use handle::*;
pub use key::*;
pub use run::{Runner, shard_of_ufrag};
pub use spread::Spread;
pub use start::{Assembled, HandedTcp, Running, ShardsConfig, StartError, assemble, start};
