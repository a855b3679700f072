//! Sessions that come back on a new signal connection, and what both sides then tell each other (WIRE.md §2.5).

use super::client::Client;
use super::codecs;
use super::leave::{Departure, leave_message};
use super::participant::ParticipantKey;
use super::session::{Session, SessionStart};
use super::state::Room;
use super::timers::Timer;
use crate::proto::leave_request::Action;
use crate::proto::signal_response::Message;
use crate::proto::{ClientInfo, DisconnectReason, ReconnectResponse, SignalResponse, SyncState, UpdateTrackSettings};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::info;

/// A scenario closes this many resumes before it lets one through.
const SIMULATED_REFUSALS_MAX: u32 = 3;

/// What tells a client of that protocol to start over: its session is gone.
pub fn farewell(protocol: i32) -> SignalResponse {
    let client = Client(ClientInfo { protocol, ..ClientInfo::default() });
    SignalResponse { message: leave_message(&client, DisconnectReason::StateMismatch, Action::Reconnect) }
}

/// The answer to a resume whose participant is gone: `leave`, then the end.
pub fn refused(protocol: i32) -> Session {
    let (requests, _) = mpsc::channel(1);
    let (queue, responses) = mpsc::channel(1);
    // The queue has room for this one message.
    let _ = queue.try_send(farewell(protocol));
    Session { requests, responses }
}

impl Room {
    pub(super) fn resume(&mut self, key: ParticipantKey, start: &SessionStart) -> Session {
        if self.simulates_refusal(key) {
            return closed();
        }
        let (signal, session) = self.new_session(key);
        let Some(p) = self.people.get_mut(&key) else { return refused(start.client.protocol) };
        // The former connection ends by losing its queue.
        p.signal = Some(signal);
        let since = std::mem::replace(&mut p.heard_at, Instant::now());
        p.client = Client(start.client.clone());
        info!(participant = p.info.identity, sid = p.info.sid, reason = start.reconnect_reason, "resumed");
        self.timers.cancel(Timer::Grace(key));
        self.note_reported_failure(key, start.reconnect_reason);
        self.greet_again(key, since);
        self.refresh_token(key);
        self.simulate_drop(key);
        session
    }

    /// `reconnect`, then the room as it is now, then an ICE restart of what we send on.
    fn greet_again(&mut self, key: ParticipantKey, since: Instant) {
        let Some(p) = self.people.get(&key) else { return };
        if p.client.takes_reconnect_response() {
            let reconnect = self.reconnect_response(key);
            self.send(key, Message::Reconnect(reconnect));
        }
        self.announce_everybody_to(key, since);
        let room = crate::proto::RoomUpdate { room: Some(self.info()) };
        self.send(key, Message::RoomUpdate(room));
        self.apply_fallback(key);
        self.restart_subscriber(key);
        self.repeat_wanted_qualities(key);
    }

    fn reconnect_response(&self, key: ParticipantKey) -> ReconnectResponse {
        let Some(p) = self.people.get(&key) else { return ReconnectResponse::default() };
        ReconnectResponse {
            ice_servers: (self.ctx.ice_servers)(p.sid()),
            client_configuration: codecs::client_configuration(&p.client, false),
            server_info: Some(self.server_info()),
            last_message_seq: self.last_message_seq(p),
        }
    }

    /// The client's view after a resume. One that knows tracks we do not needs a new session.
    pub(super) fn handle_sync_state(&mut self, key: ParticipantKey, sync: SyncState) {
        if !self.knows_tracks_of(key, &sync) {
            return self.remove(key, Departure::StateMismatch);
        }
        let disabled = UpdateTrackSettings {
            track_sids: sync.track_sids_disabled,
            disabled: true,
            quality: crate::proto::VideoQuality::High as i32,
            ..UpdateTrackSettings::default()
        };
        self.update_settings(key, &disabled);
        if let Some(subscription) = sync.subscription {
            self.update_subscription(key, &subscription);
        }
    }

    fn knows_tracks_of(&self, key: ParticipantKey, sync: &SyncState) -> bool {
        let Some(p) = self.people.get(&key) else { return false };
        let known = |sid: &str| p.published.iter().any(|s| s == sid) || p.announced.iter().any(|a| a.sid() == sid);
        let media = sync.publish_tracks.iter().all(|t| t.track.as_ref().is_some_and(|t| known(&t.sid)));
        let data = sync.publish_data_tracks.iter();
        media && data.into_iter().all(|t| t.info.as_ref().is_some_and(|t| self.has_data_track(p, &t.sid)))
    }

    fn simulates_refusal(&mut self, key: ParticipantKey) -> bool {
        let Some(p) = self.people.get_mut(&key) else { return false };
        let on = p.simulated.refuse_resume_until.is_some_and(|until| Instant::now() < until);
        let refuses = on && p.simulated.refusals < SIMULATED_REFUSALS_MAX;
        p.simulated.refusals += u32::from(refuses);
        refuses
    }

    fn simulate_drop(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get_mut(&key) else { return };
        if p.simulated.drop_resumed_until.is_some_and(|until| Instant::now() < until) {
            p.signal = None;
        }
    }
}

/// A session that ends without a message.
fn closed() -> Session {
    let (requests, _) = mpsc::channel(1);
    let (_, responses) = mpsc::channel(1);
    Session { requests, responses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_resume_is_told_to_reconnect_and_closed() {
        for (protocol, can_reconnect, action) in [(13, false, Action::Reconnect), (12, true, Action::Disconnect)] {
            let mut session = refused(protocol);
            let Some(Message::Leave(leave)) = session.responses.try_recv().unwrap().message else { panic!("no leave") };
            assert_eq!((leave.can_reconnect, leave.action()), (can_reconnect, action));
            assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
            assert!(session.responses.try_recv().is_err() && session.requests.is_closed());
        }
    }
}
