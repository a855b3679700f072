//! One of the candidates.

use super::debit::Debits;
use super::measure::{Measure, cores};
use super::rules::{Algorithm, Rules};
use crate::proto::Node;
use rand::Rng;
use rand::seq::index;

/// LiveKit's `sort_by` and `algorithm`. `candidates` is not empty.
pub(super) fn by_rules<'n>(rules: &Rules, candidates: &[&'n Node], rng: &mut impl Rng) -> &'n Node {
    if rules.algorithm == Algorithm::TwoChoice && candidates.len() > 2 {
        let pair = two(candidates, rng);
        return lowest(rules.measure, &pair, rng);
    }
    lowest(rules.measure, candidates, rng)
}

/// Ties go to the first, as good as any.
fn lowest<'n>(measure: Option<Measure>, candidates: &[&'n Node], rng: &mut impl Rng) -> &'n Node {
    match measure {
        None => candidates[rng.random_range(0..candidates.len())],
        Some(measure) => least(candidates, |node| measure.of(node)),
    }
}

fn least<'n>(candidates: &[&'n Node], value: impl Fn(&Node) -> f64) -> &'n Node {
    let valued = candidates.iter().map(|node| (*node, value(node)));
    let first = (candidates[0], f64::INFINITY);
    valued.fold(first, |best, next| if next.1 < best.1 { next } else { best }).0
}

/// Two distinct ones, or all there are.
fn two<'n>(candidates: &[&'n Node], rng: &mut impl Rng) -> Vec<&'n Node> {
    let sample = index::sample(rng, candidates.len(), candidates.len().min(2));
    sample.iter().map(|at| candidates[at]).collect()
}

/// Two random ones, and of these the one with less load and fewer of our own joins that its statistics do not show yet. So
/// no number of fronts with the same old statistics sends everybody to one node. Random order counts clients.
pub(super) fn balanced<'n>(
    measure: Option<Measure>,
    candidates: &[&'n Node],
    all: &[Node],
    debits: &Debits,
    rng: &mut impl Rng,
) -> &'n Node {
    let measure = measure.unwrap_or(Measure::Clients);
    let pair = two(candidates, rng);
    let price = Price::of(measure, all);
    least(&pair, |node| measure.of(node) + price.on(node) * debits.pending(node, measure))
}

/// What a join adds to a measure.
struct Price {
    measure: Measure,
    join: f64,
}

impl Price {
    /// The mean over the cluster; a count rises by the one that is counted.
    fn of(measure: Measure, nodes: &[Node]) -> Price {
        let join = match measure {
            Measure::Rooms | Measure::Clients => 1.0,
            _ => mean(measure, nodes),
        };
        Price { measure, join }
    }

    fn on(&self, node: &Node) -> f64 {
        let shared = self.measure.is_per_core();
        if shared { self.join / node.stats.as_ref().map_or(1.0, |s| cores(s).into()) } else { self.join }
    }
}

fn mean(measure: Measure, nodes: &[Node]) -> f64 {
    let (mut total, mut clients) = (0.0, 0.0);
    for stats in nodes.iter().filter_map(|node| node.stats.as_ref()) {
        let scale = if measure.is_per_core() { f64::from(cores(stats)) } else { 1.0 };
        total += measure.read(stats) * scale;
        clients += f64::from(stats.num_clients);
    }
    total / clients.max(1.0)
}
