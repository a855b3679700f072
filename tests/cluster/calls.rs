//! The server API on a node that has not got the room.

use super::server::{PATIENCE, publish};
use super::world::{World, ended};
use lkops::client::Ended;
use lkops::client::Participant;
use lkops::client::api::ApiError;
use lkops::proto::{CreateRoomRequest, DisconnectReason};
use serde_json::{Value, json};

/// What node 1 says of room `r`, which is on node 0.
async fn ask(world: &World, method: &str, request: Value) -> Result<Value, ApiError> {
    world.nodes[1].api().room_service(method, "r", &request).await
}

async fn told(world: &World, method: &str, request: Value) -> Value {
    ask(world, method, request).await.unwrap_or_else(|e| panic!("{method}: {e}\n{}", world.text()))
}

async fn refused(world: &World, method: &str, request: Value) -> (u16, String, String) {
    match ask(world, method, request).await.unwrap_err() {
        ApiError::Refused { status, code, message } => (status, code, message),
        other => panic!("{method}: {other}"),
    }
}

async fn world_with_ann() -> (World, Participant) {
    let world = World::of(2).await;
    let ann = world.nodes[0].join("r", "ann").await;
    (world, ann)
}

#[tokio::test]
async fn every_call_acts_on_the_node_with_the_room() {
    let (world, mut ann) = world_with_ann().await;
    publish(&ann).await;
    let who = json!({"room": "r", "identity": "ann"});
    assert_eq!(told(&world, "ListRooms", json!({})).await["rooms"][0]["num_participants"], 1);
    assert_eq!(told(&world, "ListParticipants", json!({"room": "r"})).await["participants"][0]["identity"], "ann");
    world
        .until("the store has the tracks", async |w| {
            told(w, "GetParticipant", who.clone()).await["tracks"].as_array().is_some_and(|t| t.len() == 2)
        })
        .await;
    let track = told(&world, "GetParticipant", who.clone()).await["tracks"][0]["sid"].clone();

    let room = told(&world, "UpdateRoomMetadata", json!({"room": "r", "metadata": "new"})).await;
    assert_eq!(room["metadata"], "new");
    ann.until("the metadata", PATIENCE, |v| v.room.metadata == "new").await.unwrap();
    let mut change = who.clone();
    change["name"] = "Ann".into();
    assert_eq!(told(&world, "UpdateParticipant", change).await["name"], "Ann");
    ann.until("the name", PATIENCE, |v| v.me.name == "Ann").await.unwrap();
    let mut mute = who.clone();
    (mute["trackSid"], mute["muted"]) = (track.clone(), true.into());
    assert_eq!(told(&world, "MutePublishedTrack", mute.clone()).await["track"]["muted"], true);
    mute["muted"] = false.into();
    let unmute = refused(&world, "MutePublishedTrack", mute).await;
    let expected = (412, "failed_precondition".to_owned(), "twirp error unknown: remote unmute not enabled".to_owned());
    assert_eq!(unmute, expected);
    let mut subscriptions = who.clone();
    (subscriptions["trackSids"], subscriptions["subscribe"]) = (json!([track]), false.into());
    told(&world, "UpdateSubscriptions", subscriptions).await;
    told(&world, "SendData", json!({"room": "r", "data": "aGV5", "kind": 0, "nonce": ""})).await;
    let (_, packet) = ann.next_data().await.unwrap();
    assert!(format!("{packet:?}").contains("104, 101, 121"), "{packet:?}");
    told(&world, "RemoveParticipant", who).await;
    let removed = ended(&ann, PATIENCE).await;
    assert!(matches!(removed, Ended::Dismissed { reason: DisconnectReason::ParticipantRemoved, .. }), "{removed:?}");
}

/// The reference's statuses and words (CLUSTER.md §1.10, §2.3).
#[tokio::test]
async fn what_is_nowhere_is_refused_as_by_the_reference() {
    let (world, _ann) = world_with_ann().await;
    let nobody = json!({"room": "r", "identity": "nobody"});
    for method in ["GetParticipant", "RemoveParticipant", "UpdateParticipant"] {
        let expected = (404, "not_found".to_owned(), "participant does not exist".to_owned());
        assert_eq!(refused(&world, method, nobody.clone()).await, expected, "{method}");
    }
    let (status, code, _) = refused(&world, "DeleteRoom", json!({"room": "nowhere"})).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let (status, code, _) = refused(&world, "UpdateSubscriptions", nobody).await;
    assert_eq!((status, code.as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn a_room_is_made_where_it_is_wanted_and_only_there() {
    let world = World::of(2).await;
    let other = world.redis.ask::<Vec<String>>(&redis::Cmd::hkeys("nodes")).await;
    let make = |node_id: &str| CreateRoomRequest { name: "r".into(), node_id: node_id.into(), ..Default::default() };
    let made = world.nodes[0].api().create_room(&make(&other[0])).await.unwrap();
    assert_eq!(world.owner("r").await.as_ref(), Some(&other[0]));
    for node in [0, 1, 0] {
        let again = world.nodes[node].api().create_room(&make(&other[1])).await.unwrap();
        assert_eq!(again.sid, made.sid);
    }
    let six = CreateRoomRequest { name: "six".into(), ..CreateRoomRequest::default() };
    let making = [0, 1, 0, 1, 0, 1].map(|node| {
        let (api, six) = (world.nodes[node].api(), six.clone());
        async move { api.create_room(&six).await.unwrap().sid }
    });
    let rooms = futures_util::future::join_all(making).await;
    assert!(rooms.iter().all(|sid| *sid == rooms[0]), "{rooms:?}");
}
