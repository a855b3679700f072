//! People who come in at different nodes are in one room.

use super::server::{PATIENCE, assert_flawless, publish, receives, until_stats};
use super::world::{World, ended};
use lkops::client::Ended;
use lkops::client::Mode;
use lkops::proto::DisconnectReason;
use redis::Cmd;

#[tokio::test]
async fn two_on_two_nodes_hear_and_see_each_other() {
    let world = World::of(2).await;
    for mode in [Mode::Dual, Mode::Single] {
        let room = format!("{mode:?}");
        let join = async |node: usize, identity: &str| {
            let mut options = world.nodes[node].options(&room, identity);
            options.mode = mode;
            world.nodes[node].join_with(options).await
        };
        let (a, b) = (join(0, "a").await, join(1, "b").await);
        publish(&a).await;
        publish(&b).await;
        for (who, participant) in [("a", &a), ("b", &b)] {
            let stats = until_stats(participant, "both tracks of the other", |s| receives(s, 2, 25)).await;
            stats.received.iter().for_each(|track| assert_flawless(who, track));
        }
        assert_eq!(a.view().room.sid, b.view().room.sid);
    }
}

#[tokio::test]
async fn whoever_leaves_is_gone_from_the_store_and_the_last_one_takes_the_room_along() {
    let world = World::of(2).await;
    let a = world.nodes[0].join("r", "a").await;
    let b = world.nodes[1].join("r", "b").await;
    let stored = async |w: &World| w.redis.ask::<Vec<String>>(&Cmd::hkeys("room_participants:r")).await;
    assert_eq!(stored(&world).await.len(), 2, "the store has a participant before its client hears of it");
    b.leave().await.unwrap();
    a.until("b is gone", PATIENCE, |view| view.others.is_empty()).await.unwrap();
    world.until("b is gone from the store", async |w| stored(w).await == ["a"]).await;
    world.nodes[1].api().delete_room("r").await.unwrap();
    let deleted = ended(&a, PATIENCE).await;
    assert!(matches!(deleted, Ended::Dismissed { reason: DisconnectReason::RoomDeleted, .. }), "{deleted:?}");
    world.until("nothing is left of the room", async |w| w.owner("r").await.is_none()).await;
    let left: Vec<String> = world.redis.ask(Cmd::new().arg("KEYS").arg("*room*")).await;
    assert!(left.is_empty(), "{left:?}");
}
