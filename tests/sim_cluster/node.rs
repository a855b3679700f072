//! One simulated node: the project's own member of a cluster, drain machine included, over simulated rooms.

use super::redis::Redis;
use super::rooms::{Air, Rooms};
use lkops::cluster::drain::{Effect, Machine, Mode, Order, Terms};
use lkops::cluster::{Arrival, Cluster, Gauge, Identity, Place, Redis as Client, Registration, Running, method};
use lkops::config::Config;
use lkops::proto::{CreateRoomRequest, NodeState, NodeStats, Room, SignalRequest, SignalResponse, StartSession};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// What ends when the node does.
type Tasks = (Running, Registration, Vec<JoinHandle<()>>);

pub struct Node {
    pub id: String,
    pub line: usize,
    pub rooms: Arc<Rooms>,
    pub cluster: Cluster,
    orders: mpsc::Sender<Order>,
    pub life: Life,
    tasks: Mutex<Option<Tasks>>,
}

/// Waiting for its end, people are woken in the order they came: tokio's watch draws that by lot.
#[derive(Default)]
pub struct Life {
    is_over: AtomicBool,
    bell: Notify,
}

impl Life {
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub async fn over(&self) {
        let rung = self.bell.notified();
        if !self.is_over() {
            rung.await;
        }
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.bell.notify_waiters();
    }
}

/// A person's place in a room, as the person has it.
pub struct Session {
    pub responses: mpsc::Receiver<SignalResponse>,
    /// Open as long as the person stays.
    pub requests: mpsc::Sender<SignalRequest>,
    pub front: Arc<Node>,
}

impl Node {
    /// `None` if Redis does not let it in now.
    pub async fn start(redis: &Redis, line: usize, seed: u64, air: Arc<Air>) -> Option<Arc<Node>> {
        let config = Config::default();
        let id = format!("ND_{line}");
        let identity = Identity { id: id.clone(), ..Identity::default() };
        let client = Client::connect_by(redis.dialer(line), &config.redis).await.ok()?;
        let (cluster, doorway) = Cluster::join_on(client, &config, identity, seed).expect("the configuration is right");
        let member = cluster.member().expect("it has others").clone();
        let rooms = Rooms::new(air, &member);
        let counted = rooms.clone();
        let gauge: Gauge = Arc::new(move || NodeStats {
            num_rooms: counted.holders().len() as i32,
            num_clients: *counted.people.borrow() as i32,
            num_cpus: 4,
            ..NodeStats::default()
        });
        let (running, arrivals) = member.start(doorway, rooms.clone(), gauge);
        cluster.set_state(NodeState::Serving);
        let beginning = Arc::downgrade(&rooms);
        let begin = move |request: CreateRoomRequest| {
            if let Some(rooms) = beginning.upgrade() {
                rooms.begin(&request.name);
            }
            async { Ok(Room::default()) }
        };
        let calls = member.methods().with(&method::CREATE_ROOM, &[member.id()], begin).serve();
        let (orders, ordered) = mpsc::channel(4);
        let life = Life::default();
        let node = Arc::new(Node { id, line, rooms, cluster, orders, life, tasks: Mutex::default() });
        let tasks = vec![tokio::spawn(welcome(node.clone(), arrivals)), tokio::spawn(live(node.clone(), ordered))];
        *node.tasks.lock().unwrap() = Some((running, calls, tasks));
        Some(node)
    }

    /// As if by SIGKILL.
    pub fn die(&self, redis: &Redis) {
        redis.set_cut(self.line);
        self.vanish();
    }

    fn vanish(&self) {
        if let Some((running, calls, tasks)) = self.tasks.lock().unwrap().take() {
            drop((running, calls));
            tasks.iter().for_each(JoinHandle::abort);
        }
        self.rooms.close_all();
        self.life.end();
    }

    pub async fn drain(&self, deadline: Duration) {
        let terms = Terms { deadline: Some(deadline), moves: true, stays: false };
        let _ = self.orders.send(Order::Drain(terms)).await;
    }

    /// A person comes to this node. What the server does in `signal` and `room` stands here in short.
    pub async fn join(self: &Arc<Self>, room: &str, identity: &str, session: &str) -> Result<Session, String> {
        let place = match self.rooms.has(room) {
            true => Place::Here,
            false => self.cluster.place(room, None).await.map_err(|e| e.to_string())?,
        };
        match place {
            Place::Here => {
                let responses = self.rooms.enter(room, identity, session);
                let (requests, mut asked) = mpsc::channel::<SignalRequest>(16);
                let (node, seat) = (self.clone(), [room, identity, session].map(str::to_owned));
                tokio::spawn(async move {
                    while asked.recv().await.is_some() {}
                    node.rooms.exit(&seat[0], &seat[1], &seat[2]);
                });
                Ok(Session { responses, requests, front: self.clone() })
            }
            Place::There(other) => self.join_there(&other, room, identity, session).await,
        }
    }

    async fn join_there(
        self: &Arc<Self>,
        other: &str,
        room: &str,
        identity: &str,
        session: &str,
    ) -> Result<Session, String> {
        let start = StartSession {
            room_name: room.into(),
            identity: identity.into(),
            connection_id: session.into(),
            ..StartSession::default()
        };
        let farewell = SignalResponse { message: None };
        let relayed = self.cluster.relay::<SignalRequest, SignalResponse>(other, start, farewell).await;
        let mut relayed = relayed.map_err(|e| e.to_string())?;
        match timeout(Duration::from_secs(3), relayed.incoming.recv()).await {
            Ok(Some(_)) => Ok(Session { responses: relayed.incoming, requests: relayed.outgoing, front: self.clone() }),
            _ => Err(format!("{other} does not answer")),
        }
    }
}

/// Those whose WebSockets other nodes have.
async fn welcome(node: Arc<Node>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        let node = node.clone();
        tokio::spawn(async move {
            let StartSession { room_name, identity, connection_id, .. } = (*arrival.start).clone();
            if !node.rooms.has(&room_name) && !node.cluster.is_given_to_us(&room_name).await {
                return arrival.send_away().await;
            }
            if node.life.is_over() {
                return;
            }
            let responses = node.rooms.enter(&room_name, &identity, &connection_id);
            let (requests, mut asked) = mpsc::channel::<SignalRequest>(16);
            let exit = move || node.rooms.exit(&room_name, &identity, &connection_id);
            let leaves = {
                let exit = exit.clone();
                tokio::spawn(async move {
                    while asked.recv().await.is_some() {}
                    exit();
                })
            };
            arrival.carry(requests, responses).await;
            leaves.abort();
            exit();
        });
    }
}

/// Carries out what the drain machine decides, until the node goes.
async fn live(node: Arc<Node>, mut orders: mpsc::Receiver<Order>) {
    let (mut machine, mut people) = (Machine::default(), node.rooms.people.subscribe());
    loop {
        while let Some(effect) = machine.poll_effect() {
            match effect {
                Effect::Publish(mode) => node.cluster.set_state(mode.node_state()),
                Effect::MoveRooms => drop(tokio::spawn(move_all(node.clone()))),
                Effect::CloseRooms => node.rooms.close_all(),
                Effect::End => (),
            }
        }
        if machine.mode() == Mode::Ended {
            break;
        }
        let due = async |at: Option<Instant>| match at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        };
        tokio::select! {
            biased;
            Some(order) = orders.recv() => machine.handle_order(order, Instant::now()).expect("it has sense"),
            Ok(()) = people.changed() => machine.handle_people(*people.borrow_and_update()),
            () = due(machine.wake_at()) => machine.handle_time(Instant::now()),
        }
    }
    node.rooms.close_all();
    node.cluster.member().expect("it has others").leave().await;
    node.vanish();
}

async fn move_all(node: Arc<Node>) {
    let member = node.cluster.member().expect("it has others");
    for (room, people) in node.rooms.holders().into_iter().filter(|(_, people)| *people > 0) {
        let _ = member.hand_over(&room, people as u32).await;
    }
}
