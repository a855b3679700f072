//! Redis goes away, comes back, forgets: calls go on, and the store is put right again. What else can become of it is in
//! `twenty`.

use super::server::{PATIENCE, goes_on, publish, receives, until_stats};
use super::world::{World, get, overflowed, readiness};
use lkops::client::Participant;
use lkops::client::stats::Stats;
use lkops::proto::CreateRoomRequest;
use redis::Cmd;
use serde_json::Value;
use std::time::Duration;

/// The store is right again within this after Redis is back.
const RIGHT: Duration = Duration::from_secs(5);

/// Nothing is missing but what a busy machine had no room for.
fn assert_lossless(stats: &Stats, full_before: u64) {
    let lost: u64 = stats.received.iter().map(|t| t.lost).sum();
    assert!(lost <= overflowed() - full_before, "{lost} lost, and no socket was full");
}

/// Two on two nodes, media both ways.
async fn call() -> (World, Participant, Participant) {
    let world = World::of(2).await;
    let (a, b) = (world.nodes[0].join("r", "a").await, world.nodes[1].join("r", "b").await);
    publish(&a).await;
    publish(&b).await;
    for participant in [&a, &b] {
        until_stats(participant, "media flows", |s| receives(s, 2, 10)).await;
    }
    (world, a, b)
}

#[tokio::test]
async fn a_call_goes_on_without_redis_and_the_store_is_right_soon_after() {
    let full_before = overflowed();
    let (mut world, a, b) = call().await;
    let owner = world.owner("r").await;
    world.redis.kill().await;
    world
        .until("both notice", async |w| {
            for node in &w.nodes {
                let (status, is_whole) = readiness(node).await;
                assert_eq!(status, 200);
                if is_whole {
                    return false;
                }
            }
            true
        })
        .await;
    for node in &world.nodes {
        assert_eq!((get(node, "/").await.0, get(node, "/livez").await.0), (200, 200));
    }
    // Joins to the node that has the room, and its API, work as ever.
    let c = world.nodes[0].join("r", "c").await;
    a.until("c is here", PATIENCE, |v| v.others.contains_key("c")).await.unwrap();
    c.leave().await.unwrap();
    assert_eq!(world.nodes[0].api().list_participants("r").await.unwrap().len(), 2);
    // Somewhere else nobody can tell who has it.
    let unknown = CreateRoomRequest { name: "unknown".into(), ..CreateRoomRequest::default() };
    let refused = world.nodes[1].api().create_room(&unknown).await.unwrap_err().to_string();
    assert!(refused.starts_with("unavailable: cannot tell whether another node has the room"), "{refused}");
    tokio::join!(goes_on(&a, 60), goes_on(&b, 60));
    world.redis.run().await;
    let right = async |w: &World| {
        w.owner("r").await == owner
            && w.listed().await == 2
            && w.redis.ask::<Vec<String>>(&Cmd::hkeys("room_participants:r")).await.len() == 2
            && w.redis.ask::<bool>(&Cmd::hexists("rooms", "r")).await
    };
    world.within(RIGHT, "the store is right again", right).await;
    // Signalling of the one whose socket is on the other node goes on over the same connection.
    set_metadata(&world, "back").await;
    for participant in [&a, &b] {
        participant.until("the metadata", PATIENCE, |v| v.room.metadata == "back").await.unwrap();
        assert_lossless(&participant.stats().await.unwrap(), full_before);
    }
}

#[tokio::test]
async fn a_store_that_forgot_everything_is_filled_from_memory() {
    let full_before = overflowed();
    let (world, a, b) = call().await;
    let owner = world.owner("r").await;
    for _ in 0..3 {
        world.redis.ask::<()>(Cmd::new().arg("FLUSHALL")).await;
        let right = async |w: &World| {
            w.owner("r").await == owner
                && w.listed().await == 2
                && w.redis.ask::<Vec<String>>(&Cmd::hkeys("room_participants:r")).await.len() == 2
        };
        world.within(RIGHT, "the store is right again", right).await;
    }
    for participant in [&a, &b] {
        assert_eq!(participant.view().ended, None, "{}", world.text());
        assert_lossless(&goes_on(participant, 20).await, full_before);
    }
}

/// With Redis but without other nodes, a node knows that nobody else has a room.
#[tokio::test]
async fn a_node_that_is_alone_takes_new_rooms_without_redis() {
    let mut world = World::of(1).await;
    world.settled().await;
    world.redis.kill().await;
    let a = world.nodes[0].join("new", "a").await;
    world.redis.run().await;
    world.within(RIGHT, "the room is known", async |w| w.owner("new").await.is_some()).await;
    assert!(a.view().ended.is_none());
}

/// Through the node that has not got the room; again until the bus carries it.
async fn set_metadata(world: &World, metadata: &str) {
    let request = serde_json::json!({"room": "r", "metadata": metadata});
    world
        .until("the call gets through", async |w| {
            w.nodes[1].api().room_service::<Value, Value>("UpdateRoomMetadata", "r", &request).await.is_ok()
        })
        .await;
}
