//! Access tokens (WIRE.md §1.6): verify, mint, and grants as questions.

pub mod claims;
pub mod mint;
pub mod verify;

pub use claims::*;
pub use mint::mint;
pub use verify::{TokenError, verify};
