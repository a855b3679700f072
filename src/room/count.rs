//! The room as clients and the API see it: its counters and metadata, and when clients hear of them (WIRE.md §2.8).

use super::clock;
use super::state::Room;
use super::timers::Timer;
use crate::proto;
use crate::proto::signal_response::Message;
use std::time::Duration;
use tokio::time::Instant;

/// Counters go out at most this often.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(5);

impl Room {
    pub fn info(&self) -> proto::Room {
        self.proto.clone()
    }

    /// After anybody came, went, or began to publish.
    pub(super) fn count_people(&mut self) {
        self.seat.set_participants(self.people.len());
        self.was_joined |= self.people.values().any(|p| !p.is_dependent());
        let counts = self.counts();
        let recording = self.people.values().any(|p| p.is_recorder());
        if counts != (self.proto.num_participants, self.proto.num_publishers) {
            (self.proto.num_participants, self.proto.num_publishers) = counts;
            self.room_changed();
            self.schedule_counters();
        }
        if recording != self.proto.active_recording {
            self.proto.active_recording = recording;
            self.room_changed();
            self.send_room_update();
        }
        self.watch_idle();
    }

    /// (participants that count, publishers).
    fn counts(&self) -> (u32, u32) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let people = self.people.values().filter(|p| !p.is_dependent()).count();
        let publishers = self.people.values().filter(|p| p.info.is_publisher).count();
        (count(people), count(publishers))
    }

    pub(super) fn room_changed(&mut self) {
        self.proto.version = Some(self.versions.next(clock::unix_ms() * 1000));
        self.note_room();
    }

    /// For other nodes.
    pub(super) fn note_room(&self) {
        if self.is_noted() {
            self.ctx.ledger.write_room(&self.proto, &self.settings.internal());
        }
    }

    fn schedule_counters(&mut self) {
        let now = Instant::now();
        let at = self.counters_at.map_or(now, |last| last + COUNTERS_INTERVAL);
        self.timers.arm_once(Timer::Counters, at.max(now));
    }

    pub(super) fn send_room_update(&mut self) {
        self.counters_at = Some(Instant::now());
        self.timers.cancel(Timer::Counters);
        let update = proto::RoomUpdate { room: Some(self.info()) };
        self.people.values_mut().for_each(|p| p.send(Message::RoomUpdate(update.clone())));
    }
}
