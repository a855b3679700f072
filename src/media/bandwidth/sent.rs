//! The numbered packets a connection sent lately, to be told apart when feedback names them.

use crate::limits::{SENT_PACKETS_MAX, SENT_PACKETS_MIN};
use crate::wire::seq::Unwrapper;

/// A packet not heard of for this long will not be, and may be forgotten.
const FORGET_US: i64 = 2_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Flying,
    Lost,
    Arrived,
}

/// What a packet was sent for, as far as it may disturb the picture of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    #[default]
    Media,
    /// Part of a probe.
    Probe,
    /// Media that waits behind a probe: neither its delay nor its loss is of its own making.
    Wake,
    /// Media that is, or waits behind, a key frame: its delay is no queue.
    Burst,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentPacket {
    /// Unwrapped, plus one: zero is an empty place.
    number: u64,
    pub at_us: i64,
    pub bytes: u16,
    pub purpose: Purpose,
    pub fate: Fate,
}

/// A ring by sequence number. Grows, up to a limit, while packets it would overwrite may still be heard of.
#[derive(Debug, Default)]
pub struct SentPackets {
    ring: Vec<SentPacket>,
    sequences: Unwrapper<u16>,
}

impl SentPackets {
    /// # Cost
    /// No allocation but when the ring grows, at most six times in a connection's life.
    pub fn note(&mut self, sequence: u16, at_us: i64, bytes: usize, purpose: Purpose) {
        let number = self.sequences.unwrap(sequence) + 1;
        let packet =
            SentPacket { number, at_us, bytes: bytes.min(usize::from(u16::MAX)) as u16, purpose, fate: Fate::Flying };
        if self.is_crowded(number, at_us) {
            self.grow();
        }
        let slot = self.slot(number);
        if let Some(place) = self.ring.get_mut(slot) {
            *place = packet;
        }
    }

    fn slot(&self, number: u64) -> usize {
        (number % self.ring.len().max(1) as u64) as usize
    }

    fn is_crowded(&self, number: u64, at_us: i64) -> bool {
        let held = self.ring.get(self.slot(number));
        let flies = |p: &SentPacket| p.number != 0 && p.fate == Fate::Flying && at_us - p.at_us < FORGET_US;
        held.is_none_or(flies) && self.ring.len() < SENT_PACKETS_MAX
    }

    fn grow(&mut self) {
        let larger = vec![SentPacket::default(); (self.ring.len() * 2).max(SENT_PACKETS_MIN)];
        for packet in std::mem::replace(&mut self.ring, larger).into_iter().filter(|p| p.number != 0) {
            let slot = self.slot(packet.number);
            self.ring[slot] = packet;
        }
    }

    /// The packet feedback names, if it was sent lately.
    pub fn find(&mut self, sequence: u16) -> Option<&mut SentPacket> {
        let number = self.sequences.peek(sequence) + 1;
        let slot = self.slot(number);
        self.ring.get_mut(slot).filter(|packet| packet.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_sent_across_the_wrap() {
        let mut sent = SentPackets::default();
        (0..600u32).for_each(|n| {
            sent.note(65_300u16.wrapping_add(n as u16), i64::from(n) * 1_000, n as usize, Purpose::Media)
        });
        for n in 0..600u32 {
            let found = sent.find(65_300u16.wrapping_add(n as u16)).map(|p| p.bytes);
            assert_eq!(found, Some(n as u16), "{n}");
        }
        assert_eq!(sent.find(40_000), None, "never sent");
    }

    #[test]
    fn forgets_the_oldest_at_its_largest_size_and_reuses_places_heard_of() {
        let mut sent = SentPackets::default();
        for n in 0..20_000u32 {
            sent.note(n as u16, 0, 1, Purpose::Media);
        }
        assert_eq!(sent.ring.len(), SENT_PACKETS_MAX);
        assert!(sent.find(19_999).is_some() && sent.find(100).is_none());
        let mut heard = SentPackets::default();
        for n in 0..5_000u32 {
            heard.note(n as u16, 0, 1, Purpose::Media);
            heard.find(n as u16).unwrap().fate = Fate::Arrived;
        }
        assert_eq!(heard.ring.len(), SENT_PACKETS_MIN);
    }
}
