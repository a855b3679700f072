//! Joining a room (WIRE.md §2.3, §2.4).

use super::client::Client;
use super::flow::ParticipantData;
use super::leave::Departure;
use super::link::{Link, Links};
use super::negotiate::{ConnectionSetup, Role};
use super::participant::{Options, Participant, ParticipantKey, Simulated, kind_details, kind_named};
use super::permission::{Permissions, TrackPermissions};
use super::session::{OpenError, Session, SessionStart};
use super::state::Room;
use super::timers::Timer;
use super::update::ReceiverFilter;
use super::{clock, codecs, resume};
use crate::proto::participant_info::State;
use crate::proto::server_info::Edition;
use crate::proto::signal_response::Message;
use crate::proto::{AddTrackRequest, JoinResponse, ParticipantInfo, ServerInfo, SessionDescription, SignalTarget, id};
use crate::shard::{CandidatePolicy, Channel, Command, PeerKey, PeerSetup, Shard};
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Told to clients, in seconds.
const PING_INTERVAL_S: i32 = 5;
const PING_TIMEOUT_S: i32 = 15;

/// Versions of the protocols this server speaks.
const SIGNAL_PROTOCOL: i32 = 17;
const AGENT_PROTOCOL: i32 = 1;

/// What a v1 client sends along with its connect request.
struct Luggage {
    add_tracks: Vec<AddTrackRequest>,
    offer: Option<SessionDescription>,
}

impl Room {
    /// Joins or resumes. The first message is queued when this returns.
    pub fn open(&mut self, start: SessionStart) -> Result<Session, OpenError> {
        match (self.by_identity(&start.identity), start.reconnect) {
            (Some(key), true) => return Ok(self.resume(key, &start)),
            (None, true) => return Ok(resume::refused(start.client.protocol)),
            (Some(key), false) => self.remove(key, Departure::DuplicateIdentity),
            (None, false) => (),
        }
        self.join(start)
    }

    fn join(&mut self, mut start: SessionStart) -> Result<Session, OpenError> {
        let luggage =
            Luggage { add_tracks: std::mem::take(&mut start.add_track_requests), offer: start.publisher_offer.take() };
        let key = ParticipantKey(self.fresh_key());
        let participant = self.new_participant(key, start);
        self.check_room_for(&participant)?;
        let (signal, session) = self.new_session(key);
        self.seat_participant(participant);
        if let Some(p) = self.people.get_mut(&key) {
            p.signal = Some(signal);
        }
        self.welcome(key);
        self.unpack(key, luggage);
        self.refresh_token(key);
        Ok(session)
    }

    fn check_room_for(&self, participant: &Participant) -> Result<(), OpenError> {
        let max = self.settings.max_participants as usize;
        let counted = self.people.values().filter(|p| !p.is_dependent()).count();
        if max > 0 && counted >= max && !participant.is_dependent() {
            return Err(OpenError::Refused { why: format!("the room is full: {max} participants at most") });
        }
        Ok(())
    }

    fn new_participant(&self, key: ParticipantKey, start: SessionStart) -> Participant {
        let shard = self.shards.seat();
        let client = Client(start.client);
        let permissions = Permissions::from(&start.claims.video.clone().unwrap_or_default());
        let single = start.single_peer_connection;
        let lite = client.may_use_ice_lite() && !start.disable_ice_lite;
        let subscriber_primary = !single && client.takes_subscriber_primary() && permissions.can_subscribe;
        let policy = self.policy_for(&start.identity);
        let role = if single { Role::Single } else { Role::Publisher };
        let links = Links {
            publisher: self.new_link(&shard, &client, role, policy, lite, false),
            subscriber: (!single)
                .then(|| self.new_link(&shard, &client, Role::Subscriber, policy, lite, subscriber_primary)),
        };
        Participant {
            key,
            info: self.participant_proto(&start.identity, &start.claims, &client, &permissions),
            claims: start.claims,
            permissions,
            options: Options {
                auto_subscribe: start.auto_subscribe,
                auto_subscribe_data_track: start.auto_subscribe_data_track,
                adaptive_stream: start.adaptive_stream,
                allow_pause: start.subscriber_allow_pause,
            },
            client,
            signal: None,
            heard_at: Instant::now(),
            filter: ReceiverFilter::default(),
            links,
            subscriber_primary,
            announced: Vec::new(),
            queued: Vec::new(),
            parked: Vec::new(),
            orphaned: Vec::new(),
            published: Vec::new(),
            subscriptions: Default::default(),
            settings: Default::default(),
            unapplied: Default::default(),
            track_permissions: TrackPermissions::default(),
            data: ParticipantData::new(Instant::now()),
            transport_failed_at: None,
            round_trip: Duration::ZERO,
            simulated: Simulated::default(),
        }
    }

    fn participant_proto(
        &self,
        identity: &str,
        claims: &crate::token::Claims,
        client: &Client,
        permissions: &Permissions,
    ) -> ParticipantInfo {
        let now_ms = clock::unix_ms();
        ParticipantInfo {
            sid: id::participant(),
            identity: identity.to_owned(),
            state: State::Joining as i32,
            metadata: claims.metadata.clone(),
            // Grows from session to session.
            version: u32::try_from(now_ms / 1000).unwrap_or(0),
            joined_at: now_ms / 1000,
            joined_at_ms: now_ms,
            name: claims.name.clone(),
            permission: Some(permissions.to_proto()),
            region: self.ctx.node.region.clone(),
            kind: kind_named(&claims.kind) as i32,
            kind_details: kind_details(&claims.kind_details),
            attributes: claims.attributes.clone().into_iter().collect(),
            client_protocol: client.0.client_protocol,
            capabilities: client.0.capabilities.clone(),
            ..ParticipantInfo::default()
        }
    }

    fn new_link(
        &self,
        shard: &Shard,
        client: &Client,
        role: Role,
        policy: CandidatePolicy,
        ice_lite: bool,
        data_channels: bool,
    ) -> Link {
        let enabled = &self.ctx.config.room.enabled_codecs;
        let setup = ConnectionSetup {
            role,
            creds: shard.credentials(),
            ice_lite,
            fingerprint: shard.fingerprint().to_owned(),
            candidates: Vec::new(),
            publish_codecs: codecs::publish_codecs(enabled, client),
            subscribe_codecs: codecs::subscribe_codecs(enabled, client),
            one_video_codec: client.wants_one_video_codec(),
            reuse_sections: client.reuses_sections() && !self.settings.sync_streams,
            takes_red: client.takes_red(),
            playout_delay: self.settings.playout_delay_ms != (0, 0),
            data_channels,
        };
        let target = if role == Role::Subscriber { SignalTarget::Subscriber } else { SignalTarget::Publisher };
        Link::new(PeerKey::fresh(), target, policy, setup)
    }

    /// Gives the participant its transports and its place among the others.
    fn seat_participant(&mut self, participant: Participant) {
        for link in participant.links.iter() {
            self.peers.insert(link.peer, participant.key);
            self.shards.send(Command::AddPeer(Box::new(PeerSetup {
                peer: link.peer,
                creds: link.creds.clone(),
                ice_lite: link.ice_lite,
                candidates: link.policy,
                events: self.events.clone(),
                allow_pause: participant.options.allow_pause,
            })));
        }
        if participant.subscriber_primary {
            self.open_channels(participant.primary_peer());
        }
        let (key, identity, sid) = (participant.key, participant.identity().to_owned(), participant.sid().to_owned());
        let (sdk, protocol) = (participant.client.0.sdk().as_str_name(), participant.client.protocol());
        let shard = self.shards.of(participant.primary_peer()).index();
        info!(participant = identity, sid, sdk, protocol, shard, "joined");
        self.people.insert(key, participant);
        self.timers.arm(Timer::JoinWatchdog(key), Instant::now() + JOIN_TIMEOUT);
    }

    /// WIRE.md §3.11: the server opens the channels it sends on, in this order.
    fn open_channels(&mut self, peer: PeerKey) {
        self.shards.send(Command::OpenChannel { peer, channel: Channel::Reliable });
        self.shards.send(Command::OpenChannel { peer, channel: Channel::Lossy });
        if self.ctx.config.enable_data_tracks {
            self.shards.send(Command::OpenChannel { peer, channel: Channel::DataTrack });
        }
    }

    /// `join`, then the first things the participant is sent.
    fn welcome(&mut self, key: ParticipantKey) {
        self.count_people();
        let Some(join) = self.join_response(key) else { return };
        self.send(key, Message::Join(join));
        if let Some(p) = self.people.get_mut(&key) {
            p.info.set_state(State::Joined);
        }
        self.announce_state(key);
        self.start_sending(key);
    }

    /// Subscribes to what is there already. Older clients get an offer with the data channels alone.
    fn start_sending(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let (single, primary, fast) = (p.links.is_single(), p.subscriber_primary, p.client.starts_fast());
        if single || (primary && fast) {
            self.auto_subscribe(key);
        }
        if primary {
            self.negotiate(key, Instant::now());
        }
    }

    /// What came along with the connect request: tracks before the offer that carries them.
    fn unpack(&mut self, key: ParticipantKey, luggage: Luggage) {
        for request in luggage.add_tracks {
            self.add_track(key, request);
        }
        if let Some(offer) = luggage.offer {
            self.handle_offer(key, offer);
        }
    }

    fn join_response(&self, key: ParticipantKey) -> Option<JoinResponse> {
        let p = self.people.get(&key)?;
        let enabled = codecs::publish_codecs(&self.ctx.config.room.enabled_codecs, &p.client);
        Some(JoinResponse {
            room: Some(self.info()),
            participant: Some(self.describe(p)),
            other_participants: self.visible_to(key),
            server_version: self.ctx.node.version.clone(),
            ice_servers: (self.ctx.ice_servers)(p.sid()),
            subscriber_primary: p.subscriber_primary,
            client_configuration: codecs::client_configuration(&p.client, false),
            server_region: self.ctx.node.region.clone(),
            ping_timeout: PING_TIMEOUT_S,
            ping_interval: PING_INTERVAL_S,
            server_info: Some(self.server_info()),
            sif_trailer: self.sif_trailer.to_vec(),
            enabled_publish_codecs: codecs::advertised(&enabled),
            fast_publish: p.permissions.can_publish && self.policy_for(p.identity()) == CandidatePolicy::All,
            ..JoinResponse::default()
        })
    }

    /// Everybody else but the hidden.
    fn visible_to(&self, key: ParticipantKey) -> Vec<ParticipantInfo> {
        self.people.values().filter(|p| p.key != key && !p.is_hidden()).map(|p| self.describe(p)).collect()
    }

    pub(super) fn server_info(&self) -> ServerInfo {
        ServerInfo {
            edition: Edition::Standard as i32,
            version: self.ctx.node.version.clone(),
            protocol: SIGNAL_PROTOCOL,
            region: self.ctx.node.region.clone(),
            node_id: self.ctx.node.id.clone(),
            agent_protocol: AGENT_PROTOCOL,
            ..ServerInfo::default()
        }
    }
}
