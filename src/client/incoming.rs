//! One received track: loss, order, frames and delay, and the feedback a receiver owes (RFC 3550 §6.4, RFC 4585).
//! Called by `peer`, which decrypts for it and sends what it asks for.

use super::continuity::Continuity;
use super::payload::SPATIAL_LAYERS_MAX;
use super::stamp::Stamp;
use super::stats::TrackStats;
use crate::limits::{CLIENT_MISSING_MAX, NACK_TRIES_MAX};
use crate::wire::rtcp::{ReportBlock, SenderInfo};
use crate::wire::rtp::RtpHeader;
use crate::wire::seq::Unwrapper;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the description says of a track we are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingSetup {
    pub mid: String,
    pub track_sid: String,
    pub is_video: bool,
    pub ssrc: u32,
    /// Its retransmissions, and their payload type.
    pub rtx: Option<(u32, u8)>,
    /// NACK was negotiated and is used.
    pub nack: bool,
    pub remb: bool,
    /// Id of the transport-wide sequence number.
    pub transport_cc: Option<u8>,
}

/// A packet waits this long for its missing neighbour before it is asked for: reordering is not loss.
const NACK_AFTER: Duration = Duration::from_millis(10);
const NACK_EVERY: Duration = Duration::from_millis(100);
/// Least time between requests for key frames.
const PLI_EVERY: Duration = Duration::from_millis(500);

pub struct Incoming {
    pub setup: IncomingSetup,
    since: Instant,
    sequence: Unwrapper<u16>,
    first: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    frames: Frames,
    stamps: Stamps,
    clock: Arrivals,
    continuity: Continuity,
    last_sr: Option<(u32, Instant)>,
    reported: Reported,
    pli_at: Option<Instant>,
    /// Since when a key frame is waited for.
    key_frame_wanted_at: Option<Instant>,
    wants_key_frame: bool,
    /// As last told by [`Incoming::poll_lost`].
    lost_told: u64,
    stats: TrackStats,
}

/// A number not seen yet.
#[derive(Clone, Copy, Debug)]
struct Missing {
    ask_at: Instant,
    tries: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reported {
    expected: u64,
    lost: u64,
}

impl Incoming {
    pub fn new(setup: IncomingSetup, now: Instant) -> Incoming {
        let stats =
            TrackStats { track_sid: setup.track_sid.clone(), is_video: setup.is_video, ..TrackStats::default() };
        let stats = TrackStats { described_at: Some(now), ..stats };
        let ticks_per_s = if setup.is_video { 90_000 } else { 48_000 };
        Incoming {
            clock: Arrivals::new(ticks_per_s),
            continuity: Continuity::new(ticks_per_s, setup.is_video, now),
            setup,
            since: now,
            sequence: Unwrapper::new(),
            first: None,
            missing: BTreeMap::new(),
            frames: Frames::default(),
            stamps: Stamps::default(),
            last_sr: None,
            reported: Reported::default(),
            pli_at: None,
            key_frame_wanted_at: None,
            wants_key_frame: false,
            lost_told: 0,
            stats,
        }
    }

    /// Takes a packet of the track's own SSRC.
    pub fn handle_rtp(&mut self, now: Instant, now_us: u64, header: &RtpHeader, payload: &[u8]) {
        self.clock.note(now, header.timestamp);
        if let Some(stamp) = self.handle(now, now_us, header.sequence, payload, false) {
            let jumps = self.continuity.note_timestamp(header.timestamp, stamp.sent_us);
            self.stats.timestamp_jumps += u64::from(jumps);
        }
    }

    /// Takes a retransmission (RFC 4588 §4). Those without a payload are probes for bandwidth.
    pub fn handle_rtx(&mut self, now: Instant, now_us: u64, payload: &[u8]) {
        if let Some((sequence, payload)) = payload.split_first_chunk::<2>() {
            self.handle(now, now_us, u16::from_be_bytes(*sequence), payload, true);
        }
    }

    /// Answers the stamp of a packet that was not here before.
    fn handle(&mut self, now: Instant, now_us: u64, sequence: u16, payload: &[u8], again: bool) -> Option<Stamp> {
        if !self.note_number(now, sequence, again) || payload.is_empty() {
            return None;
        }
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        self.stats.first_packet.get_or_insert(now - self.since);
        self.stats.first_packet_at.get_or_insert(now);
        let stamp = Stamp::read(payload)?;
        if self.note_stamp(now_us, stamp) && self.stamps.is_new_picture(stamp) {
            self.note_frame(now, now_us, stamp);
        }
        Some(stamp)
    }

    /// A frame is whole.
    fn note_frame(&mut self, now: Instant, now_us: u64, stamp: Stamp) {
        self.stats.frames += 1;
        if stamp.key_frame {
            self.note_key_frame(now);
        } else if self.stats.key_frames == 0 {
            // What came before the description that names the stream is not here: nothing to decode this from.
            self.wants_key_frame = self.setup.is_video;
        }
        if stamp.key_frame || !self.setup.is_video {
            self.stats.first_frame_at.get_or_insert(now);
        }
        self.continuity.note_frame(now, now_us, stamp, &mut self.stats);
    }

    fn note_key_frame(&mut self, now: Instant) {
        self.stats.key_frames += 1;
        self.stats.first_key_frame.get_or_insert(now - self.since);
        if let Some(at) = self.key_frame_wanted_at.take() {
            self.stats.key_frame_waits += 1;
            self.stats.key_frame_wait_max = self.stats.key_frame_wait_max.max(now - at);
        }
    }

    /// False for a packet that was here before.
    fn note_number(&mut self, now: Instant, sequence: u16, again: bool) -> bool {
        let newest = self.sequence.newest();
        let number = self.sequence.unwrap(sequence);
        let first = *self.first.get_or_insert(number);
        match newest {
            None => true,
            Some(newest) if number > newest => {
                self.miss(now, newest + 1..number);
                self.stats.recovered += u64::from(again);
                true
            }
            Some(_) if self.missing.remove(&number).is_some() => {
                self.stats.lost -= 1;
                *if again { &mut self.stats.recovered } else { &mut self.stats.reordered } += 1;
                true
            }
            // From before the first: its place was never counted as lost.
            Some(_) if number < first => false,
            Some(_) => {
                self.stats.duplicates += 1;
                false
            }
        }
    }

    fn miss(&mut self, now: Instant, numbers: std::ops::Range<u64>) {
        self.stats.lost += numbers.end - numbers.start;
        let kept = numbers.end.saturating_sub(CLIENT_MISSING_MAX as u64).max(numbers.start);
        for number in kept..numbers.end {
            self.missing.insert(number, Missing { ask_at: now + NACK_AFTER, tries: 0 });
        }
        while self.missing.len() > CLIENT_MISSING_MAX {
            self.missing.pop_first();
        }
    }

    /// True when that packet made its frame whole.
    fn note_stamp(&mut self, now_us: u64, stamp: Stamp) -> bool {
        self.stats.latency.note(Duration::from_micros(now_us.saturating_sub(stamp.sent_us)));
        if self.stamps.layer_changes(stamp) {
            self.stats.layer_changes += 1;
        }
        self.stats.layer = self.stamps.layer.unwrap_or(stamp.layer);
        if let Some(packets) = self.stats.layer_packets.get_mut(usize::from(stamp.layer)) {
            *packets += 1;
        }
        self.stats.skipped = self.stats.skipped.saturating_add_signed(self.stamps.note(stamp));
        let whole = self.frames.note(stamp);
        self.stats.frames_broken = self.frames.broken;
        whole
    }

    pub fn handle_sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.last_sr = Some(((info.ntp >> 16) as u32, now));
    }

    /// Numbers to ask for now.
    pub fn poll_nacks(&mut self, now: Instant, out: &mut Vec<u16>) {
        out.clear();
        if !self.setup.nack {
            return;
        }
        for (number, missing) in self.missing.iter_mut().filter(|(_, m)| m.ask_at <= now) {
            if missing.tries < NACK_TRIES_MAX {
                out.push(*number as u16);
                missing.tries += 1;
                missing.ask_at = now + NACK_EVERY;
            } else {
                // Given up; only a key frame mends the picture.
                self.wants_key_frame = true;
                missing.ask_at = now + Duration::from_secs(3600);
            }
        }
        self.stats.nacks += out.len() as u64;
    }

    /// Whether to ask for a key frame now.
    pub fn poll_pli(&mut self, now: Instant) -> bool {
        let due = self.pli_at.is_none_or(|at| now >= at + PLI_EVERY);
        let wanted = self.setup.is_video && due && std::mem::take(&mut self.wants_key_frame);
        if wanted {
            self.pli_at = Some(now);
            self.key_frame_wanted_at.get_or_insert(now);
            self.stats.plis += 1;
        }
        wanted
    }

    /// When [`Incoming::poll_nacks`] may next have something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.setup.nack { self.missing.values().map(|m| m.ask_at).min() } else { None }
    }

    /// What our next report says; `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let (first, newest) = (self.first?, self.sequence.newest()?);
        let (expected, lost) = (newest + 1 - first, self.stats.lost);
        let expected_since = expected - self.reported.expected;
        let lost_since = lost.saturating_sub(self.reported.lost);
        self.reported = Reported { expected, lost };
        let (last_sr, since_sr) = self.last_sr.map_or((0, Duration::ZERO), |(ntp, at)| (ntp, now - at));
        Some(ReportBlock {
            ssrc: self.setup.ssrc,
            fraction_lost: (lost_since * 256).checked_div(expected_since).unwrap_or(0).min(255) as u8,
            cumulative_lost: i32::try_from(lost).unwrap_or(i32::MAX),
            highest_sequence: (newest - (1 << 16)) as u32,
            jitter: self.clock.jitter as u32,
            last_sr,
            delay_since_last_sr: (since_sr.as_secs_f64() * 65_536.0) as u32,
        })
    }

    /// By how much the count of lost packets changed since last asked.
    pub fn poll_lost(&mut self) -> i64 {
        self.stats.lost as i64 - std::mem::replace(&mut self.lost_told, self.stats.lost) as i64
    }

    /// Forgets latencies and extremes: those of a time to come are wanted.
    pub fn mark(&mut self, now: Instant) {
        self.stats.latency = super::stats::Latency::default();
        (self.stats.longest_gap, self.stats.key_frame_wait_max) = (Duration::ZERO, Duration::ZERO);
        self.continuity.mark(now);
    }

    pub fn stats(&self, now: Instant) -> TrackStats {
        let mut stats = self.stats.clone();
        self.continuity.note_silence(now, &mut stats);
        stats
    }
}

/// Interarrival jitter (RFC 3550 appendix A.8).
struct Arrivals {
    ticks_per_s: f64,
    last: Option<(Instant, u32)>,
    jitter: f64,
}

impl Arrivals {
    fn new(ticks_per_s: u32) -> Arrivals {
        Arrivals { ticks_per_s: f64::from(ticks_per_s), last: None, jitter: 0.0 }
    }

    fn note(&mut self, now: Instant, timestamp: u32) {
        if let Some((then, before)) = self.last.replace((now, timestamp)) {
            let arrived = now.saturating_duration_since(then).as_secs_f64() * self.ticks_per_s;
            let sent = f64::from(timestamp.wrapping_sub(before) as i32);
            self.jitter += ((arrived - sent).abs() - self.jitter) / 16.0;
        }
    }
}

/// Which of the publisher's own packet numbers came.
#[derive(Default)]
struct Stamps {
    /// Of a scalable track the highest of the newest whole picture.
    layer: Option<u8>,
    /// By layer; of a simulcast track only that of the present one counts.
    newest: [Option<u32>; SPATIAL_LAYERS_MAX],
    /// Number and highest layer of the picture that comes just now, of a scalable track.
    picture: Option<(u32, u8)>,
    /// The newest picture of which a layer was whole.
    shown: Option<u32>,
}

impl Stamps {
    fn layer_changes(&mut self, stamp: Stamp) -> bool {
        let Some(layer) = self.layer_of(stamp) else { return false };
        let changes = self.layer.replace(layer).is_some_and(|before| before != layer);
        if changes && !stamp.scalable {
            self.newest = Default::default();
        }
        changes
    }

    /// The layer that is watched, where the packet tells: layers of one picture come together, and with the next picture
    /// it is known which the last one had.
    fn layer_of(&mut self, stamp: Stamp) -> Option<u8> {
        if !stamp.scalable {
            return Some(stamp.layer);
        }
        match &mut self.picture {
            Some((frame, top)) if *frame == stamp.frame => {
                *top = stamp.layer.max(*top);
                None
            }
            Some((frame, _)) if !is_after(stamp.frame, *frame) => None,
            picture => picture.replace((stamp.frame, stamp.layer)).map(|(_, top)| top),
        }
    }

    /// A picture counts once, whatever its layers.
    fn is_new_picture(&mut self, stamp: Stamp) -> bool {
        let is_new = !stamp.scalable || self.shown.is_none_or(|shown| is_after(stamp.frame, shown));
        if is_new {
            self.shown = Some(stamp.frame);
        }
        is_new
    }

    /// By how much the count of absent packets changes.
    fn note(&mut self, stamp: Stamp) -> i64 {
        let Some(newest) = self.newest.get_mut(usize::from(stamp.layer)) else { return 0 };
        let ahead = newest.map_or(1, |newest| i64::from(stamp.number.wrapping_sub(newest) as i32));
        if ahead > 0 {
            *newest = Some(stamp.number);
        }
        if ahead > 0 { ahead - 1 } else { -1 }
    }
}

fn is_after(number: u32, other: u32) -> bool {
    number.wrapping_sub(other) as i32 > 0
}

/// Frames being put together.
#[derive(Default)]
struct Frames {
    open: Vec<Assembly>,
    broken: u64,
}

struct Assembly {
    layer: u8,
    frame: u32,
    arrived: u16,
}

/// Frames open at a time; the oldest beyond that is broken.
const FRAMES_OPEN_MAX: usize = 32;

impl Frames {
    /// True when that packet was the last its frame lacked.
    fn note(&mut self, stamp: Stamp) -> bool {
        let is_it = |a: &Assembly| (a.layer, a.frame) == (stamp.layer, stamp.frame);
        let at = self.open.iter().position(is_it).unwrap_or_else(|| self.begin(stamp));
        let assembly = &mut self.open[at];
        assembly.arrived += 1;
        let whole = assembly.arrived >= stamp.count;
        if whole {
            self.open.remove(at);
        }
        whole
    }

    fn begin(&mut self, stamp: Stamp) -> usize {
        if self.open.len() >= FRAMES_OPEN_MAX {
            self.open.remove(0);
            self.broken += 1;
        }
        self.open.push(Assembly { layer: stamp.layer, frame: stamp.frame, arrived: 0 });
        self.open.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;
    use crate::client::stamp::STAMP_BYTES;

    fn incoming(is_video: bool) -> Incoming {
        let setup = IncomingSetup {
            mid: "1".into(),
            track_sid: "TR_x".into(),
            is_video,
            ssrc: 5,
            rtx: Some((6, 97)),
            nack: is_video,
            remb: false,
            transport_cc: None,
        };
        Incoming::new(setup, clock::now())
    }

    fn payload(number: u32, frame: u32, index: u16, count: u16) -> Vec<u8> {
        let mut payload = vec![0; 10 + STAMP_BYTES];
        Stamp { number, frame, index, count, layer: 0, scalable: false, key_frame: frame == 0, sent_us: 1000 }
            .write(&mut payload);
        payload
    }

    /// Packets of two a frame, numbered from 65534 on.
    fn feed(track: &mut Incoming, order: &[u32]) {
        let now = track.since;
        for n in order {
            track.handle(now, 1500, 65_534u16.wrapping_add(*n as u16), &payload(*n, n / 2, (n % 2) as u16, 2), false);
        }
    }

    #[test]
    fn a_perfect_stream_has_nothing_to_complain_of() {
        let mut track = incoming(true);
        feed(&mut track, &[0, 1, 2, 3, 4, 5]);
        let stats = track.stats(track.since);
        assert_eq!((stats.packets, stats.frames, stats.key_frames), (6, 3, 1));
        assert_eq!((stats.lost, stats.reordered, stats.duplicates, stats.skipped), (0, 0, 0, 0));
        assert_eq!(stats.latency.max, Duration::from_micros(500));
        assert_eq!(stats.first_key_frame, Some(Duration::ZERO));
    }

    #[test]
    fn pictures_of_several_layers_count_once_and_have_the_highest() {
        let mut track = incoming(true);
        let now = track.since;
        let mut sequence = 0u16;
        let mut take = |track: &mut Incoming, frame, layer, number| {
            let mut payload = vec![0; 10 + STAMP_BYTES];
            let (index, count, key_frame) = (0, 1, frame == 0);
            Stamp { number, frame, index, count, layer, scalable: true, key_frame, sent_us: 1000 }.write(&mut payload);
            sequence += 1;
            track.handle(now, 1500, sequence, &payload, false);
        };
        for frame in 0..3 {
            (0..3).for_each(|layer| take(&mut track, frame, layer, frame));
        }
        (3..5).for_each(|frame| take(&mut track, frame, 0, frame));
        let stats = track.stats(now);
        assert_eq!((stats.packets, stats.frames, stats.key_frames, stats.skipped), (11, 5, 1, 0));
        assert_eq!((stats.layer, stats.layer_changes, stats.layer_packets), (0, 1, [5, 3, 3]));
    }

    #[test]
    fn order_loss_and_repetition_are_told_apart() {
        let mut track = incoming(true);
        feed(&mut track, &[0, 2, 1, 5, 5, 6, 7]);
        let stats = track.stats(track.since);
        assert_eq!((stats.packets, stats.lost, stats.reordered, stats.duplicates), (6, 2, 1, 1));
        assert_eq!((stats.skipped, stats.frames), (2, 2));
    }

    #[test]
    fn lost_packets_are_asked_for_and_taken_from_retransmissions() {
        let mut track = incoming(true);
        let (start, mut nacks) = (track.since, Vec::new());
        feed(&mut track, &[0, 1, 4, 5]);
        track.poll_nacks(start, &mut nacks);
        assert_eq!(nacks, [0; 0]);
        track.poll_nacks(start + NACK_AFTER, &mut nacks);
        assert_eq!(nacks, [0, 1], "the numbers after 65535");
        let mut rtx = vec![0, 0];
        rtx.extend(payload(2, 1, 0, 2));
        track.handle_rtx(start, 2000, &rtx);
        assert_eq!((track.stats.lost, track.stats.recovered), (1, 1));
        let mut now = start;
        for _ in 0..NACK_TRIES_MAX {
            now += NACK_EVERY + NACK_AFTER;
            track.poll_nacks(now, &mut nacks);
        }
        assert!(nacks.is_empty() && track.poll_pli(now), "given up");
        assert!(!track.poll_pli(now + PLI_EVERY), "once");
    }

    #[test]
    fn a_stream_met_in_the_middle_needs_a_key_frame() {
        let mut track = incoming(true);
        feed(&mut track, &[0, 1, 2, 3]);
        assert!(!track.poll_pli(track.since));
        let mut late = incoming(true);
        feed(&mut late, &[2, 3]);
        assert!(late.poll_pli(late.since));
    }

    #[test]
    fn reports_tell_what_was_lost_since_the_last() {
        let mut track = incoming(false);
        assert_eq!(track.report_block(track.since), None);
        feed(&mut track, &[0, 1, 3]);
        let block = track.report_block(track.since).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost, block.highest_sequence), (64, 1, 0x1_0001));
        feed(&mut track, &[4]);
        assert_eq!(track.report_block(track.since).unwrap().fraction_lost, 0);
    }

    #[test]
    fn a_huge_gap_is_bounded() {
        let mut track = incoming(true);
        feed(&mut track, &[0, 30_000]);
        assert_eq!(track.missing.len(), CLIENT_MISSING_MAX);
        assert_eq!(track.stats.lost, 29_999);
    }
}
