//! Why a room ends, when it does by itself (WIRE.md §9.2).

use super::leave::Departure;
use super::state::Room;
use super::timers::Timer;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest time an empty room lives, so that the join that created it arrives.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// Why a room closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nobody came or everybody left, and the timeout passed.
    Idle,
    Deleted,
    ServerShutdown,
    /// The room's task failed.
    Fault,
    /// Another node has the room.
    Elsewhere,
}

impl CloseReason {
    pub(super) fn departure(self) -> Departure {
        match self {
            CloseReason::Idle => Departure::RoomClosed,
            CloseReason::Deleted => Departure::RoomDeleted,
            CloseReason::ServerShutdown => Departure::ServerShutdown,
            CloseReason::Elsewhere => Departure::Moved,
            CloseReason::Fault => Departure::StateMismatch,
        }
    }
}

impl Room {
    /// Starts or stops the clock that closes an empty room. Agents, egress and recorders do not keep it open.
    pub(super) fn watch_idle(&mut self) {
        if self.people.values().any(|p| !p.is_dependent()) {
            self.timers.cancel(Timer::Idle);
            return;
        }
        let seconds = |s: u32| Duration::from_secs(s.into());
        let at = match self.last_left.filter(|_| self.was_joined) {
            Some(left) => left + seconds(self.settings.departure_timeout_s),
            None => self.opened_at + seconds(self.settings.empty_timeout_s),
        };
        self.timers.arm(Timer::Idle, at.max(Instant::now() + IDLE_MIN));
    }
}
