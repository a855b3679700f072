//! A node among others: `redis`, `node_selector`, `signal_relay`, `psrpc`.

use serde::Deserialize;
use std::fmt;
use std::time::Duration;

#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub address: String,
    pub username: String,
    pub password: String,
    pub db: u32,
    /// Deprecated: `tls.enabled`.
    pub use_tls: bool,
    pub tls: RedisTls,
    pub sentinel_master_name: String,
    pub sentinel_username: String,
    pub sentinel_password: String,
    pub sentinel_addresses: Vec<String>,
    pub cluster_addresses: Vec<String>,
    /// Milliseconds; 0 is the client's default.
    pub dial_timeout: u32,
    /// Milliseconds; 0 is the default.
    pub read_timeout: u32,
    /// Milliseconds; 0 is the default.
    pub write_timeout: u32,
    /// Unset is 2.
    pub max_redirects: Option<u32>,
    /// Without effect, as `pool_size`: commands share one connection.
    pub pool_timeout: Duration,
    pub pool_size: u32,
}

/// Without secrets.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address)
            .field("sentinel_addresses", &self.sentinel_addresses)
            .field("cluster_addresses", &self.cluster_addresses)
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// Whether this node is one of several; without Redis it stands alone.
    pub fn is_configured(&self) -> bool {
        !self.address.is_empty() || !self.sentinel_addresses.is_empty() || !self.cluster_addresses.is_empty()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisTls {
    pub enabled: bool,
    pub insecure: bool,
    pub server_name: String,
    pub ca_cert_file: String,
    pub client_cert_file: String,
    pub client_key_file: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSelector {
    pub kind: String,
    pub sort_by: String,
    pub algorithm: String,
    pub cpu_load_limit: f32,
    pub sysload_limit: f32,
    pub regions: Vec<Region>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    pub name: String,
    /// Degrees.
    pub lat: f64,
    /// Degrees.
    pub lon: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRelay {
    pub retry_timeout: Duration,
    pub min_retry_interval: Duration,
    pub max_retry_interval: Duration,
    pub stream_buffer_size: u32,
    pub connect_attempts: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Psrpc {
    pub max_attempts: u32,
    pub timeout: Duration,
    pub backoff: Duration,
    pub buffer_size: u32,
}
