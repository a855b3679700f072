//! A node among others: one Redis carries their calls and keeps what they know of each other (CLUSTER.md). Knows rooms by
//! name only, and relays signalling without looking at it. Called by `signal`, `api`, `server` and `ops`.

mod address;
mod bus;
mod call;
mod channel;
mod chooser;
mod claim;
mod clock;
mod delivery;
pub mod drain;
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
pub mod region;
mod relay;
pub mod select;
mod serve;
mod store;
mod stream;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod version;

pub use call::{Patience, RpcError};
pub use hosted::{Hosted, Record};
pub use member::{Cluster, Doorway, Member, Running};
pub use neighbours::{is_fresh, is_heard};
pub use node::{Gauge, Identity};
pub use place::{Place, PlaceError};
pub use redis::{ConnectError, Redis, Status, StoreError};
pub use relay::{Arrival, Relayed};
pub use serve::Methods;
pub use store::Store;
pub use table::Registration;
