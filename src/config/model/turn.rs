//! `turn`, `ingress`, `sip`, `webhook`.

use serde::Deserialize;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    pub enabled: bool,
    pub domain: String,
    pub cert_file: String,
    pub key_file: String,
    /// 0 is off.
    pub tls_port: u16,
    /// 0 is off.
    pub udp_port: u16,
    pub relay_range_start: u16,
    /// Inclusive.
    pub relay_range_end: u16,
    pub external_tls: bool,
    pub bind_addresses: Vec<String>,
    /// 0 is no limit.
    pub per_user_relay_allocation_limit: u32,
    /// 1 to 86400 once loaded.
    pub ttl_seconds: u32,
    pub allow_restricted_peer_cidrs: Vec<String>,
    pub deny_peer_cidrs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    pub rtmp_base_url: String,
    pub whip_base_url: String,
}

/// A section without keys.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sip {}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub urls: Vec<String>,
    /// One of `keys` when there are `urls`.
    pub api_key: String,
    pub url_notifier: UrlNotifier,
    pub resource_url_notifier: ResourceUrlNotifier,
    pub filter_params: FilterParams,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlNotifier {
    pub num_workers: u32,
    pub queue_size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceUrlNotifier {
    pub max_age: Duration,
    pub max_depth: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterParams {
    pub include_events: Vec<String>,
    pub exclude_events: Vec<String>,
}
