//! A cluster: nodes on one Redis, with what tests ask of them.

use super::redis_server::RedisServer;
use super::server::{PATIENCE, Server, Setup};
use lkops::client::Ended;
use lkops::client::{Options, Participant};
use redis::Cmd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};

/// More than any test has nodes.
const REGIONS: usize = 12;

pub struct World {
    pub redis: RedisServer,
    pub nodes: Vec<Server>,
    /// Nodes ever started.
    begun: AtomicUsize,
    began: Instant,
}

impl World {
    #[allow(clippy::disallowed_methods)]
    pub async fn of(nodes: usize) -> World {
        let redis = RedisServer::start().await;
        let mut world = World { redis, nodes: Vec::new(), begun: AtomicUsize::new(0), began: Instant::now() };
        for _ in 0..nodes {
            let node = world.node().await;
            world.nodes.push(node);
        }
        world.until("all nodes are listed", async |w| w.listed().await == nodes).await;
        world
    }

    /// One more, in the same cluster and in a region of its own, so that new rooms begin where they are asked for as long as
    /// that node takes rooms.
    pub async fn node(&self) -> Server {
        let own = self.begun.fetch_add(1, Ordering::Relaxed) % REGIONS;
        let region = |n| format!("    - {{name: r{n}, lat: 0, lon: {}}}\n", 10 * n);
        let regions: String = (0..REGIONS).map(region).collect();
        let redis = format!(
            "redis:\n  address: 127.0.0.1:{}\nregion: r{own}\nnode_selector:\n  kind: regionaware\n  sysload_limit: 1000\n  \
             regions:\n{regions}\n",
            self.redis.port
        );
        Server::with(Setup { more: Box::leak(redis.into_boxed_str()), ..Setup::default() }).await
    }

    /// Redis and the nodes have known each other long enough to believe what they see.
    pub async fn settled(&self) {
        let at = self.began + Duration::from_secs(5);
        self.until("the nodes know each other", async |_| Instant::now() >= at).await;
    }

    /// What others know that node by.
    pub fn id(&self, node: usize) -> String {
        let lines = self.nodes[node].lines();
        let joined = lines.iter().find(|line| line["fields"]["message"] == "joined the cluster");
        joined.expect("it is in the cluster")["fields"]["node"].as_str().expect("an id").to_owned()
    }

    pub async fn listed(&self) -> usize {
        self.redis.ask(&Cmd::hlen("nodes")).await
    }

    /// The node that room is on, as all see it.
    pub async fn owner(&self, room: &str) -> Option<String> {
        self.redis.ask(&Cmd::hget("room_node_map", room)).await
    }

    pub async fn until(&self, what: &str, holds: impl AsyncFn(&World) -> bool) {
        self.within(PATIENCE, what, holds).await;
    }

    pub async fn within(&self, limit: Duration, what: &str, holds: impl AsyncFn(&World) -> bool) {
        let mut looks = interval(Duration::from_millis(20));
        let looking = async {
            loop {
                looks.tick().await;
                if holds(self).await {
                    return;
                }
            }
        };
        let done = timeout(limit, looking).await;
        assert!(done.is_ok(), "not within {limit:?}: {what}\n{}", self.text());
    }

    pub fn text(&self) -> String {
        let log = |(n, node): (usize, &Server)| format!("-- node {n}\n{}", node.text());
        self.nodes.iter().enumerate().map(log).collect::<Vec<_>>().join("\n")
    }
}

/// Waits until it is over for that participant; fails if that takes too long.
pub async fn ended(participant: &Participant, limit: Duration) -> Ended {
    participant.until("the session ends", limit, |view| view.ended.is_some()).await.unwrap();
    let ended = participant.view().ended.clone();
    ended.unwrap()
}

/// Joins as soon as any of the nodes lets it in, as a client behind a balancer does.
pub async fn rejoin(nodes: &[&Server], room: &str, identity: &str, limit: Duration) -> Participant {
    let mut tries = interval(Duration::from_millis(100));
    let trying = async {
        loop {
            for node in nodes {
                tries.tick().await;
                let options: Options = node.options(room, identity);
                if let Ok(participant) = Participant::join(super::server::engine(), options).await
                    && participant.connected(limit).await.is_ok()
                {
                    return participant;
                }
            }
        }
    };
    timeout(limit, trying).await.unwrap_or_else(|_| panic!("{identity} is not back within {limit:?}"))
}
