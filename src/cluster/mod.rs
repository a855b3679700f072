//! A node among others: one Redis carries their calls and keeps what they know of each other (CLUSTER.md). Knows rooms by
//! name only, and relays signalling without looking at it. Called by `signal`, `api`, `server` and `ops`.

mod address;
pub mod clock;
pub mod drain;
pub mod keys;
pub mod redis;
pub mod region;
pub mod select;
pub mod store;

pub use redis::{ConnectError, Redis, Status, StoreError};
pub use store::Store;
