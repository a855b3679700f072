//! What the rest of the program sees of the other nodes. Without Redis there are none, and everything is here.

use super::agent::{Census, Dispatches, Launcher, Workforce};
use super::bus::Bus;
use super::call::{Caller, Patience, RpcError};
use super::chooser::Chooser;
use super::delivery::Terms;
use super::egress::EgressLauncher;
use super::hosted::Hosted;
use super::io::IoInfo;
use super::method::{self, Method};
use super::neighbours::Watchers;
use super::node::{Beat, Gauge, Identity};
use super::owner::Owned;
use super::place::{Finder, Memory, Place, PlaceError};
use super::redis::{ConnectError, Redis, Status, StoreError};
use super::relay::{self, Arrival, Relayed, Route};
use super::serve::{Methods, Server};
use super::sip_calls::SipCalls;
use super::store::Store;
use super::stream::{Stream, Streams};
use super::sweep::Sweeper;
use super::table::Registration;
use super::{keys, ownership};
use crate::config::{Config, Limit};
use crate::limits::{
    ARRIVALS_MAX, HAND_OVER_TIMEOUT, LEAVE_TIMEOUT, OWNER_VERIFY_INTERVAL, PROMISE_TIMEOUT, SETTLE_TIMEOUT,
};
use crate::proto::psrpc::ErrorCode;
use crate::proto::{CreateRoomRequest, NodeState, Room, StartSession};
use prost::Message;
use redis::Cmd;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The other nodes, if there are any.
#[derive(Clone, Default)]
pub struct Cluster(Option<Arc<Member>>);

/// One node among others.
pub struct Member {
    identity: Identity,
    redis: Redis,
    store: Store,
    bus: Bus,
    caller: Caller,
    server: Server,
    workers: Workers,
    streams: Streams,
    route: Route,
    patience: Patience,
    beat: Beat,
    owned: Owned,
    watchers: Watchers,
    chooser: Chooser,
    limit: Limit,
    hosted: OnceLock<Arc<dyn Hosted>>,
    /// Rooms claimed for this node that may not have begun yet.
    promised: Mutex<BTreeMap<String, Instant>>,
    is_alone: AtomicBool,
    every: Duration,
}

/// What is done together with workers, wherever they are.
struct Workers {
    io: Arc<IoInfo>,
    egress: EgressLauncher,
    sip: SipCalls,
    agents: Arc<Workforce>,
    dispatches: Arc<Dispatches>,
}

impl Workers {
    fn new(redis: &Redis, bus: &Bus, caller: &Caller, server: &Server, config: &Config) -> Workers {
        let io = Arc::new(IoInfo::new(redis.clone()));
        let census = Census::new(caller.clone(), bus);
        let launcher = Arc::new(Launcher::new(caller.clone(), census, &config.agents));
        Workers {
            egress: EgressLauncher::new(caller.clone(), io.clone(), Patience::from(&config.psrpc)),
            sip: SipCalls::new(caller.clone(), io.clone()),
            agents: Workforce::new(bus.clone(), server.clone(), config.agents.target_load),
            dispatches: Dispatches::new(redis.clone(), launcher),
            io,
        }
    }
}

/// Ends when dropped.
pub struct Running {
    tasks: Vec<JoinHandle<()>>,
    _registrations: [Registration; 3],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Streams that other nodes open to this one.
pub struct Doorway {
    streams: mpsc::Receiver<Stream>,
}

impl Cluster {
    /// One node that stands alone.
    pub fn single() -> Cluster {
        Cluster(None)
    }

    /// Fails if Redis does not answer.
    pub async fn join(config: &Config, identity: Identity) -> Result<(Cluster, Doorway), ConnectError> {
        Cluster::join_on(Redis::connect(&config.redis).await?, config, identity, rand::random())
    }

    /// On a connection that is there. Nodes are chosen as `seed` has it.
    pub fn join_on(
        redis: Redis,
        config: &Config,
        identity: Identity,
        seed: u64,
    ) -> Result<(Cluster, Doorway), ConnectError> {
        let bus = Bus::start(redis.clone());
        let inbox_max = config.signal_relay.stream_buffer_size as usize;
        let (streams, accepted) = Streams::new(bus.clone(), &identity.id, inbox_max);
        let (caller, server) = (Caller::new(bus.clone()), Server::new(bus.clone(), redis.clone()));
        let member = Member {
            store: Store::new(redis.clone()),
            workers: Workers::new(&redis, &bus, &caller, &server, config),
            caller,
            server,
            route: Route { terms: Terms::from(&config.signal_relay), status: redis.status() },
            patience: Patience::from(&config.psrpc),
            beat: Beat::new(identity.clone(), redis.clock()),
            owned: Owned::new(redis.clone(), &identity.id),
            watchers: Watchers::new(redis.clone(), bus.clone()),
            chooser: Chooser::new(config, seed)?,
            limit: config.limit.clone(),
            hosted: OnceLock::new(),
            promised: Mutex::default(),
            is_alone: AtomicBool::new(false),
            every: config.node_stats.stats_update_interval,
            identity,
            redis,
            bus,
            streams,
        };
        Ok((Cluster(Some(Arc::new(member))), Doorway { streams: accepted }))
    }

    pub fn member(&self) -> Option<&Arc<Member>> {
        self.0.as_ref()
    }

    /// Where the room is, or is to be. Ask only for rooms that are not here already: those stay.
    pub async fn place(&self, room: &str, wanted: Option<&str>) -> Result<Place, PlaceError> {
        match &self.0 {
            Some(member) => member.place(room, wanted).await,
            None => Ok(Place::Here),
        }
    }

    /// The node that has the room, if one that lives has it.
    pub async fn find(&self, room: &str) -> Result<Option<Place>, PlaceError> {
        match &self.0 {
            Some(member) => member.finder().find(room).await,
            None => Ok(Some(Place::Here)),
        }
    }

    /// Whether the room was given to this node, by whichever.
    pub async fn is_given_to_us(&self, room: &str) -> bool {
        match &self.0 {
            Some(member) => member.store.node_of(room).await.is_ok_and(|node| node.as_deref() == Some(member.id())),
            None => true,
        }
    }

    /// Whether any node has had the room and it was not closed since.
    pub async fn knows_room(&self, room: &str) -> bool {
        self.inheritance(room).await.is_some()
    }

    /// The room as the store has it.
    pub async fn inheritance(&self, room: &str) -> Option<Room> {
        self.0.as_ref()?.store.room(room).await.ok().flatten()
    }

    /// A session on another node; see [`relay::open`].
    pub async fn relay<Out: Message + 'static, In: Message + Default + 'static>(
        &self,
        node: &str,
        start: StartSession,
        farewell: In,
    ) -> Result<Relayed<Out, In>, RpcError> {
        match &self.0 {
            Some(member) => member.relay(node, start, farewell).await,
            None => Err(RpcError::new(ErrorCode::Unavailable, "this node stands alone")),
        }
    }

    /// Returns when others can find what has changed in the room here, or soon after if they cannot be told now.
    pub async fn settle(&self, settled: impl Future<Output = ()>) {
        if let Some(member) = &self.0
            && member.redis.is_up()
        {
            let _ = timeout(SETTLE_TIMEOUT, async {
                settled.await;
                member.bus.all_confirmed().await;
            })
            .await;
        }
    }

    pub fn set_state(&self, state: NodeState) {
        if let Some(member) = &self.0 {
            member.beat.set_state(state);
        }
    }
}

impl Member {
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn status(&self) -> Status {
        self.redis.status().borrow().clone()
    }

    /// Whether messages of other nodes reach us.
    pub fn is_listening(&self) -> bool {
        *self.bus.listening().borrow()
    }

    /// How long others have not heard of this node.
    pub fn unheard(&self) -> Option<Duration> {
        self.beat.age()
    }

    /// How far this machine's clock is from the cluster's, in milliseconds.
    pub fn clock_offset_ms(&self) -> i64 {
        self.redis.clock().offset_ms()
    }

    /// Methods this node serves to others.
    pub fn methods(&self) -> Methods {
        self.server.methods()
    }

    /// Returns when Redis knows of all that is served and heard here.
    pub async fn all_confirmed(&self) {
        self.bus.all_confirmed().await;
    }

    /// What egress, ingress and SIP workers are told and tell.
    pub fn io(&self) -> &Arc<IoInfo> {
        &self.workers.io
    }

    pub fn egress(&self) -> &EgressLauncher {
        &self.workers.egress
    }

    pub fn sip(&self) -> &SipCalls {
        &self.workers.sip
    }

    /// The agent workers connected here.
    pub fn agents(&self) -> &Arc<Workforce> {
        &self.workers.agents
    }

    /// Which agents the rooms here have asked for.
    pub fn dispatches(&self) -> &Arc<Dispatches> {
        &self.workers.dispatches
    }

    /// Calls with the configured patience.
    pub async fn call<Req: Message, Res: Message + Default>(
        &self,
        method: &Method<Req, Res>,
        topic: &[&str],
        request: &Req,
    ) -> Result<Res, RpcError> {
        self.caller.call(method, topic, request, self.patience).await
    }

    /// For calls with another patience, or on everybody.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    async fn relay<Out: Message + 'static, In: Message + Default + 'static>(
        &self,
        node: &str,
        start: StartSession,
        farewell: In,
    ) -> Result<Relayed<Out, In>, RpcError> {
        let death = self.watchers.watch(node);
        relay::open(&self.streams, node, start, farewell, self.route.clone(), death).await
    }

    /// Begins to be seen, heard and called. `arrivals` are participants whose WebSockets other nodes have.
    pub fn start(
        self: &Arc<Self>,
        doorway: Doorway,
        hosted: Arc<dyn Hosted>,
        gauge: Gauge,
    ) -> (Running, mpsc::Receiver<Arrival>) {
        let _ = self.hosted.set(hosted.clone());
        let (door, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (owner, beat, watch, memory) = (self.clone(), self.clone(), self.clone(), self.clone());
        let io = self.workers.io.clone();
        let remembered = hosted.clone();
        let sweeper = Sweeper::new(self.redis.clone(), self.id());
        let registrations =
            [self.streams.serve(), self.beat.listen(&self.bus), self.workers.io.serve(self.server.methods())];
        let tasks = vec![
            tokio::spawn(async move { owner.owned.keep(&*hosted, &owner.watchers).await }),
            tokio::spawn(async move {
                // Whom others see they write to at once.
                beat.bus.all_confirmed().await;
                let lost = || beat.owned.note_loss();
                beat.beat.keep(&beat.redis, &beat.bus, beat.every, &gauge, lost).await;
            }),
            tokio::spawn(async move { memory.remember(&*remembered).await }),
            tokio::spawn(async move { watch.watchers.keep().await }),
            tokio::spawn(sweeper.keep()),
            tokio::spawn(async move { io.keep_swept().await }),
            tokio::spawn(receive(doorway.streams, door, self.route.clone())),
        ];
        (Running { tasks, _registrations: registrations }, arrivals)
    }

    /// Never returns.
    async fn remember(&self, hosted: &dyn Hosted) {
        let mut looks = interval(OWNER_VERIFY_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = looks.tick() => (),
                () = self.beat.called() => looks.reset(),
            }
            if let Ok(is_alone) = self.is_listed_alone().await {
                self.is_alone.store(is_alone, Ordering::Relaxed);
                self.break_old_promises(hosted).await;
            }
        }
    }

    /// Asks so that it costs Redis the same with a thousand nodes as with one.
    async fn is_listed_alone(&self) -> Result<bool, StoreError> {
        let listed: u64 = self.redis.query(&Cmd::hlen(keys::NODES)).await?;
        Ok(listed == 1 && self.redis.query(&Cmd::hexists(keys::NODES, self.id())).await?)
    }

    /// Rooms given to us whose first participant never came.
    async fn break_old_promises(&self, hosted: &dyn Hosted) {
        let mut old = Vec::new();
        self.promises().retain(|room, since| {
            let keep = since.elapsed() < PROMISE_TIMEOUT;
            if !keep {
                old.push(room.clone());
            }
            keep
        });
        for room in old.iter().filter(|room| hosted.record(room).is_none()) {
            let _ = ownership::release(&self.redis, room, self.id()).await;
        }
    }

    fn promises(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last word: the rooms are closed, others are told, and who has called is answered, most of all the operator whose
    /// order ends the node.
    pub async fn leave(&self) {
        let leaving = async {
            if let Some(hosted) = self.hosted.get() {
                self.owned.release_all(&**hosted, &self.watchers).await;
            }
            let withdrawn = self.beat.withdraw(&self.redis).await;
            self.server.finish().await;
            withdrawn
        };
        match timeout(LEAVE_TIMEOUT, leaving).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::warn!(%error, "other nodes could not be told that this one stops"),
            Err(_) => tracing::warn!("other nodes could not be told in time that this one stops"),
        }
    }

    async fn place(&self, room: &str, wanted: Option<&str>) -> Result<Place, PlaceError> {
        match self.finder().place(room, wanted).await {
            Err(PlaceError::Unknown(error)) if self.memory(room).proves_ours() => {
                tracing::info!(room, %error, "nobody else can have the room; it is taken without redis");
                Ok(Place::Here)
            }
            Ok(Place::Here) => {
                self.promises().insert(room.to_owned(), Instant::now());
                self.chooser.note_joins(self.id(), 1, self.redis.clock().unix_s());
                Ok(Place::Here)
            }
            Ok(Place::There(node)) => {
                self.chooser.note_joins(&node, 1, self.redis.clock().unix_s());
                Ok(Place::There(node))
            }
            Err(error) => Err(error),
        }
    }

    fn finder(&self) -> Finder<'_> {
        let Member { redis, store, watchers, chooser, limit, .. } = self;
        Finder { redis, store, watchers, chooser, limit, node: self.id() }
    }

    /// Gives a room of this node to another, and has its so many people told to go there. The node it went to; an error
    /// leaves the room where it is.
    pub async fn hand_over(&self, room: &str, people: u32) -> Result<String, PlaceError> {
        let node = self.finder().hand_over(room).await?;
        self.begin_elsewhere(&node, room).await;
        self.chooser.note_joins(&node, people, self.redis.clock().unix_s());
        if let Some(hosted) = self.hosted.get() {
            hosted.give_up(room).await;
        }
        Ok(node)
    }

    /// A room that nobody follows would otherwise stay with a node that has never heard of it.
    async fn begin_elsewhere(&self, node: &str, room: &str) {
        let request = CreateRoomRequest { name: room.to_owned(), ..CreateRoomRequest::default() };
        let patience = Patience::once(HAND_OVER_TIMEOUT);
        if let Err(error) = self.caller.call(&method::CREATE_ROOM, &[node], &request, patience).await {
            tracing::info!(room, node, %error, "the room begins there when the first of its people comes");
        }
    }

    fn memory(&self, room: &str) -> Memory {
        let promised = self.promises().contains_key(room);
        Memory {
            is_alone: self.is_alone.load(Ordering::Relaxed),
            is_ours: promised || self.owned.holds(room),
            unheard: self.beat.age(),
        }
    }
}

/// Hears out whoever comes, all at once.
async fn receive(mut streams: mpsc::Receiver<Stream>, door: mpsc::Sender<Arrival>, route: Route) {
    while let Some(stream) = streams.recv().await {
        let (door, route) = (door.clone(), route.clone());
        tokio::spawn(async move {
            if let Some(arrival) = relay::arrival(stream, route).await {
                let _ = door.send(arrival).await;
            }
        });
    }
}
