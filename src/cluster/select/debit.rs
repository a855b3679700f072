//! Joins this front has sent to nodes and their statistics may not show yet.

use super::measure::Measure;
use crate::limits::DEBIT_SECONDS_MAX;
use crate::proto::Node;
use std::collections::{HashMap, VecDeque};

/// Joins by node and second. Nodes nobody was sent to lately take no space.
#[derive(Debug, Default)]
pub struct Debits(HashMap<String, VecDeque<Second>>);

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at_s: i64,
    joins: u32,
    rooms: u32,
}

impl Debits {
    /// A new room was placed on `node`.
    pub fn placed(&mut self, node: &str, now_s: i64) {
        self.second(node, now_s).rooms += 1;
    }

    /// So many people were sent to `node`.
    pub fn joined(&mut self, node: &str, people: u32, now_s: i64) {
        let second = self.second(node, now_s);
        second.joins = second.joins.saturating_add(people);
    }

    fn second(&mut self, node: &str, now_s: i64) -> &mut Second {
        let seconds = self.0.entry(node.to_owned()).or_default();
        if seconds.back().is_none_or(|last| last.at_s < now_s) {
            if seconds.len() == DEBIT_SECONDS_MAX {
                seconds.pop_front();
            }
            seconds.push_back(Second { at_s: now_s, ..Second::default() });
        }
        let last = seconds.len() - 1;
        &mut seconds[last]
    }

    /// Forgets what every measure shows by now; to be called now and then.
    pub fn settle(&mut self, now_s: i64) {
        let oldest = now_s - DEBIT_SECONDS_MAX as i64;
        self.0.retain(|_, seconds| {
            while seconds.front().is_some_and(|second| second.at_s < oldest) {
                seconds.pop_front();
            }
            !seconds.is_empty()
        });
    }

    /// Joins (rooms, if rooms are measured) the node's statistics do not show yet; the older, the less each counts.
    pub fn pending(&self, node: &Node, measure: Measure) -> f64 {
        let Some(seconds) = self.0.get(&node.id) else { return 0.0 };
        let seen_s = node.stats.as_ref().map_or(i64::MIN, |s| s.updated_at);
        let weigh = |second: &Second| weight(second.at_s, seen_s, measure.settles_s()) * count(second, measure);
        seconds.iter().map(weigh).sum()
    }
}

fn count(second: &Second, measure: Measure) -> f64 {
    f64::from(if measure == Measure::Rooms { second.rooms } else { second.joins })
}

/// 1 until the statistics are as new as the join, then falling to 0.
fn weight(at_s: i64, seen_s: i64, settles_s: i64) -> f64 {
    let shown_s = seen_s.saturating_sub(at_s).max(0);
    1.0 - (shown_s as f64 / settles_s as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStats;

    fn node(updated_at: i64) -> Node {
        Node { id: "a".into(), stats: Some(NodeStats { updated_at, ..NodeStats::default() }), ..Node::default() }
    }

    #[test]
    fn joins_count_until_statistics_show_them() {
        let mut debits = Debits::default();
        for at_s in [10, 10, 11] {
            debits.joined("a", 1, at_s);
        }
        debits.placed("a", 11);
        let cases = [
            (Measure::Clients, 9, 3.0),
            (Measure::Clients, 11, 2.0),
            (Measure::Clients, 13, 0.0),
            (Measure::Rooms, 10, 1.0),
            (Measure::BytesPerSecond, 15, 2.0 * 0.5 + 0.6),
        ];
        for (measure, updated_at, expected) in cases {
            let found = debits.pending(&node(updated_at), measure);
            assert!((found - expected).abs() < 1e-9, "{measure:?} {updated_at}: {found}");
        }
    }

    #[test]
    fn they_are_bounded_and_forgotten() {
        let mut debits = Debits::default();
        for at_s in 0..1_000 {
            debits.joined("a", 1, at_s);
        }
        assert_eq!(debits.pending(&node(0), Measure::Clients), DEBIT_SECONDS_MAX as f64);
        debits.settle(2_000);
        assert!(debits.0.is_empty());
    }
}
