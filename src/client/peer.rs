//! One transport of a participant as its driver thread sees it: ICE, DTLS and SRTP in `transport::Peer`, its sockets, the
//! tracks it sends and receives, and the RTCP that belongs to them. Knows nothing of signalling.

mod rtcp;
mod yielding;

use super::arrivals::Arrivals;
use super::clock::Arrival;
use super::engine::{Act, Event, Loss, Message, Setup};
use super::incoming::Incoming;
use super::outbox::Outbox;
use super::outgoing::{Outgoing, Wire};
use super::relay::{Relay, RelayEvent};
use super::socket::Sockets;
use super::stats::{ConnectionStats, Stats};
use super::uplink::Uplink;
use crate::net::udp::RecvSlots;
use crate::transport::{Certificate, Failure, Input, PeerConfig, PeerError, PeerEvent, Proto};
use crate::wire::{self, rtp::RtpHeader};
use mio::Registry;
use rustc_hash::FxHashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Reports of both kinds are due so often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Transport-wide feedback is due so often while packets arrive, as browsers send it.
const FEEDBACK_EVERY: Duration = Duration::from_millis(100);
/// Batches read of one socket before the others have their turn.
const BATCHES_MAX: usize = 32;

/// Where an SSRC belongs.
#[derive(Clone, Copy)]
enum Place {
    Media(usize),
    Rtx(usize),
}

pub struct Connection {
    peer: crate::transport::Peer,
    pub sockets: Sockets,
    /// What ICE was told of our address. The socket behind it may change.
    local: SocketAddr,
    events: mpsc::Sender<Event>,
    messages: mpsc::Sender<Message>,
    proto: Proto,
    downlink_bps: u64,
    loss: Loss,
    light: bool,
    connected: bool,
    /// Each datagram is one that somebody waits for.
    connecting: bool,
    outgoing: Vec<Outgoing>,
    incoming: Vec<Incoming>,
    places: FxHashMap<u32, Place>,
    channels: Vec<(u16, String)>,
    ssrc: u32,
    transport_sequence: u16,
    outbox: Outbox,
    arrivals: Arrivals,
    /// Absent while no track yields to congestion.
    uplink: Option<Uplink>,
    report_at: Option<Instant>,
    feedback_at: Option<Instant>,
    /// The earliest entry in the driver's timer queue.
    pub wake_at: Option<Instant>,
    stats: ConnectionStats,
    /// As last told to the counters.
    told: ConnectionStats,
    /// What snapshots leave out.
    base: Stats,
    /// When the newest datagram came that was no media, in microseconds since 1970.
    taken_us: u64,
    scratch: Vec<u8>,
    compound: Vec<u8>,
    lost: Vec<u16>,
}

/// Why a transport could not be made; the environment's fault.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("cannot open a UDP socket: {0}; check `ulimit -n` and the local address")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

impl Connection {
    pub fn new(
        now: Instant,
        owner: usize,
        registry: Registry,
        certificate: Arc<Certificate>,
        setup: Setup,
    ) -> Result<Connection, ConnectionError> {
        let mut sockets = Sockets::bind(owner, registry, setup.local, setup.offload)?;
        sockets.relay = setup.relay.map(|server| Relay::new(now, server));
        let local = sockets.local();
        let config = PeerConfig {
            ice_lite: false,
            controlling: setup.controlling,
            creds: setup.creds,
            certificate,
            local_candidates: vec![(local, setup.proto)],
        };
        let mut peer = crate::transport::Peer::new(now, config)?;
        // A participant that no longer listens needs no transport.
        if sockets.relay.is_none() {
            let _ = setup.events.try_send(Event::Bound(local));
        }
        for (label, ordered, retransmits) in setup.channels {
            peer.open_channel(now, label, ordered, retransmits);
        }
        Ok(Connection {
            peer,
            outbox: Outbox::new(sockets.segments_max()),
            sockets,
            local,
            events: setup.events,
            messages: setup.messages,
            proto: setup.proto,
            downlink_bps: setup.downlink_bps,
            loss: setup.loss,
            light: setup.light,
            connected: false,
            connecting: false,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            places: FxHashMap::default(),
            channels: Vec::new(),
            ssrc: rand::random(),
            transport_sequence: 0,
            arrivals: Arrivals::new(now),
            uplink: None,
            report_at: None,
            feedback_at: None,
            wake_at: None,
            stats: ConnectionStats::default(),
            told: ConnectionStats::default(),
            base: Stats::default(),
            taken_us: 0,
            scratch: Vec::new(),
            compound: Vec::new(),
            lost: Vec::new(),
        })
    }

    /// Does what the participant asks. A call of [`Connection::settle`] must follow, as after all that follows here.
    pub fn act(&mut self, now: Instant, act: Act) {
        match act {
            Act::SetRemote(remote, candidates) => self.set_remote(now, *remote, &candidates),
            Act::AddCandidate(line) => self.add_candidate(now, &line),
            Act::RestartIce(creds) => self.peer.restart_ice(now, creds),
            Act::Publish(setup) => self.publish(now, *setup),
            Act::Unpublish(cid) => self.unpublish(&cid),
            Act::SetActive(cid, active) => {
                self.with_track(&cid, |t| t.set_active(&active));
                self.share_out();
            }
            Act::SetMuted(cid, muted) => self.with_track(&cid, |t| t.set_muted(muted)),
            Act::Expect(setups) => self.expect(now, setups),
            Act::Send { label, bytes } => self.send_message(now, label, &bytes),
            Act::Rebind => self.rebind(),
            Act::Inject(bytes) => self.inject(now, &bytes),
            // Nobody may be waiting any more.
            Act::Snapshot(reply) => drop(reply.send(self.stats(now).since(&self.base))),
            Act::Mark => self.mark(now),
            Act::Close => self.close(now),
        }
    }

    fn set_remote(&mut self, now: Instant, remote: crate::transport::RemoteParams, candidates: &[String]) {
        self.connecting = !self.connected;
        self.peer.set_remote(now, remote);
        candidates.iter().for_each(|line| self.add_candidate(now, line));
    }

    /// Candidates of the other protocol are not for us.
    fn add_candidate(&mut self, now: Instant, line: &str) {
        let wanted = if self.proto == Proto::Tcp { "tcp" } else { "udp" };
        if line.split_whitespace().nth(2).is_some_and(|proto| proto.eq_ignore_ascii_case(wanted)) {
            // The server's mistake; there may be others.
            let _ = self.peer.add_remote_candidate(now, line);
        }
    }

    fn with_track(&mut self, cid: &str, act: impl FnOnce(&mut Outgoing)) {
        if let Some(track) = self.outgoing.iter_mut().find(|t| t.setup.cid == cid) {
            act(track);
        }
    }

    fn unpublish(&mut self, cid: &str) {
        for track in self.outgoing.extract_if(.., |t| t.setup.cid == cid) {
            track.ssrcs().for_each(|ssrc| self.peer.retire_ssrc(ssrc));
        }
        self.share_out();
    }

    /// These tracks and no others are sent to us from now on.
    fn expect(&mut self, now: Instant, setups: Vec<super::incoming::IncomingSetup>) {
        let mut before = std::mem::take(&mut self.incoming);
        for setup in setups {
            let known = before.iter().position(|t| t.setup == setup).map(|at| before.swap_remove(at));
            self.incoming.push(known.unwrap_or_else(|| Incoming::new(setup, now)));
        }
        self.places.clear();
        for (at, track) in self.incoming.iter().enumerate() {
            self.places.insert(track.setup.ssrc, Place::Media(at));
            self.places.extend(track.setup.rtx.map(|(ssrc, _)| (ssrc, Place::Rtx(at))));
        }
    }

    fn send_message(&mut self, now: Instant, label: &'static str, bytes: &[u8]) {
        let Some((id, _)) = self.channels.iter().find(|(_, l)| l == label) else {
            self.stats.messages_dropped += 1;
            return;
        };
        if self.peer.send(now, *id, true, bytes).is_err() {
            self.stats.messages_dropped += 1;
        }
    }

    fn close(&mut self, now: Instant) {
        self.peer.close(now);
        self.sockets.relay.iter_mut().for_each(|relay| relay.close(now));
    }

    fn rebind(&mut self) {
        if let Err(error) = self.sockets.rebind() {
            tracing::warn!(%error, "cannot open another UDP socket; the old one stays");
        }
    }

    /// Sends bytes as they are to where media goes.
    fn inject(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(pair) = self.peer.send_pair() {
            self.sockets.send_udp(now, bytes, bytes.len(), pair.remote);
        }
    }

    /// Reads the UDP socket. Answers whether there may be more.
    pub fn read_udp(&mut self, now: Instant, slots: &mut RecvSlots) -> bool {
        for _ in 0..BATCHES_MAX {
            if !self.sockets.recv_udp(slots) {
                return false;
            }
            let read = Arrival::now();
            slots.for_each_timed(|datagram, from, _, taken| {
                let Some((from, payload)) = self.sender_of(now, from, datagram) else { return };
                self.handle_datagram(now, read.taken(taken), Proto::Udp, from, payload);
            });
            if !slots.are_full() {
                return false;
            }
        }
        true
    }

    /// Who sent it, and what. By a relay nothing comes from elsewhere; `None` for what the server itself has to say.
    fn sender_of<'a>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Option<(SocketAddr, &'a mut [u8])> {
        let Some(relay) = &mut self.sockets.relay else { return Some((from, datagram)) };
        let relayed = if from == relay.server() { relay.handle(now, datagram) } else { None }?;
        Some((relayed.peer, datagram.get_mut(relayed.payload)?))
    }

    pub fn read_tcp(&mut self, now: Instant, socket: usize) {
        let mut frames = Vec::new();
        self.sockets.tcp_ready(socket, |frame, from| frames.push((frame.to_vec(), from)));
        let arrival = Arrival::now();
        for (mut frame, from) in frames {
            self.handle_datagram(now, arrival, Proto::Tcp, from, &mut frame);
        }
    }

    fn handle_datagram(&mut self, now: Instant, came: Arrival, proto: Proto, from: SocketAddr, datagram: &mut [u8]) {
        self.stats.datagrams_in += 1;
        if self.light && self.connected && wire::classify(datagram) == wire::Datagram::Rtp {
            return self.handle_rtp(now, came, datagram);
        }
        match self.peer.handle_datagram(now, proto, self.local, from, datagram) {
            Input::Rtp(_) if happens(self.loss.down) => {}
            Input::Rtp(len) => self.handle_rtp(now, came, datagram.get(..len).unwrap_or_default()),
            Input::Rtcp(len) => self.handle_rtcp(now, datagram.get(..len).unwrap_or_default()),
            Input::Consumed => self.taken_us = came.us,
            Input::Dropped(_) => self.stats.dropped += 1,
        }
    }

    fn handle_rtp(&mut self, now: Instant, came: Arrival, packet: &[u8]) {
        let Some(header) = RtpHeader::parse(packet) else { return };
        let Some(place) = self.places.get(&header.ssrc).copied() else {
            self.stats.dropped += 1;
            return;
        };
        let (Place::Media(at) | Place::Rtx(at)) = place;
        self.stats.first_media.get_or_insert(came.at);
        let Some(track) = self.incoming.get_mut(at) else { return };
        self.stats.packets_in += 1;
        self.stats.bytes_in += header.payload(packet).len() as u64;
        let number = track.setup.transport_cc.and_then(|id| header.extension(packet, id));
        if let Some(number) = number.and_then(crate::wire::ext::transport_sequence) {
            self.arrivals.note(came.at, number, header.ssrc);
            self.feedback_at.get_or_insert(now + FEEDBACK_EVERY);
        }
        match place {
            Place::Media(_) => track.handle_rtp(came.at, came.us, &header, header.payload(packet)),
            Place::Rtx(_) => track.handle_rtx(came.at, came.us, header.payload(packet)),
        }
        self.stats.lost += track.poll_lost();
    }

    /// Snapshots count from here on.
    fn mark(&mut self, now: Instant) {
        self.incoming.iter_mut().for_each(|track| track.mark(now));
        self.base = self.stats(now);
    }

    /// It waits for its peer's answers to come about.
    pub fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Tells what was done since last told.
    pub fn count(&mut self, counters: &super::counters::Counters) {
        counters.add(&self.stats, &self.told);
        self.told = self.stats;
    }

    /// The tracks and what they send through.
    fn split(&mut self, now: Instant) -> (&mut Vec<Outgoing>, Path<'_>) {
        let path = Path {
            now,
            uplink: self.uplink.as_mut(),
            numbered: None,
            peer: &mut self.peer,
            sockets: &mut self.sockets,
            outbox: &mut self.outbox,
            transport_sequence: &mut self.transport_sequence,
            loss: self.loss.up,
            stats: &mut self.stats,
        };
        (&mut self.outgoing, path)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake_at = None;
        self.sockets.relay.iter_mut().for_each(|relay| relay.handle_timeout(now));
        if self.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.peer.handle_timeout(now);
        }
        if !self.connected {
            return;
        }
        let (tracks, mut wire) = self.split(now);
        tracks.iter_mut().for_each(|track| track.handle_timeout(now, &mut wire));
        self.send_feedback(now);
    }

    /// Sends what waits, tells what happened, and answers when to call [`Connection::handle_timeout`]. `None` if the
    /// participant no longer listens: the transport is to be dropped.
    pub fn settle(&mut self, now: Instant) -> Option<Option<Instant>> {
        self.outbox.flush(now, &mut self.sockets);
        while let Some(transmit) = self.peer.poll_transmit(&mut self.scratch) {
            self.stats.datagrams_out += 1;
            send(now, &mut self.sockets, transmit.proto, transmit.remote, &self.scratch);
        }
        self.sockets.send_relay_requests();
        while let Some(event) = self.sockets.relay.as_mut().and_then(Relay::poll_event) {
            let event = match event {
                RelayEvent::Allocated(at) => Event::Bound(at),
                RelayEvent::Failed(why) => Event::Failed(why),
            };
            self.events.try_send(event).ok()?;
        }
        while let Some(event) = self.peer.poll_event() {
            let told = self.handle_event(now, event);
            if !told {
                return None;
            }
        }
        Some(self.next_timeout())
    }

    fn next_timeout(&mut self) -> Option<Instant> {
        let relay = self.sockets.relay.as_ref().and_then(Relay::poll_timeout);
        let transport = self.peer.poll_timeout().into_iter().chain(relay).min();
        if !self.connected {
            return transport;
        }
        let frames = self.outgoing.iter().map(Outgoing::poll_timeout);
        let nacks = self.incoming.iter().filter_map(Incoming::poll_timeout);
        let busy = !self.outgoing.is_empty() || !self.incoming.is_empty();
        let report = self.report_at.filter(|_| busy);
        transport.into_iter().chain(frames).chain(nacks).chain(report).chain(self.feedback_at).min()
    }

    /// False if nobody listens or the listener is stuck.
    fn handle_event(&mut self, now: Instant, event: PeerEvent) -> bool {
        let event = match event {
            PeerEvent::Message { id, data, .. } => {
                self.handle_message(id, data);
                return true;
            }
            PeerEvent::Connected => {
                (self.connected, self.connecting) = (true, false);
                self.report_at = Some(now + REPORT_EVERY.mul_f64(rand::random()));
                Event::Connected
            }
            PeerEvent::ChannelOpen { id, label, .. } => {
                self.channels.push((id, label.clone()));
                Event::ChannelOpen(label)
            }
            PeerEvent::ChannelClosed { id } => {
                self.channels.retain(|(open, _)| *open != id);
                return true;
            }
            PeerEvent::IceConnected { pair } => Event::IceConnected(pair),
            PeerEvent::PairChanged { pair } => Event::PairChanged(pair),
            PeerEvent::IceLost => Event::IceLost,
            PeerEvent::Failed(why) => {
                self.connecting = false;
                Event::Failed(match why {
                    Failure::Dtls(why) => format!("DTLS: {why}"),
                    Failure::Ice { tried } => format!("ICE: tried {}", tried.join(", ")),
                })
            }
        };
        self.events.try_send(event).is_ok()
    }

    fn handle_message(&mut self, id: u16, bytes: bytes::Bytes) {
        let Some((_, label)) = self.channels.iter().find(|(open, _)| *open == id) else { return };
        let message = Message { label: label.clone(), bytes, taken_us: self.taken_us };
        if self.messages.try_send(message).is_err() {
            self.stats.messages_dropped += 1;
        }
    }

    fn stats(&self, now: Instant) -> Stats {
        Stats {
            received: self.incoming.iter().map(|track| track.stats(now)).collect(),
            sent: self.outgoing.iter().flat_map(Outgoing::stats).collect(),
            connections: vec![self.stats],
        }
    }
}

fn happens(probability: f32) -> bool {
    probability > 0.0 && rand::random::<f32>() < probability
}

fn send(now: Instant, sockets: &mut Sockets, proto: Proto, to: SocketAddr, datagram: &[u8]) {
    match proto {
        Proto::Udp => sockets.send_udp(now, datagram, datagram.len(), to),
        Proto::Tcp => sockets.send_tcp(datagram, to),
    }
}

/// What media goes through: sealing, then runs of equal size.
struct Path<'a> {
    now: Instant,
    uplink: Option<&'a mut Uplink>,
    /// Given to the packet that is being put together.
    numbered: Option<u16>,
    peer: &'a mut crate::transport::Peer,
    sockets: &'a mut Sockets,
    outbox: &'a mut Outbox,
    transport_sequence: &'a mut u16,
    loss: f32,
    stats: &'a mut ConnectionStats,
}

impl Wire for Path<'_> {
    fn transport_sequence(&mut self) -> u16 {
        *self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.numbered = Some(*self.transport_sequence);
        *self.transport_sequence
    }

    fn send_rtp(&mut self, packet: &mut Vec<u8>, header_bytes: usize) {
        let len = packet.len();
        if let Some((uplink, number)) = self.uplink.as_mut().zip(self.numbered.take()) {
            uplink.note_sent(self.now, number, len);
        }
        packet.resize(len + crate::transport::srtp::OVERHEAD_BYTES_MAX, 0);
        let Some(pair) = self.peer.send_pair() else { return };
        let Some(sealed) = self.peer.seal_rtp(packet, header_bytes, len) else { return };
        if happens(self.loss) {
            return;
        }
        self.stats.datagrams_out += 1;
        match pair.proto {
            Proto::Udp => self.outbox.push(self.now, self.sockets, pair.remote, &packet[..sealed]),
            Proto::Tcp => self.sockets.send_tcp(&packet[..sealed], pair.remote),
        }
    }
}
