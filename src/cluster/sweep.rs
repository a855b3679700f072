//! Removes what dead nodes have left in the store, all the time and by one node at a time: entries of nodes, rooms given to
//! nodes that are gone, and records of rooms nobody has. A room is removed only when it was a ghost at two sweeps running,
//! so that a node that comes back finds its rooms; and even then it would put them back.

use super::keys;
use super::neighbours::is_fresh;
use super::records;
use super::redis::{Redis, StoreError};
use crate::limits::{NODE_DEAD_SECONDS, SWEEP_INTERVAL, SWEEP_ROOMS_MAX};
use crate::proto::Node;
use prost::Message;
use redis::{Cmd, Script};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use tokio::time::{MissedTickBehavior, interval};

/// `KEYS`: map, epochs. `ARGV`: room, the node it was given to. Unless it has been given to another since.
static FORGET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local holder = redis.call('HGET', KEYS[1], ARGV[1]) or ''
        if holder ~= ARGV[2] then return 0 end
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('HDEL', KEYS[2], ARGV[1])
        return 1",
    )
});

/// A room and the node it was given to; an empty node: it was given to none.
type Ghost = (String, String);

pub struct Sweeper {
    redis: Redis,
    node: String,
    suspects: BTreeSet<Ghost>,
}

impl Sweeper {
    pub fn new(redis: Redis, node: &str) -> Sweeper {
        Sweeper { redis, node: node.to_owned(), suspects: BTreeSet::new() }
    }

    /// Never returns.
    pub async fn keep(mut self) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::debug!(%error, "the store is not swept");
            }
        }
    }

    async fn sweep(&mut self) -> Result<(), StoreError> {
        if !self.is_our_turn().await? {
            self.suspects.clear();
            return Ok(());
        }
        let living = self.sweep_nodes().await?;
        let ghosts = self.ghosts(&living).await?;
        for ghost in ghosts.intersection(&self.suspects) {
            self.forget(ghost).await?;
        }
        self.suspects = ghosts;
        Ok(())
    }

    /// Whoever swept last goes on, until it fails to for a while.
    async fn is_our_turn(&self) -> Result<bool, StoreError> {
        let seconds = 2 * SWEEP_INTERVAL.as_secs() + SWEEP_INTERVAL.as_secs() / 2;
        let mut take = redis::cmd("SET");
        take.arg(keys::SWEEPER).arg(&self.node).arg("EX").arg(seconds).arg("NX");
        if self.redis.query::<Option<String>>(&take).await?.is_some() {
            return Ok(true);
        }
        let who: Option<String> = self.redis.query(&Cmd::get(keys::SWEEPER)).await?;
        if who.as_deref() != Some(&self.node) {
            return Ok(false);
        }
        self.redis.query::<()>(redis::cmd("EXPIRE").arg(keys::SWEEPER).arg(seconds)).await?;
        Ok(true)
    }

    /// Strikes dead nodes from the list; returns those there are.
    async fn sweep_nodes(&self) -> Result<BTreeSet<String>, StoreError> {
        let entries: BTreeMap<String, Vec<u8>> = self.redis.query(&Cmd::hgetall(keys::NODES)).await?;
        let now_s = self.redis.clock().unix_s();
        let mut living = BTreeSet::new();
        for (id, entry) in entries {
            if is_dead(&entry, now_s) {
                tracing::info!(node = id, "a dead node is struck from the list");
                self.redis.query::<()>(&Cmd::hdel(keys::NODES, &id)).await?;
            } else {
                living.insert(id);
            }
        }
        Ok(living)
    }

    /// Rooms of nodes that are not there, and records without a node.
    async fn ghosts(&self, living: &BTreeSet<String>) -> Result<BTreeSet<Ghost>, StoreError> {
        let map: BTreeMap<String, String> = self.redis.query(&Cmd::hgetall(keys::ROOM_NODES)).await?;
        let names: Vec<String> = self.redis.query(&Cmd::hkeys(keys::ROOMS)).await?;
        let homeless =
            names.into_iter().filter(|n| !map.contains_key(n)).map(|n| (n, String::new())).collect::<Vec<_>>();
        let orphans = map.into_iter().filter(|(_, node)| !living.contains(node));
        Ok(orphans.chain(homeless).take(SWEEP_ROOMS_MAX).collect())
    }

    async fn forget(&self, (room, node): &Ghost) -> Result<(), StoreError> {
        let script = &mut FORGET.key(keys::ROOM_NODES);
        let is_ghost: bool = self.redis.run(script.key(keys::ROOM_EPOCHS).arg(room).arg(node)).await?;
        if is_ghost {
            tracing::info!(room, node, "a room of a dead node is removed");
            records::remove(&self.redis, room).await?;
        }
        Ok(())
    }
}

/// An entry nobody can read keeps stock nodes from listing any, so it goes as well.
fn is_dead(entry: &[u8], now_s: i64) -> bool {
    match Node::decode(entry) {
        Ok(node) => !is_fresh(&node, now_s - NODE_DEAD_SECONDS),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStats;

    #[test]
    fn a_dead_node_is_long_silent_or_unreadable() {
        let entry = |updated_at| {
            Node { stats: Some(NodeStats { updated_at, ..NodeStats::default() }), ..Node::default() }.encode_to_vec()
        };
        assert!(!is_dead(&entry(100), 110) && is_dead(&entry(100), 120));
        assert!(is_dead(b"\xff", 0));
        assert!(!is_dead(&Node::default().encode_to_vec(), 1000));
    }
}
