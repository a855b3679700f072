//! The HTTP server API (WIRE.md §5.0, §5.1), the health check and what every request on the main port passes through
//! (§1.2). Built by `server`; knows rooms only by their directory and other nodes only by their cluster, nothing
//! of signalling sessions or shards.

pub mod auth;
pub mod body_limit;
pub mod cors;
mod error;
pub mod health;
mod hosted;
pub mod panics;
mod permission;
mod reach;
pub mod regions;
mod room_service;
pub mod slashes;
mod twirp;

pub use error::{Code, TwirpError};
pub use hosted::HostedRooms;
pub use permission::Caller;
pub use reach::Reach;
pub use room_service::RoomService;
pub use twirp::{Service, Twirp};
