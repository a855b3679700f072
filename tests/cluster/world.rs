//! A cluster: nodes on one Redis, with what tests ask of them.

use super::namespace::Namespace;
use super::redis_link::{RedisLink, Weather};
use super::redis_server::RedisServer;
use super::server::{PATIENCE, Server, Setup};
use lkops::client::Ended;
use lkops::client::{Options, Participant};
use redis::Cmd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

/// More than any test has nodes.
const REGIONS: usize = 12;

pub struct World {
    pub redis: RedisServer,
    pub nodes: Vec<Server>,
    /// Of each node that has a way to Redis of its own.
    links: Vec<RedisLink>,
    /// Of each node that is in one.
    pub namespaces: Vec<Namespace>,
    /// Nodes ever started.
    begun: AtomicUsize,
    began: Instant,
}

impl World {
    pub async fn of(nodes: usize) -> World {
        let mut world = World::empty().await;
        for _ in 0..nodes {
            let node = world.node().await;
            world.nodes.push(node);
        }
        world.all_listed().await
    }

    /// Nodes whose ways to Redis can be disturbed one by one.
    pub async fn linked(nodes: usize) -> World {
        let mut world = World::empty().await;
        for _ in 0..nodes {
            let link = RedisLink::to(world.redis.port).await;
            let node = Server::with(world.setup(link.port)).await;
            world.nodes.push(node);
            world.links.push(link);
        }
        world.all_listed().await
    }

    /// Each in a network namespace of its own.
    pub async fn in_namespaces(nodes: usize) -> World {
        let namespaces: Vec<Namespace> = (0..nodes).map(Namespace::new).collect();
        let outsides = namespaces.iter().map(|n| n.outside.to_string());
        let bind = ["--protected-mode", "no", "--bind", "127.0.0.1"].map(str::to_owned).into_iter().chain(outsides);
        let mut world = World::empty_on(RedisServer::with(&bind.collect::<Vec<_>>()).await);
        for namespace in &namespaces {
            let setup = world.setup_by(&format!("{}:{}", namespace.outside, world.redis.port));
            let (ip, name) = (namespace.inside.into(), Some(namespace.name.clone()));
            world.nodes.push(Server::with(Setup { ip, namespace: name, ..setup }).await);
        }
        world.namespaces = namespaces;
        world.all_listed().await
    }

    async fn empty() -> World {
        World::empty_on(RedisServer::start().await)
    }

    #[allow(clippy::disallowed_methods)]
    fn empty_on(redis: RedisServer) -> World {
        let namespaces = Vec::new();
        World {
            redis,
            nodes: Vec::new(),
            links: Vec::new(),
            namespaces,
            begun: AtomicUsize::new(0),
            began: Instant::now(),
        }
    }

    async fn all_listed(self) -> World {
        self.until("all nodes are listed", async |w| w.listed().await == w.nodes.len()).await;
        self
    }

    /// One more, in the same cluster.
    pub async fn node(&self) -> Server {
        Server::with(self.setup(self.redis.port)).await
    }

    /// In a region of its own, so that new rooms begin where they are asked for as long as that node takes rooms.
    pub fn setup(&self, redis_port: u16) -> Setup {
        self.setup_by(&format!("127.0.0.1:{redis_port}"))
    }

    /// The same with any way to Redis.
    fn setup_by(&self, redis: &str) -> Setup {
        let own = self.begun.fetch_add(1, Ordering::Relaxed) % REGIONS;
        let region = |n| format!("    - {{name: r{n}, lat: 0, lon: {}}}\n", 10 * n);
        let regions: String = (0..REGIONS).map(region).collect();
        let redis = format!(
            "redis:\n  address: {redis}\nregion: r{own}\nnode_selector:\n  kind: regionaware\n  \
             sysload_limit: 1000\n  regions:\n{regions}\n"
        );
        Setup { more: Box::leak(redis.into_boxed_str()), ..Setup::default() }
    }

    /// One more of the nodes, which must be settled anew.
    #[allow(clippy::disallowed_methods)]
    pub fn add(&mut self, node: Server) {
        self.nodes.push(node);
        self.began = Instant::now();
    }

    /// On the way between that node and Redis.
    pub fn weather(&self, node: usize, weather: Weather) {
        self.links[node].set(weather);
    }

    /// On all ways.
    pub fn weather_everywhere(&self, weather: Weather) {
        self.links.iter().for_each(|link| link.set(weather));
    }

    /// Redis and the nodes have known each other long enough to believe what they see.
    pub async fn settled(&self) {
        let at = self.began + Duration::from_secs(5);
        self.until("the nodes know each other", async |_| Instant::now() >= at).await;
    }

    /// What others know that node by.
    pub fn id(&self, node: usize) -> String {
        id(&self.nodes[node])
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

/// What other nodes know it by.
pub fn id(node: &Server) -> String {
    let lines = node.lines();
    let joined = lines.iter().find(|line| line["fields"]["message"] == "joined the cluster");
    joined.expect("it is in a cluster")["fields"]["node"].as_str().expect("an id").to_owned()
}

/// Datagrams that found a socket's buffer full since the machine began: on loopback there is no other way to lose one.
pub fn overflowed() -> u64 {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:")).map(str::split_whitespace);
    let (names, counts) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(counts).find(|(name, _)| *name == "RcvbufErrors").unwrap().1.parse().unwrap()
}

/// Status and body of what the node answers there.
pub async fn get(node: &Server, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(node.url.trim_start_matches("ws://")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The status of its `/readyz`, and whether nothing it depends on is missing.
pub async fn readiness(node: &Server) -> (u16, bool) {
    let (status, body) = get(node, "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    (status, body["degraded"].as_array().is_none_or(Vec::is_empty))
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
