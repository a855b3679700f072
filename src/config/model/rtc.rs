//! `rtc`: ports, addresses, servers told to clients, buffers, fallback.

use super::CongestionControl;
use serde::Deserialize;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtc {
    /// Inclusive range; `None` when `port_range_*` is used.
    pub udp_port: Option<(u16, u16)>,
    /// 0 is off.
    pub tcp_port: u16,
    pub port_range_start: u16,
    pub port_range_end: u16,
    pub use_stun_port_as_ice: bool,
    pub force_tcp: bool,
    pub node_ip: NodeIp,
    pub use_external_ip: bool,
    pub skip_external_ip_validation: bool,
    pub advertise_internal_ip: bool,
    pub external_ip_only: bool,
    pub use_ice_lite: bool,
    pub use_mdns: bool,
    pub enable_loopback_candidate: bool,
    pub interfaces: Filter,
    pub ips: Filter,
    pub stun_servers: Vec<String>,
    pub turn_servers: Vec<TurnServer>,
    pub enable_warp: bool,
    pub batch_io: BatchIo,
    pub sctp_min_cwnd: u32,
    pub sctp_fast_rtx_wnd: u32,
    pub sctp_cwnd_ca_step: u32,
    pub host_acceptance_min_wait: Duration,
    pub srflx_acceptance_min_wait: Duration,
    pub prflx_acceptance_min_wait: Duration,
    pub relay_acceptance_min_wait: Duration,
    /// Packets.
    pub packet_buffer_size_video: usize,
    /// Packets.
    pub packet_buffer_size_audio: usize,
    /// Deprecated.
    pub packet_buffer_size: usize,
    /// Deprecated.
    pub strict_acks: bool,
    /// Deprecated.
    pub data_channel_max_buffered_amount: u64,
    /// Bits per second; 0 is off.
    pub datachannel_slow_threshold: u32,
    /// Zero is off.
    pub datachannel_lossy_target_latency: Duration,
    /// Zero is off.
    pub datachannel_data_track_target_latency: Duration,
    pub pli_throttle: PliThrottle,
    pub forward_stats: ForwardStats,
    pub congestion_control: CongestionControl,
    /// Unset is true.
    pub allow_tcp_fallback: Option<bool>,
    /// Milliseconds; 0 is off.
    pub tcp_fallback_rtt_threshold: u32,
    pub allow_udp_unstable_fallback: bool,
    #[serde(deserialize_with = "unset_is_false")]
    pub reconnect_on_publication_error: bool,
    #[serde(deserialize_with = "unset_is_false")]
    pub reconnect_on_subscription_error: bool,
    #[serde(deserialize_with = "unset_is_false")]
    pub reconnect_on_data_channel_error: bool,
    pub enable_rtp_stream_restart_detection: bool,
}

fn unset_is_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeIp {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnServer {
    pub host: String,
    pub port: u16,
    /// `udp`, `tcp` or `tls`.
    pub protocol: String,
    pub username: String,
    pub credential: String,
    /// Read from `secret_file` once loaded.
    pub secret: String,
    pub secret_file: String,
    /// Seconds; 0 is 14400.
    pub ttl: u32,
}

/// Without secrets.
impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchIo {
    pub batch_size: u32,
    pub max_flush_interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PliThrottle {
    pub low_quality: Duration,
    pub mid_quality: Duration,
    pub high_quality: Duration,
}

impl Default for PliThrottle {
    fn default() -> Self {
        Rtc::default().pli_throttle
    }
}

/// Zero intervals are off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardStats {
    pub summary_interval: Duration,
    pub report_interval: Duration,
    pub report_window: Duration,
}
