//! Which node takes a new room (CLUSTER.md §5.3), as a pure function of the nodes, the time and a source of chance. Called by
//! whoever places rooms; errors say of each node why it was refused.

mod capacity;
mod debit;
mod measure;
mod pick;
mod refusal;
mod rules;

#[cfg(test)]
mod tests;

pub use capacity::{LimitReached, is_limited, limit_reached};
pub use debit::Debits;
pub use measure::Measure;
pub use refusal::{NoNode, Refusal};
pub use rules::{RuleError, Rules};

use crate::proto::Node;
use rand::Rng;

/// The node for a new room. `now_s` is Unix time in seconds.
///
/// `debits` are the joins this front sent out lately; only [`Rules`] with balanced placement look at them.
pub fn select<'n>(
    rules: &Rules,
    nodes: &'n [Node],
    debits: &Debits,
    now_s: i64,
    rng: &mut impl Rng,
) -> Result<&'n Node, NoNode> {
    let verdicts = refusal::judge(rules, nodes, now_s);
    let candidates: Vec<&Node> = nodes.iter().zip(&verdicts).filter(|(_, v)| v.is_none()).map(|(n, _)| n).collect();
    if candidates.is_empty() {
        return Err(NoNode::new(nodes, verdicts));
    }
    let chosen = if rules.balanced {
        pick::balanced(rules.measure, &candidates, nodes, debits, rng)
    } else {
        pick::by_rules(rules, &candidates, rng)
    };
    Ok(chosen)
}

/// Of each node why a new room would not go there; `None` are those it may go to.
pub fn refusals(rules: &Rules, nodes: &[Node], now_s: i64) -> Vec<Option<Refusal>> {
    refusal::judge(rules, nodes, now_s)
}
