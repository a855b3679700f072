//! One encoding of a published track: its sequence space, history, statistics and feedback state. Owned by `up_track`.

use super::arrival::Arrival;
use super::clock::StreamReport;
use super::dissect::Context;
use super::drop_reason::DropReason;
use super::history::History;
use super::key_frame::KeyFrameRequests;
use super::nack::NackList;
use super::reception::{Reception, Totals};
use crate::limits::SEQUENCE_JUMP_MAX;
use crate::wire::rtcp::{ReportBlock, write_nack, write_pli};
use crate::wire::seq::Unwrapper;
use std::time::{Duration, Instant};

/// Packets in a row that are too old: then the sender has started over (RFC 3550 appendix A.1 asks for two).
const STALE_MAX: u8 = 4;
/// Cap of [`Arrival::missing_before`].
const MISSING_MAX: u64 = 255;

/// Sizes and rates of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    pub clock_rate: u32,
    pub history_packets: usize,
    pub packet_bytes: usize,
    /// `None` for audio, which has no key frames.
    pub pli_throttle: Option<Duration>,
}

#[derive(Debug)]
pub struct UpStream {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    /// Names the current sequence space; a new one begins when the sender starts over.
    pub source: u32,
    pub report: Option<StreamReport>,
    pub context: Context,
    settings: StreamSettings,
    sequences: Unwrapper<u16>,
    /// Packets in a row that were too old.
    stale: u8,
    reception: Reception,
    nacks: NackList,
    key_frames: Option<KeyFrameRequests>,
    history: History,
    /// Totals at the last quality window.
    scored: Totals,
    nacked: u64,
}

/// A packet that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub sequence: u64,
    pub missing_before: u8,
    /// The sender started over: the stream needs a new source.
    pub is_restart: bool,
}

impl UpStream {
    pub fn new(now: Instant, ssrc: u32, source: u32, settings: StreamSettings) -> UpStream {
        UpStream {
            ssrc,
            rtx_ssrc: None,
            source,
            report: None,
            context: Context::default(),
            settings,
            sequences: Unwrapper::new(),
            stale: 0,
            reception: Reception::new(now, settings.clock_rate),
            nacks: NackList::default(),
            key_frames: settings.pli_throttle.map(|throttle| KeyFrameRequests::new(now, throttle)),
            history: History::default(),
            scored: Totals::default(),
            nacked: 0,
        }
    }

    /// Places a packet in the sequence space and notes the gap it opens or closes. `recovered` packets came by
    /// retransmission.
    ///
    /// # Cost
    /// No allocation but for the history at the first packet.
    pub fn admit(&mut self, now: Instant, sequence: u16, recovered: bool) -> Result<Admitted, DropReason> {
        let Some(newest) = self.sequences.newest() else { return self.admit_first(sequence, recovered) };
        let unwrapped = self.sequences.peek(sequence);
        if unwrapped > newest + SEQUENCE_JUMP_MAX {
            return self.start_over(now, sequence);
        }
        if unwrapped + self.history.packets() <= newest {
            return self.refuse_stale(now, sequence, recovered);
        }
        self.stale = 0;
        if unwrapped <= newest {
            return self.admit_late(unwrapped);
        }
        self.nacks.note_gap(now, newest + 1, unwrapped);
        self.sequences.unwrap(sequence);
        let missing_before = (unwrapped - newest - 1).min(MISSING_MAX) as u8;
        Ok(Admitted { sequence: unwrapped, missing_before, is_restart: false })
    }

    fn admit_first(&mut self, sequence: u16, recovered: bool) -> Result<Admitted, DropReason> {
        if recovered {
            return Err(DropReason::TooOld);
        }
        self.history = History::new(self.settings.history_packets, self.settings.packet_bytes);
        Ok(Admitted { sequence: self.sequences.unwrap(sequence), missing_before: 0, is_restart: false })
    }

    fn admit_late(&mut self, sequence: u64) -> Result<Admitted, DropReason> {
        self.nacks.note_received(sequence);
        if self.history.has_seen(sequence) {
            return Err(DropReason::Duplicate);
        }
        Ok(Admitted { sequence, missing_before: 0, is_restart: false })
    }

    fn refuse_stale(&mut self, now: Instant, sequence: u16, recovered: bool) -> Result<Admitted, DropReason> {
        if recovered {
            return Err(DropReason::TooOld);
        }
        self.stale += 1;
        if self.stale >= STALE_MAX { self.start_over(now, sequence) } else { Err(DropReason::TooOld) }
    }

    /// Forgets everything that was said in the old sequence space.
    fn start_over(&mut self, now: Instant, sequence: u16) -> Result<Admitted, DropReason> {
        self.sequences = Unwrapper::new();
        self.stale = 0;
        self.report = None;
        self.context = Context::default();
        self.nacks.clear();
        self.reception = Reception::new(now, self.settings.clock_rate);
        self.scored = Totals::default();
        let admitted = self.admit_first(sequence, false)?;
        Ok(Admitted { is_restart: true, ..admitted })
    }

    /// Counts a packet that came by itself, not by retransmission.
    pub fn note_received(&mut self, now: Instant, sequence: u64, timestamp: u32, bytes: usize) {
        self.reception.observe(now, sequence, timestamp, bytes);
    }

    pub fn note_key_frame(&mut self) {
        if let Some(requests) = &mut self.key_frames {
            requests.note_key_frame();
        }
    }

    pub fn request_key_frame(&mut self) {
        if let Some(requests) = &mut self.key_frames {
            requests.request();
        }
    }

    pub fn keep(&mut self, arrival: &Arrival, packet: &[u8]) {
        self.history.push(arrival, packet);
    }

    /// Lets go of what nobody may ask for any more; see [`History::rest`].
    pub fn rest(&mut self, now: Instant) {
        self.history.rest(now);
    }

    pub fn find(&self, sequence: u64) -> Option<(&Arrival, &[u8])> {
        self.history.find(sequence)
    }

    /// When [`UpStream::poll_requests`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        let key_frame = self.key_frames.as_ref().and_then(KeyFrameRequests::deadline);
        self.nacks.deadline().into_iter().chain(key_frame).min()
    }

    /// Appends NACK and PLI that are due. `lost` is scratch space.
    pub fn poll_requests(&mut self, now: Instant, sender: u32, rtt: Duration, lost: &mut Vec<u16>, out: &mut Vec<u8>) {
        lost.clear();
        self.nacks.poll(now, rtt, lost);
        self.nacked += lost.len() as u64;
        write_nack(out, sender, self.ssrc, lost);
        if self.key_frames.as_mut().is_some_and(|requests| requests.poll(now)) {
            write_pli(out, sender, self.ssrc);
        }
    }

    /// The block of the next receiver report, `None` before the first packet.
    pub fn poll_report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let report = self.reception.poll_report()?;
        let since = |sr: &StreamReport| now.saturating_duration_since(sr.received);
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: report.fraction_lost,
            cumulative_lost: report.cumulative_lost as i32,
            highest_sequence: report.highest_sequence,
            jitter: report.jitter,
            last_sr: self.report.map_or(0, |sr| sr.middle()),
            delay_since_last_sr: self
                .report
                .as_ref()
                .map_or(0, |sr| (since(sr).as_micros() * 65_536 / 1_000_000) as u32),
        })
    }

    /// Totals since the last call, for a quality window.
    pub fn poll_window(&mut self) -> Totals {
        let totals = self.reception.totals();
        let since = totals.since(self.scored);
        self.scored = totals;
        since
    }

    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Packets asked for by NACK so far, repetitions counted.
    pub fn nacked(&self) -> u64 {
        self.nacked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> UpStream {
        let pli_throttle = Some(Duration::from_millis(500));
        let settings = StreamSettings { clock_rate: 90_000, history_packets: 64, packet_bytes: 100, pli_throttle };
        UpStream::new(super::super::test_epoch(), 1, 7, settings)
    }

    fn admit(stream: &mut UpStream, sequence: u16) -> Result<Admitted, DropReason> {
        let now = super::super::test_epoch();
        let admitted = stream.admit(now, sequence, false)?;
        stream.keep(&Arrival { sequence: admitted.sequence, ..Arrival::for_tests() }, &[0; 10]);
        Ok(admitted)
    }

    #[test]
    fn order_gaps_duplicates_and_wrap() {
        let mut stream = stream();
        let base = admit(&mut stream, 65_534).unwrap().sequence;
        let gap = admit(&mut stream, 1).unwrap();
        assert_eq!((gap.sequence - base, gap.missing_before), (3, 2));
        let late = admit(&mut stream, 65_535).unwrap();
        assert_eq!((late.sequence - base, late.missing_before), (1, 0));
        assert_eq!(admit(&mut stream, 65_535), Err(DropReason::Duplicate));
        assert_eq!(admit(&mut stream, 65_534 - 100), Err(DropReason::TooOld));
    }

    #[test]
    fn a_sender_that_starts_over_is_followed() {
        let mut stream = stream();
        admit(&mut stream, 5_000).unwrap();
        for _ in 0..STALE_MAX - 1 {
            assert_eq!(admit(&mut stream, 100), Err(DropReason::TooOld));
        }
        assert!(admit(&mut stream, 104).unwrap().is_restart);
        assert!(!admit(&mut stream, 105).unwrap().is_restart);
        assert!(admit(&mut stream, 20_000).unwrap().is_restart, "a jump forward too");
    }

    #[test]
    fn a_retransmission_alone_starts_nothing() {
        let mut stream = stream();
        assert_eq!(stream.admit(super::super::test_epoch(), 9, true), Err(DropReason::TooOld));
    }
}
