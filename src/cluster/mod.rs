//! A node among others: one Redis carries their calls and keeps what they know of each other (CLUSTER.md). Knows rooms by
//! name only, and relays signalling without looking at it. Called by `signal`, `api`, `server` and `ops`.

mod address;
mod bus;
mod call;
mod channel;
mod claim;
mod clock;
mod delivery;
mod hosted;
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
mod relay;
mod serve;
mod store;
mod stream;
mod sweep;
mod table;
#[cfg(test)]
mod tests;

pub use call::{Patience, RpcError};
pub use hosted::{Hosted, Record};
pub use member::{Cluster, Doorway, Member, Running};
pub use neighbours::is_fresh;
pub use node::{Gauge, Identity};
pub use place::{Place, PlaceError};
pub use redis::{ConnectError, Redis, Status, StoreError};
pub use relay::{Arrival, Relayed};
pub use serve::Methods;
pub use store::Store;
pub use table::Registration;
