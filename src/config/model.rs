//! The configuration as the program reads it. Field names are the YAML keys; what they mean stands in `keys`.
//!
//! Every field is required and no other is taken, so that a key without a field, or a field without a key, fails the tests.
//! `Default` is what an empty file gives, ports and ranges filled in; sections have theirs from there.

mod cluster;
mod congestion;
mod room;
mod rtc;
mod server;
mod turn;

pub use cluster::*;
pub use congestion::*;
pub use room::*;
pub use rtc::*;
pub use server::*;
pub use turn::*;

use super::load::{Sources, load};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub port: u16,
    /// Empty is all addresses.
    pub bind_addresses: Vec<String>,
    /// API key to secret.
    pub keys: BTreeMap<String, String>,
    pub key_file: String,
    pub region: String,
    pub development: bool,
    pub enable_data_tracks: bool,
    pub enable_participant_data_blob: bool,
    /// Deprecated; `logging.level` has it already.
    pub log_level: String,
    /// Deprecated; `prometheus.port` has it already.
    pub prometheus_port: u16,
    pub prometheus: Prometheus,
    pub debug_handler: DebugHandler,
    pub trace: Trace,
    pub api: Api,
    pub logging: Logging,
    pub metric: Metric,
    pub node_stats: NodeStats,
    pub agents: Agents,
    pub rtc: Rtc,
    pub room: Room,
    pub limit: Limit,
    pub audio: Audio,
    pub video: Video,
    pub turn: Turn,
    pub ingress: Ingress,
    pub sip: Sip,
    pub webhook: Webhook,
    pub redis: Redis,
    pub node_selector: NodeSelector,
    pub signal_relay: SignalRelay,
    pub psrpc: Psrpc,
    pub lkops: Lkops,
}

/// Without the API keys' secrets; sections hide theirs.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.keys.keys().collect();
        f.debug_struct("Config")
            .field("port", &self.port)
            .field("keys", &keys)
            .field("rtc", &self.rtc)
            .finish_non_exhaustive()
    }
}

static DEFAULT: LazyLock<Config> = LazyLock::new(|| match load(&Sources::default()) {
    Ok(loaded) => loaded.config,
    Err(complaints) => unreachable!("the defaults are tested: {complaints:?}"),
});

impl Default for Config {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

macro_rules! default_sections {
    ($($section:ident: $type:ty),* $(,)?) => {
        $(impl Default for $type {
            fn default() -> Self {
                DEFAULT.$section.clone()
            }
        })*
    };
}

default_sections! {
    prometheus: Prometheus,
    debug_handler: DebugHandler,
    trace: Trace,
    api: Api,
    logging: Logging,
    metric: Metric,
    node_stats: NodeStats,
    agents: Agents,
    rtc: Rtc,
    room: Room,
    limit: Limit,
    audio: Audio,
    video: Video,
    turn: Turn,
    ingress: Ingress,
    sip: Sip,
    webhook: Webhook,
    redis: Redis,
    node_selector: NodeSelector,
    signal_relay: SignalRelay,
    psrpc: Psrpc,
    lkops: Lkops,
}
