//! Removes what nobody has from the store, all the time and by one node at a time: entries of dead nodes, rooms given to
//! nodes that are gone or have not got them, and records of rooms without a node. It goes through the rooms in slices, so that
//! a sweep costs the same however many there are. A room is removed only when it was a ghost at two sweeps running,
//! so that a node that comes back finds its rooms; and even then it would put them back.

use super::channel;
use super::keys;
use super::method::DELETE_ROOM;
use super::neighbours::is_fresh;
use super::records;
use super::redis::{Redis, StoreError};
use crate::limits::{NODE_DEAD_SECONDS, REDIS_STEADY, SWEEP_INTERVAL, SWEEP_SLICE};
use crate::proto::Node;
use prost::Message;
use redis::{Cmd, Script};
use std::collections::{BTreeMap, BTreeSet};
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

/// `KEYS`: a hash. `ARGV`: cursor, count. As HSCAN, but the fields without their values, which may be long.
static SCAN_FIELDS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
        local fields = {}
        for at = 1, #page[2], 2 do fields[#fields + 1] = page[2][at] end
        return { page[1], fields }",
    )
});

/// A room and the node it was given to; an empty node: it was given to none.
type Seat = (String, String);

pub struct Sweeper {
    redis: Redis,
    node: String,
    suspects: BTreeSet<Seat>,
    /// Cursors: how far through the map it is, and through the records.
    in_map: u64,
    in_records: u64,
}

impl Sweeper {
    pub fn new(redis: Redis, node: &str) -> Sweeper {
        Sweeper { redis, node: node.to_owned(), suspects: BTreeSet::new(), in_map: 0, in_records: 0 }
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
        let seats = self.next_seats().await?;
        let ghosts = self.ghosts(seats, &living).await?;
        let (gone, suspects) = ghosts.into_iter().partition(|ghost| self.suspects.contains(ghost));
        self.suspects = suspects;
        for ghost in gone {
            self.forget(&ghost).await?;
        }
        Ok(())
    }

    /// Whoever swept last goes on, until it fails to for a while.
    async fn is_our_turn(&self) -> Result<bool, StoreError> {
        let seconds = 2 * SWEEP_INTERVAL.as_secs() + SWEEP_INTERVAL.as_secs() / 2;
        let who: Option<String> = self.redis.query(&Cmd::get(keys::SWEEPER)).await?;
        let mut take = redis::cmd("SET");
        take.arg(keys::SWEEPER).arg(&self.node).arg("EX").arg(seconds);
        match who {
            None => Ok(self.redis.query::<Option<String>>(take.arg("NX")).await?.is_some()),
            Some(who) if who == self.node => self.redis.query::<()>(&take).await.map(|()| true),
            Some(_) => Ok(false),
        }
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

    /// The next rooms of the map and of the records, and the suspects that still are where they were.
    async fn next_seats(&mut self) -> Result<BTreeSet<Seat>, StoreError> {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(keys::ROOM_NODES).arg(self.in_map).arg("COUNT").arg(SWEEP_SLICE);
        let (in_map, map): (u64, Vec<Seat>) = self.redis.query(&scan).await?;
        let mut scan = SCAN_FIELDS.key(keys::ROOMS);
        let scan = scan.arg(self.in_records).arg(SWEEP_SLICE);
        let (in_records, recorded): (u64, BTreeSet<String>) = self.redis.run(scan).await?;
        (self.in_map, self.in_records) = (in_map, in_records);
        let suspects = self.suspects.iter().map(|(room, _)| room.clone());
        let rooms: BTreeSet<String> = recorded.iter().cloned().chain(suspects).collect();
        let mut seats = self.seats_of(rooms.into_iter().collect()).await?;
        seats.retain(|seat| recorded.contains(&seat.0) || self.suspects.contains(seat));
        seats.extend(map);
        Ok(seats)
    }

    async fn seats_of(&self, rooms: Vec<String>) -> Result<BTreeSet<Seat>, StoreError> {
        let mut seats = BTreeSet::new();
        for rooms in rooms.chunks(SWEEP_SLICE) {
            let nodes: Vec<Option<String>> = self.redis.query(&Cmd::hmget(keys::ROOM_NODES, rooms)).await?;
            seats.extend(rooms.iter().cloned().zip(nodes.into_iter().map(Option::unwrap_or_default)));
        }
        Ok(seats)
    }

    /// Rooms of nodes that are not there, rooms that the nodes that are there have not got, and records without a node.
    async fn ghosts(&self, seats: BTreeSet<Seat>, living: &BTreeSet<String>) -> Result<BTreeSet<Seat>, StoreError> {
        let (held, orphans): (Vec<Seat>, Vec<Seat>) = seats.into_iter().partition(|(_, node)| living.contains(node));
        let unheard = self.unheard(held).await?;
        Ok(orphans.into_iter().chain(unheard).collect())
    }

    /// A node that has a room listens for calls on it. Where nobody does, the store may know the room from before it lost
    /// something, or whoever was to come never did.
    async fn unheard(&self, held: Vec<Seat>) -> Result<Vec<Seat>, StoreError> {
        if !self.sees_listeners() {
            return Ok(Vec::new());
        }
        let channel = |room: &str| channel::request(DELETE_ROOM.service, DELETE_ROOM.name, &[room]);
        let mut unheard = Vec::new();
        for seats in held.chunks(SWEEP_SLICE) {
            let mut ask = redis::cmd("PUBSUB");
            seats.iter().fold(ask.arg("NUMSUB"), |ask, (room, _)| ask.arg(channel(room)));
            let listeners: BTreeMap<String, u64> = self.redis.query(&ask).await?;
            unheard.extend(seats.iter().filter(|(room, _)| listeners.get(&channel(room)) == Some(&0)).cloned());
        }
        Ok(unheard)
    }

    /// Redis has been there long enough for every node to listen again, and counts all listeners, which a Redis cluster does not.
    fn sees_listeners(&self) -> bool {
        !self.redis.is_cluster() && self.redis.status().borrow().up_for(Instant::now()) >= REDIS_STEADY
    }

    async fn forget(&self, (room, node): &Seat) -> Result<(), StoreError> {
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
