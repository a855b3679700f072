//! A node among others: one Redis carries their calls and keeps what they know of each other (CLUSTER.md). Knows rooms by
//! name only, and relays signalling without looking at it. Called by `signal`, `api`, `server` and `ops`.

mod address;
pub mod agent;
mod bus;
mod call;
mod channel;
mod chooser;
mod claim;
mod clock;
mod delivery;
mod dialer;
pub mod drain;
mod egress;
mod hosted;
mod io;
pub mod keys;
mod member;
pub mod method;
mod neighbours;
mod node;
mod owner;
mod ownership;
mod place;
mod records;
mod redis;
pub mod region;
mod relay;
pub mod select;
mod serve;
mod sip;
mod sip_calls;
mod store;
mod stream;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod version;

pub use call::{Patience, RpcError};
pub use dialer::{Dialer, Pipe};
pub use egress::EgressLauncher;
pub use hosted::{Hosted, Record};
pub use io::{Event, Events, IoInfo};
pub use member::{Cluster, Doorway, Member, Running};
pub use neighbours::{is_fresh, is_heard};
pub use node::{Gauge, Identity};
pub use place::{Place, PlaceError};
pub use redis::{ConnectError, Redis, Status, StoreError};
pub use relay::{Arrival, Relayed};
pub use serve::Methods;
pub use sip_calls::SipCalls;
pub use store::Store;
pub use table::Registration;
