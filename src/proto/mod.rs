//! LiveKit's protobuf messages and the ids they carry. Knows nothing else of the program.

pub mod id;
pub mod json;
pub mod psrpc;
pub mod rpc;

pub use livekit_protocol::*;
