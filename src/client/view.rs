//! What a participant knows of its session: the part of it that signalling tells. Written by `session`, read and waited on
//! by whoever holds the participant.

use crate::proto::{DisconnectReason, LeaveRequest, ParticipantInfo, Room, TrackInfo, leave_request, participant_info};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub struct View {
    pub room: Room,
    pub me: ParticipantInfo,
    /// The others by identity.
    pub others: BTreeMap<String, ParticipantInfo>,
    /// Own tracks the server took, by client track id.
    pub published: BTreeMap<String, TrackInfo>,
    /// Own tracks the server did not take, by client track id, with its reason.
    pub refused: BTreeMap<String, String>,
    /// Sids of the tracks the newest description says we are sent.
    pub described: Vec<String>,
    pub subscriber_primary: bool,
    pub timing: Timing,
    pub publisher: LinkView,
    /// Stays as it is with a single peer connection.
    pub subscriber: LinkView,
    /// Pongs received.
    pub pongs: u64,
    /// The newest token the server handed out to come back with.
    pub token: Option<String>,
    pub leave: Option<LeaveRequest>,
    /// Set once it is over.
    pub ended: Option<Ended>,
}

/// Times since dialling.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// JoinResponse.
    pub joined: Duration,
    /// The primary transport is up.
    pub connected: Option<Duration>,
}

/// One transport.
#[derive(Clone, Debug, Default)]
pub struct LinkView {
    pub connected: bool,
    pub ice_lost: bool,
    pub failed: Option<String>,
    /// Labels of open data channels.
    pub channels: Vec<String>,
    /// Remote address and protocol media goes to, as text.
    pub pair: String,
    /// Offers and answers brought to an end.
    pub negotiations: u64,
    pub ice_restarts: u64,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// We left.
    Left,
    /// The server said so.
    Dismissed { reason: DisconnectReason, action: leave_request::Action },
    /// The signal connection broke.
    SignalLost(String),
}

impl View {
    /// All tracks of all others.
    pub fn remote_tracks(&self) -> impl Iterator<Item = (&ParticipantInfo, &TrackInfo)> {
        self.others.values().flat_map(|p| p.tracks.iter().map(move |t| (p, t)))
    }

    /// Media can flow: the transport that counts is up.
    pub fn is_connected(&self) -> bool {
        self.timing.connected.is_some()
    }

    /// An update of the participants, deltas without order.
    pub(super) fn update(&mut self, participants: Vec<ParticipantInfo>) {
        for info in participants {
            if info.identity == self.me.identity {
                self.me = info;
            } else if info.state() == participant_info::State::Disconnected {
                // A session that was replaced must not take its successor with it.
                if self.others.get(&info.identity).is_some_and(|known| known.sid == info.sid) {
                    self.others.remove(&info.identity);
                }
            } else {
                self.others.insert(info.identity.clone(), info);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(identity: &str, sid: &str, state: participant_info::State) -> ParticipantInfo {
        let (identity, sid) = (identity.to_owned(), sid.to_owned());
        ParticipantInfo { identity, sid, state: state as i32, ..ParticipantInfo::default() }
    }

    #[test]
    fn updates_add_replace_and_remove() {
        use participant_info::State::{Active, Disconnected};
        let mut view = View { me: info("me", "PA_me", Active), ..View::default() };
        view.update(vec![info("a", "PA_1", Active), info("b", "PA_2", Active), info("me", "PA_me", Active)]);
        assert_eq!(view.others.keys().collect::<Vec<_>>(), ["a", "b"]);
        view.update(vec![info("a", "PA_3", Active), info("a", "PA_1", Disconnected), info("b", "PA_2", Disconnected)]);
        assert_eq!(view.others.values().map(|p| p.sid.as_str()).collect::<Vec<_>>(), ["PA_3"]);
    }
}
