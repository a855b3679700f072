//! Rooms: who is in them, what they publish and subscribe to, and the signalling that follows. Knows shards by their
//! commands and events; knows nothing of sockets, HTTP, WebSocket or Redis.

mod admin;
mod announce;
pub mod clock;
mod close;
pub mod context;
mod count;
mod data_publish;
mod dialogue;
pub mod directory;
mod dynacast;
pub mod error;
mod event;
mod fallback;
mod flow;
mod gate;
mod incoming;
mod join;
mod leave;
pub mod ledger;
mod link;
pub mod negotiate;
mod participant;
mod publication;
mod publish;
mod quality_wanted;
pub mod registry;
mod report;
mod request;
pub mod resume;
pub mod run;
pub mod session;
pub mod settings;
mod simulate;
pub mod state;
mod subscribe;
mod subscription;
mod target;
#[cfg(test)]
mod tests;
mod timers;

pub use context::{IceServers, Node, RoomContext};
pub use directory::Directory;
pub use error::RoomError;
pub use ledger::Ledger;
pub use registry::Occupancy;

// Pure pieces: values and rules the room task plugs together.
pub mod blob;
pub mod client;
pub mod codecs;
pub mod data;
pub mod data_track;
pub mod ice_servers;
pub mod layers;
pub mod permission;
pub mod quality;
pub mod refresh;
pub mod speakers;
pub mod track_info;
pub mod update;
pub mod version;
