//! A synthetic participant that is a stranger to our own stack: its connections are those of the `webrtc` crate, so that
//! what it finds is what another implementation meets. It joins a server as two people, times every step of the way, and
//! says why a step failed and what to do. Called by `commands`. Of `client` it takes signalling, TLS and synthetic
//! payloads, nothing of ICE, DTLS or SRTP.

mod access;
mod candidate;
mod connection;
mod data;
pub mod exposition;
mod hint;
mod joiner;
mod media;
pub mod meter;
mod page;
mod path;
mod reach;
pub mod report;
mod run;
mod sending;
pub mod service;
mod settings;
pub mod threshold;
mod turn;

pub use access::Access;
pub use report::{Fault, Report};
pub use run::probe;
pub use settings::Settings;
