//! Draining by command: real nodes on a real Redis, the real command, people with media.

use super::lkops::{Run, lkops};
use super::server::{PATIENCE, Server, engine, publish, receives, until_stats};
use super::world::{World, ended};
use lkops::client::api::ApiError;
use lkops::client::{ClientError, Ended, Options, Participant, SignalError, View};
use lkops::proto::leave_request::Action;
use lkops::proto::{CreateRoomRequest, DisconnectReason, ParticipantInfo, UpdateParticipantRequest};
use serde_json::Value;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, interval, timeout};

/// What people whose room moves may be without media.
const AWAY: Duration = Duration::from_secs(2);

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// A cluster with its operator.
pub struct Cluster {
    pub world: World,
    pub ids: Vec<String>,
}

impl Cluster {
    pub async fn of(count: usize) -> Cluster {
        let world = World::of(count).await;
        let ids = (0..count).map(|node| world.id(node)).collect();
        let cluster = Cluster { world, ids };
        for node in 0..count {
            cluster.in_state(node, "serving").await;
        }
        cluster
    }

    async fn add(&mut self) {
        let node = self.world.node().await;
        self.world.nodes.push(node);
        self.ids.push(self.world.id(self.world.nodes.len() - 1));
        self.in_state(self.ids.len() - 1, "serving").await;
    }

    /// Runs a command on this cluster beside the test.
    pub fn spawn(&self, args: &[&str]) -> JoinHandle<Run> {
        let address = format!("127.0.0.1:{}", self.world.redis.port);
        let args: Vec<String> = args.iter().chain(&["--redis-host", &address]).map(|a| (*a).to_owned()).collect();
        spawn_blocking(move || lkops(&args.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    async fn run(&self, args: &[&str]) -> Run {
        timeout(4 * PATIENCE, self.spawn(args)).await.expect("the command ends").unwrap()
    }

    /// Asks `lkops nodes` until it satisfies.
    async fn listed(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let mut looks = interval(Duration::from_millis(50));
        let mut nodes = Vec::new();
        let looking = async {
            loop {
                looks.tick().await;
                nodes = self.run(&["nodes", "-o", "json"]).await.json().as_array().unwrap().clone();
                if holds(&nodes) {
                    return;
                }
            }
        };
        let done = timeout(2 * PATIENCE, looking).await;
        assert!(done.is_ok(), "not in time: {what}\n{nodes:#?}");
    }

    async fn in_state(&self, at: usize, state: &str) {
        let id = self.ids[at].clone();
        self.listed(state, |nodes| nodes.iter().any(|n| n["id"] == id.as_str() && n["state"] == state)).await;
    }

    /// The node a room is on.
    async fn host_of(&self, room: &str) -> Option<String> {
        let rooms = self.run(&["nodes", "rooms", "-o", "json"]).await.json();
        let found = rooms.as_array().unwrap().iter().find(|r| r["room"] == room).cloned();
        found.map(|r| r["node"].as_str().unwrap().to_owned())
    }

    /// Begins a room on that node.
    pub async fn create(&self, room: &str, at: usize) {
        let request = CreateRoomRequest {
            name: room.into(),
            node_id: self.ids[at].clone(),
            metadata: "agenda".into(),
            ..CreateRoomRequest::default()
        };
        self.world.nodes[at].api().create_room(&request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_waits_for_its_people_and_ends() {
    let mut cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let ann = cluster.world.nodes[0].join("r", "ann").await;
    let draining = cluster.spawn(&["drain", &cluster.ids[0], "--yes", "--wait"]);
    cluster.in_state(0, "draining").await;
    let bob = cluster.world.nodes[1].join("r", "bob").await;
    let sees_ann = |view: &View| view.others.contains_key("ann");
    bob.until("ann is there", PATIENCE, sees_ann).await.unwrap();
    cluster.world.nodes[0].join("new", "cid").await.leave().await.unwrap();
    assert_eq!(cluster.host_of("new").await.as_ref(), Some(&cluster.ids[1]), "new rooms go elsewhere");
    ann.leave().await.unwrap();
    bob.leave().await.unwrap();
    assert_eq!(cluster.world.nodes[0].exit().await.code(), Some(0));
    let run = draining.await.unwrap();
    assert!(run.err.contains("in 1 room left: r ("), "{run:?}");
    assert_eq!(run.ok(), format!("{} ended\n", cluster.ids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_undone_and_a_cordon_too() {
    let mut cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let ann = cluster.world.nodes[0].join("r", "ann").await;
    let id = cluster.ids[0].clone();
    assert_eq!(cluster.run(&["drain", &id, "--yes"]).await.ok(), format!("{id} draining\n"));
    cluster.in_state(0, "draining").await;
    assert!(cluster.run(&["cordon", &id]).await.failed(1)[0].contains("cancel the drain first"));
    assert_eq!(cluster.run(&["drain", &id, "--cancel"]).await.ok(), format!("{id} serving\n"));
    cluster.in_state(0, "serving").await;
    assert!(cluster.run(&["drain", &id, "--cancel"]).await.failed(1)[0].contains("nothing to cancel"));
    assert_eq!(cluster.run(&["cordon", &id]).await.ok(), format!("{id} cordoned\n"));
    cluster.in_state(0, "cordoned").await;
    cluster.world.nodes[0].join("new", "bob").await;
    assert_eq!(cluster.host_of("new").await.as_ref(), Some(&cluster.ids[1]));
    assert_eq!(cluster.run(&["uncordon", &id]).await.ok(), format!("{id} serving\n"));
    ann.leave().await.unwrap();
    assert!(cluster.world.nodes[0].is_alive(), "what was undone leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stay_it_is_empty_and_comes_back() {
    let mut cluster = Cluster::of(2).await;
    let id = cluster.ids[0].clone();
    let drained = cluster.run(&["drain", &id, "--stay", "--yes", "--wait"]).await.ok();
    assert_eq!(drained, format!("{id} drained\n"));
    assert!(cluster.world.nodes[0].is_alive());
    assert_eq!(cluster.run(&["drain", &id, "--cancel"]).await.ok(), format!("{id} serving\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_done_in_time_is_code_4() {
    let cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let _ann = cluster.world.nodes[0].join("r", "ann").await;
    let run = cluster.run(&["drain", &cluster.ids[0], "--yes", "--wait", "--timeout", "3s"]).await;
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.err.contains(&format!("{} still has 1 person", cluster.ids[0])), "{run:?}");
}

/// Comes back with the token it was handed, through a node that stays, as behind one balancer.
async fn come_back(was: Participant, via: &Server, at: Instant) -> (Participant, Duration) {
    let told = Ended::Dismissed { reason: DisconnectReason::Migration, action: Action::Reconnect };
    assert_eq!(ended(&was, 2 * PATIENCE).await, told);
    let dismissed = at.elapsed();
    let token = was.view().token.clone().expect("a token to come back with");
    let back = Participant::join(engine(), Options::new(&via.url, token)).await.unwrap();
    back.connected(PATIENCE).await.unwrap();
    publish(&back).await;
    (back, dismissed)
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_people_see_media_again_as_who_they_are() {
    const PEOPLE: usize = 6;
    let mut cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let began = now();
    let joins = (0..PEOPLE).map(|n| {
        let node = &cluster.world.nodes[n % 2];
        async move {
            let somebody = node.join("r", &format!("p{n}")).await;
            publish(&somebody).await;
            until_stats(&somebody, "everybody is heard", |s| receives(s, 2 * (PEOPLE - 1), 1)).await;
            somebody
        }
    });
    let people = futures_util::future::join_all(joins).await;
    let join = began.elapsed();
    let update = UpdateParticipantRequest {
        room: "r".into(),
        identity: "p0".into(),
        metadata: "host".into(),
        ..UpdateParticipantRequest::default()
    };
    let told: ParticipantInfo =
        cluster.world.nodes[1].api().room_service("UpdateParticipant", "r", &update).await.unwrap();
    assert_eq!(told.metadata, "host");
    let sid = people[0].view().room.sid.clone();

    let began = now();
    let draining = cluster.spawn(&["drain", &cluster.ids[0], "--move", "--yes", "--wait"]);
    let stays = &cluster.world.nodes[1];
    let returns = people.into_iter().map(|p| async {
        let (back, dismissed) = come_back(p, stays, began).await;
        until_stats(&back, "media again", |s| receives(s, 2 * (PEOPLE - 1), 1)).await;
        let away = began.elapsed() - dismissed;
        (back, away)
    });
    let mut back = futures_util::future::join_all(returns).await;
    back.sort_by_key(|(_, away)| *away);
    let away: Vec<Duration> = back.iter().map(|(_, away)| *away).collect();
    println!("from leave to media of all others: {away:?}; when they all joined first: {join:?}");
    // Where joining takes long, so does joining again.
    let most = AWAY.max(3 * join);
    assert!(away.iter().all(|away| *away < most), "{away:?}, {join:?}\n{}", cluster.world.text());

    assert_eq!(cluster.host_of("r").await.as_ref(), Some(&cluster.ids[1]));
    let host = back.iter().find(|(p, _)| p.view().me.identity == "p0").unwrap();
    assert_eq!(host.0.view().me.metadata, "host", "metadata goes with its owner");
    let room = host.0.view().room.clone();
    assert_eq!((room.sid, room.metadata.as_str()), (sid, "agenda"), "the room is the same room");
    assert_eq!(cluster.world.nodes[0].exit().await.code(), Some(0));
    assert_eq!(draining.await.unwrap().ok(), format!("{} ended\n", cluster.ids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_replaced_node_by_node_and_never_has_nobody() {
    let mut cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let ann = cluster.world.nodes[0].join("r", "ann").await;
    let mut ids = cluster.ids.clone();
    ids.sort();
    let rolling = cluster.spawn(&["drain", "--all", "--one-at-a-time", "--move", "--yes"]);
    // Nothing is left to move to until a successor comes.
    let first = cluster.ids.iter().position(|id| *id == ids[0]).unwrap();
    cluster.world.nodes[first].exit().await;
    cluster.add().await;
    let second = cluster.ids.iter().position(|id| *id == ids[1]).unwrap();
    cluster.world.nodes[second].exit().await;
    ended(&ann, PATIENCE).await;
    let run = rolling.await.unwrap();
    assert_eq!(run.code, Some(0), "{run:?}\n{}", cluster.world.text());
    assert_eq!(run.out, format!("{} ended\n{} ended\n", ids[0], ids[1]));
    cluster.in_state(2, "serving").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_sends_people_on_and_those_nobody_takes_away() {
    let mut cluster = Cluster::of(1).await;
    cluster.create("r", 0).await;
    let ann = cluster.world.nodes[0].join("r", "ann").await;
    let run = cluster.run(&["drain", &cluster.ids[0], "--move", "--deadline", "1s", "--yes", "--wait"]).await;
    assert!(run.err.contains("no other node serves"), "{run:?}");
    assert_eq!(run.ok(), format!("{} ended\n", cluster.ids[0]));
    let dismissed = Ended::Dismissed { reason: DisconnectReason::ServerShutdown, action: Action::Disconnect };
    assert_eq!(ended(&ann, PATIENCE).await, dismissed);
    assert_eq!(cluster.world.nodes[0].exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_no_node_is_told_why_of_each() {
    let cluster = Cluster::of(1).await;
    let id = cluster.ids[0].clone();
    cluster.run(&["cordon", &id]).await.ok();
    cluster.in_state(0, "cordoned").await;
    let why = format!("could not find any available nodes: {id}: SUSPENDED");
    let node = &cluster.world.nodes[0];
    let refused = Participant::join(engine(), node.options("new", "ann")).await.err();
    let Some(ClientError::Signal(SignalError::Refused { status, text })) = refused else { panic!("{refused:?}") };
    assert_eq!((status, text.trim()), (500, why.as_str()));
    let request = CreateRoomRequest { name: "new".into(), ..CreateRoomRequest::default() };
    let refused = node.api().create_room(&request).await.unwrap_err();
    assert!(matches!(&refused, ApiError::Refused { status: 500, message, .. } if *message == why), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_deadline_whoever_is_left_goes_on_elsewhere() {
    let mut cluster = Cluster::of(2).await;
    cluster.create("r", 0).await;
    let ann = cluster.world.nodes[1].join("r", "ann").await;
    let draining = cluster.spawn(&["drain", &cluster.ids[0], "--deadline", "2s", "--yes", "--wait"]);
    cluster.in_state(0, "draining").await;
    let (ann, _) = come_back(ann, &cluster.world.nodes[1], Instant::now()).await;
    assert_eq!(cluster.host_of("r").await.as_ref(), Some(&cluster.ids[1]));
    assert_eq!(ann.view().room.metadata, "agenda");
    assert_eq!(cluster.world.nodes[0].exit().await.code(), Some(0));
    assert_eq!(draining.await.unwrap().ok(), format!("{} ended\n", cluster.ids[0]));
}
