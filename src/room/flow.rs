//! Data packets on their way through the room: from a participant or the API to everybody they are meant for, on each
//! receiver's primary connection (WIRE.md §4.13, §4.14).

use super::blob::Blobs;
use super::data::replay::HeldPackets;
use super::data::rpc::{RpcCall, RpcOutcome};
use super::data::{Relay, Sender, Sequence, Verdict};
use super::data_track::{DataSubscriptions, PublishedDataTracks};
use super::error::RoomError;
use super::leave::Departure;
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use super::timers::Timer;
use crate::proto::{PerformRpcRequest, SendDataRequest, id};
use crate::shard::{Channel, Command, PeerKey};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, info};

/// How a call of the API ends.
pub type Answer = Result<String, RoomError>;

const NONCE_BYTES: usize = 16;

/// One participant's data: what it numbered, published, subscribed to and stored.
pub struct ParticipantData {
    pub sequence: Sequence,
    pub tracks: PublishedDataTracks,
    pub subscriptions: DataSubscriptions,
    pub blobs: Blobs,
    /// For when its channels are open.
    held: HeldPackets,
    reliable_open: bool,
    lossy_open: bool,
    joined_at: Instant,
}

impl ParticipantData {
    pub fn new(now: Instant) -> ParticipantData {
        ParticipantData {
            sequence: Sequence::default(),
            tracks: PublishedDataTracks::default(),
            subscriptions: DataSubscriptions::new(rand::random()),
            blobs: Blobs::default(),
            held: HeldPackets::default(),
            reliable_open: false,
            lossy_open: false,
            joined_at: now,
        }
    }

    /// The client can be sent data.
    fn is_established(&self) -> bool {
        self.reliable_open && self.lossy_open
    }
}

impl Participant {
    fn as_sender(&self) -> Sender<'_> {
        Sender {
            identity: &self.info.identity,
            sid: &self.info.sid,
            hidden: self.permissions.hidden,
            agent: self.is_agent(),
            may_publish_data: self.permissions.can_publish_data,
        }
    }
}

impl Room {
    /// A channel of that transport can be written. Once the ones we send on are, what was missed meanwhile follows.
    pub(super) fn channel_open(&mut self, peer: PeerKey, channel: Option<Channel>) {
        let now = Instant::now();
        let Some(p) = self.peers.get(&peer).and_then(|key| self.people.get_mut(key)) else { return };
        if p.primary_peer() != peer {
            return;
        }
        let before = p.data.is_established();
        match channel {
            Some(Channel::Reliable) => p.data.reliable_open = true,
            Some(Channel::Lossy) => p.data.lossy_open = true,
            _ => (),
        }
        if before || !p.data.is_established() {
            return;
        }
        let since = p.data.joined_at.into_std();
        let mut missed = self.replay.since(since, &p.info.identity, &p.info.sid, now.into_std());
        missed.extend(p.data.held.take());
        for bytes in missed {
            self.shards.send(Command::SendData { peer, channel: Channel::Reliable, bytes });
        }
    }

    /// A channel the participant is sent data on ended while its transport goes on: what is sent now is lost.
    pub(super) fn channel_closed(&mut self, peer: PeerKey, channel: Channel) {
        let Some(key) = self.peers.get(&peer).copied() else { return };
        let Some(p) = self.people.get(&key).filter(|p| p.primary_peer() == peer) else { return };
        debug!(participant = p.info.identity, ?channel, "data channel closed");
        if self.ctx.config.rtc.reconnect_on_data_channel_error {
            info!(participant = p.info.identity, ?channel, "a data channel failed; the client is told to reconnect");
            self.remove(key, Departure::StateMismatch);
        }
    }

    pub(super) fn handle_data(&mut self, peer: PeerKey, channel: Option<Channel>, reliable: bool, bytes: Bytes) {
        let Some(key) = self.peers.get(&peer).copied() else { return };
        match channel {
            Some(Channel::DataTrack) => self.forward_data_track(key, &bytes),
            Some(Channel::Reliable) => self.relay(key, true, &bytes),
            Some(Channel::Lossy) => self.relay(key, false, &bytes),
            None => self.relay_unlabeled(key, reliable, &bytes),
        }
    }

    fn relay(&mut self, key: ParticipantKey, reliable: bool, bytes: &[u8]) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let mut sequence = p.data.sequence;
        let verdict = self.data.relay(p.as_sender(), &mut sequence, reliable, bytes);
        p.data.sequence = sequence;
        self.carry_out(key, verdict);
    }

    fn relay_unlabeled(&mut self, key: ParticipantKey, reliable: bool, bytes: &[u8]) {
        let Some(p) = self.people.get(&key) else { return };
        let verdict = self.data.relay_unlabeled(p.as_sender(), reliable, bytes);
        self.carry_out(key, verdict);
    }

    fn carry_out(&mut self, from: ParticipantKey, verdict: Verdict) {
        match verdict {
            Verdict::Relay(relay) => {
                if let Some(p) = self.people.get(&from) {
                    self.replay.push(&relay, p.sid(), Instant::now().into_std());
                }
                self.deliver(Some(from), &relay);
            }
            Verdict::Rpc(outcome) => outcome.into_iter().for_each(|o| self.answer_rpc(o)),
            Verdict::Dropped(why) => debug!(?from, ?why, "data packet dropped"),
        }
    }

    /// To everybody meant but the sender. Reliable packets for who cannot take them yet wait: numbered ones in the replay
    /// cache, the others with the receiver.
    fn deliver(&mut self, from: Option<ParticipantKey>, relay: &Relay) {
        let channel = if relay.reliable { Channel::Reliable } else { Channel::Lossy };
        for p in self.people.values_mut().filter(|p| Some(p.key) != from) {
            if !relay.destinations.include(&p.info.identity, &p.info.sid) || (relay.active_only && !p.is_active()) {
                continue;
            }
            if p.data.is_established() {
                let (peer, bytes) = (p.primary_peer(), relay.bytes.clone());
                self.shards.send(Command::SendData { peer, channel, bytes });
            } else if relay.reliable && relay.sequence == 0 {
                p.data.held.push(relay.bytes.clone());
            }
        }
    }

    /// RoomService.SendData.
    pub fn send_data(&mut self, request: SendDataRequest) -> Result<(), RoomError> {
        if !matches!(request.nonce.len(), 0 | NONCE_BYTES) {
            return Err(RoomError::invalid("nonce should be 16-bytes or not present"));
        }
        if let Some(relay) = self.data.send_data(&request) {
            self.deliver(None, &relay);
        }
        Ok(())
    }

    /// Where the answer of the called participant will come.
    pub fn perform_rpc(&mut self, request: PerformRpcRequest) -> Result<oneshot::Receiver<Answer>, RoomError> {
        if request.destination_identity.is_empty() {
            return Err(RoomError::invalid("destination identity is required"));
        }
        let round_trip = self.find(&request.destination_identity).map(|key| self.round_trip(key))?;
        let call = RpcCall {
            id: id::random("RPC_"),
            destination_identity: request.destination_identity,
            method: request.method,
            payload: request.payload,
            response_timeout_ms: request.response_timeout_ms,
            round_trip,
        };
        let (caller, answer) = oneshot::channel();
        let key = call.id.clone();
        let relay = self.data.rpcs.start(call, Instant::now().into_std())?;
        self.callers.insert(key, caller);
        self.deliver(None, &relay);
        self.watch_rpcs();
        Ok(answer)
    }

    fn round_trip(&self, key: ParticipantKey) -> Duration {
        self.people.get(&key).map(|p| p.round_trip).unwrap_or_default()
    }

    pub(super) fn expire_rpcs(&mut self, now: Instant) {
        let ended = self.data.rpcs.poll_timeout(now.into_std());
        ended.into_iter().for_each(|o| self.answer_rpc(o));
        self.watch_rpcs();
    }

    fn watch_rpcs(&mut self) {
        if let Some(due) = self.data.rpcs.deadline() {
            self.timers.arm(Timer::Rpc, Instant::from_std(due));
        }
    }

    fn answer_rpc(&mut self, outcome: RpcOutcome) {
        if let Some(caller) = self.callers.remove(&outcome.id) {
            // The caller may have given up.
            let _ = caller.send(outcome.result.map_err(RoomError::from));
        }
    }

    /// Calls to a participant that left fail; its data tracks end.
    pub(super) fn data_departed(&mut self, gone: &Participant) {
        let ended = self.data.rpcs.forget(gone.identity());
        ended.into_iter().for_each(|o| self.answer_rpc(o));
        if !gone.data.tracks.infos().is_empty() {
            self.reconcile_data_tracks();
        }
    }

    pub(super) fn last_message_seq(&self, p: &Participant) -> u32 {
        p.data.sequence.last()
    }
}
