//! The process itself: listeners, logging, statistics, agents, and what is ours.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// 0 is off.
    pub port: u16,
    pub username: String,
    pub password: String,
}

/// Without secrets.
impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("port", &self.port).field("username", &self.username).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebugHandler {
    /// 0 is off.
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    pub jaeger_url: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    pub execution_timeout: Duration,
    pub check_interval: Duration,
    pub max_check_interval: Duration,
    pub enable_psrpc_for_get_list_participants: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// Never empty once loaded.
    pub level: String,
    pub json: bool,
    pub pion_level: String,
    pub component_levels: BTreeMap<String, String>,
    pub sample: bool,
    pub sample_initial: u32,
    pub sample_interval: u32,
    pub item_sample_seconds: u32,
    pub item_sample_initial: u32,
    pub item_sample_interval: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub timestamper_config: MetricTimestamper,
    pub collector: MetricCollector,
    pub reporter: MetricReporter,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricTimestamper {
    pub one_way_delay_estimator_min_interval: Duration,
    pub one_way_delay_estimator_max_batch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricCollector {
    pub sampling_interval_ms: u32,
    pub batch_interval_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricReporter {
    pub reporting_interval_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStats {
    pub stats_update_interval: Duration,
    pub stats_rate_measurement_intervals: Vec<Duration>,
    pub stats_max_delay: Duration,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    pub enable_user_data_recording: bool,
    pub enable_user_data_redaction: bool,
    /// 0 to 1.
    pub target_load: f32,
}

/// Our own section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lkops {
    /// Media threads; 0 is one per core.
    pub shards: u32,
    /// Connections of a room on one shard from which on newcomers go to others; 0 is never.
    pub spread_rooms_at: u32,
    /// How long packets of an unfinished picture wait for the rest of it.
    pub gather_window: Duration,
    /// UDP_GRO on the media sockets.
    pub receive_offload: bool,
    /// CPU load, 0 to 1, from which subscribers get less; 0 is never.
    pub overload_cpu: f32,
    /// `selector` or `balanced`.
    pub placement: String,
    /// How long a signal's drain waits; 0 is for ever.
    pub drain_deadline: Duration,
    /// Whether a signal's drain moves rooms to other nodes at once.
    pub drain_move: bool,
    /// Where clients may go instead, with the URLs they use.
    pub regions: Vec<PublicRegion>,
}

impl Lkops {
    /// Whether new rooms are placed by two choices with debits, not by `node_selector.algorithm`.
    pub fn is_placement_balanced(&self) -> bool {
        self.placement == "balanced"
    }
}

/// A region as clients see it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicRegion {
    pub name: String,
    pub url: String,
    /// Degrees.
    pub lat: f64,
    /// Degrees.
    pub lon: f64,
    /// Whose clients belong there wherever they are, as CIDR.
    pub networks: Vec<String>,
}
