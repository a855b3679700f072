//! Signalling connections: who may come in (WIRE.md §1.5-1.9), and the WebSocket that carries their messages (§1.10). Built
//! by `server`; knows rooms only by their directory and other nodes only by their cluster, nothing of SDP,
//! shards or Redis.

mod arrivals;
mod client_info;
mod codec;
mod join;
mod join_request;
mod opening;
mod params;
mod query;
mod refusal;
mod routes;
mod socket;
mod start_session;
mod wish;

pub use arrivals::receive;
// Only for the fuzz targets.
#[doc(hidden)]
pub use codec::{Mode, decode, encode};
pub use params::Params;
pub use refusal::Refusal;
pub use routes::{Gate, NodeLoad, routes};
#[doc(hidden)]
pub use wish::{Entrance, Wish};
