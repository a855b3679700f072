//! What nodes are compared by.

use crate::proto::{Node, NodeStats};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Sysload,
    CpuLoad,
    Rooms,
    Clients,
    Tracks,
    BytesPerSecond,
}

impl Measure {
    /// The node's value; one without statistics may be as full as can be.
    pub fn of(self, node: &Node) -> f64 {
        node.stats.as_ref().map_or(f64::INFINITY, |stats| self.read(stats))
    }

    pub(super) fn read(self, stats: &NodeStats) -> f64 {
        match self {
            Measure::Sysload => sysload(stats).into(),
            Measure::CpuLoad => stats.cpu_load.into(),
            Measure::Rooms => stats.num_rooms.into(),
            Measure::Clients => stats.num_clients.into(),
            Measure::Tracks => tracks(stats) as f64,
            Measure::BytesPerSecond => bytes_per_second(stats).into(),
        }
    }

    /// Whether the value is a share of the node's cores.
    pub(super) fn is_per_core(self) -> bool {
        matches!(self, Measure::Sysload | Measure::CpuLoad)
    }

    /// Seconds until a join stands in the value whole: counts show it at once, rates are means over 10 s, the load average
    /// over a minute.
    pub(super) fn settles_s(self) -> i64 {
        match self {
            Measure::Rooms | Measure::Clients => 2,
            Measure::Tracks | Measure::CpuLoad => 5,
            Measure::BytesPerSecond => 10,
            Measure::Sysload => 60,
        }
    }
}

/// Load average of a minute per core.
pub(super) fn sysload(stats: &NodeStats) -> f32 {
    stats.load_avg_last1min / cores(stats) as f32
}

pub(super) fn cores(stats: &NodeStats) -> u32 {
    stats.num_cpus.max(1)
}

/// Published tracks and legs.
pub(super) fn tracks(stats: &NodeStats) -> i64 {
    i64::from(stats.num_tracks_in) + i64::from(stats.num_tracks_out)
}

/// Both directions, over the first window; none is 0.
pub(super) fn bytes_per_second(stats: &NodeStats) -> f32 {
    stats.rates.first().map_or(0.0, |rate| rate.bytes_in + rate.bytes_out)
}
