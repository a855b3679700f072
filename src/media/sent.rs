//! The number map of one leg: which packet of the track each outgoing sequence number was, and how often it was sent
//! again (WIRE.md §4.3). Called by `down_track`.

use super::drop_reason::DropReason;
use crate::limits::{HISTORY_PACKETS_MIN, RESEND_HOLD, RESENDS_MAX};
use crate::wire::codec::vp8::Numbers;
use std::time::{Duration, Instant};

const RESEND_INTERVAL_MAX: Duration = Duration::from_millis(100);

/// What was sent under one sequence number, as far as the history does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Outgoing, unwrapped.
    pub sequence: u64,
    pub source: u32,
    /// Incoming, unwrapped.
    pub incoming: u64,
    pub timestamp: u32,
    pub payload_type: u8,
    pub marker: bool,
    pub vp8: Option<Numbers>,
    /// Index of the RED block sent instead of the packet, `None` for the payload itself.
    pub red_block: Option<u8>,
    /// Bytes of padding added, the count byte included.
    pub padding: u8,
}

/// A place of the ring, kept small because there is a ring for each leg.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// [`VACANT`] if nothing was sent.
    sequence: u64,
    incoming: u64,
    source: u32,
    timestamp: u32,
    /// Milliseconds since the ring's first packet.
    sent_ms: u32,
    resent_ms: u32,
    vp8: Numbers,
    has_vp8: bool,
    marker: bool,
    payload_type: u8,
    padding: u8,
    red_block: Option<u8>,
    resends: u8,
}

const VACANT: u64 = u64::MAX;

impl Entry {
    fn new(sent: &Sent, sent_ms: u32) -> Entry {
        Entry {
            sequence: sent.sequence,
            incoming: sent.incoming,
            source: sent.source,
            timestamp: sent.timestamp,
            sent_ms,
            resent_ms: 0,
            vp8: sent.vp8.unwrap_or_default(),
            has_vp8: sent.vp8.is_some(),
            marker: sent.marker,
            payload_type: sent.payload_type,
            padding: sent.padding,
            red_block: sent.red_block,
            resends: 0,
        }
    }

    fn vacant() -> Entry {
        Entry::new(&Sent { sequence: VACANT, ..Sent::default() }, 0)
    }

    fn sent(&self) -> Sent {
        Sent {
            sequence: self.sequence,
            source: self.source,
            incoming: self.incoming,
            timestamp: self.timestamp,
            payload_type: self.payload_type,
            marker: self.marker,
            vp8: self.has_vp8.then_some(self.vp8),
            red_block: self.red_block,
            padding: self.padding,
        }
    }

    fn is_vacant(&self) -> bool {
        self.sequence == VACANT
    }
}

/// A ring of what was sent: begins small and grows until it holds [`RESEND_HOLD`] or its bound is reached.
#[derive(Debug)]
pub struct SentRing {
    packets_max: usize,
    origin: Option<Instant>,
    entries: Vec<Entry>,
}

impl SentRing {
    pub fn new(packets_max: usize) -> SentRing {
        SentRing { packets_max: packets_max.max(1), origin: None, entries: Vec::new() }
    }

    fn slot(&self, sequence: u64) -> usize {
        (sequence % self.entries.len().max(1) as u64) as usize
    }

    fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(self.slot(sequence)).filter(|entry| entry.sequence == sequence)
    }

    fn ms(&self, now: Instant) -> u32 {
        let since = self.origin.map_or(0, |origin| now.saturating_duration_since(origin).as_millis());
        u32::try_from(since).unwrap_or(u32::MAX)
    }

    /// Notes a packet, unless a newer one holds its place.
    ///
    /// # Cost
    /// No allocation once the leg has shown its rate.
    pub fn push(&mut self, now: Instant, sent: &Sent) {
        self.origin.get_or_insert(now);
        let now_ms = self.ms(now);
        self.make_slot(now_ms, sent.sequence);
        let slot = self.slot(sent.sequence);
        let place = &mut self.entries[slot];
        if place.is_vacant() || place.sequence <= sent.sequence {
            *place = Entry::new(sent, now_ms);
        }
    }

    /// Adds places while the packet would displace one that may still be asked for.
    fn make_slot(&mut self, now_ms: u32, sequence: u64) {
        if self.entries.is_empty() {
            self.entries = vec![Entry::vacant(); HISTORY_PACKETS_MIN.min(self.packets_max)];
        }
        let is_fresh = |held: &Entry| u128::from(now_ms.saturating_sub(held.sent_ms)) < RESEND_HOLD.as_millis();
        while self.entries.len() < self.packets_max {
            let held = &self.entries[self.slot(sequence)];
            if held.is_vacant() || held.sequence >= sequence || !is_fresh(held) {
                return;
            }
            self.grow();
        }
    }

    fn grow(&mut self) {
        let count = (self.entries.len() * 2).min(self.packets_max);
        let before = std::mem::replace(&mut self.entries, vec![Entry::vacant(); count]);
        for entry in before.into_iter().filter(|entry| !entry.is_vacant()) {
            let slot = self.slot(entry.sequence);
            let place = &mut self.entries[slot];
            if place.is_vacant() || place.sequence < entry.sequence {
                *place = entry;
            }
        }
    }

    pub fn contains(&self, sequence: u64) -> bool {
        self.entry(sequence).is_some()
    }

    pub fn find(&self, sequence: u64) -> Option<Sent> {
        self.entry(sequence).map(Entry::sent)
    }

    /// What to send again for a sequence number, which then counts as sent again.
    pub fn resend(&mut self, now: Instant, sequence: u64, rtt: Duration) -> Result<Sent, DropReason> {
        let (now_ms, slot) = (self.ms(now), self.slot(sequence));
        let held = self.entries.get_mut(slot);
        let entry = held.filter(|entry| entry.sequence == sequence).ok_or(DropReason::NotSent)?;
        let interval = RESEND_INTERVAL_MAX.min(2 * rtt);
        if entry.resends == RESENDS_MAX {
            return Err(DropReason::ResentOften);
        }
        if entry.resends > 0 && u128::from(now_ms.saturating_sub(entry.resent_ms)) < interval.as_millis() {
            return Err(DropReason::ResentLately);
        }
        entry.resends += 1;
        entry.resent_ms = now_ms;
        Ok(entry.sent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64) -> Sent {
        Sent { sequence, source: 1, incoming: sequence + 1_000, payload_type: 96, ..Sent::default() }
    }

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn resends_are_spaced_and_limited() {
        let mut ring = SentRing::new(8);
        ring.push(at(0), &sent(5));
        let mut resend = |ms, rtt| ring.resend(at(ms), 5, Duration::from_millis(rtt)).map(|s| s.incoming);
        assert_eq!(resend(0, 30), Ok(1_005));
        assert_eq!(resend(59, 30), Err(DropReason::ResentLately));
        assert_eq!(resend(60, 30), Ok(1_005));
        assert_eq!(resend(159, 400), Err(DropReason::ResentLately));
        assert_eq!(resend(160, 400), Ok(1_005));
        for n in 3..u64::from(RESENDS_MAX) {
            assert_eq!(resend(100 * n, 30), Ok(1_005));
        }
        assert_eq!(resend(9_000, 30), Err(DropReason::ResentOften));
    }

    #[test]
    fn forgets_what_is_overtaken_and_never_knew_the_rest() {
        let mut ring = SentRing::new(8);
        assert_eq!(ring.resend(at(0), 5, Duration::ZERO), Err(DropReason::NotSent));
        ring.push(at(0), &sent(13));
        ring.push(at(0), &sent(5));
        assert!(ring.contains(13) && !ring.contains(5));
        assert_eq!(ring.resend(at(0), 5, Duration::ZERO), Err(DropReason::NotSent));
    }

    #[test]
    fn it_grows_with_the_rate_and_no_further() {
        for (per_s, most) in [(15, 16), (50, 64), (1_000, 512)] {
            let mut ring = SentRing::new(512);
            for n in 0..4 * per_s {
                ring.push(at(n * 1_000 / per_s), &sent(n));
            }
            assert!(ring.entries.len() <= most, "{per_s}/s: {}", ring.entries.len());
            let held = per_s.min(most as u64);
            assert!((4 * per_s - held + 1..4 * per_s).all(|n| ring.contains(n)), "{per_s}/s");
        }
        assert!(size_of::<Entry>() <= 48);
    }
}
