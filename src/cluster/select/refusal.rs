//! Why a node gets no new room.

use super::measure::sysload;
use super::rules::{Filter, Rules};
use crate::limits::{NODE_FRESH_SECONDS, REFUSALS_TOLD_MAX};
use crate::proto::{Node, NodeState};
use std::collections::HashMap;
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Starting, draining or cordoned.
    State(NodeState),
    /// Its statistics are too old: it is dead, cut off or overloaded.
    Stale {
        age_s: i64,
    },
    /// A load limit asks for statistics it does not publish.
    NoStatistics,
    CpuLoad {
        load: f32,
        limit: f32,
    },
    Sysload {
        load: f32,
        limit: f32,
    },
    /// Others are nearer.
    Farther {
        region: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::State(state) => f.write_str(state.as_str_name()),
            Refusal::Stale { age_s } => write!(f, "last heard of {age_s} s ago"),
            Refusal::NoStatistics => f.write_str("publishes no statistics"),
            Refusal::CpuLoad { load, limit } => write!(f, "CPU load {load:.2} is not below {limit:.2}"),
            Refusal::Sysload { load, limit } => write!(f, "load per core {load:.2} is not below {limit:.2}"),
            Refusal::Farther { region } if region.is_empty() => f.write_str("has no region, others do"),
            Refusal::Farther { region } => write!(f, "{region} is farther than others"),
        }
    }
}

/// No node takes a room; why not, by node.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct NoNode(pub Vec<(String, Refusal)>);

impl NoNode {
    pub(super) fn new(nodes: &[Node], verdicts: Vec<Option<Refusal>>) -> NoNode {
        let pairs = nodes.iter().zip(verdicts).filter_map(|(node, why)| Some((node.id.clone(), why?)));
        NoNode(pairs.collect())
    }
}

/// Begins with LiveKit's words, which callers may know.
impl fmt::Display for NoNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not find any available nodes")?;
        if self.0.is_empty() {
            return f.write_str(": none is registered");
        }
        for (at, (node, why)) in self.0.iter().take(REFUSALS_TOLD_MAX).enumerate() {
            write!(f, "{}{node}: {why}", if at == 0 { ": " } else { "; " })?;
        }
        match self.0.len().saturating_sub(REFUSALS_TOLD_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

type Verdicts = Vec<Option<Refusal>>;

/// A verdict a node, in order. A load limit no available node keeps is no limit.
pub(super) fn judge(rules: &Rules, nodes: &[Node], now_s: i64) -> Verdicts {
    let available: Verdicts = nodes.iter().map(|node| unavailable(node, now_s)).collect();
    match &rules.filter {
        Filter::None => available,
        Filter::CpuBelow(limit) => narrowed(nodes, available, |node| cpu(node, *limit)),
        Filter::SysloadBelow(limit) => narrowed(nodes, available, |node| load(node, *limit)),
        Filter::Nearest { sysload, regions } => {
            let able = narrowed(nodes, available, |node| load(node, *sysload));
            nearest(nodes, able, regions)
        }
    }
}

fn unavailable(node: &Node, now_s: i64) -> Option<Refusal> {
    if node.state() != NodeState::Serving {
        return Some(Refusal::State(node.state()));
    }
    let age_s = now_s - node.stats.as_ref()?.updated_at;
    (age_s >= NODE_FRESH_SECONDS).then_some(Refusal::Stale { age_s })
}

fn narrowed(nodes: &[Node], before: Verdicts, refuse: impl Fn(&Node) -> Option<Refusal>) -> Verdicts {
    let after: Verdicts = nodes.iter().zip(&before).map(|(n, known)| known.clone().or_else(|| refuse(n))).collect();
    if after.iter().any(Option::is_none) { after } else { before }
}

fn cpu(node: &Node, limit: f32) -> Option<Refusal> {
    let Some(stats) = &node.stats else { return Some(Refusal::NoStatistics) };
    let load = stats.cpu_load;
    (load >= limit).then_some(Refusal::CpuLoad { load, limit })
}

fn load(node: &Node, limit: f32) -> Option<Refusal> {
    let Some(stats) = &node.stats else { return Some(Refusal::NoStatistics) };
    let load = sysload(stats);
    (load >= limit).then_some(Refusal::Sysload { load, limit })
}

/// Nodes of the nearest region; all of them if no region is known. As in LiveKit, nodes without a region count as nearest
/// until a known region is met.
fn nearest(nodes: &[Node], before: Verdicts, regions: &HashMap<String, f64>) -> Verdicts {
    let able = || nodes.iter().zip(&before).filter(|(_, why)| why.is_none()).map(|(node, _)| node.region.as_str());
    let mut best: (&str, f64) = ("", f64::INFINITY);
    for region in able() {
        match regions.get(region) {
            Some(distance) if *distance < best.1 => best = (region, *distance),
            _ => (),
        }
    }
    if !able().any(|region| region == best.0) {
        return before;
    }
    narrowed(nodes, before.clone(), |node| {
        (node.region != best.0).then(|| Refusal::Farther { region: node.region.clone() })
    })
}
