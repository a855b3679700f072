//! Nodes, a Redis and people, on a virtual clock, all from one seed.

use super::node::{Node, Session};
use super::redis::Redis;
use super::rooms::{Air, MEDIA_TIMEOUT};
use super::store::text;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub nodes: usize,
    pub rooms: usize,
    pub people: usize,
}

pub struct World {
    pub redis: Redis,
    pub nodes: RefCell<Vec<Arc<Node>>>,
    seed: u64,
    air: Arc<Air>,
    began: Instant,
    lines: RefCell<usize>,
    /// People stay where they are while it is.
    pub is_calm: watch::Sender<bool>,
    pub rng: RefCell<StdRng>,
    /// What happened, when: the same for the same seed.
    pub story: RefCell<Vec<String>>,
    /// The longest that somebody who wanted to be in a room was in none.
    pub longest_absence: RefCell<Duration>,
}

impl World {
    pub async fn new(size: Size, seed: u64) -> Rc<World> {
        let world = Rc::new(World {
            redis: Redis::start(seed),
            nodes: RefCell::default(),
            seed,
            air: Arc::default(),
            began: Instant::now(),
            lines: RefCell::default(),
            is_calm: watch::Sender::new(false),
            rng: RefCell::new(StdRng::seed_from_u64(seed)),
            story: RefCell::default(),
            longest_absence: RefCell::default(),
        });
        world.redis.follow();
        for _ in 0..size.nodes {
            world.start_node().await;
        }
        for person in 0..size.people {
            tokio::task::spawn_local(world.clone().live(person, size.rooms));
        }
        world
    }

    /// Tried until Redis lets it in.
    pub async fn start_node(&self) {
        let line = self.lines.replace_with(|n| *n + 1);
        let seed = self.seed.wrapping_mul(1000) + line as u64;
        let node = loop {
            if let Some(node) = Node::start(&self.redis, line, seed, self.air.clone()).await {
                break node;
            }
            sleep(Duration::from_millis(200)).await;
        };
        self.tell(format!("{} begins", node.id));
        self.nodes.borrow_mut().push(node);
    }

    pub fn remove(&self, node: &Arc<Node>) {
        self.nodes.borrow_mut().retain(|n| n.id != node.id);
    }

    pub fn any_node(&self) -> Arc<Node> {
        self.nodes.borrow().choose(&mut *self.rng.borrow_mut()).expect("there are nodes").clone()
    }

    pub fn tell(&self, what: String) {
        let line = format!("{:9.3} {what}", self.began.elapsed().as_secs_f64());
        self.story.borrow_mut().push(line);
    }

    /// One person: from room to room, back again whenever thrown out.
    async fn live(self: Rc<Self>, person: usize, rooms: usize) {
        let identity = format!("p{person}");
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003) + person as u64);
        let mut room = format!("r{}", rng.random_range(0..rooms));
        let (mut absent, mut serial) = (Instant::now(), 0);
        loop {
            serial += 1;
            let session = format!("{identity}/{serial}");
            let Some(front) = self.nodes.borrow().choose(&mut rng).cloned() else { return };
            match front.join(&room, &identity, &session).await {
                Ok(seat) => {
                    self.tell(format!("{identity} in {room} by {}", front.id));
                    self.longest_absence.replace_with(|longest| (*longest).max(absent.elapsed()));
                    self.air.people.lock().unwrap().insert(identity.clone(), session.clone());
                    let stays = Duration::from_millis(rng.random_range(3_000..40_000));
                    let moves = self.sit(seat, &session, stays).await;
                    self.air.people.lock().unwrap().remove(&identity);
                    absent = Instant::now();
                    self.tell(format!("{identity} {} {room}", if moves { "leaves" } else { "is thrown out of" }));
                    if moves {
                        room = format!("r{}", rng.random_range(0..rooms));
                    }
                }
                Err(error) => {
                    self.tell(format!("{identity} is not let into {room} by {}: {error}", front.id));
                    sleep(Duration::from_millis(rng.random_range(100..300))).await;
                }
            }
        }
    }

    /// Whether it was the person who left.
    async fn sit(&self, mut seat: Session, session: &str, stays: Duration) -> bool {
        let _open = &seat.requests;
        let (until, mut heard) = (Instant::now() + stays, Instant::now());
        loop {
            if seat.front.life.is_over() {
                return false;
            }
            if self.air.rooms.lock().unwrap().contains(session) {
                heard = Instant::now();
            } else if heard.elapsed() > MEDIA_TIMEOUT {
                return false;
            }
            if Instant::now() >= until && !*self.is_calm.borrow() {
                return true;
            }
            tokio::select! {
                biased;
                said = seat.responses.recv() => match said.and_then(|r| r.message) {
                    Some(lkops::proto::signal_response::Message::Leave(_)) | None => return false,
                    Some(_) => (),
                },
                () = seat.front.life.over() => (),
                () = sleep(Duration::from_millis(500)) => (),
            }
        }
    }

    /// What is not as it should be, now.
    pub fn wrongs(&self, people: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let map = self.redis.store.hash("room_node_map");
        let (mut hosts, mut seats): (BTreeMap<String, &str>, BTreeMap<String, String>) = Default::default();
        let nodes = self.nodes.borrow();
        for node in nodes.iter() {
            for (room, _) in node.rooms.holders() {
                if let Some(other) = hosts.insert(room.clone(), &node.id) {
                    wrong.push(format!("{room} is on {other} and {}", node.id));
                }
                if map.get(&room).map(|v| text(v)) != Some(&node.id) {
                    wrong.push(format!(
                        "{room} is on {}, but the map says {:?}",
                        node.id,
                        map.get(&room).map(|v| text(v))
                    ));
                }
            }
            for (room, who, session) in node.rooms.seats() {
                if let Some(other) = seats.insert(who.clone(), room.clone()) {
                    wrong.push(format!("{who} is in {other} and {room}"));
                }
                if self.air.people.lock().unwrap().get(&who) != Some(&session) {
                    wrong.push(format!("{who} in {room} is a ghost"));
                }
                if !self.redis.store.hash(&format!("room_participants:{room}")).contains_key(&who) {
                    wrong.push(format!("the store does not know {who} in {room}"));
                }
            }
        }
        wrong.extend(
            (0..people).map(|p| format!("p{p}")).filter(|p| !seats.contains_key(p)).map(|p| format!("{p} is lost")),
        );
        wrong.extend(
            map.keys().filter(|room| !hosts.contains_key(*room)).map(|room| format!("nobody has {room} of the map")),
        );
        let listed: Vec<String> = self.redis.store.hash("nodes").into_keys().collect();
        let mut there: Vec<String> = nodes.iter().map(|n| n.id.clone()).collect();
        there.sort();
        if listed != there {
            wrong.push(format!("listed are {listed:?}, there are {there:?}"));
        }
        wrong
    }

    /// Waits until nothing is wrong. How long that took, or what is wrong still.
    pub async fn settle(&self, people: usize, limit: Duration) -> Result<Duration, Vec<String>> {
        let began = Instant::now();
        self.is_calm.send_replace(true);
        let waiting = async {
            let mut last = Vec::new();
            loop {
                let now = self.wrongs(people);
                if now != last {
                    self.tell(format!("wrong: {now:?}"));
                }
                if now.is_empty() {
                    return;
                }
                last = now;
                sleep(Duration::from_millis(100)).await;
            }
        };
        let settled = timeout(limit, waiting).await;
        let wrongs = self.wrongs(people);
        self.is_calm.send_replace(false);
        if settled.is_ok() { Ok(began.elapsed()) } else { Err(wrongs) }
    }
}
