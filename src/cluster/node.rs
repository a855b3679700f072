//! This node's entry among the nodes (CLUSTER.md §5): written every two seconds, after each change, and as soon as Redis is
//! back. That it was missing shows that the store has lost what it knew.

use super::bus::Bus;
use super::keys;
use super::method::{KEEPALIVE, PING};
use super::redis::{Redis, StoreError};
use super::table::{Registration, Sink};
use super::{channel, clock::Clock, version};
use crate::limits::NODE_BEAT_INTERVAL_MIN;
use crate::proto::psrpc::Wrapped;
use crate::proto::rpc::KeepalivePing;
use crate::proto::{Node, NodeState, NodeStats};
use prost::Message;
use redis::Cmd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Gathers what the node has to say of itself; `started_at` and `updated_at` are filled in here.
pub type Gauge = Arc<dyn Fn() -> NodeStats + Send + Sync>;

/// An entry younger than this need not be written again.
const ENTRY_NEW: Duration = Duration::from_millis(200);

/// Has a node write its entry. The reference has every node call itself so, to write only while it hears.
pub fn nudge(bus: &Bus, node: &str) {
    let ping = KeepalivePing { timestamp: bus.clock().unix_s() };
    bus.publish(channel::request(KEEPALIVE, PING, &[node]), ping.wrap());
}

/// What does not change about a node.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub id: String,
    pub ip: String,
    pub region: String,
}

pub struct Beat {
    identity: Identity,
    started_at: i64,
    state: watch::Sender<NodeState>,
    /// When the entry was written last.
    last: Mutex<Option<Instant>>,
    /// Held while the entry is written or struck; true once it is to stay away, whoever asks for it.
    withdrawn: tokio::sync::Mutex<bool>,
    asked: Arc<Notify>,
    /// The same calls, for who looks at the list of nodes.
    called: Arc<Notify>,
}

impl Beat {
    pub fn new(identity: Identity, clock: &Clock) -> Beat {
        let state = watch::Sender::new(NodeState::StartingUp);
        Beat {
            identity,
            started_at: clock.unix_s(),
            state,
            last: Mutex::default(),
            withdrawn: tokio::sync::Mutex::default(),
            asked: Arc::default(),
            called: Arc::default(),
        }
    }

    pub fn set_state(&self, state: NodeState) {
        self.state.send_replace(state);
    }

    /// How long others have not heard of this node; `None` if never.
    pub fn age(&self) -> Option<Duration> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// Returns when the node has been called, by itself or by one that is new among the nodes.
    pub async fn called(&self) {
        self.called.notified().await;
    }

    /// Hears the calls that ask for the entry.
    pub fn listen(&self, bus: &Bus) -> Registration {
        let (asked, called) = (self.asked.clone(), self.called.clone());
        let sink: Sink = Arc::new(move |_| {
            asked.notify_one();
            called.notify_one();
        });
        bus.subscribe(vec![(channel::request(KEEPALIVE, PING, &[&self.identity.id]), sink)])
    }

    /// `lost` is called when the entry was not there. Never returns.
    pub async fn keep(&self, redis: &Redis, bus: &Bus, every: Duration, gauge: &Gauge, lost: impl Fn()) {
        let mut ticks = interval(every.max(NODE_BEAT_INTERVAL_MIN));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut state, mut status) = (self.state.subscribe(), redis.status());
        let mut is_first = true;
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => (),
                _ = state.changed() => (),
                _ = status.changed() => (),
                () = self.asked.notified() => {
                    // Mostly by our own call.
                    if self.age().is_some_and(|age| age < ENTRY_NEW) {
                        continue;
                    }
                }
            }
            if !status.borrow_and_update().is_up() {
                continue;
            }
            nudge(bus, &self.identity.id);
            match self.write(redis, gauge()).await {
                Ok(was_missing) => {
                    if was_missing {
                        self.call_others(redis, bus).await;
                    }
                    if was_missing && !is_first {
                        lost();
                    }
                    is_first = false;
                }
                Err(error) => tracing::debug!(%error, "other nodes do not hear that this one is there"),
            }
        }
    }

    /// Has the others look at the list again, so that none believes itself alone.
    async fn call_others(&self, redis: &Redis, bus: &Bus) {
        let nodes = redis.query::<Vec<String>>(&Cmd::hkeys(keys::NODES)).await.unwrap_or_default();
        nodes.iter().filter(|node| **node != self.identity.id).for_each(|node| nudge(bus, node));
    }

    /// Whether there was no entry.
    async fn write(&self, redis: &Redis, stats: NodeStats) -> Result<bool, StoreError> {
        let withdrawn = self.withdrawn.lock().await;
        if *withdrawn {
            return Ok(false);
        }
        let entry = self.entry(stats, redis.clock().unix_s()).encode_to_vec();
        let added: u64 = redis.query(&Cmd::hset(keys::NODES, &self.identity.id, entry)).await?;
        if added > 0 {
            self.introduce(redis).await;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(added > 0)
    }

    /// To go with a new entry.
    async fn introduce(&self, redis: &Redis) {
        if let Err(error) = version::announce(redis, &self.identity.id).await {
            tracing::debug!(%error, "operators do not see which release this is");
        }
        if let Err(error) = redis.query::<()>(&Cmd::del(keys::struck(&self.identity.id))).await {
            tracing::debug!(%error, "it may still be said to be dead");
        }
    }

    fn entry(&self, stats: NodeStats, now_s: i64) -> Node {
        Node {
            id: self.identity.id.clone(),
            ip: self.identity.ip.clone(),
            num_cpus: stats.num_cpus,
            region: self.identity.region.clone(),
            state: *self.state.borrow() as i32,
            stats: Some(NodeStats { started_at: self.started_at, updated_at: now_s, ..stats }),
            ..Node::default()
        }
    }

    /// For good.
    pub async fn withdraw(&self, redis: &Redis) -> Result<(), StoreError> {
        *self.withdrawn.lock().await = true;
        redis.query::<()>(&Cmd::hdel(keys::NODES, &self.identity.id)).await?;
        version::withdraw(redis, &self.identity.id).await
    }
}
