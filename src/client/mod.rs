//! A LiveKit participant seen from outside: signalling, transports and synthetic media, cheap enough for hundreds in one
//! process. The load tester and the end-to-end tests are built on it. It sees only the wire: nothing of rooms, shards or
//! the server's own state.

pub mod api;
mod arrivals;
pub(crate) mod clock;
mod continuity;
mod counters;
mod description;
mod driver;
pub mod encoder;
mod engine;
mod incoming;
pub mod media;
mod outbox;
mod outgoing;
mod participant;
mod payload;
mod peer;
pub(crate) mod reach;
mod relay;
mod rhythm;
mod session;
pub(crate) mod signal;
mod socket;
pub(crate) mod stamp;
pub mod stats;
pub(crate) mod tls;
mod uplink;
mod view;

pub use crate::transport::Proto;
pub use counters::{TIMER_LATE, Totals};
pub use engine::{Engine, EngineError, Loss};
pub use participant::{ClientError, Mode, Options, Participant};
pub use reach::ReachError;
pub use signal::SignalError;
pub use view::{Ended, LinkView, Timing, View};
