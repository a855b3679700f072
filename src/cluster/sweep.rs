//! Removes what nobody has from the store, all the time and by one node at a time: entries of dead nodes, rooms given to
//! nodes that are gone or have not got them, and records of rooms without a node. A room is removed only when it was a ghost at two sweeps running,
//! so that a node that comes back finds its rooms; and even then it would put them back.

use super::channel;
use super::keys;
use super::method::DELETE_ROOM;
use super::neighbours::is_fresh;
use super::records;
use super::redis::{Redis, StoreError};
use crate::limits::{NODE_DEAD_SECONDS, REDIS_STEADY, SWEEP_INTERVAL, SWEEP_LISTENED_MAX, SWEEP_ROOMS_MAX};
use crate::proto::Node;
use prost::Message;
use redis::{Cmd, Script};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::LazyLock;
use tokio::time::{Instant, MissedTickBehavior, interval};

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
    /// Up to where in the map rooms were listened for.
    listened: String,
}

impl Sweeper {
    pub fn new(redis: Redis, node: &str) -> Sweeper {
        Sweeper { redis, node: node.to_owned(), suspects: BTreeSet::new(), listened: String::new() }
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

    /// Rooms of nodes that are not there, rooms that the nodes that are there have not got, and records without a node.
    async fn ghosts(&mut self, living: &BTreeSet<String>) -> Result<BTreeSet<Ghost>, StoreError> {
        let map: BTreeMap<String, String> = self.redis.query(&Cmd::hgetall(keys::ROOM_NODES)).await?;
        let names: Vec<String> = self.redis.query(&Cmd::hkeys(keys::ROOMS)).await?;
        let homeless =
            names.into_iter().filter(|n| !map.contains_key(n)).map(|n| (n, String::new())).collect::<Vec<_>>();
        let (held, orphans): (BTreeMap<_, _>, BTreeMap<_, _>) =
            map.into_iter().partition(|(_, node)| living.contains(node));
        let unheard = self.unheard(held).await?;
        Ok(orphans.into_iter().chain(homeless).chain(unheard).take(SWEEP_ROOMS_MAX).collect())
    }

    /// A node that has a room listens for calls on it. Where nobody does, the store may know the room from before it lost
    /// something, or whoever was to come never did. Some rooms each time, and the suspects again.
    async fn unheard(&mut self, held: BTreeMap<String, String>) -> Result<Vec<Ghost>, StoreError> {
        if !self.sees_listeners() {
            return Ok(Vec::new());
        }
        let next = held.range::<str, _>((Excluded(self.listened.as_str()), Unbounded)).take(SWEEP_LISTENED_MAX);
        let next: Vec<&String> = next.map(|(room, _)| room).collect();
        self.listened = if next.len() < SWEEP_LISTENED_MAX { String::new() } else { next[next.len() - 1].clone() };
        let suspects = self.suspects.iter().map(|(room, _)| room).filter(|room| held.contains_key(*room));
        let rooms: BTreeSet<&String> = next.into_iter().chain(suspects).collect();
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let channel = |room: &str| channel::request(DELETE_ROOM.service, DELETE_ROOM.name, &[room]);
        let mut ask = redis::cmd("PUBSUB");
        rooms.iter().fold(ask.arg("NUMSUB"), |ask, room| ask.arg(channel(room)));
        let listeners: BTreeMap<String, u64> = self.redis.query(&ask).await?;
        let unheard = rooms.into_iter().filter(|room| listeners.get(&channel(room)) == Some(&0));
        Ok(unheard.map(|room| (room.clone(), held[room].clone())).collect())
    }

    /// Redis has been there long enough for every node to listen again, and counts all listeners, which a Redis cluster does not.
    fn sees_listeners(&self) -> bool {
        !self.redis.is_cluster() && self.redis.status().borrow().up_for(Instant::now()) >= REDIS_STEADY
    }

    async fn forget(&self, (room, node): &Ghost) -> Result<(), StoreError> {
        let script = &mut FORGET.key(keys::ROOM_NODES);
        let is_ghost: bool = self.redis.run(script.key(keys::ROOM_EPOCHS).arg(room).arg(node)).await?;
        if is_ghost {
            tracing::info!(room, node, "a room that no node has is removed");
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
