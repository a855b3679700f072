//! What participants hear of each other (WIRE.md §9.6). When and to whom is `update`'s; here it is fed and carried out.

use super::leave::Departure;
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use super::timers::Timer;
use super::update::{Broadcast, Change, FLUSH_INTERVAL, chunks};
use super::{clock, refresh};
use crate::proto::signal_response::Message;
use crate::proto::{ParticipantInfo, ParticipantUpdate};
use std::time::Duration;
use tokio::time::Instant;

const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// How a change travels.
#[derive(Clone, Copy)]
struct Manner {
    immediate: bool,
    /// The participant itself knows.
    skip_source: bool,
}

impl Room {
    /// A participant as others see it.
    pub(super) fn describe(&self, p: &Participant) -> ParticipantInfo {
        let tracks = p.published.iter().filter_map(|sid| self.tracks.get(sid)).map(|t| t.info.clone()).collect();
        ParticipantInfo { tracks, data_tracks: self.data_tracks_of(p), ..p.info.clone() }
    }

    pub(super) fn announce_state(&mut self, key: ParticipantKey) {
        self.announce(key, Manner { immediate: false, skip_source: true });
    }

    /// Tracks came, went or changed; the publisher hears it too.
    pub(super) fn announce_tracks(&mut self, key: ParticipantKey) {
        self.announce(key, Manner { immediate: false, skip_source: false });
    }

    /// Name, metadata, attributes or permission changed.
    pub(super) fn announce_profile(&mut self, key: ParticipantKey) {
        self.announce(key, Manner { immediate: true, skip_source: false });
    }

    fn announce(&mut self, key: ParticipantKey, manner: Manner) {
        let Some(p) = self.people.get_mut(&key) else { return };
        p.info.version = p.info.version.wrapping_add(1);
        let Some(info) = self.people.get(&key).map(|p| self.describe(p)) else { return };
        if self.is_noted() {
            self.ctx.ledger.write_participant(self.name(), info.clone());
        }
        self.push_change(Change { info, replaced: false }, manner);
    }

    pub(super) fn announce_departure(&mut self, gone: &Participant, why: Departure) {
        if self.is_noted() {
            self.ctx.ledger.strike_participant(self.name(), gone.identity(), gone.sid());
        }
        let version = gone.info.version.wrapping_add(1);
        let info = ParticipantInfo { version, ..gone.info.clone() };
        let replaced = why == Departure::DuplicateIdentity;
        self.push_change(Change { info, replaced }, Manner { immediate: false, skip_source: true });
    }

    fn push_change(&mut self, change: Change, manner: Manner) {
        let successor = self.people.values().find(|p| p.identity() == change.info.identity);
        let current = successor.filter(|p| p.sid() != change.info.sid).map(|p| self.describe(p));
        let now_due = self.updates.push(change, manner.immediate, manner.skip_source, current.as_ref());
        self.timers.arm_once(Timer::Updates, Instant::now() + FLUSH_INTERVAL);
        if let Some(broadcast) = now_due {
            self.broadcast(&broadcast);
        }
    }

    pub(super) fn flush_updates(&mut self) {
        if let Some(broadcast) = self.updates.flush() {
            self.broadcast(&broadcast);
        }
    }

    fn broadcast(&mut self, broadcast: &Broadcast) {
        let target_bytes = self.ctx.config.room.update_batch_target_size;
        for p in self.people.values_mut().filter(|p| broadcast.is_for(&p.info.sid)) {
            let infos = broadcast.infos_for(&p.client);
            p.send_updates(infos, target_bytes);
        }
    }

    /// For a client that resumed: who left meanwhile, then everybody who is there, itself included.
    pub(super) fn announce_everybody_to(&mut self, key: ParticipantKey, since: Instant) {
        let here = self.people.values().filter(|p| p.key == key || !p.is_hidden()).map(|p| self.describe(p)).collect();
        let target_bytes = self.ctx.config.room.update_batch_target_size;
        let Some(p) = self.people.get_mut(&key) else { return };
        if p.client.hears_departures_on_resume() {
            let participants = p.filter.gone_since(since.into_std());
            if !participants.is_empty() {
                p.send(Message::Update(ParticipantUpdate { participants }));
            }
        }
        p.send_updates(here, target_bytes);
    }

    /// Hands the participant a fresh token for what it may do now; the next one follows in five minutes.
    pub(super) fn refresh_token(&mut self, key: ParticipantKey) {
        let Some((api_key, secret)) = self.ctx.config.keys.first_key_value() else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        let token = refresh::refresh_token(&p.claims, &p.info.identity, clock::unix_ms() / 1000, api_key, secret);
        p.send(Message::RefreshToken(token));
        self.timers.arm(Timer::RefreshToken(key), Instant::now() + REFRESH_INTERVAL);
    }
}

impl Participant {
    fn send_updates(&mut self, infos: Vec<ParticipantInfo>, target_bytes: usize) {
        let news = self.filter.take(&self.info.sid, infos, Instant::now().into_std());
        for participants in chunks(news, target_bytes) {
            self.send(Message::Update(ParticipantUpdate { participants }));
        }
    }
}
