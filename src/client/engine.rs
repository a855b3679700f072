//! Handles to the driver threads: what participants ask of their transports and hear from them. Many transports share a
//! thread. Called by `session`.

use super::counters::{Counters, Totals};
use super::driver::Driver;
use super::incoming::IncomingSetup;
use super::outgoing::OutgoingSetup;
use super::relay::TurnServer;
use super::rhythm::Rhythm;
use super::stats::Stats;
use crate::limits::CLIENT_COMMANDS_MAX;
use crate::net::udp::RecvSlots;
use crate::transport::{Certificate, CertificateError, Pair, Proto, RemoteParams};
use bytes::Bytes;
use mio::{Poll, Waker};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Media packets a transport loses on purpose, as fractions of 1: a bad network for those who have none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    pub up: f32,
    pub down: f32,
}

/// What a transport is made of.
pub struct Setup {
    /// Address of the UDP socket.
    pub local: IpAddr,
    /// Candidates of the other protocol are not used.
    pub proto: Proto,
    /// Everything goes by it.
    pub relay: Option<TurnServer>,
    /// We nominate: the side that offers does (RFC 8445 §6.1.1).
    pub controlling: bool,
    /// Username fragment and password.
    pub creds: (String, String),
    /// Label, order and retransmissions of the data channels to open.
    pub channels: Vec<(&'static str, bool, Option<u16>)>,
    /// What REMB tells the server it may send, in bits per second.
    pub downlink_bps: u64,
    pub loss: Loss,
    pub offload: bool,
    pub light: bool,
    pub events: mpsc::Sender<Event>,
    pub messages: mpsc::Sender<Message>,
}

/// What a participant asks of one of its transports.
pub enum Act {
    SetRemote(Box<RemoteParams>, Vec<String>),
    AddCandidate(String),
    RestartIce((String, String)),
    Publish(Box<OutgoingSetup>),
    Unpublish(String),
    /// Encodings of a track to send, from the lowest up.
    SetActive(String, Vec<bool>),
    SetMuted(String, bool),
    Expect(Vec<IncomingSetup>),
    Send {
        label: &'static str,
        bytes: Vec<u8>,
    },
    Rebind,
    Inject(Vec<u8>),
    Snapshot(oneshot::Sender<Stats>),
    /// Snapshots count from here on.
    Mark,
    Close,
}

/// What happened to a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Peers reach it there.
    Bound(SocketAddr),
    IceConnected(Pair),
    PairChanged(Pair),
    IceLost,
    /// ICE and DTLS are up.
    Connected,
    Failed(String),
    ChannelOpen(String),
}

/// A data-channel message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub label: String,
    pub bytes: Bytes,
    /// When its datagram came, in microseconds since 1970.
    pub taken_us: u64,
}

/// What a driver takes out of its queue.
pub enum Command {
    Add(u64, Box<Setup>),
    Act(u64, Act),
    Stop,
}

/// Why there is no engine; the environment's fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot start a media thread: {0}")]
    Thread(#[from] io::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The driver threads. They end with the last clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    doors: Vec<Door>,
    fingerprint: String,
    next: AtomicU64,
}

#[derive(Clone)]
struct Door {
    commands: SyncSender<Command>,
    waker: Arc<Waker>,
    counters: Arc<Counters>,
}

impl Engine {
    /// Starts so many threads, at least one, that read what comes at once.
    pub fn start(threads: usize) -> Result<Engine, EngineError> {
        Engine::paced(threads, Duration::ZERO)
    }

    /// As [`Engine::start`], but while datagrams keep coming and nobody is connecting, sockets are looked at once an
    /// interval: a wake-up costs more than a packet. The kernel notes when each came, so delays are told truly; answers
    /// to the server are so much later.
    pub fn paced(threads: usize, interval: Duration) -> Result<Engine, EngineError> {
        let certificate = Arc::new(Certificate::generate()?);
        let fingerprint = certificate.fingerprint_sha256();
        let start = |index| launch(index, certificate.clone(), interval);
        let doors = (0..threads.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(Engine(Arc::new(Inner { doors, fingerprint, next: AtomicU64::new(0) })))
    }

    /// SHA-256 of the certificate all transports show, `AB:CD:…`.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// What all transports together have done so far.
    pub fn totals(&self) -> Totals {
        self.0.doors.iter().fold(Totals::default(), |sum, door| sum + door.counters.read())
    }

    /// Makes a transport; that it could not be made is told as an event.
    pub fn open(&self, setup: Setup) -> Link {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let door = self.0.doors[id as usize % self.0.doors.len()].clone();
        door.send(Command::Add(id, Box::new(setup)));
        Link { id, door, _engine: self.clone() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.doors.iter().for_each(|door| door.send(Command::Stop));
    }
}

impl Door {
    /// Waits for room. A thread that is gone takes nothing, and its participants have heard so.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command).map(|()| self.waker.wake());
    }
}

fn launch(index: usize, certificate: Arc<Certificate>, interval: Duration) -> io::Result<Door> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), super::driver::WAKE)?);
    let (commands, queue) = sync_channel(CLIENT_COMMANDS_MAX);
    let counters = Arc::new(Counters::default());
    let rhythm = Rhythm::new(interval);
    let driver = Driver::new(poll, queue, certificate, RecvSlots::allocate(), counters.clone(), rhythm);
    std::thread::Builder::new().name(format!("client-{index}")).spawn(move || driver.run())?;
    Ok(Door { commands, waker, counters })
}

/// One transport. It is closed when this is dropped.
pub struct Link {
    id: u64,
    door: Door,
    _engine: Engine,
}

impl Link {
    pub fn act(&self, act: Act) {
        self.door.send(Command::Act(self.id, act));
    }

    /// `None` if the transport is gone.
    pub async fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.act(Act::Snapshot(reply));
        answer.await.ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.act(Act::Close);
    }
}
