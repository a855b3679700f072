//! One participant's session in a room: plain state and its signal queue. The room is its only owner and writer.

use super::client::Client;
use super::flow::ParticipantData;
use super::incoming::SessionKey;
use super::link::Links;
use super::negotiate::ReceivingSection;
use super::permission::{Permissions, TrackPermissions};
use super::publication::Announced;
use super::subscription::Subscription;
use super::target::TrackSettings;
use super::update::ReceiverFilter;
use crate::proto::participant_info::{Kind, State};
use crate::proto::signal_response::Message;
use crate::proto::{AddTrackRequest, ParticipantInfo, SignalResponse};
use crate::shard::PeerKey;
use crate::token::Claims;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// Names a participant within its room; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantKey(pub u64);

pub struct Participant {
    pub key: ParticipantKey,
    /// As others see it, but for the tracks.
    pub info: ParticipantInfo,
    /// The token as it stands now; refreshed tokens are minted from it.
    pub claims: Claims,
    pub permissions: Permissions,
    pub client: Client,
    pub options: Options,
    /// `None` while the signal connection is gone.
    pub signal: Option<Signal>,
    /// When the client last sent something.
    pub heard_at: Instant,
    /// What it was told of the others.
    pub filter: ReceiverFilter,
    pub links: Links,
    /// Fixed for the session (WIRE.md §2.4).
    pub subscriber_primary: bool,
    pub announced: Vec<Announced>,
    /// Announced under a cid that is in use.
    pub queued: Vec<AddTrackRequest>,
    /// Sections without an announced track, or before the participant is ACTIVE.
    pub parked: Vec<(PeerKey, ReceivingSection)>,
    /// Sections, by connection and track id, whose track the server took back while the client still sends on them: a later
    /// announcement must name them to get them.
    pub orphaned: Vec<(PeerKey, String)>,
    /// Sids of its published tracks, in order.
    pub published: Vec<String>,
    /// By track sid.
    pub subscriptions: BTreeMap<String, Subscription>,
    /// By track sid, also of tracks it is not subscribed to.
    pub settings: BTreeMap<String, TrackSettings>,
    /// Changed settings not yet applied.
    pub unapplied: BTreeSet<String>,
    pub track_permissions: TrackPermissions,
    pub data: ParticipantData,
    /// When one of its transports failed last.
    pub transport_failed_at: Option<Instant>,
    /// Of its signal connection, as the client measured it last.
    pub round_trip: Duration,
    pub simulated: Simulated,
}

/// What a client chose when it connected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub auto_subscribe: bool,
    pub auto_subscribe_data_track: bool,
    pub adaptive_stream: bool,
    /// Video may be paused for want of bandwidth; `None` as configured.
    pub allow_pause: Option<bool>,
}

/// The signal connection in use.
pub struct Signal {
    pub session: SessionKey,
    pub responses: mpsc::Sender<SignalResponse>,
}

/// Faults a client asked for (WIRE.md §2.11).
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated {
    /// A resume succeeds, then its signal connection is closed.
    pub drop_resumed_until: Option<Instant>,
    /// Resumes are closed before any message.
    pub refuse_resume_until: Option<Instant>,
    pub refusals: u32,
}

impl Participant {
    pub fn identity(&self) -> &str {
        &self.info.identity
    }

    pub fn sid(&self) -> &str {
        &self.info.sid
    }

    pub fn is_active(&self) -> bool {
        self.info.state() == State::Active
    }

    pub fn is_hidden(&self) -> bool {
        self.permissions.hidden
    }

    pub fn is_recorder(&self) -> bool {
        self.permissions.recorder
    }

    /// Neither keeps the room open nor counts (WIRE.md §9.4).
    pub fn is_dependent(&self) -> bool {
        self.is_agent() || self.info.kind() == Kind::Egress || self.permissions.recorder
    }

    pub fn is_agent(&self) -> bool {
        self.info.kind() == Kind::Agent || self.permissions.agent
    }

    /// Queues a message; before `join` nothing else is said. A client that does not read its messages loses its connection,
    /// and may resume. One that hung up is noticed by the end of its requests: its last may be a Leave that waits there.
    pub fn send(&mut self, message: Message) {
        let Some(signal) = &self.signal else { return };
        if self.info.state() == State::Joining && !matches!(message, Message::Join(_) | Message::Leave(_)) {
            return;
        }
        if let Err(TrySendError::Full(_)) = signal.responses.try_send(SignalResponse { message: Some(message) }) {
            tracing::info!(participant = self.info.identity, "signal connection reads too slowly; closed");
            self.signal = None;
        }
    }

    /// The connection whose state is the participant's.
    pub fn primary_peer(&self) -> PeerKey {
        match &self.links.subscriber {
            Some(subscriber) if self.subscriber_primary => subscriber.peer,
            _ => self.links.publisher.peer,
        }
    }

    pub fn ice_was_up(&self) -> bool {
        self.links.iter().any(|l| l.ice_was_up)
    }

    pub fn announced_mut(&mut self, sid: &str) -> Option<&mut Announced> {
        self.announced.iter_mut().find(|a| a.info.sid == sid)
    }

    /// What it asked of a track, or what everybody starts with.
    pub fn settings_for(&self, sid: &str) -> TrackSettings {
        let initial = TrackSettings::initial(self.options.adaptive_stream);
        self.settings.get(sid).copied().unwrap_or(initial)
    }

    /// Whether it has a leg the client accepted.
    pub fn receives(&self, sid: &str) -> bool {
        let bound = |s: &Subscription| s.leg.as_ref().is_some_and(|l| l.bound.is_some());
        self.subscriptions.get(sid).is_some_and(bound)
    }
}

/// The `kind` claim as ParticipantInfo has it.
pub fn kind_named(name: &str) -> Kind {
    Kind::from_str_name(&name.to_ascii_uppercase()).unwrap_or(Kind::Standard)
}

pub fn kind_details(names: &[String]) -> Vec<i32> {
    use crate::proto::participant_info::KindDetail;
    names.iter().filter_map(|n| KindDetail::from_str_name(&n.to_ascii_uppercase())).map(|d| d as i32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_of_tokens() {
        let cases = [("standard", Kind::Standard), ("agent", Kind::Agent), ("sip", Kind::Sip), ("odd", Kind::Standard)];
        for (name, kind) in cases {
            assert_eq!(kind_named(name), kind);
        }
        assert_eq!(kind_details(&["cloud_agent".into(), "odd".into()]).len(), 1);
    }
}
