//! What the shard tells of a participant's transports, and what follows for its session (WIRE.md §2.3, §3.8).

use super::leave::Departure;
use super::participant::ParticipantKey;
use super::state::Room;
use super::timers::Timer;
use crate::proto::DisconnectReason;
use crate::proto::leave_request::Action;
use crate::proto::participant_info::State;
use crate::shard::{CandidatePair, CandidatePolicy, Event, PeerFailure, PeerKey};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info};

/// How long a participant without media is kept for a resume.
const GRACE: Duration = Duration::from_secs(5);
/// DTLS must be up within three times what ICE took, in these bounds.
const HANDSHAKE_MIN: Duration = Duration::from_secs(10);
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

impl Room {
    pub fn handle_event(&mut self, event: Event) {
        match event {
            Event::IceConnected { peer, pair } => self.ice_connected(peer, pair),
            Event::PairChanged { peer, pair } => self.pair_changed(peer, pair),
            Event::IceLost { peer } => self.ice_lost(peer),
            Event::Connected { peer, took } => self.connected(peer, took),
            Event::Unstable { peer } => self.path_unstable(peer),
            Event::Failed { peer, why } => self.transport_failed(peer, &why),
            Event::ChannelOpen { peer, channel, .. } => self.channel_open(peer, channel),
            Event::ChannelClosed { peer, channel } => self.channel_closed(peer, channel),
            Event::Data { peer, channel, reliable, bytes, .. } => self.handle_data(peer, channel, reliable, bytes),
            Event::Speakers { peer, levels } => self.handle_speakers(peer, levels),
            Event::Quality { peer, tracks, legs } => self.handle_quality(peer, tracks, legs),
            Event::StreamState { peer, legs } => self.handle_stream_state(peer, &legs),
            Event::Kept { leg, kept, .. } => self.kept_changed(leg, kept),
            Event::TrackStarted { track } => debug!(?track, "first packet"),
            Event::Layers { track, flowing } => debug!(?track, flowing, "layers"),
            Event::LegStarted { leg } => debug!(?leg, "first packet to a subscriber"),
        }
    }

    fn ice_connected(&mut self, peer: PeerKey, pair: CandidatePair) {
        let now = Instant::now();
        let Some(key) = self.peers.get(&peer).copied() else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        debug!(participant = p.info.identity, ?pair, "ICE connected");
        let Some(link) = p.links.by_peer(peer) else { return };
        link.ice_up = true;
        link.pair = Some(pair);
        link.ice_was_up = true;
        link.failed = false;
        let took = link.described_at.map_or(HANDSHAKE_MIN, |at| now - at);
        if !link.connected {
            self.timers.arm(Timer::Handshake(key), now + (3 * took).clamp(HANDSHAKE_MIN, HANDSHAKE_MAX));
        }
    }

    fn pair_changed(&mut self, peer: PeerKey, pair: CandidatePair) {
        debug!(?peer, ?pair, "candidate pair changed");
        let Some(p) = self.peers.get(&peer).and_then(|key| self.people.get_mut(key)) else { return };
        if let Some(link) = p.links.by_peer(peer) {
            link.pair = Some(pair);
        }
    }

    fn ice_lost(&mut self, peer: PeerKey) {
        let Some(p) = self.peers.get(&peer).and_then(|key| self.people.get_mut(key)) else { return };
        debug!(participant = p.info.identity, "ICE lost");
        if let Some(link) = p.links.by_peer(peer) {
            link.ice_up = false;
        }
    }

    fn connected(&mut self, peer: PeerKey, took: Duration) {
        let Some(key) = self.peers.get(&peer).copied() else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        debug!(participant = p.info.identity, took_ms = took.as_millis(), "transport connected");
        let is_primary = p.primary_peer() == peer;
        let Some(link) = p.links.by_peer(peer) else { return };
        link.connected = true;
        link.ice_up = true;
        link.ice_was_up = true;
        link.failed = false;
        if p.links.iter().all(|l| l.connected || !l.ice_up) {
            self.timers.cancel(Timer::Handshake(key));
        }
        if is_primary {
            self.activate(key);
        }
        self.tell_all_subscribed(key);
    }

    /// The participant's media works: it takes full part.
    fn activate(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get_mut(&key).filter(|p| !p.is_active()) else { return };
        p.info.set_state(State::Active);
        self.timers.cancel(Timer::JoinWatchdog(key));
        self.announce_state(key);
        self.unpark(key);
        self.auto_subscribe(key);
        self.auto_subscribe_data(key);
        self.start_reports();
    }

    fn tell_all_subscribed(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let sids: Vec<String> = p.subscriptions.keys().cloned().collect();
        sids.iter().for_each(|sid| self.tell_subscribed(key, sid));
    }

    pub(super) fn handshake_overdue(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let slow = p.links.iter().find(|l| l.ice_up && !l.connected).map(|l| l.peer);
        if let Some(peer) = slow {
            self.transport_failed(peer, &PeerFailure::Dtls { why: "no handshake in time after ICE".to_owned() });
        }
    }

    fn transport_failed(&mut self, peer: PeerKey, why: &PeerFailure) {
        let Some(key) = self.peers.get(&peer).copied() else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        let Some(link) = p.links.by_peer(peer) else { return };
        let (connection, pair) = (link.target.as_str_name(), link.pair);
        link.ice_up = false;
        link.failed = true;
        let identity = &p.info.identity;
        match why {
            PeerFailure::Ice { tried } => info!(participant = identity, connection, ?tried, "ICE failed"),
            PeerFailure::Dtls { why } => info!(participant = identity, connection, why, ?pair, "DTLS failed"),
            PeerFailure::Abuse { why } => info!(participant = identity, connection, why, "client broke a limit"),
            PeerFailure::Fault => {
                tracing::error!(participant = identity, connection, "the server's fault ended a transport")
            }
        }
        match why {
            PeerFailure::Ice { .. } => self.await_resume(key),
            // A handshake cannot be had again on the same transport.
            PeerFailure::Dtls { .. } => self.remove(key, Departure::StateMismatch),
            PeerFailure::Abuse { .. } | PeerFailure::Fault => self.remove(key, Departure::Abuse),
        }
    }

    /// A connection that is to use TCP has not come up by it.
    pub(super) fn tcp_overdue(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let late = p.links.iter().find(|l| l.policy == CandidatePolicy::TcpOnly && l.is_checking()).map(|l| l.peer);
        if let Some(peer) = late {
            self.transport_failed(
                peer,
                &PeerFailure::Ice { tried: vec!["TCP only, not connected in time".to_owned()] },
            );
        }
    }

    /// Asks the client to resume, and gives it a moment to.
    fn await_resume(&mut self, key: ParticipantKey) {
        self.note_fallback(key);
        let Some(p) = self.people.get_mut(&key) else { return };
        p.say_leave(DisconnectReason::ConnectionTimeout, Action::Resume);
        self.timers.arm(Timer::Grace(key), Instant::now() + GRACE);
    }
}
