//! Why a participant leaves, what it is told, and what leaving undoes (WIRE.md §2.6, §9.7).

use super::client::Client;
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use crate::proto::leave_request::Action;
use crate::proto::participant_info::State;
use crate::proto::signal_response::Message;
use crate::proto::{DisconnectReason, LeaveRequest};
use crate::shard::Command;
use tokio::time::Instant;
use tracing::info;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The client said so, with its reason.
    Client(DisconnectReason),
    /// The API removed it.
    Removed,
    RoomDeleted,
    RoomClosed,
    ServerShutdown,
    /// The room went to another node; a new session finds it there.
    Moved,
    /// Another session took its identity.
    DuplicateIdentity,
    /// Not ACTIVE a minute after joining.
    JoinTimeout,
    /// The transport failed and nobody resumed.
    ConnectionTimeout,
    /// Client and server disagree; a new session mends it.
    StateMismatch,
    /// The signal connection went before media ever connected.
    SignalClosed,
    /// The client broke a limit of the media plane.
    Abuse,
    /// A scenario: as if this node had died.
    SimulatedFailure,
    /// A scenario: as if this node handed over.
    SimulatedMigration,
}

impl Departure {
    pub fn reason(self) -> DisconnectReason {
        match self {
            Departure::Client(reason) => reason,
            Departure::Removed => DisconnectReason::ParticipantRemoved,
            Departure::RoomDeleted => DisconnectReason::RoomDeleted,
            Departure::RoomClosed => DisconnectReason::RoomClosed,
            Departure::ServerShutdown | Departure::SimulatedFailure => DisconnectReason::ServerShutdown,
            Departure::DuplicateIdentity => DisconnectReason::DuplicateIdentity,
            Departure::JoinTimeout => DisconnectReason::JoinFailure,
            Departure::ConnectionTimeout => DisconnectReason::ConnectionTimeout,
            Departure::StateMismatch => DisconnectReason::StateMismatch,
            Departure::SignalClosed => DisconnectReason::SignalClose,
            Departure::Abuse => DisconnectReason::MediaFailure,
            Departure::Moved | Departure::SimulatedMigration => DisconnectReason::Migration,
        }
    }

    /// What the client should do; `None` leaves it without a word.
    fn action(self) -> Option<Action> {
        match self {
            Departure::StateMismatch | Departure::Moved => Some(Action::Reconnect),
            Departure::SignalClosed | Departure::SimulatedFailure | Departure::SimulatedMigration => None,
            _ => Some(Action::Disconnect),
        }
    }
}

/// The `leave` a client of that version understands; older ones cannot be asked to resume.
pub fn leave_message(client: &Client, reason: DisconnectReason, action: Action) -> Option<Message> {
    if client.takes_leave_action() {
        let leave = LeaveRequest { reason: reason as i32, action: action as i32, ..LeaveRequest::default() };
        return Some(Message::Leave(leave));
    }
    let can_reconnect = action != Action::Disconnect;
    let leave = LeaveRequest { can_reconnect, reason: reason as i32, ..LeaveRequest::default() };
    (action != Action::Resume).then_some(Message::Leave(leave))
}

/// The reasons a client may give for its own leaving; all else counts as its wish.
pub fn client_reason(leave: &LeaveRequest) -> DisconnectReason {
    match leave.reason() {
        reason
        @ (DisconnectReason::UserUnavailable | DisconnectReason::UserRejected | DisconnectReason::AgentError) => reason,
        _ => DisconnectReason::ClientInitiated,
    }
}

impl Participant {
    /// Tells the client what its departure asks of it, once.
    pub(super) fn part(&mut self, why: Departure) {
        match why.action() {
            Some(action) => self.say_leave(why.reason(), action),
            None => self.signal = None,
        }
    }

    /// Says `leave` and lets go of the signal connection.
    pub(super) fn say_leave(&mut self, reason: DisconnectReason, action: Action) {
        if let Some(leave) = leave_message(&self.client, reason, action) {
            self.send(leave);
        }
        self.signal = None;
    }
}

impl Room {
    /// Ends a session and everything it published or was sent.
    pub(super) fn remove(&mut self, key: ParticipantKey, why: Departure) {
        let Some(mut gone) = self.people.remove(&key) else { return };
        gone.part(why);
        info!(participant = gone.info.identity, sid = gone.info.sid, reason = why.reason().as_str_name(), "left");
        self.timers.cancel_all(key);
        self.withdraw_tracks(&mut gone);
        self.forget_legs(&gone);
        for link in gone.links.iter() {
            self.peers.remove(&link.peer);
            self.shards.send(Command::RemovePeer { peer: link.peer, span: link.span(gone.identity()) });
        }
        gone.info.set_state(State::Disconnected);
        gone.info.set_disconnect_reason(why.reason());
        self.departed(gone, why);
    }

    /// What the others and the room's counters learn of it.
    fn departed(&mut self, gone: Participant, why: Departure) {
        self.data_departed(&gone);
        self.announce_departure(&gone, why);
        self.speakers.forget(gone.sid());
        self.qualities.forget(gone.sid());
        self.watch_speakers();
        self.last_left = Some(Instant::now());
        self.count_people();
    }

    /// Its published tracks end for everybody; the `update` about its leaving says so.
    fn withdraw_tracks(&mut self, gone: &mut Participant) {
        for sid in std::mem::take(&mut gone.published) {
            if let Some(publication) = self.tracks.remove(&sid) {
                self.withdraw(&sid, &publication);
            }
        }
    }

    /// Its own legs end with its transports. Nobody may be left who wants what they carried.
    fn forget_legs(&mut self, gone: &Participant) {
        for (sid, leg) in gone.subscriptions.iter().filter_map(|(sid, s)| Some((sid, s.leg.as_ref()?))) {
            self.legs.remove(&leg.key);
            self.quality_changed(sid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ClientInfo;

    fn leave(protocol: i32, action: Action) -> Option<LeaveRequest> {
        let client = Client(ClientInfo { protocol, ..ClientInfo::default() });
        match leave_message(&client, DisconnectReason::StateMismatch, action)? {
            Message::Leave(leave) => Some(leave),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn leave_has_the_shape_of_the_clients_version() {
        let cases = [
            (13, Action::Reconnect, Some((false, Action::Reconnect))),
            (13, Action::Resume, Some((false, Action::Resume))),
            (12, Action::Reconnect, Some((true, Action::Disconnect))),
            (12, Action::Disconnect, Some((false, Action::Disconnect))),
            (12, Action::Resume, None),
        ];
        for (protocol, action, expected) in cases {
            let got = leave(protocol, action).map(|l| (l.can_reconnect, l.action()));
            assert_eq!(got, expected, "protocol {protocol} {action:?}");
        }
    }

    #[test]
    fn only_some_client_reasons_count() {
        let given = |reason: DisconnectReason| LeaveRequest { reason: reason as i32, ..LeaveRequest::default() };
        let cases = [
            (DisconnectReason::UserRejected, DisconnectReason::UserRejected),
            (DisconnectReason::RoomDeleted, DisconnectReason::ClientInitiated),
            (DisconnectReason::UnknownReason, DisconnectReason::ClientInitiated),
        ];
        for (reason, expected) in cases {
            assert_eq!(client_reason(&given(reason)), expected);
        }
    }
}
