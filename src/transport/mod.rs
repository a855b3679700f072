//! One WebRTC transport as a value: ICE, DTLS, SRTP and SCTP of one peer connection.
//!
//! Called by `shard` and `client`. It is told the time and hands out bytes; it may not know sockets, the clock, tracks
//! or rooms.

mod association;
mod candidate;
mod certificate;
mod datachannel;
mod dtls;
mod engine;
mod ice;
mod input;
mod path;
mod peer;
mod sctp;
pub mod srtp;

pub use candidate::CandidateError;
pub use certificate::{Certificate, CertificateError};

pub use input::{Drop, Input};
pub use path::{Pair, Proto};
pub use peer::{Failure, Peer, PeerConfig, PeerError, PeerEvent, RemoteParams, RemoteSctp, Transmit};
pub use sctp::SendError;

// Only for the fuzz targets.
#[doc(hidden)]
pub use {association::Start as SctpStart, datachannel::Reliability, sctp::Sctp, sctp::SctpEvent};
