//! Which other nodes live. A node's entry tells within seconds; that nobody listens any more on its channel tells at once,
//! because Redis forgets the subscriptions of a process when its connection ends.

use super::bus::Bus;
use super::keys;
use super::method::{RELAY_SIGNAL, SIGNAL};
use super::owner::Neighbours;
use super::redis::{Redis, StoreError};
use super::{channel, node};
use crate::limits::{
    NODE_FRESH_SECONDS, NODE_LATE_SECONDS, NODE_MISSING_LOOKS, NODE_MUTE_LOOKS, NODE_STRUCK_SECONDS,
    NODE_WATCH_INTERVAL,
};
use crate::proto::Node;
use prost::Message;
use redis::{Cmd, Script};
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

/// Its statistics are recent; an entry without any is the reference's while it starts.
pub fn is_fresh(node: &Node, now_s: i64) -> bool {
    age_s(node, now_s) < NODE_FRESH_SECONDS
}

/// Zero without statistics.
fn age_s(node: &Node, now_s: i64) -> i64 {
    node.stats.as_ref().map_or(0, |s| now_s - s.updated_at)
}

/// `KEYS`: nodes, the mark. `ARGV`: node, the entry as it was seen (empty: none), seconds the mark stays. A node that has written
/// a newer one lives.
static EVICT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
        redis.call('SET', KEYS[2], '1', 'EX', ARGV[3])
        return redis.call('HDEL', KEYS[1], ARGV[1])",
    )
});

/// Whether anybody takes what is sent to that node; `None` in a Redis cluster, whose PUBSUB NUMSUB does not see everybody.
pub async fn is_heard(redis: &Redis, node: &str) -> Result<Option<bool>, StoreError> {
    if redis.is_cluster() {
        return Ok(None);
    }
    let name = channel::to_server(SIGNAL, RELAY_SIGNAL, &[node]);
    let (_, listeners): (String, u64) = redis.query(redis::cmd("PUBSUB").arg("NUMSUB").arg(name)).await?;
    Ok(Some(listeners > 0))
}

pub struct Watchers {
    redis: Redis,
    bus: Bus,
    watched: Mutex<BTreeMap<String, Watched>>,
    begun: Notify,
}

struct Watched {
    /// Dropped, in the order they came, when the node dies.
    watchers: Vec<oneshot::Sender<()>>,
    /// Looks in a row at which all was not well.
    doubts: u32,
}

/// What one look at a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Well,
    /// Nobody listens for it. It may just be connecting again.
    Mute,
    /// The entry should have been written again by now, and nobody can tell who listens. The node is asked for it.
    Late,
    /// Somebody listens, but there is no entry. The store may have lost it; the node is asked to write it again.
    Missing,
    /// The entry is old.
    Stale,
    /// There is no entry, for others have found the node dead.
    Struck,
}

impl Sight {
    /// `age_s`: of its entry, if there is one. `is_heard`: if anybody can tell.
    fn of(age_s: Option<i64>, is_steady: bool, is_heard: Option<bool>) -> Sight {
        match age_s {
            Some(NODE_FRESH_SECONDS..) => Sight::Stale,
            // What others wrote before Redis came back, and who listens by then, says little.
            Some(_) if !is_steady => Sight::Well,
            _ if is_heard == Some(false) => Sight::Mute,
            Some(NODE_LATE_SECONDS..) if is_heard.is_none() => Sight::Late,
            Some(_) => Sight::Well,
            None => Sight::Missing,
        }
    }

    /// Looks in a row after which such a node is dead.
    fn doubts_max(self) -> Option<u32> {
        match self {
            Sight::Well => None,
            Sight::Mute | Sight::Late => Some(NODE_MUTE_LOOKS),
            Sight::Missing => Some(NODE_MISSING_LOOKS),
            Sight::Stale | Sight::Struck => Some(0),
        }
    }
}

impl Neighbours for Watchers {
    /// A node in doubt gets some looks more. One found dead is struck from the list, so
    /// that other nodes need not find out as well.
    async fn lives(&self, node: &str) -> Result<bool, StoreError> {
        let mut doubts = 0;
        loop {
            let (sight, entry) = self.look(node).await?;
            let Some(doubts_max) = sight.doubts_max() else { return Ok(true) };
            if doubts >= doubts_max {
                self.evict(node, &entry).await?;
                return Ok(false);
            }
            doubts += 1;
            sleep(NODE_WATCH_INTERVAL).await;
        }
    }
}

impl Watchers {
    pub fn new(redis: Redis, bus: Bus) -> Watchers {
        Watchers { redis, bus, watched: Mutex::default(), begun: Notify::new() }
    }

    /// Ends when that node dies.
    pub fn watch(&self, node: &str) -> oneshot::Receiver<()> {
        let (watcher, death) = oneshot::channel();
        let mut watched = self.lock();
        let entry = watched.entry(node.to_owned()).or_insert_with(|| Watched { watchers: Vec::new(), doubts: 0 });
        entry.watchers.push(watcher);
        self.begun.notify_one();
        death
    }

    /// Looks after the watched nodes. Never returns.
    pub async fn keep(&self) {
        loop {
            let nodes = self.still_watched();
            if nodes.is_empty() {
                self.begun.notified().await;
                continue;
            }
            for node in nodes {
                match self.look(&node).await {
                    Ok((sight, entry)) => self.note(&node, sight, &entry).await,
                    // Nothing can be seen from here.
                    Err(_) => self.forgive(),
                }
            }
            sleep(NODE_WATCH_INTERVAL).await;
        }
    }

    fn still_watched(&self) -> Vec<String> {
        let mut watched = self.lock();
        watched.retain(|_, w| {
            w.watchers.retain(|watcher| !watcher.is_closed());
            !w.watchers.is_empty()
        });
        watched.keys().cloned().collect()
    }

    async fn note(&self, node: &str, sight: Sight, entry: &[u8]) {
        let is_dead = {
            let mut watched = self.lock();
            let Some(w) = watched.get_mut(node) else { return };
            // What others wrote before Redis came back says little of who is there now.
            let is_dead = self.redis.is_steady() && sight.doubts_max().is_some_and(|max| w.doubts >= max);
            w.doubts = if sight == Sight::Well { 0 } else { w.doubts + 1 };
            if is_dead {
                watched.remove(node);
            }
            is_dead
        };
        if is_dead {
            tracing::warn!(node, "another node died; its participants here are told to reconnect");
            let _ = self.evict(node, entry).await;
        }
    }

    fn forgive(&self) {
        self.lock().values_mut().for_each(|w| w.doubts = 0);
    }

    /// What is to be seen of that node, and its entry.
    async fn look(&self, node: &str) -> Result<(Sight, Vec<u8>), StoreError> {
        let entry: Option<Vec<u8>> = self.redis.query(&Cmd::hget(keys::NODES, node)).await?;
        let now_s = self.redis.clock().unix_s();
        // Nobody can read it: as old as can be.
        let age_of = |e: &Vec<u8>| Node::decode(e.as_slice()).map_or(i64::MAX, |node| age_s(&node, now_s));
        let age_s = entry.as_ref().map(age_of);
        let is_steady = self.redis.is_steady();
        let is_heard = if is_steady { is_heard(&self.redis, node).await? } else { None };
        let sight = match entry {
            None if self.is_struck(node).await? => Sight::Struck,
            _ => Sight::of(age_s, is_steady, is_heard),
        };
        if matches!(sight, Sight::Late | Sight::Missing) {
            node::nudge(&self.bus, node);
        }
        Ok((sight, entry.unwrap_or_default()))
    }

    async fn evict(&self, node: &str, entry: &[u8]) -> Result<(), StoreError> {
        let mut script = EVICT.key(keys::NODES);
        self.redis.run(script.key(keys::struck(node)).arg(node).arg(entry).arg(NODE_STRUCK_SECONDS)).await
    }

    async fn is_struck(&self, node: &str) -> Result<bool, StoreError> {
        Ok(self.redis.query::<Option<String>>(&Cmd::get(keys::struck(node))).await?.is_some())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStats;

    #[test]
    fn what_a_look_shows() {
        let cases = [
            (Some(2), true, Some(true), Sight::Well),
            (Some(4), true, Some(true), Sight::Well),
            (Some(2), true, None, Sight::Well),
            (Some(3), true, None, Sight::Late),
            (Some(3), false, None, Sight::Well),
            (Some(0), true, Some(false), Sight::Mute),
            (Some(5), true, Some(true), Sight::Stale),
            (Some(5), false, None, Sight::Stale),
            (None, true, Some(true), Sight::Missing),
            (None, true, None, Sight::Missing),
            (None, false, None, Sight::Missing),
            (None, true, Some(false), Sight::Mute),
        ];
        for (age_s, is_steady, is_heard, expected) in cases {
            assert_eq!(Sight::of(age_s, is_steady, is_heard), expected, "{age_s:?} {is_steady} {is_heard:?}");
        }
    }

    #[test]
    fn five_seconds_make_a_node_stale() {
        let node =
            |updated_at| Node { stats: Some(NodeStats { updated_at, ..NodeStats::default() }), ..Node::default() };
        assert!(is_fresh(&node(100), 104) && !is_fresh(&node(100), 105) && is_fresh(&Node::default(), 105));
    }
}
