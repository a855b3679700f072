//! One transport on a shard with what hangs on it: where its events go, its tracks and legs, its datagrams being staged.

use super::congestion::Congestion;
use super::demux::Demux;
use super::media::LegEntry;
use super::outbox::Run;
use super::report::QUALITY_INTERVAL;
use super::{Channel, Event, EventSender, PeerKey};
use crate::limits::PEER_EVENT_BACKLOG_MAX;
use crate::media::feedback::TransportFeedback;
use crate::media::unstable::LossHistory;
use crate::transport::Peer;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::mpsc::error::TrySendError;

/// A peer's place on its shard. Numbers are slab indices.
pub struct PeerEntry {
    pub key: PeerKey,
    /// `None` for a publisher on another shard, whose tracks are mirrored here.
    pub transport: Option<Peer>,
    pub created: Instant,
    /// The earliest entry in the timer wheel.
    pub wake_at: Option<Instant>,
    pub addresses: Vec<SocketAddr>,
    pub ufrags: Vec<String>,
    /// TCP connections ICE may use.
    pub connections: Vec<usize>,
    pub tracks: Vec<usize>,
    pub legs: Vec<usize>,
    /// Legs that end in blank frames.
    pub farewells: Vec<LegEntry>,
    pub demux: Demux,
    /// Media SSRC of a leg, main or retransmission, to the leg: feedback names it.
    pub leg_of_ssrc: FxHashMap<u32, usize>,
    /// Present, with the extension's id, when the publisher negotiated transport-wide feedback.
    pub feedback: Option<(u8, TransportFeedback)>,
    /// Present once there is a video leg, unless switched off.
    pub congestion: Option<Box<Congestion>>,
    pub allow_pause: Option<bool>,
    /// What it says it lost of its legs.
    pub losses: LossHistory,
    /// Our SSRC in the RTCP we send on this connection.
    pub sender_ssrc: u32,
    pub run: Run,
    pub channels: Vec<(u16, Channel)>,
    pub report: ReportClock,
    mailbox: Mailbox,
}

/// When the peer's periodic reports are next due.
#[derive(Clone, Copy, Debug)]
pub struct ReportClock {
    pub speakers: Instant,
    pub quality: Instant,
    /// The last speakers report named somebody, so that the next must say that they stopped.
    pub was_loud: bool,
}

impl PeerEntry {
    pub fn new(key: PeerKey, transport: Peer, events: EventSender, ufrag: String, now: Instant) -> PeerEntry {
        PeerEntry { transport: Some(transport), ufrags: vec![ufrag], ..PeerEntry::elsewhere(key, events, now) }
    }

    /// A publisher on another shard.
    pub fn elsewhere(key: PeerKey, events: EventSender, now: Instant) -> PeerEntry {
        PeerEntry {
            key,
            transport: None,
            created: now,
            wake_at: None,
            addresses: Vec::new(),
            ufrags: Vec::new(),
            connections: Vec::new(),
            tracks: Vec::new(),
            legs: Vec::new(),
            farewells: Vec::new(),
            demux: Demux::default(),
            leg_of_ssrc: FxHashMap::default(),
            feedback: None,
            congestion: None,
            allow_pause: None,
            losses: LossHistory::default(),
            sender_ssrc: rand::random(),
            run: Run::default(),
            channels: Vec::new(),
            report: ReportClock { speakers: now, quality: now + QUALITY_INTERVAL, was_loud: false },
            mailbox: Mailbox { events, backlog: VecDeque::new() },
        }
    }

    /// Tells the room. Answers false when it is too far behind: the peer must end. Of a publisher elsewhere its own shard
    /// tells, but for a fault here.
    pub fn tell(&mut self, event: Event) -> bool {
        let speaks = self.transport.is_some() || matches!(event, Event::Failed { .. });
        !speaks || self.mailbox.tell(event)
    }

    /// Tries again what the room had no place for. Answers whether all is told.
    pub fn retell(&mut self) -> bool {
        self.mailbox.retell()
    }

    pub fn channel_id(&self, channel: Channel) -> Option<u16> {
        self.channels.iter().find(|(_, c)| *c == channel).map(|(id, _)| *id)
    }

    pub fn channel_of(&self, id: u16) -> Option<Channel> {
        self.channels.iter().find(|(i, _)| *i == id).map(|(_, c)| *c)
    }
}

/// A room's queue with a bounded backlog, so that the shard never waits and nothing is lost to a short stall.
struct Mailbox {
    events: EventSender,
    backlog: VecDeque<Event>,
}

impl Mailbox {
    fn tell(&mut self, event: Event) -> bool {
        self.backlog.push_back(event);
        self.retell();
        self.backlog.len() <= PEER_EVENT_BACKLOG_MAX
    }

    fn retell(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return false;
                }
                // The room is gone and will have asked for this peer's removal.
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
        true
    }
}

impl Channel {
    /// By LiveKit's labels (WIRE.md §3.11).
    pub fn from_label(label: &str) -> Option<Channel> {
        match label {
            "_reliable" => Some(Channel::Reliable),
            "_lossy" => Some(Channel::Lossy),
            "_data_track" => Some(Channel::DataTrack),
            _ => None,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Channel::Reliable => "_reliable",
            Channel::Lossy => "_lossy",
            Channel::DataTrack => "_data_track",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(n: u64) -> Event {
        Event::IceLost { peer: PeerKey(n) }
    }

    #[tokio::test]
    async fn a_slow_room_gets_everything_in_order() {
        let (events, mut room) = tokio::sync::mpsc::channel(1);
        let mut mailbox = Mailbox { events, backlog: VecDeque::new() };
        (0..5).for_each(|n| assert!(mailbox.tell(lost(n))));
        for n in 0..5 {
            let Some(Event::IceLost { peer }) = room.recv().await else { panic!("an event was lost") };
            assert_eq!(peer, PeerKey(n));
            mailbox.retell();
        }
        assert!(mailbox.backlog.is_empty());
    }

    #[test]
    fn a_room_that_never_reads_ends_the_peer() {
        let (events, _room) = tokio::sync::mpsc::channel(1);
        let mut mailbox = Mailbox { events, backlog: VecDeque::new() };
        let kept = (0..).take_while(|n| mailbox.tell(lost(*n))).count();
        assert_eq!(kept, PEER_EVENT_BACKLOG_MAX + 1);
    }
}
