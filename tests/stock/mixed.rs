//! What works across the two.

use super::server::{PATIENCE, goes_on, publish, receives, until_stats};
use super::stock_server::StockServer;
use super::world::{World, ended, rejoin};
use lkops::client::api::Api;
use lkops::client::{Ended, Participant};
use lkops::proto::{CreateRoomRequest, DisconnectReason};
use serde_json::{Value, json};
use std::time::Duration;

/// Which of the two is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    Ours,
    Stock,
}

impl Node {
    fn other(self) -> Node {
        if self == Node::Ours { Node::Stock } else { Node::Ours }
    }
}

pub struct Mixed {
    pub world: World,
    pub stock: StockServer,
}

impl Mixed {
    pub async fn start() -> Mixed {
        let world = World::of(1).await;
        let stock = StockServer::start(world.redis.port).await;
        world.until("both are listed", async |w| w.listed().await == 2).await;
        Mixed { world, stock }
    }

    pub fn api(&self, node: Node) -> Api {
        match node {
            Node::Ours => self.world.nodes[0].api(),
            Node::Stock => self.stock.api(),
        }
    }

    pub async fn join(&self, node: Node, room: &str, identity: &str) -> Participant {
        match node {
            Node::Ours => self.world.nodes[0].join(room, identity).await,
            Node::Stock => self.stock.join(room, identity).await,
        }
    }

    pub async fn id(&self, node: Node) -> String {
        let ids: Vec<String> = self.world.redis.ask(&redis::Cmd::hkeys("nodes")).await;
        let ours = self.world.nodes[0].text();
        ids.into_iter().find(|id| ours.contains(id.as_str()) == (node == Node::Ours)).unwrap()
    }

    /// A room on that node, made through the other.
    pub async fn room_on(&self, node: Node) -> String {
        let request =
            CreateRoomRequest { name: format!("on-{node:?}"), node_id: self.id(node).await, ..Default::default() };
        let room = self.api(node.other()).create_room(&request).await.unwrap();
        assert_eq!(self.world.owner(&room.name).await, Some(self.id(node).await));
        room.name
    }
}

async fn call(api: &Api, method: &str, room: &str, request: Value) -> Value {
    api.room_service::<Value, Value>(method, room, &request).await.unwrap_or_else(|e| panic!("{method}: {e}"))
}

#[tokio::test]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn people_at_either_meet_in_rooms_on_either() {
    let mixed = Mixed::start().await;
    for host in [Node::Ours, Node::Stock] {
        let room = mixed.room_on(host).await;
        let (a, b) = (mixed.join(Node::Ours, &room, "a").await, mixed.join(Node::Stock, &room, "b").await);
        publish(&a).await;
        publish(&b).await;
        for participant in [&a, &b] {
            until_stats(participant, "both tracks of the other", |s| receives(s, 2, 25)).await;
        }
        println!("room on {host:?}: people at both nodes hear and see each other");
    }
}

#[tokio::test]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn the_server_api_of_either_acts_on_rooms_of_the_other() {
    let mixed = Mixed::start().await;
    for host in [Node::Ours, Node::Stock] {
        let room = mixed.room_on(host).await;
        let front = mixed.api(host.other());
        let a = mixed.join(host, &room, "a").await;
        let mic = a.publish_audio("mic", Default::default()).await.unwrap();
        let who = json!({"room": room, "identity": "a"});
        mixed.world.until("it is listed", async |_| front.list_participants(&room).await.unwrap().len() == 1).await;
        mixed
            .world
            .until("the count", async |_| front.list_rooms().await.unwrap().iter().any(|r| r.num_participants == 1))
            .await;
        let updated = call(&front, "UpdateRoomMetadata", &room, json!({"room": room, "metadata": "m"})).await;
        assert_eq!(updated["metadata"], "m");
        a.until("the metadata", PATIENCE, |v| v.room.metadata == "m").await.unwrap();
        let muted = json!({"room": room, "identity": "a", "trackSid": mic, "muted": true});
        assert_eq!(call(&front, "MutePublishedTrack", &room, muted).await["track"]["muted"], true);
        let renamed = json!({"room": room, "identity": "a", "name": "Ann"});
        assert_eq!(call(&front, "UpdateParticipant", &room, renamed).await["name"], "Ann");
        call(&front, "SendData", &room, json!({"room": room, "data": "aGV5"})).await;
        call(&front, "RemoveParticipant", &room, who).await;
        let removed = ended(&a, PATIENCE).await;
        assert!(
            matches!(removed, Ended::Dismissed { reason: DisconnectReason::ParticipantRemoved, .. }),
            "{removed:?}"
        );
        front.delete_room(&room).await.unwrap();
        mixed.world.until("it is gone", async |w| w.owner(&room).await.is_none()).await;
        println!("room on {host:?}: nine calls through the other node");
    }
}

/// A rolling replacement: the room's node goes, its people come to the other, whichever goes first.
#[tokio::test]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn people_of_a_killed_stock_node_are_back_on_ours() {
    let mut mixed = Mixed::start().await;
    mixed.world.settled().await;
    let room = mixed.room_on(Node::Stock).await;
    let there = mixed.join(Node::Ours, &room, "there").await;
    let sid = there.view().room.sid.clone();
    mixed.stock.kill().await;
    let told = ended(&there, Duration::from_secs(5)).await;
    assert!(matches!(told, Ended::Dismissed { .. }), "{told:?}");
    let back = rejoin(&[&mixed.world.nodes[0]], &room, "there", Duration::from_secs(5)).await;
    assert_eq!(back.view().room.sid, sid);
    let stock = StockServer::start(mixed.world.redis.port).await;
    let other = stock.join(&room, "other").await;
    publish(&back).await;
    until_stats(&other, "media through the new node", |s| receives(s, 2, 25)).await;
}

/// A draining stock node keeps its call; new rooms come to ours.
#[tokio::test]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn a_draining_stock_node_gets_no_new_rooms() {
    let mixed = Mixed::start().await;
    let room = mixed.room_on(Node::Stock).await;
    let (a, b) = (mixed.join(Node::Stock, &room, "a").await, mixed.join(Node::Ours, &room, "b").await);
    publish(&a).await;
    until_stats(&b, "media flows", |s| receives(s, 2, 10)).await;
    mixed.stock.terminate().await;
    goes_on(&b, 40).await;
    mixed.api(Node::Ours).create_room(&CreateRoomRequest { name: "new".into(), ..Default::default() }).await.unwrap();
    assert_eq!(mixed.world.owner("new").await, Some(mixed.id(Node::Ours).await));
    let c = mixed.join(Node::Ours, &room, "c").await;
    c.until("the others", PATIENCE, |v| v.others.len() == 2).await.unwrap();
}
