//! Nodes die: their people are back elsewhere within seconds, and nothing of them stays behind.

use super::server::{PATIENCE, publish, receives, until_stats};
use super::world::{World, ended, rejoin};
use lkops::client::Ended;
use lkops::proto::leave_request::Action;
use redis::Cmd;
use std::time::Duration;
use tokio::time::Instant;

/// What people may be without their call.
const BACK: Duration = Duration::from_secs(5);

/// The client with its socket on the dead node finds out by itself, the one with its socket elsewhere is told.
#[tokio::test]
async fn people_of_a_killed_node_are_back_in_the_room_within_five_seconds() {
    let mut world = World::of(3).await;
    let here = world.nodes[0].join("r", "here").await;
    let there = world.nodes[1].join("r", "there").await;
    let sid = here.view().room.sid.clone();
    publish(&here).await;
    until_stats(&there, "media flows", |s| receives(s, 2, 10)).await;
    // What other nodes see of a node that just began says little.
    world.settled().await;

    world.nodes[0].signal("KILL").await;
    let died = now();
    let told = ended(&there, BACK).await;
    let told_after = died.elapsed();
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", world.text());
    let living = [&world.nodes[1], &world.nodes[2]];
    let (here, there) = tokio::join!(rejoin(&living, "r", "here", BACK), rejoin(&living, "r", "there", BACK));
    let back_after = died.elapsed();
    println!("killed node: its remote participant was told after {told_after:?}, all were back after {back_after:?}");
    assert!(back_after < BACK, "{back_after:?}");
    assert_eq!((here.view().room.sid.clone(), there.view().room.sid.clone()), (sid.clone(), sid));
    publish(&here).await;
    until_stats(&there, "media flows again", |s| receives(s, 2, 10)).await;
    world.nodes.remove(0);
    world.until("the dead node is struck", async |w| w.listed().await == 2).await;
}

#[tokio::test]
async fn what_a_dead_node_leaves_is_swept() {
    let mut world = World::of(2).await;
    let _ann = world.nodes[0].join("ghost", "ann").await;
    world.nodes[0].signal("KILL").await;
    world.nodes.remove(0);
    world
        .within(Duration::from_secs(60), "the ghost is gone", async |w| {
            let names: Vec<String> = w.redis.ask(Cmd::new().arg("KEYS").arg("*")).await;
            w.owner("ghost").await.is_none() && !names.iter().any(|n| n.contains("ghost") || n == "rooms")
        })
        .await;
    assert_eq!(world.listed().await, 1);
}

/// A node that stopped for a while, as a machine that is moved: others took its room, so it lets go.
#[tokio::test]
async fn a_node_that_wakes_up_gives_up_what_others_have_taken() {
    let world = World::of(2).await;
    let sleeper = world.nodes[0].join("r", "sleeper").await;
    let before = world.owner("r").await;
    world.nodes[0].signal("STOP").await;
    world
        .within(Duration::from_secs(10), "its entry goes stale", async |w| {
            w.nodes[1].api().create_room(&room("r")).await.is_ok() && w.owner("r").await != before
        })
        .await;
    let newcomer = rejoin(&[&world.nodes[1]], "r", "newcomer", PATIENCE).await;
    let after = world.owner("r").await;
    world.nodes[0].signal("CONT").await;
    let told = ended(&sleeper, PATIENCE).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. } | Ended::SignalLost(_)), "{told:?}");
    let _back = rejoin(&[&world.nodes[0]], "r", "sleeper", PATIENCE).await;
    newcomer.until("the sleeper is there", PATIENCE, |v| v.others.contains_key("sleeper")).await.unwrap();
    assert_eq!(world.owner("r").await, after);
}

fn room(name: &str) -> lkops::proto::CreateRoomRequest {
    lkops::proto::CreateRoomRequest { name: name.into(), ..Default::default() }
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
