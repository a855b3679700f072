//! Starts the shards: picks ports, binds sockets, makes the queues, spawns the threads.

use super::cadence::Cadence;
use super::candidate::{LocalAddress, host_candidates};
use super::handover::Sibling;
use super::run::{Input, Runner, WAKE};
use super::sockets::Sockets;
use super::state::{Footing, State};
use super::wall::Wall;
use super::{LocalCandidate, MediaConfig, Shard, Shards};
use crate::limits::{SHARD_COMMANDS_MAX, SHARDS_MAX};
use crate::metrics::ShardCounters;
use crate::net::udp::{RecvSlots, Udp};
use crate::transport::{Certificate, CertificateError, Proto};
use mio::{Poll, Waker};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the media plane takes from the configuration.
#[derive(Clone, Debug)]
pub struct ShardsConfig {
    /// Threads, one per core; fewer if there are fewer ports.
    pub shards: usize,
    /// UDP ports to choose from, tried in order. A single one is shared by all shards.
    pub udp_ports: std::ops::RangeInclusive<u16>,
    /// UDP candidates are wanted (`rtc.force_tcp` is off).
    pub udp: bool,
    /// Advertised for ICE over TCP; the listener is the server's.
    pub tcp_port: Option<u16>,
    pub addresses: Vec<LocalAddress>,
    pub media: MediaConfig,
}

/// A TCP connection whose first frame is a connectivity check for a shard.
pub struct HandedTcp {
    pub stream: std::net::TcpStream,
    pub already_read: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("no local address is left for media; look at rtc.interfaces, rtc.ips and rtc.node_ip")]
    NoAddress,
    #[error("no free UDP port in {first}-{last} for shard {shard}: {why}; look at rtc.udp_port and rtc.port_range_*")]
    NoPort { first: u16, last: u16, shard: usize, why: io::Error },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("a shard cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The running threads. Dropping it leaves them running; [`Running::stop`] ends them.
pub struct Running {
    pub shards: Shards,
    pub counters: Vec<Arc<ShardCounters>>,
    inputs: Vec<(SyncSender<Input>, Arc<Waker>)>,
    threads: Mutex<Vec<JoinHandle<io::Result<()>>>>,
}

impl Running {
    /// Passes an accepted TCP connection to the shard its first check names.
    pub fn hand_tcp(&self, shard: u8, handed: HandedTcp) {
        if let Some((inputs, waker)) = self.inputs.get(usize::from(shard)) {
            // A full queue or a stopped shard loses the connection; the client's ICE tries again.
            let _ = inputs.try_send(Input::Tcp(handed));
            let _ = waker.wake();
        }
    }

    /// Ends the threads once they have sent what is queued.
    pub fn stop(&self) {
        for (inputs, waker) in &self.inputs {
            // A shard that has ended needs no telling.
            let _ = inputs.send(Input::Stop);
            let _ = waker.wake();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a shard ended with an error"),
                Err(_) => tracing::error!("a shard panicked"),
            }
        }
    }
}

/// One shard before its thread runs.
struct Prepared {
    poll: Poll,
    waker: Arc<Waker>,
    udp: Vec<Udp>,
    port: Option<u16>,
    queue: (SyncSender<Input>, Receiver<Input>),
}

/// The shards before their threads run, and the ways in.
pub struct Assembled {
    pub runners: Vec<Runner>,
    pub shards: Shards,
    pub counters: Vec<Arc<ShardCounters>>,
    inputs: Vec<(SyncSender<Input>, Arc<Waker>)>,
}

/// Starts all shards. `clock` is the process's monotonic clock, `unix` the time since 1970 now.
pub fn start(config: ShardsConfig, clock: fn() -> Instant, unix: Duration) -> Result<Running, StartError> {
    let Assembled { runners, shards, counters, inputs } = assemble(&config, clock(), unix)?;
    let threads: io::Result<_> = runners.into_iter().enumerate().map(|(n, runner)| launch(n, runner, clock)).collect();
    Ok(Running { shards, counters, inputs, threads: Mutex::new(threads?) })
}

/// Everything but the threads. `now` is told by the clock that [`Runner::run`] gets.
pub fn assemble(config: &ShardsConfig, now: Instant, unix: Duration) -> Result<Assembled, StartError> {
    if config.addresses.is_empty() {
        return Err(StartError::NoAddress);
    }
    let wall = Wall::new(now, unix);
    let certificate = Arc::new(Certificate::generate()?);
    let prepared = prepare(config)?;
    let inputs: Vec<_> = prepared.iter().map(|p| (p.queue.0.clone(), p.waker.clone())).collect();
    let (mut handles, mut runners, mut counters) = (Vec::new(), Vec::new(), Vec::new());
    for (index, shard) in prepared.into_iter().enumerate() {
        let footing = Footing {
            certificate: certificate.clone(),
            bases: bases(config, shard.port),
            config: config.media.clone(),
            wall,
            peers_count: Arc::default(),
            counters: Arc::default(),
            index: tag(index),
            siblings: siblings(&inputs, index),
        };
        counters.push(footing.counters.clone());
        let candidates = host_candidates(&config.addresses, shard.port, config.tcp_port);
        handles.push(handle(index, &shard, candidates, &footing));
        runners.push(runner(now, shard, footing)?);
    }
    Ok(Assembled { runners, shards: Shards::new(handles), counters, inputs })
}

fn prepare(config: &ShardsConfig) -> Result<Vec<Prepared>, StartError> {
    let mut ports = config.udp_ports.clone();
    let shared = (config.udp && ports.clone().count() == 1).then(|| *ports.start());
    let count = if config.udp && shared.is_none() { config.shards.min(ports.clone().count()) } else { config.shards };
    (0..count.clamp(1, SHARDS_MAX))
        .map(|shard| {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
            let (udp, port) = match (config.udp, shared) {
                (false, _) => (vec![], None),
                (true, Some(port)) => {
                    let bound = bind(config, port, true).map_err(|why| no_port(config, shard, why))?;
                    (bound, Some(port))
                }
                (true, None) => next_free(config, &mut ports, shard)?,
            };
            Ok(Prepared { poll, waker, udp, port, queue: sync_channel(SHARD_COMMANDS_MAX) })
        })
        .collect()
}

fn no_port(config: &ShardsConfig, shard: usize, why: io::Error) -> StartError {
    StartError::NoPort { first: *config.udp_ports.start(), last: *config.udp_ports.end(), shard, why }
}

fn next_free(
    config: &ShardsConfig,
    ports: &mut std::ops::RangeInclusive<u16>,
    shard: usize,
) -> Result<(Vec<Udp>, Option<u16>), StartError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for port in ports {
        match bind(config, port, false) {
            Ok(udp) => return Ok((udp, Some(port))),
            Err(error) => last = error,
        }
    }
    Err(no_port(config, shard, last))
}

/// One socket for each family that has an address.
fn bind(config: &ShardsConfig, port: u16, shared: bool) -> io::Result<Vec<Udp>> {
    let has = |v4: bool| config.addresses.iter().any(|a| a.base.is_ipv4() == v4);
    let wildcards = [(true, IpAddr::V4(Ipv4Addr::UNSPECIFIED)), (false, IpAddr::V6(Ipv6Addr::UNSPECIFIED))];
    let wanted = wildcards.into_iter().filter(|(v4, _)| has(*v4));
    let sockets: Vec<Udp> =
        wanted.map(|(_, ip)| Udp::bind(SocketAddr::new(ip, port), shared)).collect::<io::Result<_>>()?;
    if !config.media.receive_offload {
        sockets.iter().try_for_each(|socket| socket.set_gro(false))?;
    }
    Ok(sockets)
}

fn handle(index: usize, prepared: &Prepared, candidates: Vec<LocalCandidate>, footing: &Footing) -> Shard {
    let (sender, waker) = (prepared.queue.0.clone(), prepared.waker.clone());
    Shard::new(
        tag(index),
        Box::new(move |command| sender.send(Input::Command(command)).is_ok() && waker.wake().is_ok()),
        candidates,
        footing.certificate.fingerprint_sha256(),
        footing.peers_count.clone(),
    )
}

fn runner(now: Instant, prepared: Prepared, footing: Footing) -> io::Result<Runner> {
    let Prepared { poll, udp, queue: (_, inputs), .. } = prepared;
    let sockets = Sockets::new(udp, poll.registry().try_clone()?)?;
    let cadence = Cadence::new(footing.config.gather_window);
    let state = State::new(now, sockets, footing);
    let (slots, due) = (RecvSlots::allocate(), Vec::new());
    Ok(Runner { poll, inputs, slots, state, more: false, cadence, brought: false, due })
}

fn launch(index: usize, runner: Runner, clock: fn() -> Instant) -> io::Result<JoinHandle<io::Result<()>>> {
    std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || runner.run(clock))
}

/// A shard's number as its peers' ufrags carry it.
fn tag(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

fn siblings(doors: &[(SyncSender<Input>, Arc<Waker>)], own: usize) -> Vec<Sibling> {
    let others = doors.iter().enumerate().filter(|(index, _)| *index != own);
    others.map(|(index, (inputs, waker))| Sibling::new(tag(index), inputs.clone(), waker.clone())).collect()
}

/// The addresses ICE sees packets arrive at.
fn bases(config: &ShardsConfig, port: Option<u16>) -> Vec<(SocketAddr, Proto)> {
    let at = |port: Option<u16>, proto: Proto| {
        let addresses = config.addresses.iter();
        addresses.filter_map(move |a| port.map(|port| (SocketAddr::new(a.base, port), proto)))
    };
    at(port, Proto::Udp).chain(at(config.tcp_port, Proto::Tcp)).collect()
}
