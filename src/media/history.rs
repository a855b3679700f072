//! The packets of one stream that may be sent again: one copy each, shared by all subscribers of the track.
//!
//! Filled by `up_stream`, read when a leg answers a NACK. Bytes lie in a ring that begins small and grows until it holds
//! [`RESEND_HOLD`] of the stream or its bound is reached; a packet lives until its place is needed, or the stream rests.

use super::arrival::Arrival;
use crate::limits::{DATAGRAM_BYTES_MAX, HISTORY_BYTES_MIN, HISTORY_PACKETS_MIN, RESEND_HOLD};
use std::time::{Duration, Instant};

/// Without a packet for this long a stream rests: some times what may be asked for, so that a pause costs no new rings.
const REST_AFTER: Duration = Duration::from_secs(5);

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
    /// By sequence number modulo their count.
    slots: Vec<Option<Slot>>,
    packets_max: usize,
    /// Its size is a power of two.
    ring: Vec<u8>,
    bytes_max: usize,
    /// Bytes written since the beginning of time, skipped ends included.
    written: u64,
    /// What was written before this is gone.
    floor: u64,
    /// When the ring was last begun anew.
    lap_began: Option<Instant>,
    /// When the last packet came.
    newest: Option<Instant>,
}

impl History {
    /// Room for at most `packets` packets of `packet_bytes` bytes on average.
    pub fn new(packets: usize, packet_bytes: usize) -> History {
        let packets_max = packets.max(1);
        History {
            packets_max,
            bytes_max: (packets_max * packet_bytes.max(1)).next_power_of_two(),
            ..History::default()
        }
    }

    /// Keeps a packet. One that is older than what holds its slot, or larger than the ring or a datagram of ours may be,
    /// is not kept.
    ///
    /// # Cost
    /// One copy of the packet; no allocation once the stream has shown its rate.
    pub fn push(&mut self, arrival: &Arrival, packet: &[u8]) {
        let Ok(bytes) = u16::try_from(packet.len()) else { return };
        if packet.len() > DATAGRAM_BYTES_MAX.min(self.bytes_max) {
            return;
        }
        self.make_slot(arrival);
        let slot = self.slot_of(arrival.sequence);
        let held = self.slots.get(slot).and_then(Option::as_ref);
        if held.is_some_and(|held| held.arrival.sequence > arrival.sequence) {
            return;
        }
        self.newest = Some(arrival.received);
        let begin = self.reserve(arrival.received, packet.len());
        let at = self.place(begin);
        self.ring[at..at + packet.len()].copy_from_slice(packet);
        self.slots[slot] = Some(Slot { arrival: *arrival, begin, bytes });
    }

    /// The packet with that number as it arrived, if it is still here.
    pub fn find(&self, sequence: u64) -> Option<(&Arrival, &[u8])> {
        let slot = self.slots.get(self.slot_of(sequence))?.as_ref()?;
        let whole = slot.begin >= self.floor && self.written - slot.begin <= self.ring.len() as u64;
        if slot.arrival.sequence != sequence || !whole {
            return None;
        }
        let at = self.place(slot.begin);
        Some((&slot.arrival, self.ring.get(at..at + usize::from(slot.bytes))?))
    }

    /// Forgets everything once nothing has come for so long that nobody may ask any more: a layer nobody watches takes no
    /// memory.
    pub fn rest(&mut self, now: Instant) {
        if self.newest.is_some_and(|at| now.saturating_duration_since(at) >= REST_AFTER) {
            *self = History { packets_max: self.packets_max, bytes_max: self.bytes_max, ..History::default() };
        }
    }

    /// True if that number came, even if its bytes are gone.
    pub fn has_seen(&self, sequence: u64) -> bool {
        let slot = self.slots.get(self.slot_of(sequence)).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.arrival.sequence == sequence)
    }

    /// How many sequence numbers back it reaches at most.
    pub fn packets(&self) -> u64 {
        self.packets_max as u64
    }

    fn slot_of(&self, sequence: u64) -> usize {
        (sequence % self.slots.len().max(1) as u64) as usize
    }

    fn place(&self, position: u64) -> usize {
        (position % self.ring.len().max(1) as u64) as usize
    }

    /// Adds slots while the packet would displace one that may still be asked for.
    fn make_slot(&mut self, arrival: &Arrival) {
        if self.slots.is_empty() {
            self.slots = vec![None; HISTORY_PACKETS_MIN.min(self.packets_max)];
        }
        let is_fresh = |held: &Slot| arrival.received.saturating_duration_since(held.arrival.received) < RESEND_HOLD;
        while self.slots.len() < self.packets_max {
            let held = self.slots[self.slot_of(arrival.sequence)].as_ref();
            if !held.is_some_and(|held| held.arrival.sequence < arrival.sequence && is_fresh(held)) {
                return;
            }
            self.grow_slots();
        }
    }

    fn grow_slots(&mut self) {
        let count = (self.slots.len() * 2).min(self.packets_max);
        for slot in std::mem::replace(&mut self.slots, vec![None; count]).into_iter().flatten() {
            let at = self.slot_of(slot.arrival.sequence);
            let held = self.slots[at].as_ref();
            if held.is_none_or(|held| held.arrival.sequence < slot.arrival.sequence) {
                self.slots[at] = Some(slot);
            }
        }
    }

    /// Takes the next bytes of the ring that lie in one piece.
    fn reserve(&mut self, now: Instant, bytes: usize) -> u64 {
        if self.ring.is_empty() {
            self.ring = vec![0; HISTORY_BYTES_MIN.min(self.bytes_max)];
            self.lap_began = Some(now);
        }
        let left = self.ring.len() - self.place(self.written);
        if left < bytes {
            self.written += left as u64;
        }
        if self.written > 0 && self.place(self.written) == 0 {
            self.begin_lap(now);
        }
        let begin = self.written;
        self.written += bytes as u64;
        begin
    }

    /// At the ring's end: begins it anew, or doubles it if it went round faster than packets age.
    fn begin_lap(&mut self, now: Instant) {
        let was_short = self.lap_began.is_some_and(|at| now.saturating_duration_since(at) < RESEND_HOLD);
        if was_short && self.ring.len() < self.bytes_max {
            self.grow_ring();
        } else {
            self.lap_began = Some(now);
        }
    }

    /// Only where a lap ends: the ring holds the bytes of one lap, which keep their places modulo its new size.
    fn grow_ring(&mut self) {
        let size = self.ring.len();
        self.floor = self.written.saturating_sub(size as u64);
        self.ring.resize(size * 2, 0);
        if self.place(self.written) == 0 {
            self.ring.copy_within(..size, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A packet of a stream of a hundred packets a second.
    fn arrival(sequence: u64) -> Arrival {
        let received = super::super::test_epoch() + Duration::from_millis(10 * sequence);
        Arrival { sequence, received, ..Arrival::for_tests() }
    }

    /// The oldest of the packets up to `newest` that is still whole.
    fn oldest(history: &History, newest: u64) -> u64 {
        (0..=newest).rev().take_while(|n| history.find(*n).is_some()).last().unwrap_or(newest + 1)
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
        history.push(&arrival(8), &[0; 1025]);
        assert!(!history.has_seen(8), "larger than the ring");
    }

    #[test]
    fn it_holds_what_may_be_asked_for_and_takes_little_more() {
        let held = RESEND_HOLD.as_millis() as u64 / 10;
        for bytes in [60, 400, 1_200] {
            let mut history = History::new(512, 1_250);
            (0..1_000).for_each(|n| history.push(&arrival(n), &vec![n as u8; bytes]));
            assert!(999 - oldest(&history, 999) >= held - 1, "{bytes}: back to {}", oldest(&history, 999));
            assert!(history.ring.len() <= (4 * held as usize * bytes).max(HISTORY_BYTES_MIN), "{}", history.ring.len());
            assert!(history.slots.len() <= 4 * held as usize, "{}", history.slots.len());
        }
    }

    #[test]
    fn a_stream_that_rests_takes_nothing_and_goes_on() {
        let mut history = History::new(512, 1_250);
        (0..300).for_each(|n| history.push(&arrival(n), &[n as u8; 1_200]));
        history.rest(arrival(299).received + Duration::from_secs(4));
        assert!(history.find(299).is_some(), "a pause");
        history.rest(arrival(299).received + REST_AFTER);
        assert_eq!((history.find(299), history.ring.capacity(), history.slots.capacity()), (None, 0, 0));
        history.push(&arrival(900), &[9; 100]);
        assert_eq!(history.find(900).map(|(_, packet)| packet.len()), Some(100));
        assert_eq!(history.packets(), 512);
    }

    #[test]
    fn growing_loses_nothing() {
        let mut history = History::new(512, 1_250);
        for n in 0..RESEND_HOLD.as_millis() as u64 / 10 {
            history.push(&arrival(n), &[n as u8; 1_200]);
            assert_eq!(oldest(&history, n), 0, "at {n}");
        }
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

    #[test]
    fn a_stream_that_bursts_stays_intact() {
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut history, mut ms) = (History::new(512, 1_250), 0);
            for n in 0..3_000u64 {
                ms += if rng.random_bool(0.1) { rng.random_range(0..400) } else { 0 };
                let received = super::super::test_epoch() + Duration::from_millis(ms);
                history.push(&Arrival { received, ..arrival(n) }, &vec![n as u8; rng.random_range(1..1_400)]);
                for old in (n.saturating_sub(600)..=n).filter(|_| n % 50 == 0) {
                    let found = history.find(old);
                    assert!(found.is_none_or(|(_, p)| p.iter().all(|b| *b == old as u8)), "seed {seed}, {old} at {n}");
                }
                assert!(history.find(n).is_some(), "seed {seed}");
            }
        }
    }
}
