//! Which other nodes live. A node's entry tells within seconds; that nobody listens any more on its channel tells at once,
//! because Redis forgets the subscriptions of a process when its connection ends.

use super::channel;
use super::keys;
use super::method::{RELAY_SIGNAL, SIGNAL};
use super::owner::Neighbours;
use super::redis::{Redis, StoreError};
use crate::limits::{NODE_FRESH_SECONDS, NODE_MUTE_LOOKS, NODE_WATCH_INTERVAL, REDIS_STEADY};
use crate::proto::Node;
use prost::Message;
use redis::{Cmd, Script};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// Its statistics are recent; an entry without any is the reference's while it starts.
pub fn is_fresh(node: &Node, now_s: i64) -> bool {
    node.stats.as_ref().is_none_or(|s| now_s - s.updated_at < NODE_FRESH_SECONDS)
}

/// `KEYS`: nodes. `ARGV`: node, the entry as it was seen. A node that has written a newer one lives.
static EVICT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end return 0",
    )
});

pub struct Watchers {
    redis: Redis,
    /// Whether PUBSUB NUMSUB sees all subscribers, which in a Redis cluster it does not.
    sees_subscribers: bool,
    watched: Mutex<HashMap<String, Watched>>,
    begun: Notify,
}

struct Watched {
    lives: watch::Sender<bool>,
    /// Looks in a row at which nobody listened for it.
    mute: u32,
}

/// What one look at a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Well,
    /// The entry is fresh, but nobody listens.
    Mute,
    /// No entry, or an old one.
    Gone,
}

impl Neighbours for Watchers {
    /// A node that is mute gets some looks more: it may just be connecting again. One found dead is struck from the list, so
    /// that other nodes need not find out as well.
    async fn lives(&self, node: &str) -> Result<bool, StoreError> {
        let mut looks = 0;
        loop {
            let (sight, entry) = self.look(node).await?;
            match sight {
                Sight::Well => return Ok(true),
                Sight::Gone => return Ok(false),
                Sight::Mute if looks < NODE_MUTE_LOOKS => looks += 1,
                Sight::Mute => {
                    self.evict(node, &entry).await?;
                    return Ok(false);
                }
            }
            sleep(NODE_WATCH_INTERVAL).await;
        }
    }
}

impl Watchers {
    pub fn new(redis: Redis) -> Watchers {
        let sees_subscribers = !redis.is_cluster();
        Watchers { redis, sees_subscribers, watched: Mutex::default(), begun: Notify::new() }
    }

    /// Turns false when that node dies.
    pub fn watch(&self, node: &str) -> watch::Receiver<bool> {
        let mut watched = self.lock();
        let entry =
            watched.entry(node.to_owned()).or_insert_with(|| Watched { lives: watch::Sender::new(true), mute: 0 });
        self.begun.notify_one();
        entry.lives.subscribe()
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
        watched.retain(|_, w| w.lives.receiver_count() > 0);
        watched.keys().cloned().collect()
    }

    async fn note(&self, node: &str, sight: Sight, entry: &[u8]) {
        let is_dead = {
            let mut watched = self.lock();
            let Some(w) = watched.get_mut(node) else { return };
            w.mute = if sight == Sight::Mute { w.mute + 1 } else { 0 };
            // What others wrote before Redis came back says little of who is there now.
            let is_dead = (sight == Sight::Gone || w.mute > NODE_MUTE_LOOKS) && self.is_steady();
            if is_dead {
                w.lives.send_replace(false);
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
        self.lock().values_mut().for_each(|w| w.mute = 0);
    }

    /// Redis has been there long enough for every living node to have come back to it.
    fn is_steady(&self) -> bool {
        self.redis.status().borrow().up_for(Instant::now()) >= REDIS_STEADY
    }

    /// What is to be seen of that node, and its entry.
    async fn look(&self, node: &str) -> Result<(Sight, Vec<u8>), StoreError> {
        let entry: Option<Vec<u8>> = self.redis.query(&Cmd::hget(keys::NODES, node)).await?;
        let Some(entry) = entry else { return Ok((Sight::Gone, Vec::new())) };
        let fresh = Node::decode(entry.as_slice()).is_ok_and(|n| is_fresh(&n, self.redis.clock().unix_s()));
        let sight = match fresh {
            false => Sight::Gone,
            true if self.sees_subscribers && self.is_steady() && !self.is_heard(node).await? => Sight::Mute,
            true => Sight::Well,
        };
        Ok((sight, entry))
    }

    /// Whether anybody takes what is sent to that node.
    async fn is_heard(&self, node: &str) -> Result<bool, StoreError> {
        let name = channel::to_server(SIGNAL, RELAY_SIGNAL, &[node]);
        let (_, listeners): (String, u64) = self.redis.query(redis::cmd("PUBSUB").arg("NUMSUB").arg(name)).await?;
        Ok(listeners > 0)
    }

    async fn evict(&self, node: &str, entry: &[u8]) -> Result<(), StoreError> {
        self.redis.run(EVICT.key(keys::NODES).arg(node).arg(entry)).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStats;

    #[test]
    fn five_seconds_make_a_node_stale() {
        let node =
            |updated_at| Node { stats: Some(NodeStats { updated_at, ..NodeStats::default() }), ..Node::default() };
        assert!(is_fresh(&node(100), 104) && !is_fresh(&node(100), 105) && is_fresh(&Node::default(), 105));
    }
}
