//! A room's deadlines. Each [`Timer`] is armed at most once; arming it again moves it.

use super::participant::ParticipantKey;
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// Still not ACTIVE a minute after joining.
    JoinWatchdog(ParticipantKey),
    /// Debounced negotiation of what the participant is sent.
    Negotiate(ParticipantKey),
    /// The client owes an answer.
    Answer(ParticipantKey),
    /// The media transport failed; a resume may still save the session.
    Grace(ParticipantKey),
    /// ICE is up, DTLS is not.
    Handshake(ParticipantKey),
    /// A connection that may only use TCP is not up.
    TcpConnect(ParticipantKey),
    RefreshToken(ParticipantKey),
    /// An announced track is not sent.
    Unsent(ParticipantKey),
    /// A simulated speaker falls silent.
    SimulatedSpeaker(ParticipantKey),
    /// Debounced track settings.
    Settings(ParticipantKey),
    /// Subscriptions that wait: retry, or give up.
    Reconcile,
    /// Batched participant updates.
    Updates,
    Speakers,
    /// Room counters to clients.
    Counters,
    Quality,
    /// Lower qualities wanted by nobody any more.
    Dynacast,
    /// An RPC of the API has no answer.
    Rpc,
    /// Nobody is here.
    Idle,
}

#[derive(Debug, Default)]
pub struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    at: HashMap<Timer, Instant>,
}

impl Timers {
    pub fn arm(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        self.order.insert((at, timer));
        self.at.insert(timer, at);
    }

    /// Leaves an armed timer where it is.
    pub fn arm_once(&mut self, timer: Timer, at: Instant) {
        if !self.at.contains_key(&timer) {
            self.arm(timer, at);
        }
    }

    /// Moves an armed timer only towards now.
    pub fn arm_sooner(&mut self, timer: Timer, at: Instant) {
        if self.at.get(&timer).is_none_or(|armed| at < *armed) {
            self.arm(timer, at);
        }
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Forgets everything armed for a participant that left.
    pub fn cancel_all(&mut self, key: ParticipantKey) {
        let own = [
            Timer::JoinWatchdog(key),
            Timer::Negotiate(key),
            Timer::Answer(key),
            Timer::Grace(key),
            Timer::Handshake(key),
            Timer::TcpConnect(key),
            Timer::RefreshToken(key),
            Timer::Unsent(key),
            Timer::Settings(key),
            Timer::SimulatedSpeaker(key),
        ];
        own.into_iter().for_each(|t| self.cancel(t));
    }

    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The earliest timer that is due.
    pub fn poll_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn timers_fire_in_order_and_once() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        let key = ParticipantKey(1);
        let mut timers = Timers::default();
        timers.arm(Timer::Reconcile, at(3));
        timers.arm(Timer::Grace(key), at(1));
        timers.arm(Timer::Reconcile, at(2));
        timers.arm_once(Timer::Reconcile, at(9));
        timers.arm_sooner(Timer::Reconcile, at(9));
        timers.arm(Timer::Answer(key), at(1));
        assert_eq!(timers.poll_due(now), None);
        assert_eq!(timers.next(), Some(at(1)));
        timers.cancel_all(key);
        assert_eq!(timers.poll_due(at(2)), Some(Timer::Reconcile));
        assert_eq!(timers.poll_due(at(9)), None);
    }
}
