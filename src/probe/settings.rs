//! What a probe is asked to do.

use super::access::Access;
use super::threshold::Threshold;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// `ws://`, `wss://`, `http://` or `https://`, as clients are given it.
    pub url: String,
    pub access: Access,
    pub room: String,
    /// How long media is measured.
    pub duration: Duration,
    /// Media goes through the TURN servers the server names, and no other way.
    pub relay_only: bool,
    /// Media goes over ICE/TCP, and no other way.
    pub tcp_only: bool,
    pub fail_if: Vec<Threshold>,
}
