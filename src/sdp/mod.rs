//! Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829): text to values and back. `room::negotiate` calls it.
//! It knows neither rooms nor what a sensible answer is.
//!
//! Reading is lenient the way browsers are with each other: unknown lines and attributes that make no sense are passed
//! over, only what shapes the description must be right. Every list has a bound.

mod attribute;
pub mod fmtp;
mod model;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use attribute::fingerprint;
pub use model::*;
pub use parse::{ParseError, credentials, parse};
