//! Chooses nodes for rooms, and remembers whom it sent where until the nodes' own statistics show it.

use super::select::{Debits, NoNode, RuleError, Rules, select};
use crate::config::Config;
use crate::proto::Node;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct Chooser {
    rules: Rules,
    debits: Mutex<Debits>,
}

impl Chooser {
    pub fn new(config: &Config) -> Result<Chooser, RuleError> {
        Ok(Chooser { rules: Rules::new(config)?, debits: Mutex::default() })
    }

    /// The node for a new room.
    pub fn choose(&self, nodes: &[Node], now_s: i64) -> Result<String, NoNode> {
        let mut debits = self.debits();
        debits.settle(now_s);
        let chosen = select(&self.rules, nodes, &debits, now_s, &mut rand::rng())?.id.clone();
        debits.placed(&chosen, now_s);
        Ok(chosen)
    }

    /// So many people are on their way to that node.
    pub fn note_joins(&self, node: &str, people: u32, now_s: i64) {
        self.debits().joined(node, people, now_s);
    }

    fn debits(&self) -> MutexGuard<'_, Debits> {
        self.debits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
