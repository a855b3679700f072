//! The way to TURN servers (RFC 8656). The `webrtc` crate speaks TURN over UDP alone and says nothing of refusals, so each
//! server gets a bridge on this machine's loopback interface: what comes by UDP goes on by UDP, TCP or TLS as the server's
//! URL says, and what the server answers is noted on its way. Called by `run`.

mod bridge;
mod frame;
mod observed;
mod url;

pub use bridge::{Bridge, bridges};
