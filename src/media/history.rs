//! The packets of one stream that may be sent again: one copy each, shared by all subscribers of the track.
//!
//! Filled by `up_stream`, read when a leg answers a NACK. Bytes lie in a ring, so a packet lives until it is `packets`
//! numbers old or its bytes are needed, whichever is first.

use super::arrival::Arrival;

#[derive(Clone, Copy, Debug)]
struct Slot {
    arrival: Arrival,
    /// Where the bytes begin, counted since the beginning of time; the place in the ring is this modulo its size.
    begin: u64,
    bytes: u16,
}

/// A ring of packets by sequence number.
#[derive(Debug, Default)]
pub struct History {
    slots: Vec<Option<Slot>>,
    ring: Vec<u8>,
    /// Bytes written since the beginning of time, skipped ends included.
    written: u64,
}

impl History {
    /// Room for `packets` packets of `packet_bytes` bytes on average. Allocates all of it.
    pub fn new(packets: usize, packet_bytes: usize) -> History {
        History { slots: vec![None; packets.max(1)], ring: vec![0; packets.max(1) * packet_bytes.max(1)], written: 0 }
    }

    /// Keeps a packet. One that is older than what holds its slot, or larger than the ring, is not kept.
    ///
    /// # Cost
    /// One copy of the packet, no allocation.
    pub fn push(&mut self, arrival: &Arrival, packet: &[u8]) {
        let (slot, ring) = (self.slot_of(arrival.sequence), self.ring.len());
        let held = self.slots.get(slot).copied().flatten();
        let newer_is_held = held.is_some_and(|held| held.arrival.sequence > arrival.sequence);
        let Ok(bytes) = u16::try_from(packet.len()) else { return };
        if newer_is_held || packet.len() > ring {
            return;
        }
        let begin = self.reserve(packet.len());
        let at = (begin % ring as u64) as usize;
        self.ring[at..at + packet.len()].copy_from_slice(packet);
        self.slots[slot] = Some(Slot { arrival: *arrival, begin, bytes });
    }

    /// The packet with that number as it arrived, if it is still here.
    pub fn find(&self, sequence: u64) -> Option<(&Arrival, &[u8])> {
        let slot = self.slots.get(self.slot_of(sequence))?.as_ref()?;
        let whole = self.written - slot.begin <= self.ring.len() as u64;
        if slot.arrival.sequence != sequence || !whole {
            return None;
        }
        let at = (slot.begin % self.ring.len() as u64) as usize;
        Some((&slot.arrival, self.ring.get(at..at + usize::from(slot.bytes))?))
    }

    /// True if that number came, even if its bytes are gone.
    pub fn has_seen(&self, sequence: u64) -> bool {
        let slot = self.slots.get(self.slot_of(sequence)).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.arrival.sequence == sequence)
    }

    /// How many sequence numbers back it reaches at most.
    pub fn packets(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot_of(&self, sequence: u64) -> usize {
        (sequence % self.slots.len().max(1) as u64) as usize
    }

    /// Takes the next bytes of the ring that lie in one piece.
    fn reserve(&mut self, bytes: usize) -> u64 {
        let size = self.ring.len() as u64;
        let left = size - self.written % size;
        if left < bytes as u64 {
            self.written += left;
        }
        let begin = self.written;
        self.written += bytes as u64;
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn arrival(sequence: u64) -> Arrival {
        Arrival { sequence, ..Arrival::for_tests() }
    }

    #[test]
    fn finds_what_was_pushed_until_it_is_overtaken() {
        let mut history = History::new(4, 100);
        (10..16).for_each(|n| history.push(&arrival(n), &[n as u8; 20]));
        assert_eq!(history.find(11), None);
        assert_eq!(history.find(12).map(|(_, p)| p.to_vec()), Some(vec![12; 20]));
        assert!(history.has_seen(15) && !history.has_seen(16));
    }

    #[test]
    fn a_late_packet_does_not_displace_a_newer_one() {
        let mut history = History::new(4, 100);
        history.push(&arrival(14), &[14]);
        history.push(&arrival(10), &[10]);
        assert!(history.find(10).is_none() && history.find(14).is_some());
    }

    #[test]
    fn larger_packets_shorten_it() {
        let mut history = History::new(8, 100);
        (0..8).for_each(|n| history.push(&arrival(n), &[n as u8; 350]));
        assert!(history.find(5).is_none() && history.find(7).is_some());
        assert!(history.has_seen(5), "seen, though its bytes are gone");
        history.push(&arrival(8), &[0; 801]);
        assert!(!history.has_seen(8), "larger than the ring");
    }

    #[test]
    fn found_packets_are_intact_whatever_their_sizes() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut history = History::new(32, 64);
            for n in 0..500u64 {
                history.push(&arrival(n), &vec![n as u8; rng.random_range(0..200)]);
                for old in n.saturating_sub(40)..=n {
                    let found = history.find(old);
                    assert!(found.is_none_or(|(_, p)| p.iter().all(|b| *b == old as u8)), "seed {seed}, {old} at {n}");
                }
                assert!(history.find(n).is_some(), "seed {seed}");
            }
        }
    }
}
