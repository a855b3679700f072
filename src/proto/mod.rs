//! LiveKit's protobuf messages and the ids they carry. Knows nothing else of the program.

pub mod id;
pub mod json;
mod kept;
pub mod psrpc;
pub mod rpc;

pub use kept::Kept;
pub use livekit_protocol::*;
