//! Whether a node that hosts a room may take another participant: `limit.num_tracks` and `limit.bytes_per_sec`, applied by
//! the front to the node's statistics (CLUSTER.md §5.3).

use super::measure::{bytes_per_second, tracks};
use crate::config::Limit;
use crate::proto::Node;

/// The words are LiveKit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reached configured limit for node")]
pub struct LimitReached;

/// Whether there is any limit to ask about.
pub fn is_limited(limit: &Limit) -> bool {
    limit.num_tracks > 0 || limit.bytes_per_sec > 0.0
}

/// A limit of 0 is none; a node without statistics is within all.
pub fn limit_reached(limit: &Limit, node: &Node) -> Result<(), LimitReached> {
    let Some(stats) = &node.stats else { return Ok(()) };
    let tracks_max = i64::from(limit.num_tracks);
    let full = tracks_max > 0 && tracks(stats) >= tracks_max;
    let busy = limit.bytes_per_sec > 0.0 && bytes_per_second(stats) >= limit.bytes_per_sec;
    if full || busy { Err(LimitReached) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{NodeStats, NodeStatsRate};

    #[test]
    fn tracks_and_bytes_are_counted_both_ways() {
        let rate = NodeStatsRate { bytes_in: 400.0, bytes_out: 600.0, ..NodeStatsRate::default() };
        let stats = NodeStats { num_tracks_in: 2, num_tracks_out: 3, rates: vec![rate], ..NodeStats::default() };
        let node = Node { stats: Some(stats), ..Node::default() };
        let cases = [(0, 0.0, true), (5, 0.0, false), (6, 0.0, true), (0, 1000.0, false), (0, 1001.0, true)];
        for (num_tracks, bytes_per_sec, expected) in cases {
            let limit = Limit { num_tracks, bytes_per_sec, ..Limit::default() };
            assert_eq!(limit_reached(&limit, &node).is_ok(), expected, "{num_tracks} {bytes_per_sec}");
            assert!(limit_reached(&limit, &Node::default()).is_ok());
        }
    }
}
