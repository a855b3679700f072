//! Twenty people on three nodes through everything that can become of Redis: nobody is to see it.

use super::redis_link::Weather;
use super::server::{PATIENCE, goes_on, receives};
use super::world::{World, get, overflowed};
use futures_util::future::join_all;
use lkops::client::Participant;
use lkops::client::media::VideoSource;
use redis::Cmd;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const PEOPLE: usize = 20;
const NODES: usize = 3;

/// Of each camera. All see all, so 3,800 packets a second go through the node with the room.
const FPS: u32 = 10;

/// Frames of everybody that everybody sees while Redis is disturbed: five seconds.
const DISTURBED: u64 = 5 * FPS as u64;

/// The store is right again within this after Redis is back.
const RIGHT: Duration = Duration::from_secs(5);

struct Meeting {
    world: World,
    people: Vec<Participant>,
    rows: Vec<Row>,
    /// Counts what is told to everybody, to tell news from old news.
    news: usize,
}

/// What became of the meeting under one disturbance.
struct Row {
    what: &'static str,
    packets: u64,
    lost: u64,
    /// Datagrams for which a socket had no room, on the whole machine: the only way to lose one on loopback.
    overflowed: u64,
    /// From the end of the disturbance until all knew what was then told through a node that has not got the room.
    told: Duration,
}

impl Meeting {
    async fn begin() -> Meeting {
        let world = World::linked(NODES).await;
        let mut people = vec![world.nodes[0].join("r", "p0").await];
        let joins = (1..PEOPLE).map(|n| {
            let node = &world.nodes[n % NODES];
            async move { node.join("r", &format!("p{n}")).await }
        });
        people.extend(join_all(joins).await);
        for somebody in &people {
            let camera = VideoSource { fps: FPS, ..VideoSource::p360(80_000) };
            somebody.publish_video("cam", camera).await.unwrap();
        }
        // Twenty joins at once are much for a machine that has other work as well.
        let seen = people.iter().map(|p| async {
            while !p.stats().await.is_ok_and(|s| receives(&s, PEOPLE - 1, 3)) {
                sleep(Duration::from_millis(100)).await;
            }
        });
        timeout(3 * PATIENCE, join_all(seen)).await.expect("all are seen");
        world.settled().await;
        Meeting { world, people, rows: Vec::new(), news: 0 }
    }

    /// Packets that came, and packets that did not.
    async fn counts(&self) -> (u64, u64) {
        let stats = join_all(self.people.iter().map(|p| async { p.stats().await.unwrap() })).await;
        let tracks = || stats.iter().flat_map(|s| &s.received);
        (tracks().map(|t| t.packets).sum(), tracks().map(|t| t.lost).sum())
    }

    async fn everybody_goes_on(&self, frames: u64) {
        join_all(self.people.iter().map(|p| goes_on(p, frames))).await;
    }

    /// Tells everybody something through the last node, which has not got the room.
    async fn tell(&mut self) {
        self.news += 1;
        let news = format!("news {}", self.news);
        let request = json!({"room": "r", "metadata": news});
        let through = async |w: &World| {
            let api = w.nodes[NODES - 1].api();
            api.room_service::<Value, Value>("UpdateRoomMetadata", "r", &request).await.is_ok()
        };
        self.world.until("a call gets through", through).await;
        for somebody in &self.people {
            somebody.until("the news", PATIENCE, |v| v.room.metadata == news).await.unwrap();
        }
    }

    #[allow(clippy::disallowed_methods)]
    async fn under(
        &mut self,
        what: &'static str,
        begin: impl AsyncFnOnce(&mut World),
        end: impl AsyncFnOnce(&mut World),
    ) {
        let (before, full_before) = (self.counts().await, overflowed());
        begin(&mut self.world).await;
        self.everybody_goes_on(DISTURBED).await;
        for node in &self.world.nodes {
            assert_eq!(get(node, "/").await.0, 200, "{what}: nothing that befalls redis makes a node unhealthy");
        }
        end(&mut self.world).await;
        let over = Instant::now();
        self.world.within(RIGHT, what, async |w| is_right(w).await).await;
        self.tell().await;
        let told = over.elapsed();
        self.everybody_goes_on(1).await;
        let after = self.counts().await;
        let (packets, lost) = (after.0 - before.0, after.1 - before.1);
        self.rows.push(Row { what, packets, lost, overflowed: overflowed() - full_before, told });
        for somebody in &self.people {
            assert_eq!(somebody.view().ended, None, "{what}\n{}", self.world.text());
        }
    }

    fn print(&self) {
        println!("{:<44} {:>9} {:>6} {:>10} {:>13}", "redis", "packets", "lost", "overflowed", "all told, ms");
        for Row { what, packets, lost, overflowed, told } in &self.rows {
            println!("{what:<44} {packets:>9} {lost:>6} {overflowed:>10} {:>13}", told.as_millis());
        }
    }
}

/// The store has all nodes, the room and everybody in it.
async fn is_right(world: &World) -> bool {
    world.owner("r").await == Some(world.id(0))
        && world.listed().await == NODES
        && world.redis.ask::<usize>(&Cmd::hlen("room_participants:r")).await == PEOPLE
        && world.redis.ask::<bool>(&Cmd::hexists("rooms", "r")).await
}

async fn nothing(_: &mut World) {}

async fn well(world: &mut World) {
    world.weather_everywhere(Weather::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_people_lose_nothing_whatever_becomes_of_redis() {
    let slow = Weather { delay: Duration::from_secs(1), ..Weather::default() };
    let rough = Weather { loses: 0.2, repeats: 0.2, ..Weather::default() };
    let stopped = Weather { is_stopped: true, ..Weather::default() };
    let cut = Weather { is_cut: true, ..Weather::default() };
    let mut meeting = Meeting::begin().await;
    meeting.under("undisturbed", nothing, nothing).await;
    meeting
        .under("SIGSTOP, SIGCONT", async |w| w.redis.signal("STOP").await, async |w| w.redis.signal("CONT").await)
        .await;
    let pause = async |w: &mut World| w.redis.ask::<()>(Cmd::new().arg(&["CLIENT", "PAUSE", "4000", "ALL"])).await;
    meeting.under("CLIENT PAUSE, 4 s", pause, nothing).await;
    meeting.under("SIGKILL, started again empty", async |w| w.redis.kill().await, async |w| w.redis.run().await).await;
    meeting.under("FLUSHALL", async |w| w.redis.ask::<()>(Cmd::new().arg("FLUSHALL")).await, nothing).await;
    meeting.under("answers 2 s later", async |w| w.weather_everywhere(slow), well).await;
    meeting.under("a fifth of the messages lost, a fifth twice", async |w| w.weather_everywhere(rough), well).await;
    meeting.under("cut off from all nodes", async |w| w.weather_everywhere(cut), well).await;
    meeting.under("unreachable from a node with sockets", async |w| w.weather(1, stopped), well).await;
    meeting.print();
    for Row { what, lost, overflowed, .. } in &meeting.rows {
        // One that is lost on the way up is missing for everybody.
        assert!(*lost <= overflowed * PEOPLE as u64, "{what}: {lost} lost, and no socket was full");
    }
}
