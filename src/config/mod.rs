//! The configuration: LiveKit's keys under their names and with their meaning (WIRE.md §7); ours stand under `lkops:`.
//!
//! `load` is the way in; `commands` hands it flags and environment, everybody else sees only `Config`. May not know the terminal.

mod check;
mod cidr;
mod complaint;
mod derive;
mod duration;
mod file;
pub mod keys;
mod kind;
mod load;
mod message;
pub mod model;
mod overlay;
mod scalar;
mod settings;
mod spelling;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use cidr::Cidr;
pub use complaint::{Complaint, Origin};
pub use duration::parse as parse_duration;
pub use kind::Kind;
pub use load::{Loaded, Purpose, Sources, load};
pub use model::*;
pub use overlay::{BODY_ENV, NAMED, Named};
pub use settings::{Setting, Settings};
pub use value::{REDACTED, Value};
