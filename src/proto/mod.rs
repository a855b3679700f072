//! LiveKit's protobuf messages and the ids they carry. Knows nothing else of the program.

pub mod id;
pub mod json;

pub use livekit_protocol::*;
