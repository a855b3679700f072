//! Measurements, for minutes on a machine that does nothing else:
//!
//!     LKOPS_SERVER=target/release/lkops cargo test --test cluster -- --ignored --nocapture --test-threads 1 tally

use super::drain::Cluster;
use super::server::{PATIENCE, engine, receives};
use super::world::{World, ended, rejoin};
use futures_util::future::join_all;
use lkops::client::media::VideoSource;
use lkops::client::{Options, Participant};
use lkops::proto::CreateRoomRequest;
use redis::Cmd;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// In each room of a move or a death.
const PEOPLE: usize = 3;

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// What is longer after a death is told with the log of the nodes.
const BACK: Duration = Duration::from_secs(5);

/// Ten small frames a second.
async fn film(somebody: &Participant) {
    let camera = VideoSource { fps: 10, ..VideoSource::p360(80_000) };
    if let Err(error) = somebody.publish_video("cam", camera).await {
        println!("{}: {error}: {:?}", somebody.view().me.identity, somebody.view().ended);
    }
}

/// False, and told of, if that takes too long.
async fn sees_the_others(somebody: &Participant) -> bool {
    let seen = async {
        while !somebody.stats().await.is_ok_and(|s| receives(&s, PEOPLE - 1, 1)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let sees = timeout(PATIENCE, seen).await.is_ok();
    if !sees {
        tell_of(somebody).await;
    }
    sees
}

/// What somebody should see and does.
async fn tell_of(somebody: &Participant) {
    let stats = somebody.stats().await.unwrap_or_default();
    let view = somebody.view().clone();
    let tracks = view.others.values().flat_map(|o| o.tracks.iter().map(|t| (&o.identity, &t.sid)));
    let received = stats.received.iter().map(|t| (&t.track_sid, t.packets, t.frames));
    let sent = stats.sent.iter().map(|t| (t.packets, t.frames, t.key_frames, t.plis));
    println!(
        "{} {} {}: others {:?}, received {:?}, sent {:?}, ended {:?}",
        view.room.name,
        view.me.identity,
        view.me.sid,
        tracks.collect::<Vec<_>>(),
        received.collect::<Vec<_>>(),
        sent.collect::<Vec<_>>(),
        view.ended
    );
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1].as_millis();
    println!("{what}: {} times, p50 {} ms, p95 {} ms, most {} ms", times.len(), at(50), at(95), at(100));
}

struct Move {
    /// Since the order.
    told: Duration,
    /// From then until media of all the others has come.
    away: Duration,
    sees: bool,
    back: Participant,
}

/// Told to go, comes back with the token it was handed.
async fn moved(was: Participant, via: &str, began: Instant) -> Move {
    ended(&was, 3 * PATIENCE).await;
    let told = began.elapsed();
    let token = was.view().token.clone().expect("a token to come back with");
    drop(was);
    let back = Participant::join(engine(), Options::new(via, token)).await.unwrap();
    back.connected(3 * PATIENCE).await.unwrap();
    film(&back).await;
    let sees = sees_the_others(&back).await;
    Move { told, away: began.elapsed() - told, sees, back }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn sixty_rooms_move_at_once() {
    let mut cluster = Cluster::of(3).await;
    let mut people = Vec::new();
    for room in 0..60 {
        let room = format!("r{room}");
        cluster.create(&room, 0).await;
        let nodes = &cluster.world.nodes;
        let joins = nodes.iter().zip(["a", "b", "c"]).map(|(node, who)| node.join(&room, who));
        let here = join_all(joins).await;
        join_all(here.iter().map(film)).await;
        people.extend(here);
    }
    join_all(people.iter().map(sees_the_others)).await;
    let began = now();
    let draining = cluster.spawn(&["drain", &cluster.ids[0], "--move", "--yes", "--wait"]);
    let vias = [&cluster.world.nodes[1].url, &cluster.world.nodes[2].url];
    let returns = people.into_iter().enumerate().map(|(n, p)| moved(p, vias[n % 2], began));
    let moves = join_all(returns).await;
    told("from the order to the last leave", vec![moves.iter().map(|m| m.told).max().unwrap()]);
    told("60 rooms of 3 moved, from leave to media of both others", moves.iter().map(|m| m.away).collect());
    assert_eq!(cluster.world.nodes[0].exit().await.code(), Some(0));
    println!("{:?}, after {:?}", draining.await.unwrap(), began.elapsed());
    let lacking = moves.iter().filter(|m| !m.sees).map(|m| tell_of(&m.back));
    if !join_all(lacking).await.is_empty() {
        println!("{}", cluster.world.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn nodes_are_killed_one_after_another() {
    const KILLS: usize = 12;
    let mut world = World::of(3).await;
    let mut times = Vec::new();
    for kill in 0..KILLS {
        let room = format!("r{kill}");
        let mut people = vec![world.nodes[0].join(&room, "a").await];
        people.push(world.nodes[1].join(&room, "b").await);
        people.push(world.nodes[2].join(&room, "c").await);
        join_all(people.iter().map(film)).await;
        join_all(people.iter().map(sees_the_others)).await;
        world.settled().await;
        world.nodes[0].signal("KILL").await;
        let died = now();
        let living = [&world.nodes[1], &world.nodes[2]];
        let returns = people.iter().zip(["a", "b", "c"]).map(|(was, identity)| {
            let room = &room;
            async move {
                ended(was, PATIENCE).await;
                let back = rejoin(&living, room, identity, PATIENCE).await;
                film(&back).await;
                sees_the_others(&back).await;
                (died.elapsed(), back)
            }
        });
        let back = join_all(returns).await;
        println!("{:?}", back.iter().map(|(time, _)| time.as_millis()).collect::<Vec<_>>());
        if back.iter().any(|(time, _)| *time > BACK) {
            println!("{}", world.text());
        }
        times.extend(back.iter().map(|(time, _)| *time));
        world.nodes.remove(0);
        let next = world.node().await;
        world.add(next);
    }
    told("kill -9 of the node with the room, to media of both others", times);
}

/// Commands Redis was sent so far, by name.
async fn commands(world: &World) -> BTreeMap<String, u64> {
    let info: String = world.redis.ask(Cmd::new().arg(&["INFO", "commandstats"])).await;
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    info.lines().filter_map(line).collect()
}

/// Of each node in each second, and all of it by name.
async fn rate(what: &str, world: &World) {
    const SECONDS: u32 = 20;
    let before = commands(world).await;
    sleep(Duration::from_secs(SECONDS.into())).await;
    let after = commands(world).await;
    let per = |calls: u64| calls as f64 / f64::from(SECONDS) / world.nodes.len() as f64;
    let own = ["info", "hello", "client|setinfo"];
    let sent = after.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let rates: Vec<(&String, f64)> =
        sent.map(|(n, calls)| (n, per(calls - before.get(n).unwrap_or(&0)))).filter(|(_, r)| *r > 0.0).collect();
    let all: f64 = rates.iter().map(|(_, rate)| rate).sum();
    let each = rates.iter().map(|(name, rate)| format!("{name} {rate:.2}")).collect::<Vec<_>>().join(", ");
    println!("{what}: {all:.1} commands a second and node ({each})");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn redis_is_asked_so_often() {
    let mut world = World::of(1).await;
    world.settled().await;
    rate("one idle node", &world).await;
    for _ in 0..2 {
        let node = world.node().await;
        world.add(node);
    }
    world.settled().await;
    rate("three idle nodes", &world).await;
    let before = commands(&world).await;
    for room in 0..300 {
        let request = CreateRoomRequest { name: format!("empty{room}"), ..CreateRoomRequest::default() };
        world.nodes[room % 3].api().create_room(&request).await.unwrap();
    }
    let sum = |commands: BTreeMap<String, u64>| commands.values().sum::<u64>();
    println!("300 rooms created: {:.1} commands each", (sum(commands(&world).await) - sum(before)) as f64 / 300.0);
    rate("three nodes, 100 empty rooms each", &world).await;
    for relayed in [0, 1] {
        let before = commands(&world).await;
        let joins = (0..30).map(|n| {
            let (room, node) = (format!("talk{}", n % 3), (n % 3 + relayed) % 3);
            let world = &world;
            async move { world.nodes[node].join(&room, &format!("p{relayed}-{n}")).await }
        });
        let people = join_all(joins).await;
        let where_ = if relayed == 0 { "joins at the node with the room" } else { "joins through another node" };
        println!("30 {where_}: {:.1} commands each", (sum(commands(&world).await) - sum(before)) as f64 / 30.0);
        rate("three nodes, ten people more each", &world).await;
        std::mem::forget(people);
    }
}
