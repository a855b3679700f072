//! The state of one room. Its task (`run`) is the only caller; what may happen to a room stands in the sibling files, one
//! concern each: join, resume, leave, request, dialogue (SDP), publish, subscribe, announce, count, admin.

use super::clock;
use super::close::CloseReason;
use super::context::RoomContext;
use super::data::DataRelay;
use super::data::replay::ReplayCache;
use super::dynacast::Demand;
use super::flow::Answer;
use super::incoming::{Incoming, SessionKey};
use super::leave::Departure;
use super::participant::{Participant, ParticipantKey, Signal};
use super::publication::Publication;
use super::quality::Qualities;
use super::registry::Seat;
use super::settings::RoomSettings;
use super::speakers::Speakers;
use super::timers::{Timer, Timers};
use super::update::Updates;
use super::version::Versions;
use super::{codecs, session::Session};
use crate::limits::{SIF_TRAILER_BYTES, SIGNAL_OUT_MAX};
use crate::proto::signal_response::Message;
use crate::proto::{self, id};
use crate::shard::{CandidatePolicy, EventSender, LegKey, PeerKey, Spread, TrackKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::info;

pub struct Room {
    pub(super) ctx: Arc<RoomContext>,
    pub(super) settings: RoomSettings,
    /// As clients and the API see it.
    pub(super) proto: proto::Room,
    pub(super) versions: Versions,
    /// Marks frames the server injects into encrypted tracks.
    pub(super) sif_trailer: [u8; SIF_TRAILER_BYTES],
    pub(super) seat: Seat,
    pub(super) shards: Spread,
    pub(super) events: EventSender,
    /// In the order they joined.
    pub(super) people: BTreeMap<ParticipantKey, Participant>,
    pub(super) peers: HashMap<PeerKey, ParticipantKey>,
    /// Published tracks by sid.
    pub(super) tracks: BTreeMap<String, Publication>,
    pub(super) sources: HashMap<TrackKey, String>,
    pub(super) legs: HashMap<LegKey, (ParticipantKey, String)>,
    pub(super) updates: Updates,
    pub(super) speakers: Speakers,
    pub(super) qualities: Qualities,
    /// By track sid.
    pub(super) demands: BTreeMap<String, Demand>,
    pub(super) data: DataRelay,
    pub(super) replay: ReplayCache,
    /// API calls of a participant that wait for its answer, by id.
    pub(super) callers: HashMap<String, oneshot::Sender<Answer>>,
    /// By identity.
    pub(super) fallbacks: HashMap<String, CandidatePolicy>,
    sessions: HashMap<SessionKey, ParticipantKey>,
    incoming: Vec<Incoming>,
    pub(super) timers: Timers,
    pub(super) opened_at: Instant,
    /// Somebody who counts was here.
    pub(super) was_joined: bool,
    pub(super) last_left: Option<Instant>,
    /// When clients last heard of the room's counters.
    pub(super) counters_at: Option<Instant>,
    keys: u64,
    closed: Option<CloseReason>,
}

impl Room {
    pub fn new(ctx: Arc<RoomContext>, settings: RoomSettings, seat: Seat, events: EventSender) -> Room {
        let mut versions = Versions::default();
        let proto = room_proto(&ctx, &settings, &mut versions);
        info!(room = proto.name, sid = proto.sid, "room opened");
        let mut room = Room {
            shards: Spread::new(ctx.shards.clone(), ctx.config.lkops.spread_rooms_at as usize, events.clone()),
            sif_trailer: rand::random(),
            ctx,
            settings,
            proto,
            versions,
            seat,
            events,
            people: BTreeMap::new(),
            peers: HashMap::new(),
            tracks: BTreeMap::new(),
            sources: HashMap::new(),
            legs: HashMap::new(),
            updates: Updates::default(),
            speakers: Speakers::default(),
            qualities: Qualities::default(),
            demands: BTreeMap::new(),
            data: DataRelay::default(),
            replay: ReplayCache::default(),
            callers: HashMap::new(),
            fallbacks: HashMap::new(),
            sessions: HashMap::new(),
            incoming: Vec::new(),
            timers: Timers::default(),
            opened_at: Instant::now(),
            was_joined: false,
            last_left: None,
            counters_at: None,
            keys: 0,
            closed: None,
        };
        room.note_room();
        room.watch_idle();
        room
    }

    pub fn name(&self) -> &str {
        &self.proto.name
    }

    pub fn sid(&self) -> &str {
        &self.proto.sid
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether other nodes are to know what happens here. The name of a closed room may be another's.
    pub(super) fn is_noted(&self) -> bool {
        self.ctx.ledger.is_kept() && self.closed.is_none()
    }

    /// Tells everybody, and gives the name up. The task ends after this.
    pub fn close(&mut self, why: CloseReason) {
        if self.closed.replace(why).is_some() {
            return;
        }
        self.seat.vacate();
        self.ctx.ledger.strike_room(self.name(), self.sid());
        if why == CloseReason::Elsewhere {
            // What they come back with says what they are now, not what their first token said.
            self.keys_of_people().into_iter().for_each(|key| self.refresh_token(key));
        }
        // First everybody's own farewell, so that nobody hears of all the others leaving.
        self.people.values_mut().for_each(|p| p.part(why.departure()));
        for key in self.keys_of_people() {
            self.remove(key, why.departure());
        }
        info!(reason = ?why, "room closed");
    }

    /// Request queues of sessions opened since the last call.
    pub fn poll_incoming(&mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.incoming)
    }

    /// When [`Room::handle_time`] wants to be called.
    pub fn wake_at(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn handle_time(&mut self, now: Instant) {
        while let Some(timer) = self.timers.poll_due(now) {
            self.handle_timer(timer, now);
        }
    }

    fn handle_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::JoinWatchdog(key) => self.remove(key, Departure::JoinTimeout),
            Timer::Negotiate(key) => self.negotiate(key, now),
            Timer::Answer(key) => self.answer_overdue(key),
            Timer::Grace(key) => self.remove(key, Departure::ConnectionTimeout),
            Timer::Handshake(key) => self.handshake_overdue(key),
            Timer::TcpConnect(key) => self.tcp_overdue(key),
            Timer::RefreshToken(key) => self.refresh_token(key),
            Timer::Settings(key) => self.apply_settings(key),
            Timer::Unsent(key) => self.publication_overdue(key, now),
            Timer::Reconcile => self.reconcile_all(now),
            Timer::Updates => self.flush_updates(),
            Timer::Speakers | Timer::SimulatedSpeaker(_) => self.report_speakers(now),
            Timer::Counters => self.send_room_update(),
            Timer::Quality => self.report_quality(),
            Timer::Dynacast => self.pause_unwanted(now),
            Timer::Rpc => self.expire_rpcs(now),
            Timer::Idle => self.close(CloseReason::Idle),
        }
    }

    pub(super) fn fresh_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    pub(super) fn send(&mut self, key: ParticipantKey, message: Message) {
        if let Some(participant) = self.people.get_mut(&key) {
            participant.send(message);
        }
    }

    pub(super) fn with(&mut self, key: ParticipantKey, change: impl FnOnce(&mut Participant)) {
        if let Some(participant) = self.people.get_mut(&key) {
            change(participant);
        }
    }

    pub(super) fn by_identity(&self, identity: &str) -> Option<ParticipantKey> {
        self.people.values().find(|p| p.identity() == identity).map(|p| p.key)
    }

    pub(super) fn keys_of_people(&self) -> Vec<ParticipantKey> {
        self.people.keys().copied().collect()
    }

    pub(super) fn others(&self, key: ParticipantKey) -> Vec<ParticipantKey> {
        self.people.keys().copied().filter(|k| *k != key).collect()
    }

    /// Queues for a new signal connection of that participant.
    pub(super) fn new_session(&mut self, key: ParticipantKey) -> (Signal, Session) {
        let session = SessionKey(self.fresh_key());
        let (responses, outgoing) = mpsc::channel(SIGNAL_OUT_MAX);
        let (requests, incoming) = mpsc::channel(super::run::REQUESTS_MAX);
        self.incoming.push(Incoming::new(session, incoming));
        self.sessions.insert(session, key);
        let signal = Signal { session, responses };
        (signal, Session { requests, responses: outgoing })
    }

    /// Who speaks on that connection; nobody if it was replaced by a resume.
    pub(super) fn speaker(&self, session: SessionKey) -> Option<ParticipantKey> {
        let key = *self.sessions.get(&session)?;
        let signal = self.people.get(&key)?.signal.as_ref()?;
        (signal.session == session).then_some(key)
    }

    pub(super) fn end_session(&mut self, session: SessionKey) -> Option<ParticipantKey> {
        self.sessions.remove(&session)
    }
}

fn room_proto(ctx: &RoomContext, settings: &RoomSettings, versions: &mut Versions) -> proto::Room {
    let now_ms = clock::unix_ms();
    let born = settings.inherited.as_deref().cloned().unwrap_or_else(|| newborn(now_ms));
    proto::Room {
        name: settings.name.clone(),
        empty_timeout: settings.empty_timeout_s,
        departure_timeout: settings.departure_timeout_s,
        max_participants: settings.max_participants,
        enabled_codecs: codecs::room_codecs(&ctx.config.room.enabled_codecs),
        metadata: settings.metadata.clone(),
        version: Some(versions.next(now_ms * 1000)),
        num_participants: 0,
        num_publishers: 0,
        active_recording: false,
        ..born
    }
}

/// What a room keeps for life, whichever node it is on.
fn newborn(now_ms: i64) -> proto::Room {
    proto::Room {
        sid: id::room(),
        creation_time: now_ms / 1000,
        creation_time_ms: now_ms,
        turn_password: id::random(""),
        ..proto::Room::default()
    }
}
