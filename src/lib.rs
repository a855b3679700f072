//! The core of `lkops`: a LiveKit-compatible media server and the parts its command-line tools share.
//!
//! Layers point downward only; `tests/tidy.rs` holds the table and fails on an import that breaks it.

pub mod api;
pub mod client;
pub mod cluster;
pub mod condition;
pub mod config;
pub mod limits;
pub mod load;
pub mod media;
pub mod metrics;
pub mod net;
pub mod ops;
pub mod probe;
pub mod proto;
pub mod room;
pub mod sdp;
pub mod server;
pub mod shard;
pub mod signal;
pub mod token;
pub mod transport;
pub mod wire;
