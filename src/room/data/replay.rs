//! Reliable packets kept for participants whose data channels are not open yet (WIRE.md §4.13). Time is told.

use super::{Destinations, Relay};
use crate::limits::{REPLAY_BYTES_MAX, REPLAY_HELD_BYTES_MAX, REPLAY_PACKETS_MAX};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A numbered packet is kept this long.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// A room's latest numbered reliable packets, in order.
#[derive(Debug, Default)]
pub struct ReplayCache {
    packets: VecDeque<Packet>,
    bytes: usize,
}

#[derive(Debug)]
struct Packet {
    at: Instant,
    sender_sid: String,
    destinations: Destinations,
    bytes: Bytes,
}

impl ReplayCache {
    /// Keeps a packet if it is reliable and numbered; older ones make room.
    pub fn push(&mut self, relay: &Relay, sender_sid: &str, now: Instant) {
        if !relay.reliable || relay.sequence == 0 {
            return;
        }
        self.bytes += relay.bytes.len();
        self.packets.push_back(Packet {
            at: now,
            sender_sid: sender_sid.to_owned(),
            destinations: relay.destinations.clone(),
            bytes: relay.bytes.clone(),
        });
        self.make_room(now);
    }

    /// What a participant missed since it became JOINED, in order; to be sent when its channels are open.
    pub fn since(&mut self, joined_at: Instant, identity: &str, participant_sid: &str, now: Instant) -> Vec<Bytes> {
        self.make_room(now);
        let missed = self.packets.iter().filter(|p| p.at >= joined_at && p.is_for(identity, participant_sid));
        missed.map(|packet| packet.bytes.clone()).collect()
    }

    fn make_room(&mut self, now: Instant) {
        while self.packets.front().is_some_and(|oldest| self.is_too_much(oldest, now)) {
            self.bytes -= self.packets.pop_front().map_or(0, |oldest| oldest.bytes.len());
        }
    }

    fn is_too_much(&self, oldest: &Packet, now: Instant) -> bool {
        let full = self.packets.len() > REPLAY_PACKETS_MAX || self.bytes > REPLAY_BYTES_MAX;
        full || now.saturating_duration_since(oldest.at) > KEPT_FOR
    }
}

impl Packet {
    fn is_for(&self, identity: &str, participant_sid: &str) -> bool {
        self.sender_sid != participant_sid && self.destinations.include(identity, participant_sid)
    }
}

/// Reliable packets without a number for one participant whose channels are not open yet.
#[derive(Debug, Default)]
pub struct HeldPackets {
    packets: Vec<Bytes>,
    bytes: usize,
}

impl HeldPackets {
    /// False when there is no room: the packet is lost.
    pub fn push(&mut self, packet: Bytes) -> bool {
        if self.bytes + packet.len() > REPLAY_HELD_BYTES_MAX {
            return false;
        }
        self.bytes += packet.len();
        self.packets.push(packet);
        true
    }

    /// Everything held, in order.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any instant will do: only differences count.
    #[allow(clippy::disallowed_methods)]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn relay(sequence: u32, length: usize) -> Relay {
        Relay {
            bytes: vec![sequence as u8; length].into(),
            destinations: Destinations::AllButSender,
            reliable: true,
            sequence,
            active_only: false,
        }
    }

    fn firsts(packets: Vec<Bytes>) -> Vec<u8> {
        packets.iter().map(|p| p[0]).collect()
    }

    #[test]
    fn replays_what_came_after_joining() {
        let start = epoch();
        let at = |ms| start + Duration::from_millis(ms);
        let mut cache = ReplayCache::default();
        for sequence in 1..=4 {
            cache.push(&relay(sequence, 1), "PA_1", at(u64::from(sequence) * 1000));
        }
        assert_eq!(firsts(cache.since(at(3000), "bob", "PA_2", at(4000))), [3, 4]);
        assert_eq!(firsts(cache.since(start, "bob", "PA_2", at(4500))), [3, 4], "older than 2 s");
        assert_eq!(firsts(cache.since(start, "bob", "PA_2", at(7000))), [] as [u8; 0]);
        assert_eq!((cache.packets.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn replays_only_what_is_meant_for_the_joiner() {
        let now = epoch();
        let mut cache = ReplayCache::default();
        cache.push(&relay(1, 1), "PA_2", now);
        cache.push(&Relay { destinations: Destinations::Listed(vec!["ann".into()]), ..relay(2, 1) }, "PA_1", now);
        cache.push(&Relay { destinations: Destinations::Listed(vec!["PA_2".into()]), ..relay(3, 1) }, "PA_1", now);
        cache.push(&Relay { reliable: false, ..relay(4, 1) }, "PA_1", now);
        cache.push(&relay(0, 1), "PA_1", now);
        assert_eq!(firsts(cache.since(now, "bob", "PA_2", now)), [3]);
    }

    #[test]
    fn bytes_and_packets_are_bounded() {
        let now = epoch();
        let mut cache = ReplayCache::default();
        for sequence in 1..=3 {
            cache.push(&relay(sequence, REPLAY_BYTES_MAX / 2), "PA_1", now);
        }
        assert_eq!(firsts(cache.since(now, "bob", "PA_2", now)), [2, 3]);
        for _ in 0..REPLAY_PACKETS_MAX + 10 {
            cache.push(&relay(9, 1), "PA_1", now);
        }
        assert_eq!((cache.packets.len(), cache.bytes), (REPLAY_PACKETS_MAX, REPLAY_PACKETS_MAX));
    }

    #[test]
    fn held_packets_are_bounded() {
        let mut held = HeldPackets::default();
        assert!(held.push(vec![1; REPLAY_HELD_BYTES_MAX - 1].into()));
        assert!(!held.push(vec![2; 2].into()));
        assert!(held.push(vec![3].into()));
        assert_eq!(firsts(held.take()), [1, 3]);
        assert!(held.take().is_empty());
        assert!(held.push(vec![4; REPLAY_HELD_BYTES_MAX].into()));
    }
}
