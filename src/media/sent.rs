//! The number map of one leg: which packet of the track each outgoing sequence number was, and how often it was sent
//! again (WIRE.md §4.3). Called by `down_track`.

use super::drop_reason::DropReason;
use crate::limits::RESENDS_MAX;
use crate::wire::codec::vp8::Numbers;
use std::time::{Duration, Instant};

const RESEND_INTERVAL_MAX: Duration = Duration::from_millis(100);

/// What was sent under one sequence number, as far as the history does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    sent: Sent,
    resends: u8,
    resent: Option<Instant>,
}

/// A ring of what was sent.
#[derive(Debug)]
pub struct SentRing {
    packets: usize,
    /// Allocated with the first packet.
    entries: Vec<Option<Entry>>,
}

impl SentRing {
    pub fn new(packets: usize) -> SentRing {
        SentRing { packets: packets.max(1), entries: Vec::new() }
    }

    fn slot(&self, sequence: u64) -> usize {
        (sequence % self.packets as u64) as usize
    }

    /// Notes a packet, unless a newer one holds its place.
    pub fn push(&mut self, sent: Sent) {
        if self.entries.is_empty() {
            self.entries = vec![None; self.packets];
        }
        let slot = self.slot(sent.sequence);
        if let Some(place) = self.entries.get_mut(slot)
            && place.as_ref().is_none_or(|entry| entry.sent.sequence <= sent.sequence)
        {
            *place = Some(Entry { sent, resends: 0, resent: None });
        }
    }

    pub fn contains(&self, sequence: u64) -> bool {
        self.find(sequence).is_some()
    }

    pub fn find(&self, sequence: u64) -> Option<&Sent> {
        let entry = self.entries.get(self.slot(sequence))?.as_ref()?;
        Some(&entry.sent).filter(|sent| sent.sequence == sequence)
    }

    /// What to send again for a sequence number, which then counts as sent again.
    pub fn resend(&mut self, now: Instant, sequence: u64, rtt: Duration) -> Result<Sent, DropReason> {
        let slot = self.slot(sequence);
        let held = self.entries.get_mut(slot).and_then(Option::as_mut);
        let entry = held.filter(|entry| entry.sent.sequence == sequence).ok_or(DropReason::NotSent)?;
        let interval = RESEND_INTERVAL_MAX.min(2 * rtt);
        if entry.resends == RESENDS_MAX {
            return Err(DropReason::ResentOften);
        }
        if entry.resent.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return Err(DropReason::ResentLately);
        }
        entry.resends += 1;
        entry.resent = Some(now);
        Ok(entry.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64) -> Sent {
        Sent {
            sequence,
            source: 1,
            incoming: sequence + 1_000,
            timestamp: 0,
            payload_type: 96,
            marker: false,
            vp8: None,
            red_block: None,
        }
    }

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn resends_are_spaced_and_limited() {
        let mut ring = SentRing::new(8);
        ring.push(sent(5));
        let mut resend = |ms, rtt| ring.resend(at(ms), 5, Duration::from_millis(rtt)).map(|s| s.incoming);
        assert_eq!(resend(0, 30), Ok(1_005));
        assert_eq!(resend(59, 30), Err(DropReason::ResentLately));
        assert_eq!(resend(60, 30), Ok(1_005));
        assert_eq!(resend(159, 400), Err(DropReason::ResentLately));
        assert_eq!(resend(160, 400), Ok(1_005));
        assert_eq!(resend(9_000, 30), Err(DropReason::ResentOften));
    }

    #[test]
    fn forgets_what_is_overtaken_and_never_knew_the_rest() {
        let mut ring = SentRing::new(8);
        assert_eq!(ring.resend(at(0), 5, Duration::ZERO), Err(DropReason::NotSent));
        ring.push(sent(13));
        ring.push(sent(5));
        assert!(ring.contains(13) && !ring.contains(5));
        assert_eq!(ring.resend(at(0), 5, Duration::ZERO), Err(DropReason::NotSent));
    }
}
