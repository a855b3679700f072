//! The number map of one leg: which packet of the track each outgoing sequence number was, and how often it was sent
//! again (WIRE.md §4.3). Called by `down_track`.

use super::drop_reason::DropReason;
use crate::limits::{HISTORY_PACKETS_MIN, RESEND_HOLD, RESENDS_MAX};
use crate::wire::codec::vp8::Numbers;
use std::time::{Duration, Instant};

const RESEND_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// A ring that goes this far back is too large: half of it still holds [`RESEND_HOLD`] and more.
const HELD_MAX: Duration = Duration::from_secs(4);

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

/// A place of the ring, kept small because there is a ring for each leg and every packet touches its own.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Low bits of the outgoing number: a ring is shorter than what they count.
    sequence: u32,
    /// From the outgoing number to the incoming one.
    to_incoming: i32,
    source: u32,
    timestamp: u32,
    /// Milliseconds since the ring's first packet.
    sent_ms: u32,
    /// When it was sent again last, in milliseconds after `sent_ms`.
    resent_ms: u16,
    vp8: Numbers,
    payload_type: u8,
    padding: u8,
    red_block: u8,
    resends: u8,
    flags: u8,
}

/// [`Entry::flags`]: nothing else counts without the first.
const TAKEN: u8 = 1;
const MARKER: u8 = 2;
const HAS_VP8: u8 = 4;
/// [`Entry::red_block`] of a packet sent as it came.
const WHOLE: u8 = u8::MAX;

impl Entry {
    const VACANT: Entry = Entry {
        sequence: 0,
        to_incoming: 0,
        source: 0,
        timestamp: 0,
        sent_ms: 0,
        resent_ms: 0,
        vp8: Numbers { picture_id: 0, tl0_pic_idx: 0, key_idx: 0 },
        payload_type: 0,
        padding: 0,
        red_block: WHOLE,
        resends: 0,
        flags: 0,
    };

    /// `None` if the numbers are too far apart, which takes two thousand million packets: such a packet is not sent again.
    fn new(sent: &Sent, sent_ms: u32) -> Option<Entry> {
        let to_incoming = i32::try_from(sent.incoming.wrapping_sub(sent.sequence) as i64).ok()?;
        let flag = |is: bool, flag| if is { flag } else { 0 };
        Some(Entry {
            sequence: sent.sequence as u32,
            to_incoming,
            source: sent.source,
            timestamp: sent.timestamp,
            sent_ms,
            resent_ms: 0,
            vp8: sent.vp8.unwrap_or_default(),
            payload_type: sent.payload_type,
            padding: sent.padding,
            red_block: sent.red_block.unwrap_or(WHOLE),
            resends: 0,
            flags: TAKEN | flag(sent.marker, MARKER) | flag(sent.vp8.is_some(), HAS_VP8),
        })
    }

    /// As it was sent under the whole number.
    fn sent(&self, sequence: u64) -> Sent {
        Sent {
            sequence,
            source: self.source,
            incoming: sequence.wrapping_add_signed(i64::from(self.to_incoming)),
            timestamp: self.timestamp,
            payload_type: self.payload_type,
            marker: self.flags & MARKER != 0,
            vp8: (self.flags & HAS_VP8 != 0).then_some(self.vp8),
            red_block: Some(self.red_block).filter(|block| *block != WHOLE),
            padding: self.padding,
        }
    }

    fn is_vacant(&self) -> bool {
        self.flags & TAKEN == 0
    }

    fn holds(&self, sequence: u64) -> bool {
        !self.is_vacant() && self.sequence == sequence as u32
    }

    /// How far the packet held is ahead of that number.
    fn ahead_of(&self, sequence: u32) -> i32 {
        self.sequence.wrapping_sub(sequence) as i32
    }
}

/// A ring of what was sent: begins small and grows until it holds [`RESEND_HOLD`] or its bound is reached. When it holds
/// [`HELD_MAX`] it shrinks again: legs begin with the best layer and often come down.
#[derive(Debug)]
pub struct SentRing {
    packets_max: usize,
    origin: Option<Instant>,
    entries: Vec<Entry>,
    newest: u64,
    /// Below this a number that is not here may have been sent and forgotten.
    forgotten: u64,
}

impl SentRing {
    pub fn new(packets_max: usize) -> SentRing {
        SentRing { packets_max: packets_max.max(1), origin: None, entries: Vec::new(), newest: 0, forgotten: 0 }
    }

    fn slot(&self, sequence: u32) -> usize {
        sequence as usize % self.entries.len().max(1)
    }

    fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(self.slot(sequence as u32)).filter(|entry| entry.holds(sequence))
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
        self.newest = self.newest.max(sent.sequence);
        let Some(entry) = Entry::new(sent, now_ms) else { return self.forget(sent.sequence as u32) };
        self.make_slot(now_ms, entry.sequence);
        self.put(entry);
    }

    fn put(&mut self, entry: Entry) {
        let slot = self.slot(entry.sequence);
        let place = &mut self.entries[slot];
        if place.is_vacant() || place.sequence == entry.sequence {
            *place = entry;
        } else if place.ahead_of(entry.sequence) < 0 {
            let gone = std::mem::replace(place, entry);
            self.forget(gone.sequence);
        } else {
            self.forget(entry.sequence);
        }
    }

    fn forget(&mut self, sequence: u32) {
        let back = (self.newest as u32).wrapping_sub(sequence);
        self.forgotten = self.forgotten.max(self.newest.saturating_sub(u64::from(back)) + 1);
    }

    /// Adds places while the packet would displace one that may still be asked for, and takes half of them away when it
    /// displaces one that is too old by far.
    fn make_slot(&mut self, now_ms: u32, sequence: u32) {
        if self.entries.is_empty() {
            self.entries = vec![Entry::VACANT; HISTORY_PACKETS_MIN.min(self.packets_max)];
        }
        while let Some(age) = self.displaced_ms(now_ms, sequence) {
            if age < RESEND_HOLD.as_millis() && self.entries.len() < self.packets_max {
                self.resize((self.entries.len() * 2).min(self.packets_max));
            } else if age >= HELD_MAX.as_millis() && self.entries.len() >= 2 * HISTORY_PACKETS_MIN {
                return self.resize(self.entries.len() / 2);
            } else {
                return;
            }
        }
    }

    /// Age of the packet that would have to give way.
    fn displaced_ms(&self, now_ms: u32, sequence: u32) -> Option<u128> {
        let held = self.entries.get(self.slot(sequence)).filter(|held| !held.is_vacant())?;
        (held.ahead_of(sequence) < 0).then(|| u128::from(now_ms.saturating_sub(held.sent_ms)))
    }

    fn resize(&mut self, count: usize) {
        let before = std::mem::replace(&mut self.entries, vec![Entry::VACANT; count]);
        before.into_iter().filter(|entry| !entry.is_vacant()).for_each(|entry| self.put(entry));
    }

    /// Whether a packet may take that number. One that may have been sent is not free: two packets under one number would
    /// share a nonce (RFC 7714 §8.1).
    pub fn check_free(&self, sequence: u64) -> Result<(), DropReason> {
        match self.entry(sequence) {
            Some(_) => Err(DropReason::Duplicate),
            None if sequence < self.forgotten => Err(DropReason::MappingGone),
            None => Ok(()),
        }
    }

    pub fn find(&self, sequence: u64) -> Option<Sent> {
        self.entry(sequence).map(|entry| entry.sent(sequence))
    }

    /// What to send again for a sequence number, which then counts as sent again.
    pub fn resend(&mut self, now: Instant, sequence: u64, rtt: Duration) -> Result<Sent, DropReason> {
        let (now_ms, slot) = (self.ms(now), self.slot(sequence as u32));
        let held = self.entries.get_mut(slot);
        let entry = held.filter(|entry| entry.holds(sequence)).ok_or(DropReason::NotSent)?;
        let (interval, age) = (RESEND_INTERVAL_MAX.min(2 * rtt), now_ms.saturating_sub(entry.sent_ms));
        if entry.resends == RESENDS_MAX {
            return Err(DropReason::ResentOften);
        }
        if entry.resends > 0 && u128::from(age.saturating_sub(u32::from(entry.resent_ms))) < interval.as_millis() {
            return Err(DropReason::ResentLately);
        }
        entry.resends += 1;
        entry.resent_ms = u16::try_from(age).unwrap_or(u16::MAX);
        Ok(entry.sent(sequence))
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
        assert!(ring.find(13).is_some() && ring.find(5).is_none());
        assert_eq!(
            [13, 5, 14].map(|n| ring.check_free(n)),
            [Err(DropReason::Duplicate), Err(DropReason::MappingGone), Ok(())]
        );
        assert_eq!(ring.resend(at(0), 5, Duration::ZERO), Err(DropReason::NotSent));
    }

    #[test]
    fn no_number_is_free_twice() {
        let mut ring = SentRing::new(64);
        // Old enough to give way, then the ring grows, which leaves the old place vacant.
        ring.push(at(0), &sent(541));
        (0..200).for_each(|n| ring.push(at(2_000 + n), &sent(573 + n)));
        assert!(ring.find(541).is_none());
        assert!(
            (541..=772).all(|n| ring.check_free(n).is_err() || (542..573).contains(&n)),
            "what was sent is not free"
        );
        assert_eq!(ring.check_free(541), Err(DropReason::MappingGone));
        assert_eq!(ring.check_free(773), Ok(()));
    }

    #[test]
    fn it_shrinks_with_the_rate_and_loses_nothing_young() {
        let mut ring = SentRing::new(512);
        (0..1_000).for_each(|n| ring.push(at(n * 4), &sent(n)));
        assert!(ring.entries.len() > 200, "{}", ring.entries.len());
        for n in 1_000..2_000 {
            ring.push(at(4_000 + (n - 1_000) * 50), &sent(n));
            assert!((n - 19..=n).all(|young| ring.find(young).is_some()), "{n}: a second of what was sent");
        }
        assert!(ring.entries.len() <= 80, "{}", ring.entries.len());
    }

    #[test]
    fn what_was_sent_is_remembered_whole() {
        let vp8 = Some(Numbers { picture_id: 9, tl0_pic_idx: 8, key_idx: 7 });
        let first = Sent { timestamp: 5, marker: true, vp8, padding: 3, ..sent(5) };
        // Numbers beyond 32 bits, and an incoming series that lies behind the outgoing one.
        let second = Sent { incoming: 7, red_block: Some(1), ..sent((1 << 32) + 6) };
        let mut ring = SentRing::new(8);
        [first, second].iter().for_each(|sent| ring.push(at(0), sent));
        assert_eq!(ring.find(5), Some(first));
        assert_eq!(ring.find(second.sequence), None, "too far apart");
        let third = Sent { incoming: (1 << 32) - 20, ..second };
        ring.push(at(0), &third);
        assert_eq!(ring.find(third.sequence), Some(third));
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
            assert!((4 * per_s - held + 1..4 * per_s).all(|n| ring.find(n).is_some()), "{per_s}/s");
        }
        assert!(size_of::<Entry>() <= 32);
    }
}
