//! Chooses nodes for rooms, and remembers whom it sent where until the nodes' own statistics show it.

use super::select::{Debits, NoNode, RuleError, Rules, select};
use crate::config::Config;
use crate::proto::Node;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct Chooser {
    rules: Rules,
    state: Mutex<State>,
}

struct State {
    debits: Debits,
    rng: StdRng,
}

impl Chooser {
    /// The same seed makes the same choices.
    pub fn new(config: &Config, seed: u64) -> Result<Chooser, RuleError> {
        let state = State { debits: Debits::default(), rng: StdRng::seed_from_u64(seed) };
        Ok(Chooser { rules: Rules::new(config)?, state: Mutex::new(state) })
    }

    /// The node for a new room.
    pub fn choose(&self, nodes: &[Node], now_s: i64) -> Result<String, NoNode> {
        let State { debits, rng } = &mut *self.state();
        debits.settle(now_s);
        let chosen = select(&self.rules, nodes, debits, now_s, rng)?.id.clone();
        debits.placed(&chosen, now_s);
        Ok(chosen)
    }

    /// So many people are on their way to that node.
    pub fn note_joins(&self, node: &str, people: u32, now_s: i64) {
        self.state().debits.joined(node, people, now_s);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
