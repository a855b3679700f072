//! A node that cannot reach Redis while the others can: its room is served twice until it finds out, and once again then.

use super::redis_link::Weather;
use super::server::{PATIENCE, publish, receives, until_stats};
use super::world::{World, ended, rejoin};
use lkops::client::Ended;
use lkops::proto::leave_request::Action;
use redis::Cmd;
use std::time::Duration;

/// From the end of the division until all are in one room.
const ONE_AGAIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_taken_over_meanwhile_is_one_again() {
    let world = World::linked(3).await;
    let here = world.nodes[0].join("r", "here").await;
    let there = world.nodes[1].join("r", "there").await;
    publish(&here).await;
    until_stats(&there, "media flows", |s| receives(s, 2, 10)).await;
    world.settled().await;

    world.weather(0, Weather { is_stopped: true, ..Weather::default() });
    let told = ended(&there, PATIENCE).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", world.text());
    let others = [&world.nodes[1], &world.nodes[2]];
    let there = rejoin(&others, "r", "there", PATIENCE).await;
    let owner = world.owner("r").await;
    assert_ne!(owner, Some(world.id(0)), "a node that nobody hears has no rooms");
    assert_eq!(here.view().ended, None, "whoever is on the cut-off node keeps what there is");

    world.weather(0, Weather::default());
    let told = ended(&here, ONE_AGAIN).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", world.text());
    let here = rejoin(&[&world.nodes[0]], "r", "here", PATIENCE).await;
    publish(&here).await;
    until_stats(&there, "media in one room", |s| receives(s, 2, 10)).await;
    assert_eq!(world.owner("r").await, owner);
    let recorded: Vec<String> = world.redis.ask(&Cmd::hkeys("room_participants:r")).await;
    assert_eq!(recorded.len(), 2, "{recorded:?}");
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
        let there = rejoin(&[&world.nodes[1]], "r", &identity, 3 * PATIENCE).await;
        publish(&there).await;
        until_stats(&here, "media flows", |s| receives(s, 2, 5)).await;
        assert_eq!(there.view().others.len(), 1, "nobody is there twice");
        there.leave().await.unwrap();
        // If even the last word is lost, their media tells.
        here.until("they have gone", 3 * PATIENCE, |v| v.others.is_empty()).await.unwrap();
    }
    assert_eq!(here.view().ended, None);
}
