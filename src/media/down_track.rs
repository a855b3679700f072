//! One subscriber's copy of a track, a leg: which packets it gets and under which numbers.
//!
//! The shard asks [`DownTrack::plan`] for every arrival of the track, hands in what the subscriber's RTCP says and takes
//! out sender reports, key frame wishes and retransmissions. Knows no subscriber, only numbers.

mod made_up;
mod resend;

use super::allocate::LegAllowance;
use super::arrival::{Arrival, Body, RedBlock, Span};
use super::drop_reason::{DropReason, Drops};
use super::inject::Injector;
use super::layer::{Selection, Selector, Target};
use super::leg_reports::LegReports;
use super::outgoing::Outgoing;
use super::playout::Playout;
use super::quality::{Quality, Window};
use super::reception::Totals;
use super::redundancy::{FRAME_BYTES_MAX, Redundancy};
use super::rewrite::Rewriter;
use super::sent::{Sent, SentRing};
use super::settings::{self, LegSettings};
use super::stats::LegStats;
use super::up_track::UpTrack;
use super::vp8::Vp8Series;
use crate::wire::codec::Codec;
use crate::wire::dependency::Mask;
use crate::wire::ext::AbsCaptureTime;
use crate::wire::rtcp::{ReportBlock, SenderInfo};
use crate::wire::rtp::OutHeader;
use std::time::{Duration, Instant};

/// Taken for the round trip until the subscriber's reports tell it.
const RTT_DEFAULT: Duration = Duration::from_millis(70);
/// Bounds of the time between wishes for a key frame (WIRE.md §4.3).
const WISH_MIN: Duration = Duration::from_millis(200);
const WISH_MAX: Duration = Duration::from_secs(1);
/// Bounds of the time a key frame takes to arrive whole, its lost packets sent again.
const CROSSED_MIN: Duration = Duration::from_millis(600);
const CROSSED_MAX: Duration = Duration::from_secs(1);
/// A key frame asked for should have begun by then: a round trip to the publisher and a picture or two.
const LATE: Duration = Duration::from_millis(300);

/// What to do with an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Forward(Outgoing),
    Drop(DropReason),
}

#[derive(Debug)]
pub struct DownTrack {
    settings: LegSettings,
    is_video: bool,
    selector: Selector,
    rewriter: Rewriter,
    vp8: Vp8Series,
    sent: SentRing,
    injector: Injector,
    reports: LegReports,
    playout: Option<(u8, Playout)>,
    quality: Quality,
    muted: bool,
    rtx_sequence: u16,
    /// When a key frame was last wished for.
    wished: Option<Instant>,
    /// The subscriber lost its picture: only a key frame helps it.
    picture_lost: bool,
    /// Since when, if it said so itself.
    asked: Option<Instant>,
    /// When a key frame last began.
    key_frame_sent: Option<Instant>,
    /// Since when the subscriber asks in vain for what it lacks.
    refused: Option<Instant>,
    /// The first packet that is of use to a subscriber that had lost its picture.
    resend_from: u64,
    /// The last packet of the main stream ended a frame: padding may follow it.
    at_frame_end: bool,
    /// The subscriber was told that it does not get all layers.
    masked: bool,
    /// Payload type of the last packet of the main stream.
    sent_as: Option<u8>,
    resent: u64,
    nacks: u64,
    key_frame_requests: u64,
    drops: Drops,
}

/// The part of a packet a leg sends, and as what.
#[derive(Clone, Copy)]
struct Form {
    payload_type: u8,
    payload: Span,
    red_block: Option<u8>,
}

impl DownTrack {
    pub fn new(now: Instant, settings: LegSettings) -> DownTrack {
        let (is_video, clock_rate) = (settings::is_video(&settings.payloads), settings::clock_rate(&settings.payloads));
        DownTrack {
            is_video,
            selector: Selector::new(settings.target),
            rewriter: Rewriter::new(clock_rate),
            vp8: Vp8Series::default(),
            sent: SentRing::new(settings.history_packets),
            injector: Injector::new(now, is_video),
            reports: LegReports::new(clock_rate),
            playout: settings.playout.filter(|_| is_video).map(|(id, bounds)| (id, Playout::new(bounds))),
            quality: Quality::default(),
            muted: false,
            rtx_sequence: settings.first_sequence,
            wished: None,
            picture_lost: false,
            asked: None,
            key_frame_sent: None,
            refused: None,
            resend_from: 0,
            at_frame_end: false,
            masked: false,
            sent_as: None,
            resent: 0,
            nacks: 0,
            key_frame_requests: 0,
            drops: Drops::default(),
            settings,
        }
    }

    /// Decides on a packet that was not seen before and notes it as sent if it is to be forwarded.
    ///
    /// # Cost
    /// No allocation after the first packet, no copy of the payload.
    pub fn plan(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival) -> Plan {
        match self.try_plan(now, up, arrival) {
            Ok(outgoing) => Plan::Forward(outgoing),
            Err(reason) => {
                self.leave_out(arrival, reason);
                self.drops.count(reason);
                Plan::Drop(reason)
            }
        }
    }

    fn try_plan(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival) -> Result<Outgoing, DropReason> {
        let ends_picture = self.select(now, up, arrival)?;
        let form = self.form(arrival)?;
        if self.rewriter.source() != Some(arrival.source) {
            self.follow(now, up, arrival)?;
        }
        let sequence = self.rewriter.place(arrival.sequence).ok_or(DropReason::MappingGone)?;
        self.sent.check_free(sequence)?;
        let vp8 = match &arrival.body {
            Body::Vp8(picture) => Some(self.vp8.place(picture).ok_or(DropReason::MappingGone)?),
            _ => None,
        };
        let sent = Sent {
            sequence,
            source: arrival.source,
            incoming: arrival.sequence,
            timestamp: self.rewriter.timestamp(arrival.timestamp),
            payload_type: form.payload_type,
            marker: arrival.marker || ends_picture,
            vp8,
            red_block: form.red_block,
            padding: if self.is_video { arrival.padding } else { 0 },
        };
        Ok(self.send(now, up, arrival, &sent, form.payload))
    }

    /// Whether the packet is wanted, and if so whether it ends a picture early.
    fn select(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival) -> Result<bool, DropReason> {
        if self.muted {
            return Err(DropReason::Muted);
        }
        if arrival.is_padding() {
            return Err(DropReason::Padding);
        }
        if !self.is_video {
            return if self.selector.target().paused { Err(DropReason::Paused) } else { Ok(false) };
        }
        match self.selector.select(now, up.layers(), arrival) {
            Selection::Forward { ends_picture } => Ok(ends_picture),
            Selection::Drop(reason) => Err(reason),
        }
    }

    /// RED this leg makes of an Opus packet.
    fn redundancy(&self, arrival: &Arrival, payload_type: u8) -> Option<Redundancy> {
        let is_red = self.settings.adds_red
            && arrival.codec == Codec::Opus
            && self.payload_type(Codec::Red) == Some(payload_type);
        let opus = self.opus().filter(|_| is_red)?;
        Some(Redundancy { opus, source: arrival.source, sequence: arrival.sequence, timestamp: arrival.timestamp })
    }

    /// What of the packet this subscriber can take: all of it, or out of RED the newest Opus frame.
    fn form(&self, arrival: &Arrival) -> Result<Form, DropReason> {
        let becomes_red = self.settings.adds_red
            && arrival.codec == Codec::Opus
            && usize::from(arrival.payload.bytes) < FRAME_BYTES_MAX;
        if let Some(payload_type) = self.payload_type(Codec::Red).filter(|_| becomes_red && self.opus().is_some()) {
            return Ok(Form { payload_type, payload: arrival.payload, red_block: None });
        }
        if let Some(payload_type) = self.payload_type(arrival.codec) {
            return Ok(Form { payload_type, payload: arrival.payload, red_block: None });
        }
        let Body::Red(layout) = &arrival.body else { return Err(DropReason::NoCodec) };
        let payload_type = self.opus().ok_or(DropReason::NoCodec)?;
        if layout.primary.is_empty() {
            return Err(DropReason::Padding);
        }
        Ok(Form { payload_type, payload: layout.primary, red_block: None })
    }

    fn payload_type(&self, codec: Codec) -> Option<u8> {
        self.settings.payloads.iter().find(|p| p.codec == codec).map(|p| p.pt)
    }

    /// The payload type for audio taken out of RED, which end-to-end encryption forbids.
    fn opus(&self) -> Option<u8> {
        if self.settings.encrypted.is_some() { None } else { self.payload_type(Codec::Opus) }
    }

    /// Continues the outgoing series with another source, which for video must begin with a key frame.
    fn follow(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival) -> Result<(), DropReason> {
        if self.is_video && !arrival.key_frame {
            self.selector.release();
            return Err(DropReason::AwaitsKeyFrame);
        }
        let before = self.rewriter.offset_source();
        let aligned = before.and_then(|before| up.align(before, arrival.source, arrival.timestamp));
        self.rewriter.follow(now, arrival.source, arrival.sequence, arrival.timestamp, aligned);
        if let Body::Vp8(picture) = &arrival.body {
            self.vp8.follow(picture);
        }
        Ok(())
    }

    fn send(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival, sent: &Sent, payload: Span) -> Outgoing {
        self.sent.push(now, sent);
        self.rewriter.note_sent(now, sent.timestamp);
        self.injector.stop();
        self.reports.note_sent(usize::from(payload.bytes));
        if arrival.key_frame {
            self.note_key_frame(now, sent.sequence);
        }
        if let Some((_, playout)) = &mut self.playout {
            playout.note_told(sent.sequence as u16);
        }
        self.note_decode_targets(up, arrival);
        self.at_frame_end = sent.marker;
        self.sent_as = Some(sent.payload_type);
        self.outgoing(up, arrival, sent, payload)
    }

    fn note_key_frame(&mut self, now: Instant, sequence: u64) {
        if std::mem::take(&mut self.picture_lost) {
            self.resend_from = sequence;
        }
        self.asked = None;
        self.refused = None;
        self.key_frame_sent = Some(now);
    }

    fn outgoing(&self, up: &UpTrack, arrival: &Arrival, sent: &Sent, payload: Span) -> Outgoing {
        Outgoing {
            header: OutHeader {
                marker: sent.marker,
                payload_type: sent.payload_type,
                sequence: sent.sequence as u16,
                timestamp: sent.timestamp,
                ssrc: self.settings.ssrc,
            },
            original_sequence: None,
            payload,
            padding: sent.padding,
            vp8: sent.vp8,
            // Frame numbers of separate streams have nothing to do with each other: after a switch they would mislead.
            dependency: self
                .settings
                .extensions
                .dependency_descriptor
                .zip(arrival.dependency.filter(|_| arrival.layered)),
            decode_targets: self.decode_targets(up, arrival).filter(|mask| self.masked || !mask.is_all()),
            capture_time: self.settings.extensions.abs_capture_time.zip(capture_time(up, arrival)),
            playout_delay: self.playout.as_ref().and_then(|(id, playout)| Some((*id, playout.value()?))),
            redundancy: self.redundancy(arrival, sent.payload_type),
        }
    }

    /// What of the layers within the stream the subscriber gets, told at the beginning of each frame while it is not all.
    fn decode_targets(&self, up: &UpTrack, arrival: &Arrival) -> Option<Mask> {
        let tells = arrival.layered && arrival.frame_start && arrival.dependency.is_some();
        self.settings.extensions.dependency_descriptor.filter(|_| tells)?;
        let (spatial, temporal) = self.selector.passing()?;
        Some(Mask::within(up.structure(arrival.source)?, spatial, temporal))
    }

    /// A structure says by itself that all is sent; until one does, what was masked is told again.
    fn note_decode_targets(&mut self, up: &UpTrack, arrival: &Arrival) {
        if let Some(mask) = self.decode_targets(up, arrival) {
            self.masked = !mask.is_all() || (self.masked && !arrival.key_frame);
        }
    }

    /// Closes the gap a packet of the stream being forwarded leaves.
    fn leave_out(&mut self, arrival: &Arrival, reason: DropReason) {
        if self.rewriter.source() != Some(arrival.source) {
            return;
        }
        self.rewriter.skip(arrival.sequence);
        if let (Body::Vp8(picture), DropReason::TemporalLayer) = (&arrival.body, reason) {
            self.vp8.skip(picture);
        }
    }

    /// Of RED towards a subscriber that takes Opus only: the frame `back` (from 1) before this arrival, if it was lost and
    /// this packet repeats it. To be asked after [`DownTrack::plan`] forwarded the arrival, for 1 up to
    /// [`Arrival::missing_before`], at most [`super::arrival::RED_BLOCKS_MAX`].
    pub fn plan_recovered(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival, back: u8) -> Option<Outgoing> {
        let Body::Red(layout) = &arrival.body else { return None };
        let missing = back >= 1 && back <= arrival.missing_before;
        let applies = missing && !self.muted && self.payload_type(Codec::Red).is_none();
        if !applies || self.rewriter.source() != Some(arrival.source) {
            return None;
        }
        let index = usize::from(back) - 1;
        let block = layout.redundant.get(index).copied().flatten().filter(|block| !block.payload.is_empty())?;
        let sent = self.recovered(arrival, back, &block)?;
        Some(self.send(now, up, arrival, &sent, block.payload))
    }

    fn recovered(&mut self, arrival: &Arrival, back: u8, block: &RedBlock) -> Option<Sent> {
        let sequence = self.rewriter.place(arrival.sequence.checked_sub(u64::from(back))?)?;
        let timestamp = arrival.timestamp.wrapping_sub(u32::from(block.timestamp_offset));
        let sent = Sent {
            sequence,
            source: arrival.source,
            incoming: arrival.sequence,
            timestamp: self.rewriter.timestamp(timestamp),
            payload_type: self.opus()?,
            marker: false,
            vp8: None,
            red_block: Some(back - 1),
            padding: 0,
        };
        self.sent.check_free(sequence).is_ok().then_some(sent)
    }

    /// Changes what is forwarded; see [`DownTrack::wants_key_frame`].
    pub fn set_target(&mut self, target: Target) {
        if target.paused {
            self.rewriter.interrupt();
        }
        if target != self.selector.target() {
            self.wished = None;
        }
        self.selector.set_target(target);
    }

    /// Congestion allows no more than this; `None` is no limit. What is above it stops at once (WIRE.md §4.5).
    pub fn set_allowed(&mut self, allowed: Option<LegAllowance>) {
        let before = self.selector.target();
        if self.selector.set_allowed(allowed) {
            self.rewriter.interrupt();
            // What was sent of the layer let go is not worth sending again.
            (self.picture_lost, self.asked) = (true, None);
        }
        if before != self.selector.target() {
            self.wished = None;
        }
    }

    /// The publisher muted or unmuted the track. Audio that was flowing ends in a second of silence.
    pub fn set_muted(&mut self, now: Instant, muted: bool) {
        if self.muted == muted {
            return;
        }
        self.muted = muted;
        self.wished = None;
        let was_flowing = self.rewriter.source().is_some();
        self.rewriter.interrupt();
        self.selector.release();
        self.injector.stop();
        if muted && was_flowing && !self.is_video {
            self.injector.start_silence(now);
        }
    }

    /// The spatial layer to ask a key frame of, while the leg is not where it should be, at most each
    /// clamp(2 × RTT, 200 ms, 1 s).
    pub fn wants_key_frame(&mut self, now: Instant, up: &UpTrack) -> Option<u8> {
        if !self.is_video || self.muted {
            return None;
        }
        // A browser asks for what it lacks of an upper layer only until the next picture's lowest one has come, and then
        // shows nothing at all: one refusal is too many.
        if up.is_layered() {
            self.give_up_refused(now);
        }
        let lost = || self.picture_lost.then(|| self.picture_layer(now, up)).filter(|_| !self.selector.target().paused);
        let layer = self.selector.wants(now, up.layers(), up.is_layered()).or_else(lost)?;
        let interval = (2 * self.rtt()).clamp(WISH_MIN, WISH_MAX);
        if self.wished.is_some_and(|at| now < at + interval) {
            return None;
        }
        self.wished = Some(now);
        Some(layer)
    }

    /// The subscriber sent PLI or FIR. Returns the spatial layer to ask a key frame of.
    pub fn handle_picture_loss(&mut self, now: Instant, up: &UpTrack) -> Option<u8> {
        self.key_frame_requests += 1;
        if !self.is_video || self.muted || self.selector.target().paused {
            return None;
        }
        // A request that crossed a key frame is no reason to keep that frame's lost packets from the subscriber.
        if !self.picture_lost && !self.is_key_frame_under_way(now) {
            (self.picture_lost, self.asked) = (true, Some(now));
        }
        Some(self.picture_layer(now, up))
    }

    /// The subscriber waits for a key frame so long already that what it lacks may well come sooner.
    fn is_key_frame_late(&self, now: Instant) -> bool {
        self.asked.is_some_and(|at| now >= at + LATE)
    }

    fn is_key_frame_under_way(&self, now: Instant) -> bool {
        let crossed = (2 * self.rtt()).clamp(CROSSED_MIN, CROSSED_MAX);
        self.key_frame_sent.is_some_and(|at| now < at + crossed)
    }

    /// The layer whose key frame brings the picture back.
    fn picture_layer(&self, now: Instant, up: &UpTrack) -> u8 {
        self.selector.current().unwrap_or_else(|| self.selector.goal(now, up.layers()))
    }

    /// The sender report that is due, each 3 s once packets and the publisher's reports have come. `ours` is our NTP time
    /// now.
    pub fn poll_sender_report(&mut self, now: Instant, ours: u64, up: &UpTrack) -> Option<SenderInfo> {
        if !self.reports.is_due(now) {
            return None;
        }
        let Some(timestamp) = self.rewriter.offset_source().and_then(|source| up.timestamp_now(source, ours)) else {
            self.reports.note_unready(now);
            return None;
        };
        self.reports.note_reported(now);
        Some(SenderInfo {
            ntp: ours,
            rtp_timestamp: self.rewriter.timestamp(timestamp),
            packets: self.reports.packets as u32,
            octets: self.reports.octets as u32,
        })
    }

    /// Takes in a report block about this leg's SSRC.
    pub fn handle_report_block(&mut self, now: Instant, ours: u64, block: &ReportBlock) {
        self.reports.handle_block(now, ours, block);
        if let Some((_, playout)) = &mut self.playout {
            playout.handle_report(now, block.highest_sequence as u16, self.reports.jitter());
        }
    }

    /// Share of 256 the subscriber says it lost lately.
    pub fn fraction_lost(&self, now: Instant) -> u8 {
        self.reports.fraction_lost(now)
    }

    /// Round trip to the subscriber, a guess before its first useful report.
    pub fn rtt(&self) -> Duration {
        self.reports.rtt().unwrap_or(RTT_DEFAULT)
    }

    /// When [`DownTrack::poll_injected`] or [`DownTrack::poll_sender_report`] may have something.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.injector.deadline().into_iter().chain(self.reports.deadline(now)).min()
    }

    /// The score of the window since the last call (each 5 s), smoothed, 0..=100.
    pub fn poll_score(&mut self, now: Instant, up: &UpTrack) -> f32 {
        let totals = match self.reports.poll_window() {
            Some(totals) => totals,
            None if self.reports.is_gone(now) => Totals::default(),
            None => return self.quality.current(),
        };
        let window = Window {
            expected: totals.expected,
            lost: totals.lost(),
            rtt: self.reports.rtt().unwrap_or_default(),
            jitter: self.reports.jitter(),
            bits: None,
            layers_missed: self.layers_missed(now, up),
            rtcp_alive: self.reports.is_alive(now),
            silent_on_purpose: self.muted || self.selector.target().paused || self.reports.packets == 0,
        };
        self.quality.observe(&window, up.codec(), true)
    }

    fn layers_missed(&self, now: Instant, up: &UpTrack) -> u8 {
        let goal = if up.is_layered() { self.selector.target().spatial } else { self.selector.goal(now, up.layers()) };
        if self.is_video { goal.saturating_sub(self.selector.current().unwrap_or(0)) } else { 0 }
    }

    /// The spatial layer being forwarded; `None` for audio and before the first key frame.
    pub fn current_layer(&self) -> Option<u8> {
        self.selector.current()
    }

    /// What the subscriber wants, whatever congestion allows.
    pub fn target(&self) -> Target {
        self.selector.wanted()
    }

    pub fn ssrc(&self) -> u32 {
        self.settings.ssrc
    }

    pub fn stats(&self) -> LegStats {
        LegStats {
            packets: self.reports.packets,
            bytes: self.reports.octets,
            resent: self.resent,
            nacks: self.nacks,
            key_frame_requests: self.key_frame_requests,
            lost: self.reports.lost(),
            rtt: self.reports.rtt(),
            jitter: self.reports.jitter(),
            drops: self.drops,
        }
    }
}

/// The capture time on our clock; `None` before the publisher's clock is known.
fn capture_time(up: &UpTrack, arrival: &Arrival) -> Option<AbsCaptureTime> {
    let time = arrival.capture_time?;
    Some(AbsCaptureTime { ntp: up.clock().to_ours(time.ntp)?, ..time })
}
