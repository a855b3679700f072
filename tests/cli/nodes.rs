use super::lkops::{Run, lkops};
use super::redis_server::RedisServer;
use lkops::proto::{Node, NodeState, NodeStats, NodeStatsRate, ParticipantInfo, Room};
use prost::Message;
use redis::Cmd;
use std::time::{SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods, reason = "the binary reads the wall clock too")]
fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

async fn hset(redis: &RedisServer, key: &str, field: &str, value: &[u8]) {
    redis.ask::<()>(&Cmd::hset(key, field, value)).await;
}

fn node(id: &str, state: NodeState, updated_at: i64) -> Node {
    let rates = vec![NodeStatsRate { bytes_in: 1_250_000.0, bytes_out: 12_500.0, ..NodeStatsRate::default() }];
    let stats = NodeStats {
        started_at: updated_at - 7_200,
        updated_at,
        num_rooms: 2,
        num_clients: 3,
        num_tracks_in: 4,
        num_tracks_out: 8,
        cpu_load: 0.25,
        load_avg_last1min: 1.5,
        rates,
        ..NodeStats::default()
    };
    let ip = "10.0.0.1".to_owned();
    Node { id: id.into(), ip, state: state.into(), region: "eu".into(), stats: Some(stats), ..Node::default() }
}

/// Three nodes, one of them dead, and two rooms.
async fn cluster() -> RedisServer {
    let redis = RedisServer::start().await;
    let (now, alive) = (now_s(), now_s() + 60);
    for (id, state, updated_at) in [
        ("ND_a", NodeState::Serving, alive),
        ("ND_b", NodeState::ShuttingDown, alive),
        ("ND_dead", NodeState::Serving, now - 600),
    ] {
        hset(&redis, "nodes", id, &node(id, state, updated_at).encode_to_vec()).await;
    }
    redis.ask::<()>(&Cmd::set("livekit_version", "1.13.5")).await;
    hset(&redis, "lkops_node_versions", "ND_b", b"lkops 0.1.0").await;
    for (name, node, num_participants) in [("lobby", "ND_a", 1), ("standup", "ND_a", 2), ("other", "ND_b", 0)] {
        let room = Room { name: name.into(), sid: format!("RM_{name}"), num_participants, ..Room::default() };
        let room = Room { creation_time: now - 60, ..room };
        hset(&redis, "rooms", name, &room.encode_to_vec()).await;
        hset(&redis, "room_node_map", name, node.as_bytes()).await;
    }
    for (identity, joined_at) in [("bob", now - 10), ("ann\u{7}", now - 20)] {
        let person = ParticipantInfo { identity: identity.into(), joined_at, state: 2, ..ParticipantInfo::default() };
        hset(&redis, "room_participants:standup", identity, &person.encode_to_vec()).await;
    }
    // One broken entry must not hide the others.
    hset(&redis, "nodes", "ND_broken", &[0xff]).await;
    redis
}

fn nodes(server: &RedisServer, args: &[&str]) -> Run {
    let address = format!("127.0.0.1:{}", server.port);
    lkops(&[&["nodes"], args, &["--redis-host", &address]].concat())
}

#[tokio::test]
async fn nodes_are_listed_with_what_they_tell() {
    let server = cluster().await;
    let text = nodes(&server, &[]).ok();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["NODE", "STATE", "REGION", "ROOMS"]);
    let of_a = ["ND_a", "serving", "eu", "2", "3", "4/8", "25%", "1.50", "10M", "100k"];
    assert_eq!(lines[1][..of_a.len()], of_a);
    assert_eq!(
        (lines[2][..2].to_vec(), lines[3][..3].to_vec()),
        (vec!["ND_b", "draining"], vec!["ND_dead", "gone", "10m"])
    );
    assert_eq!(
        (lines.len(), lines[1].last(), lines[2][lines[2].len() - 2..].join(" ")),
        (4, Some(&"<=1.13.5"), "lkops 0.1.0".to_owned())
    );
    let json = nodes(&server, &["-o", "json"]).json();
    assert_eq!((&json[0]["id"], &json[0]["people"], &json[2]["state"]), (&"ND_a".into(), &3.into(), &"gone".into()));
}

#[tokio::test]
async fn rooms_and_people_are_read_from_the_store() {
    let server = cluster().await;
    let rooms = nodes(&server, &["rooms", "ND_a", "-o", "json"]).json();
    let names: Vec<&str> = rooms.as_array().unwrap().iter().map(|r| r["room"].as_str().unwrap()).collect();
    assert_eq!(names, ["standup", "lobby"]);
    assert_eq!(nodes(&server, &["rooms"]).ok().lines().count(), 4);
    let people = nodes(&server, &["participants", "standup"]).ok();
    let first: Vec<&str> = people.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(first[..4], ["standup", "ann?", "-", "active"], "in the order they came, and nothing a terminal obeys");
    let of_node = nodes(&server, &["participants", "--node", "ND_a", "-o", "json"]).json();
    assert_eq!(of_node.as_array().unwrap().len(), 2);
    let inspected = nodes(&server, &["inspect", "ND_a", "-o", "json"]).json();
    assert_eq!((&inspected["summary"]["rooms"], inspected["rooms"].as_array().unwrap().len()), (&2.into(), 2));
    assert!(nodes(&server, &["inspect", "ND_a"]).ok().contains("bit rate   10 Mbit/s in, 100 kbit/s out"));
}

#[tokio::test]
async fn mistakes_are_told() {
    let server = cluster().await;
    assert_eq!(
        nodes(&server, &["inspect", "ND_x"]).failed(1),
        ["error: no node `ND_x` is registered; `lkops nodes` lists them"]
    );
    assert!(nodes(&server, &["rooms", "ND_"]).failed(1)[0].contains("could be"));
    let errors = lkops(&["nodes"]).failed(2);
    assert_eq!(errors, ["error: no Redis is configured; give --config or --redis-host"]);
    let errors = lkops(&["nodes", "--redis-host", "127.0.0.1:1"]).failed(1);
    assert!(errors[0].starts_with("error: unable to connect to redis: "), "{errors:?}");
}
