//! Every kind of Redis a configuration can name carries a cluster: with a user, over TLS, behind Sentinel, as a Redis
//! cluster.

use super::redis_server::RedisServer;
use super::server::{PATIENCE, Server, Setup, goes_on, publish, receives, until_stats};
use super::world::{ended, id, readiness, rejoin};
use lkops::client::Ended;
use lkops::proto::CreateRoomRequest;
use lkops::proto::leave_request::Action;
use redis::Cmd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, interval, timeout};

/// Two nodes with that `redis` section, and a call across them.
async fn two_nodes_talk(section: &str) -> [Server; 2] {
    let section: &'static str = Box::leak(format!("redis:\n{section}").into_boxed_str());
    let node = || Server::with(Setup { more: section, ..Setup::default() });
    let nodes = [node().await, node().await];
    talk(&nodes, "r").await;
    nodes
}

async fn talk(nodes: &[Server; 2], room: &str) {
    let (a, b) = (nodes[0].join(room, "a").await, nodes[1].join(room, "b").await);
    publish(&a).await;
    publish(&b).await;
    for participant in [&a, &b] {
        until_stats(participant, "both tracks of the other", |s| receives(s, 2, 10)).await;
    }
    assert_eq!(nodes[1].api().list_participants(room).await.unwrap().len(), 2);
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

/// Asks until it is so.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let mut looks = interval(Duration::from_millis(100));
    let looking = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    timeout(4 * PATIENCE, looking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test]
async fn a_redis_that_wants_user_and_password() {
    let redis = RedisServer::start().await;
    let user = ["ACL", "SETUSER", "lkops", "on", ">pass word", "~*", "&*", "+@all"];
    redis.ask::<()>(Cmd::new().arg(&user)).await;
    redis.ask::<()>(Cmd::new().arg("ACL").arg("SETUSER").arg("default").arg("off")).await;
    let section =
        |password| format!("  address: 127.0.0.1:{}\n  username: lkops\n  password: {password}\n  db: 3\n", redis.port);
    two_nodes_talk(&section("pass word")).await;
}

#[tokio::test]
async fn a_redis_over_tls() {
    let [cert, key, ca] = ["redis.pem", "redis.key", "ca.pem"].map(|n| certificate(n).display().to_string());
    let tls =
        ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca, "--tls-auth-clients", "yes"];
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let redis = RedisServer::with(&[["--tls-port", &port].as_slice(), &tls].concat()).await;
    let section = format!(
        "  address: localhost:{port}\n  tls:\n    enabled: true\n    ca_cert_file: {ca}\n    client_cert_file: {cert}\n    \
         client_key_file: {key}\n"
    );
    let _nodes = two_nodes_talk(&section).await;
    let clients: String = redis.ask(Cmd::new().arg("CLIENT").arg("LIST")).await;
    assert!(clients.lines().count() >= 4, "two connections of each node: {clients}");
}

/// A master, its replica and who watches them.
struct Watched {
    master: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
    _config: tempfile::NamedTempFile,
}

impl Watched {
    async fn start() -> Watched {
        let master = RedisServer::start().await;
        let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
        let config = tempfile::NamedTempFile::new().unwrap();
        let watch = format!(
            "sentinel monitor m 127.0.0.1 {} 1\nsentinel down-after-milliseconds m 1000\nsentinel failover-timeout m 5000\n",
            master.port
        );
        std::fs::write(config.path(), watch).unwrap();
        let sentinel = RedisServer::sentinel(config.path()).await;
        Watched { master, replica, sentinel, _config: config }
    }

    fn section(&self) -> String {
        format!("  sentinel_master_name: m\n  sentinel_addresses: ['127.0.0.1:{}']\n", self.sentinel.port)
    }

    async fn is_known(&self) {
        until("sentinel knows the replica", async || {
            let replicas: Vec<redis::Value> =
                self.sentinel.ask(Cmd::new().arg("SENTINEL").arg("REPLICAS").arg("m")).await;
            replicas.len() == 1
        })
        .await;
    }

    async fn replica_leads(&self) -> bool {
        let role: Vec<redis::Value> = self.replica.ask(Cmd::new().arg("ROLE")).await;
        role[0] == redis::Value::BulkString(b"master".to_vec())
    }
}

/// The master is changed under a call: what the new one lacks is put back.
#[tokio::test]
async fn a_redis_behind_sentinel_that_fails_over() {
    let mut watched = Watched::start().await;
    let nodes = two_nodes_talk(&watched.section()).await;
    let _ann = nodes[0].join("kept", "ann").await;
    watched.is_known().await;
    watched.master.kill().await;
    until("the new master has both nodes and the room", async || {
        watched.replica_leads().await
            && watched.replica.ask::<usize>(&Cmd::hlen("nodes")).await == 2
            && watched.replica.ask::<bool>(&Cmd::hexists("rooms", "kept")).await
    })
    .await;
    // What the new master has may have come from the old one.
    until("both nodes have found the new master", async || {
        readiness(&nodes[0]).await.1 && readiness(&nodes[1]).await.1
    })
    .await;
    until("calls get through again", async || {
        nodes[1].api().list_participants("kept").await.is_ok_and(|p| p.len() == 1)
    })
    .await;
    talk(&nodes, "after").await;
}

/// The new master has missed that the room closed on one node and began again on the other, and that a second one began.
#[tokio::test]
async fn what_a_new_master_remembers_wrongly_is_put_right() {
    let mut watched = Watched::start().await;
    let nodes = two_nodes_talk(&watched.section()).await;
    nodes[0].join("moved", "ann").await.leave().await.unwrap();
    watched.is_known().await;
    let owner: String = watched.master.ask(&Cmd::hget("room_node_map", "moved")).await;
    until("the replica has it", async || {
        watched.replica.ask::<Option<String>>(&Cmd::hget("room_node_map", "moved")).await.as_ref() == Some(&owner)
    })
    .await;
    watched.replica.signal("STOP").await;
    nodes[0].api().delete_room("moved").await.unwrap();
    let other: Vec<String> = watched.master.ask(&Cmd::hkeys("nodes")).await;
    let other = other.into_iter().find(|node| *node != owner).unwrap();
    let request = CreateRoomRequest { name: "moved".into(), node_id: other.clone(), ..CreateRoomRequest::default() };
    nodes[0].api().create_room(&request).await.unwrap();
    let (a, b) = (nodes[0].join("moved", "a").await, nodes[1].join("moved", "b").await);
    publish(&a).await;
    until_stats(&b, "media flows", |s| receives(s, 2, 10)).await;
    watched.master.kill().await;
    watched.replica.signal("CONT").await;
    until("the replica leads", async || watched.replica_leads().await).await;
    until("the new master knows better", async || {
        watched.replica.ask::<Option<String>>(&Cmd::hget("room_node_map", "moved")).await.as_ref() == Some(&other)
            && watched.replica.ask::<usize>(&Cmd::hlen("room_participants:moved")).await == 2
    })
    .await;
    let lost: u64 = goes_on(&b, 20).await.received.iter().map(|t| t.lost).sum();
    assert_eq!((lost, &a.view().ended, &b.view().ended), (0, &None, &None));
}

#[tokio::test]
async fn a_redis_cluster_of_three() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(RedisServer::with(&["--cluster-enabled", "yes"]).await);
    }
    let addresses: Vec<String> = servers.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(&addresses).args(["--cluster-replicas", "0", "--cluster-yes"]);
    assert!(create.stdout(std::process::Stdio::null()).status().await.unwrap().success());
    let section = format!("  cluster_addresses: {addresses:?}\n");
    let nodes = two_nodes_talk(&section).await;
    let rooms = nodes[0].api().list_rooms().await.unwrap();
    assert!(rooms.iter().any(|r| r.name == "r"), "{rooms:?}");
    a_death_is_noticed(&nodes).await;
}

/// There nobody can count who listens: the age of the node's entry has to tell.
async fn a_death_is_noticed(nodes: &[Server; 2]) {
    let request = CreateRoomRequest { name: "dies".into(), node_id: id(&nodes[0]), ..CreateRoomRequest::default() };
    nodes[0].api().create_room(&request).await.unwrap();
    let (here, there) = (nodes[0].join("dies", "here").await, nodes[1].join("dies", "there").await);
    publish(&here).await;
    until_stats(&there, "media flows", |s| receives(s, 2, 10)).await;
    let began = now();
    until("all have known Redis for a while", async || began.elapsed() > Duration::from_secs(3)).await;
    nodes[0].signal("KILL").await;
    let died = now();
    drop(here);
    let told = ended(&there, PATIENCE).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", nodes[1].text());
    let told_after = died.elapsed();
    let back =
        [rejoin(&[&nodes[1]], "dies", "there", PATIENCE).await, rejoin(&[&nodes[1]], "dies", "here", PATIENCE).await];
    println!("killed node, Redis cluster: told after {told_after:?}, back after {:?}", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(5), "{}", nodes[1].text());
    assert!(back.iter().all(|p| p.view().ended.is_none()));
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
