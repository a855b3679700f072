//! What a shard holds: peers, tracks and legs by slab index, the routes to them and their timers. Commands and transport
//! events end here; the packet path is in `forward`.

use super::gather::Gather;
use super::handover::Sibling;
use super::media::MediaState;
use super::outbox::Spare;
use super::peer::PeerEntry;
use super::route::Routes;
use super::sockets::{Path, Sockets};
use super::timer::Wheel;
use super::wall::Wall;
use super::{
    CandidatePair, CandidatePolicy, Channel, Command, Event, IceCredentials, MediaConfig, PeerFailure, PeerKey,
    PeerSetup, RemoteTransport,
};
use crate::metrics::ShardCounters;
use crate::transport::{
    Certificate, Failure, Pair, Peer, PeerConfig, PeerEvent, Proto, RemoteParams, RemoteSctp, SendError,
};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use slab::Slab;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tracing::{Span, debug, info};

/// One shard's world, apart from its sockets' readiness.
pub struct State {
    pub sockets: Sockets,
    pub peers: Slab<PeerEntry>,
    pub media: MediaState,
    pub routes: Routes,
    pub wheel: Wheel,
    pub counters: Arc<ShardCounters>,
    /// Peers with staged datagrams.
    pub staged: Vec<usize>,
    pub spare: Spare,
    /// Packets no leg has seen yet.
    pub gather: Gather,
    /// Peers whose transport may have something to say.
    pub touched: Vec<usize>,
    /// Peers whose room has not taken all events yet.
    pub behind: Vec<usize>,
    /// Peers to be ended at the next turn.
    doomed: Vec<PeerKey>,
    by_key: FxHashMap<PeerKey, usize>,
    certificate: Arc<Certificate>,
    bases: Vec<(SocketAddr, Proto)>,
    peers_count: Arc<AtomicUsize>,
    /// This shard's number.
    pub index: u8,
    pub siblings: Vec<Sibling>,
    pub wall: Wall,
    pub scratch: Vec<u8>,
    /// RTCP being written.
    pub compound: Vec<u8>,
}

/// What a shard stands on: given at start, the same for life.
pub struct Footing {
    pub certificate: Arc<Certificate>,
    /// The addresses ICE sees packets arrive at.
    pub bases: Vec<(SocketAddr, Proto)>,
    pub config: MediaConfig,
    pub wall: Wall,
    pub peers_count: Arc<AtomicUsize>,
    pub counters: Arc<ShardCounters>,
    /// The shard's number, and the others.
    pub index: u8,
    pub siblings: Vec<Sibling>,
}

impl State {
    pub fn new(now: Instant, sockets: Sockets, footing: Footing) -> State {
        State {
            sockets,
            peers: Slab::new(),
            routes: Routes::default(),
            wheel: Wheel::new(now),
            counters: footing.counters,
            staged: Vec::new(),
            spare: Spare::default(),
            gather: Gather::new(footing.config.gather_window),
            media: MediaState::new(footing.config),
            touched: Vec::new(),
            behind: Vec::new(),
            doomed: Vec::new(),
            by_key: FxHashMap::default(),
            certificate: footing.certificate,
            bases: footing.bases,
            peers_count: footing.peers_count,
            index: footing.index,
            siblings: footing.siblings,
            wall: footing.wall,
            scratch: Vec::with_capacity(2048),
            compound: Vec::with_capacity(2048),
        }
    }

    pub fn index_of(&self, peer: PeerKey) -> Option<usize> {
        self.by_key.get(&peer).copied()
    }

    pub fn apply(&mut self, now: Instant, command: Command) {
        match command {
            Command::AddPeer(setup) => self.add_peer(now, *setup),
            Command::SetRemote { peer, remote } => self.set_remote(now, peer, remote),
            Command::AddCandidate { peer, candidate } => self.add_candidate(now, peer, &candidate),
            Command::RestartIce { peer, creds } => self.restart_ice(now, peer, creds),
            Command::RemovePeer { peer, span } => self.end_peer(now, peer, &span),
            Command::SetCapacity { peer, bps } => self.set_capacity(now, peer, bps),
            Command::Degrade(step) => self.degrade(now, step),
            Command::OpenChannel { peer, channel } => self.open_channel(now, peer, channel),
            Command::SendData { peer, channel, bytes } => self.send_data(now, peer, channel, &bytes),
            Command::AddTrack(setup) => self.add_track(now, *setup),
            Command::MuteTrack { track, muted } => self.mute_track(now, track, muted),
            Command::RemoveTrack { track } => self.remove_track(now, track),
            Command::MirrorTrack(setup) => self.mirror_track(now, *setup),
            Command::FeedMirror { track, shard } => self.feed_mirror(track, shard),
            Command::StarveMirror { track, shard } => self.starve_mirror(track, shard),
            Command::AddLeg(setup) => self.add_leg(now, *setup),
            Command::SetLeg { leg, target } => self.set_leg(now, leg, target),
            Command::RemoveLeg { leg } => self.remove_leg(now, leg),
        }
    }

    fn add_peer(&mut self, now: Instant, setup: PeerSetup) {
        let PeerSetup { peer, creds, ice_lite, candidates, events, allow_pause } = setup;
        let config = PeerConfig {
            ice_lite,
            controlling: false,
            creds: (creds.ufrag.clone(), creds.pwd),
            certificate: self.certificate.clone(),
            local_candidates: self.bases.iter().copied().filter(|(_, proto)| allowed(candidates, *proto)).collect(),
        };
        let transport = match Peer::new(now, config) {
            Ok(transport) => transport,
            Err(error) => {
                let why = PeerFailure::Dtls { why: error.to_string() };
                // The room learns it like any other failure; a full queue means it is ending anyway.
                let _ = events.try_send(Event::Failed { peer, why });
                return;
            }
        };
        let mut entry = PeerEntry::new(peer, transport, events, creds.ufrag.clone(), now);
        entry.allow_pause = allow_pause;
        let index = self.seat(entry);
        self.routes.add_ufrag(creds.ufrag, index);
        self.peers_count.fetch_add(1, Ordering::Relaxed);
        self.touched.push(index);
    }

    pub fn seat(&mut self, entry: PeerEntry) -> usize {
        let key = entry.key;
        let index = self.peers.insert(entry);
        self.by_key.insert(key, index);
        index
    }

    fn transport_mut(&mut self, index: usize) -> Option<&mut Peer> {
        self.peers.get_mut(index)?.transport.as_mut()
    }

    fn set_remote(&mut self, now: Instant, peer: PeerKey, remote: RemoteTransport) {
        let Some(index) = self.index_of(peer) else { return };
        let Some(transport) = self.transport_mut(index) else { return };
        let candidates = remote.candidates.clone();
        transport.set_remote(now, remote_params(remote));
        for line in candidates {
            if let Err(error) = transport.add_remote_candidate(now, &line) {
                debug!(%error, "a candidate of the description is unusable");
            }
        }
        self.touched.push(index);
    }

    fn add_candidate(&mut self, now: Instant, peer: PeerKey, line: &str) {
        let Some(index) = self.index_of(peer) else { return };
        let Some(transport) = self.transport_mut(index) else { return };
        if let Err(error) = transport.add_remote_candidate(now, line) {
            debug!(%error, "a trickled candidate is unusable");
        }
        self.touched.push(index);
    }

    fn restart_ice(&mut self, now: Instant, peer: PeerKey, creds: IceCredentials) {
        let Some(index) = self.index_of(peer) else { return };
        let entry = &mut self.peers[index];
        let Some(transport) = &mut entry.transport else { return };
        transport.restart_ice(now, (creds.ufrag.clone(), creds.pwd));
        // Checks under the last credentials may still be under way.
        while entry.ufrags.len() > 1 {
            let old = entry.ufrags.remove(0);
            self.routes.remove_ufrag(&old);
        }
        entry.ufrags.push(creds.ufrag.clone());
        self.routes.add_ufrag(creds.ufrag, index);
        self.touched.push(index);
    }

    /// Ends a transport that its room has done with.
    fn end_peer(&mut self, now: Instant, peer: PeerKey, span: &Span) {
        let unfinished = self.index_of(peer).and_then(|index| self.transport_mut(index)?.unfinished());
        match unfinished {
            Some(Failure::Ice { tried }) => span.in_scope(|| info!(?tried, "ICE unfinished")),
            Some(Failure::Dtls(why)) => span.in_scope(|| info!(why, "DTLS unfinished")),
            None => {}
        }
        self.remove_peer(now, peer);
    }

    pub fn remove_peer(&mut self, now: Instant, peer: PeerKey) {
        let Some(index) = self.index_of(peer) else { return };
        if let Some(transport) = self.transport_mut(index) {
            transport.close(now);
            self.peers_count.fetch_sub(1, Ordering::Relaxed);
        }
        self.drain(now, index);
        self.flush_peer(index);
        self.drop_media_of(now, index);
        let entry = self.peers.remove(index);
        self.routes.forget(index, &entry.addresses, &entry.ufrags);
        for id in entry.connections {
            self.sockets.close(id);
        }
        self.by_key.remove(&peer);
    }

    fn open_channel(&mut self, now: Instant, peer: PeerKey, channel: Channel) {
        let Some(index) = self.index_of(peer) else { return };
        let entry = &mut self.peers[index];
        let (ordered, retransmits) = if channel == Channel::Reliable { (true, None) } else { (false, Some(0)) };
        let Some(transport) = &mut entry.transport else { return };
        let id = transport.open_channel(now, channel.label(), ordered, retransmits);
        entry.channels.push((id, channel));
        self.touched.push(index);
    }

    fn send_data(&mut self, now: Instant, peer: PeerKey, channel: Channel, bytes: &Bytes) {
        let Some(index) = self.index_of(peer) else { return };
        let entry = &mut self.peers[index];
        let Some((id, transport)) = entry.channel_id(channel).zip(entry.transport.as_mut()) else { return };
        match transport.send(now, id, true, bytes) {
            Ok(()) => self.touched.push(index),
            Err(SendError::NotOpen(_)) => {}
            Err(error) => {
                self.counters.data_dropped.add(1);
                debug!(%error, ?channel, "a data message was dropped");
            }
        }
    }

    /// A datagram of a peer, decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, index: usize, datagram: &mut [u8], path: Path) -> bool {
        use crate::transport::Input;
        let Some(transport) = self.transport_mut(index) else { return false };
        let proto = if path.connection.is_some() { Proto::Tcp } else { Proto::Udp };
        match transport.handle_datagram(now, proto, path.local, path.remote, datagram) {
            Input::Rtp(length) => self.handle_rtp(now, index, &datagram[..length]),
            Input::Rtcp(length) => self.handle_rtcp(now, index, &datagram[..length]),
            Input::Consumed => self.touched.push(index),
            Input::Dropped(why) => {
                self.counters.datagrams_dropped.add(1);
                tracing::trace!(?why, "datagram dropped");
                return false;
            }
        }
        true
    }

    /// Sends what a transport wants sent, passes its events on, and sets its timer.
    pub fn drain(&mut self, now: Instant, index: usize) {
        self.transmit(index);
        while let Some(event) = self.transport_mut(index).and_then(Peer::poll_event) {
            self.handle_transport_event(now, index, event);
        }
        self.transmit(index);
        let deadline = self.transport_mut(index).and_then(|t| t.poll_timeout());
        if let Some(at) = deadline {
            self.wake(index, at);
        }
    }

    fn transmit(&mut self, index: usize) {
        let mut out = std::mem::take(&mut self.scratch);
        while let Some(transport) = self.transport_mut(index) {
            out.clear();
            let Some(transmit) = transport.poll_transmit(&mut out) else { break };
            let pair = Pair { local: transmit.local, remote: transmit.remote, proto: transmit.proto };
            let path = self.path_of(index, pair);
            self.sockets.send(path, &out, out.len());
        }
        self.scratch = out;
    }

    /// Where to send for a pair: TCP pairs name the connection they came by.
    fn path_of(&self, index: usize, pair: Pair) -> Path {
        let connections = self.peers.get(index).filter(|_| pair.proto == Proto::Tcp).map(|p| &p.connections);
        let connection = connections.and_then(|c| self.sockets.connection_to(c, pair.remote));
        Path { local: pair.local, remote: pair.remote, connection }
    }

    fn handle_transport_event(&mut self, now: Instant, index: usize, event: PeerEvent) {
        let Some(entry) = self.peers.get_mut(index) else { return };
        let peer = entry.key;
        let told = match event {
            PeerEvent::IceConnected { pair } => Event::IceConnected { peer, pair: seen(pair) },
            PeerEvent::PairChanged { pair } => Event::PairChanged { peer, pair: seen(pair) },
            PeerEvent::IceLost => Event::IceLost { peer },
            PeerEvent::Connected => Event::Connected { peer, took: now.saturating_duration_since(entry.created) },
            PeerEvent::Failed(failure) => Event::Failed { peer, why: why(failure) },
            PeerEvent::ChannelOpen { id, label, ordered, reliable } => {
                let channel = Channel::from_label(&label);
                if let Some(channel) = channel.filter(|_| entry.channel_of(id).is_none()) {
                    entry.channels.push((id, channel));
                }
                Event::ChannelOpen { peer, label, channel, ordered, reliable }
            }
            PeerEvent::ChannelClosed { id } => {
                let Some(channel) = entry.channel_of(id) else { return };
                entry.channels.retain(|(known, _)| *known != id);
                Event::ChannelClosed { peer, channel }
            }
            PeerEvent::Message { id, binary, data } => {
                let channel = entry.channel_of(id);
                let reliable = channel.is_none_or(|c| c == Channel::Reliable);
                Event::Data { peer, channel, reliable, binary, bytes: data }
            }
        };
        self.tell(index, told);
    }

    /// Tells the peer's room; one that is hopelessly behind loses the peer.
    pub fn tell(&mut self, index: usize, event: Event) {
        let Some(entry) = self.peers.get_mut(index) else { return };
        if !entry.tell(event) {
            let peer = entry.key;
            tracing::warn!(?peer, "the room takes no events: the peer is ended");
            self.doomed.push(peer);
        }
        if !entry.retell() && !self.behind.contains(&index) {
            self.behind.push(index);
        }
    }

    /// Runs something for a peer so that a fault of ours ends that peer alone (the room is told), not the shard.
    pub fn contain<R>(&mut self, index: usize, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => Some(result),
            Err(_) => {
                let peer = self.peers.get(index)?.key;
                tracing::error!(?peer, "a fault of the server ends this peer");
                self.tell(index, Event::Failed { peer, why: PeerFailure::Fault });
                self.doomed.push(peer);
                None
            }
        }
    }

    /// Ends peers that cannot go on.
    pub fn bury(&mut self, now: Instant) {
        while let Some(peer) = self.doomed.pop() {
            // The fault may lie in what its end touches: forgetting it unclosed is the lesser evil.
            if catch_unwind(AssertUnwindSafe(|| self.remove_peer(now, peer))).is_err() {
                self.by_key.remove(&peer);
            }
        }
    }

    /// Looks at the peer again at `at` or a little later.
    pub fn wake(&mut self, index: usize, at: Instant) {
        let Some(entry) = self.peers.get_mut(index) else { return };
        if entry.wake_at.is_none_or(|set| at < set) {
            entry.wake_at = Some(at);
            self.wheel.schedule(at, index);
        }
    }

    /// A peer's timer fired, or an older one that no longer counts.
    pub fn handle_timer(&mut self, now: Instant, index: usize) {
        let Some(entry) = self.peers.get_mut(index) else { return };
        if entry.wake_at.is_none_or(|at| at > now) {
            return;
        }
        entry.wake_at = None;
        if let Some(transport) = &mut entry.transport {
            transport.handle_timeout(now);
        }
        self.drain(now, index);
        self.report(now, index);
    }

    /// A TCP connection proved to be this peer's.
    pub fn bind_connection(&mut self, index: usize, id: usize) {
        if let Some(connection) = self.sockets.connection_mut(id) {
            connection.peer = Some(index);
        }
        let Some(entry) = self.peers.get_mut(index) else { return };
        if !entry.connections.contains(&id) {
            entry.connections.push(id);
        }
    }

    pub fn close_connection(&mut self, id: usize) {
        if let Some(entry) = self.sockets.close(id).and_then(|index| self.peers.get_mut(index)) {
            entry.connections.retain(|c| *c != id);
        }
    }
}

fn allowed(policy: CandidatePolicy, proto: Proto) -> bool {
    match policy {
        CandidatePolicy::All => true,
        CandidatePolicy::TcpOnly => proto == Proto::Tcp,
        CandidatePolicy::UdpOnly => proto == Proto::Udp,
    }
}

fn remote_params(remote: RemoteTransport) -> RemoteParams {
    RemoteParams {
        ufrag: remote.creds.ufrag,
        pwd: remote.creds.pwd,
        ice_lite: remote.ice_lite,
        fingerprints: remote.fingerprints,
        dtls_active: remote.dtls_active,
        sctp: remote.sctp.map(|s| RemoteSctp { port: s.port, max_message_bytes: s.max_message_bytes }),
    }
}

fn seen(pair: Pair) -> CandidatePair {
    CandidatePair { local: pair.local, remote: pair.remote, tcp: pair.proto == Proto::Tcp }
}

fn why(failure: Failure) -> PeerFailure {
    match failure {
        Failure::Ice { tried } => PeerFailure::Ice { tried },
        Failure::Dtls(why) => PeerFailure::Dtls { why },
    }
}
