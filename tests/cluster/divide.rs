//! A node that cannot reach Redis while the others can: its room is served twice until it finds out, and once again then.

use super::redis_link::Weather;
use super::server::{PATIENCE, publish, receives, until_stats};
use super::world::{World, ended, rejoin};
use lkops::client::media::{AudioSource, VideoSource};
use lkops::client::{Ended, Participant};
use lkops::proto::leave_request::Action;
use redis::Cmd;
use std::time::Duration;
use tokio::time::Instant;

/// From the end of the division until all are in one room.
const ONE_AGAIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_taken_over_meanwhile_is_one_again() {
    let world = World::linked(3).await;
    let cut = |is_stopped| world.weather(0, Weather { is_stopped, ..Weather::default() });
    divided(&world, || cut(true), || cut(false)).await;
}

/// The same with a firewall that drops what goes to Redis.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: it makes network namespaces"]
async fn a_node_behind_a_firewall_loses_its_room_and_comes_back() {
    let world = World::in_namespaces(3).await;
    let first = &world.namespaces[0];
    divided(&world, || first.cut_off(world.redis.port), || first.let_through()).await;
}

/// The cut takes the first node's way to Redis, nothing else.
async fn divided(world: &World, cut: impl FnOnce(), heal: impl FnOnce()) {
    let here = world.nodes[0].join("r", "here").await;
    let there = world.nodes[1].join("r", "there").await;
    publish(&here).await;
    until_stats(&there, "media flows", |s| receives(s, 2, 10)).await;
    world.settled().await;

    cut();
    let told = told_to_go(world, &there).await;
    let others = [&world.nodes[1], &world.nodes[2]];
    let there = rejoin(&others, "r", "there", PATIENCE).await;
    let owner = world.owner("r").await;
    assert_ne!(owner, Some(world.id(0)), "a node that nobody hears has no rooms");
    assert_eq!(here.view().ended, None, "whoever is on the cut-off node keeps what there is");

    heal();
    let healed = now();
    told_to_go(world, &here).await;
    let here = rejoin(&[&world.nodes[0]], "r", "here", PATIENCE).await;
    let back = healed.elapsed();
    assert!(back < ONE_AGAIN, "{back:?}\n{}", world.text());
    println!("cut off from Redis: people elsewhere were told after {told:?}; one room {back:?} after the end");
    in_one_room(world, &here, &there).await;
    assert_eq!(world.owner("r").await, owner);
}

/// A node whose cable is pulled: as dead, but it does not know.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: it makes network namespaces"]
async fn a_node_without_its_cable_loses_its_room_and_comes_back() {
    let world = World::in_namespaces(3).await;
    let here = world.nodes[0].join("r", "here").await;
    let there = world.nodes[1].join("r", "there").await;
    publish(&here).await;
    until_stats(&there, "media flows", |s| receives(s, 2, 10)).await;
    world.settled().await;

    world.namespaces[0].plug(false);
    let told = told_to_go(&world, &there).await;
    let others = [&world.nodes[1], &world.nodes[2]];
    let there = rejoin(&others, "r", "there", PATIENCE).await;
    // A client that hears nothing tries another address of its service.
    drop(here);
    let here = rejoin(&others, "r", "here", PATIENCE).await;
    in_one_room(&world, &here, &there).await;
    let owner = world.owner("r").await;

    world.namespaces[0].plug(true);
    let healed = now();
    let gave_up = |line: &serde_json::Value| {
        line["fields"]["message"].as_str().is_some_and(|m| m.starts_with("another node has the room"))
    };
    assert!(world.nodes[0].logged(gave_up).await, "{}", world.text());
    let back = healed.elapsed();
    println!(
        "without its cable: people elsewhere were told after {told:?}; it gave the room up {back:?} after the end"
    );
    assert!(back < ONE_AGAIN, "{back:?}\n{}", world.text());
    let late = world.nodes[0].join("r", "late").await;
    late.until("all are in one room", PATIENCE, |v| v.others.len() == 2).await.unwrap();
    assert_eq!((world.owner("r").await, here.view().ended.clone(), there.view().ended.clone()), (owner, None, None));
}

/// How long it took.
async fn told_to_go(world: &World, somebody: &Participant) -> Duration {
    let began = now();
    let told = ended(somebody, PATIENCE).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", world.text());
    began.elapsed()
}

async fn in_one_room(world: &World, here: &Participant, there: &Participant) {
    publish(here).await;
    until_stats(there, "media in one room", |s| receives(s, 2, 10)).await;
    let recorded: Vec<String> = world.redis.ask(&Cmd::hkeys("room_participants:r")).await;
    assert_eq!(recorded.len(), 2, "{recorded:?}");
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// Signalling goes on over a bus that loses a tenth of its messages and repeats a third; joins through other nodes get in. An
/// opening that is lost costs a try of three seconds, as with the reference.
#[tokio::test(flavor = "multi_thread")]
async fn lost_and_repeated_messages_only_take_time() {
    let world = World::linked(2).await;
    let here = world.nodes[0].join("r", "here").await;
    world.weather_everywhere(Weather { loses: 0.1, repeats: 0.3, ..Weather::default() });
    for n in 0..5 {
        let identity = format!("there{n}");
        let there = shown(&world, &here, &identity).await;
        assert_eq!(there.view().others.len(), 1, "nobody is there twice");
        there.leave().await.unwrap();
        // If even the last word is lost, their media tells.
        here.until("they have gone", 3 * PATIENCE, |v| v.others.is_empty()).await.unwrap();
    }
    assert_eq!(here.view().ended, None);
}

/// Comes in and shows itself. A batch of signalling goes four times (CLUSTER.md §3.3); once in a thousand all four are lost
/// here, and the client is told to come back, which it does.
async fn shown(world: &World, here: &Participant, identity: &str) -> Participant {
    loop {
        let there = rejoin(&[&world.nodes[1]], "r", identity, 3 * PATIENCE).await;
        let showing = async {
            there.publish_audio("mic", AudioSource::default()).await.ok()?;
            there.publish_video("cam", VideoSource::p360(250_000)).await.ok()?;
            until_stats(here, "media flows", |s| receives(s, 2, 5)).await;
            Some(())
        };
        tokio::select! {
            Some(()) = showing => return there,
            why = ended(&there, 4 * PATIENCE) => {
                assert!(matches!(why, Ended::Dismissed { action: Action::Reconnect, .. }), "{why:?}");
            }
        }
    }
}
