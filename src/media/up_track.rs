//! A published track: up to three encodings, what is known of each, and the feedback the publisher gets.
//!
//! The shard hands in decrypted packets and sender reports and takes out feedback; legs read arrivals, history and
//! clocks. Knows no transport: the shard tells which encoding a packet belongs to.

use super::allocate::{Ladder, Rung};
use super::arrival::{Arrival, Next, Span};
use super::bitrate::Bitrate;
use super::clock::{ClockOffset, StreamReport};
use super::dissect::{Dissected, dissect};
use super::drop_reason::{DropReason, Drops};
use super::layer::{Layers, Target};
use super::layer_meter::{LayerMeter, TEMPORALS};
use super::lookahead::Lookahead;
use super::quality::{Quality, Window};
use super::reception::Totals;
use super::settings::{self, Payload, UpSettings};
use super::speaker::{Loudness, Speaker};
use super::stats::UpStats;
use super::tracker::{StreamTracker, TrackerRule};
use super::up_stream::{Admitted, StreamSettings, UpStream};
use crate::limits::{AUDIO_PACKET_BYTES, VIDEO_PACKET_BYTES};
use crate::wire::codec::Codec;
use crate::wire::dependency::Structure;
use crate::wire::ext::{AbsCaptureTime, AudioLevel};
use crate::wire::rtcp::{ReportBlock, SenderInfo, write_receiver_report};
use crate::wire::rtp::RtpHeader;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// Encodings of a track, and spatial layers of an encoding.
pub const LAYERS: usize = 3;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Reports this old no longer prove that the publisher is there.
const RTCP_STALE: Duration = Duration::from_secs(10);
const OSN_BYTES: usize = 2;

#[derive(Debug)]
pub struct UpTrack {
    settings: UpSettings,
    /// By spatial layer; SVC has only the first.
    streams: [Option<UpStream>; LAYERS],
    /// By spatial layer, also within a stream.
    trackers: [StreamTracker; LAYERS],
    /// Of video only.
    meter: Option<Box<LayerMeter>>,
    speaker: Option<Speaker>,
    clock: ClockOffset,
    sources: u32,
    muted: bool,
    next_report: Option<Instant>,
    loss_beyond: u8,
    lost: Vec<u16>,
    quality: Quality,
    codec: Codec,
    drops: Drops,
    lookahead: Lookahead,
}

/// What of a packet counts, whether it came by itself or by retransmission.
struct Incoming<'a> {
    codec: Codec,
    sequence: u16,
    header: &'a RtpHeader,
    packet: &'a [u8],
    payload: &'a [u8],
    recovered: bool,
}

impl UpTrack {
    pub fn new(settings: UpSettings) -> UpTrack {
        let tracker = |layer| StreamTracker::new(TrackerRule::of(layer, settings.is_screen_share));
        let clock_rate = settings::clock_rate(&settings.payloads);
        UpTrack {
            streams: Default::default(),
            trackers: [tracker(0), tracker(1), tracker(2)],
            meter: settings::is_video(&settings.payloads).then(|| Box::new(LayerMeter::new(settings.is_screen_share))),
            speaker: settings.speaker.map(|rule| Speaker::new(rule, clock_rate)),
            clock: ClockOffset::default(),
            sources: 0,
            muted: false,
            next_report: None,
            loss_beyond: 0,
            lost: Vec::new(),
            quality: Quality::default(),
            codec: settings.payloads.first().map_or(Codec::Opus, |p| p.codec),
            drops: Drops::default(),
            lookahead: Lookahead::default(),
            settings,
        }
    }

    /// Names the SSRC of the encoding of a spatial layer, 0..=2 (0 for SVC and audio). Repeating it changes nothing;
    /// another SSRC starts the encoding anew. False if there is no such layer.
    pub fn set_stream(&mut self, now: Instant, layer: usize, ssrc: u32) -> bool {
        let settings = self.stream_settings(layer);
        let Some(place) = self.streams.get_mut(layer) else { return false };
        self.next_report.get_or_insert(now + REPORT_INTERVAL);
        if place.as_ref().is_none_or(|stream| stream.ssrc != ssrc) {
            self.sources += 1;
            *place = Some(UpStream::new(now, ssrc, self.sources, settings));
        }
        true
    }

    /// Names the retransmission SSRC of an encoding that has been set.
    pub fn set_rtx(&mut self, layer: usize, rtx_ssrc: u32) {
        if let Some(stream) = self.streams.get_mut(layer).and_then(Option::as_mut) {
            stream.rtx_ssrc = Some(rtx_ssrc);
        }
    }

    fn stream_settings(&self, layer: usize) -> StreamSettings {
        let is_video = self.is_video();
        StreamSettings {
            clock_rate: self.clock_rate(),
            history_packets: self.settings.history_packets,
            packet_bytes: if is_video { VIDEO_PACKET_BYTES } else { AUDIO_PACKET_BYTES },
            pli_throttle: self.settings.pli_throttle.get(layer).copied().filter(|_| is_video),
        }
    }

    /// The encoding an SSRC, also of retransmissions, belongs to.
    pub fn layer_of(&self, ssrc: u32) -> Option<usize> {
        let belongs = |stream: &UpStream| stream.ssrc == ssrc || stream.rtx_ssrc == Some(ssrc);
        self.streams.iter().position(|stream| stream.as_ref().is_some_and(belongs))
    }

    /// Takes in a decrypted packet of the encoding `layer`, a retransmission (told by its payload type) included.
    /// On success the packet is in the history, unless it is padding, and every leg must see the arrival.
    ///
    /// # Cost
    /// One copy of the packet; no allocation after the first packet of a stream.
    pub fn handle_rtp(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        packet: &[u8],
        layer: usize,
    ) -> Result<Arrival, DropReason> {
        let taken = self.incoming(header, packet).and_then(|incoming| self.take_in(now, &incoming, layer));
        taken.inspect_err(|reason| self.drops.count(*reason))
    }

    fn incoming<'a>(&self, header: &'a RtpHeader, packet: &'a [u8]) -> Result<Incoming<'a>, DropReason> {
        let found = settings::payload_of(&self.settings.payloads, header.payload_type);
        let (&Payload { codec, .. }, recovered) = found.ok_or(DropReason::UnknownPayload)?;
        let payload = header.payload(packet);
        let plain = Incoming { codec, sequence: header.sequence, header, packet, payload, recovered };
        if !recovered {
            return Ok(plain);
        }
        // RFC 4588 §4: the original sequence number precedes the payload. Without one it is a probe of padding.
        let (osn, payload) = payload.split_first_chunk::<OSN_BYTES>().ok_or(DropReason::Padding)?;
        Ok(Incoming { sequence: u16::from_be_bytes(*osn), payload, ..plain })
    }

    fn take_in(&mut self, now: Instant, incoming: &Incoming, layer: usize) -> Result<Arrival, DropReason> {
        let stream = self.streams.get_mut(layer).and_then(Option::as_mut).ok_or(DropReason::UnknownStream)?;
        let admitted = stream.admit(now, incoming.sequence, incoming.recovered)?;
        if admitted.is_restart {
            self.sources += 1;
            stream.source = self.sources;
        }
        if !incoming.recovered {
            stream.note_received(now, admitted.sequence, incoming.header.timestamp, incoming.packet.len());
        }
        let descriptor = self.settings.extensions.dependency_descriptor;
        let dependency = descriptor.and_then(|id| incoming.header.extension(incoming.packet, id));
        let found = match incoming.payload {
            [] => Some(Dissected::default()),
            payload => dissect(incoming.codec, incoming.packet, payload, dependency, &mut stream.context),
        };
        let found = found.ok_or(DropReason::Malformed)?;
        let arrival = self.arrival(now, incoming, layer, &admitted, &found);
        self.note(now, &arrival, incoming.packet, layer);
        Ok(arrival)
    }

    fn arrival(
        &self,
        now: Instant,
        incoming: &Incoming,
        layer: usize,
        admitted: &Admitted,
        found: &Dissected,
    ) -> Arrival {
        let (header, packet) = (incoming.header, incoming.packet);
        let value = |id: Option<u8>| id.and_then(|id| header.extension(packet, id));
        let span = |id| value(id).map(|value| Span::of(packet, value));
        let layered = self.settings.layered;
        Arrival {
            received: now,
            source: self.streams[layer].as_ref().map_or(0, |stream| stream.source),
            codec: incoming.codec,
            sequence: admitted.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload: Span::of(packet, incoming.payload),
            padding: 0,
            missing_before: admitted.missing_before,
            spatial: if layered { found.spatial } else { layer as u8 },
            temporal: found.temporal,
            layered,
            key_frame: found.key_frame,
            frame_start: found.frame_start,
            frame_end: found.frame_end,
            next: Next::Unknown,
            sync: found.sync,
            body: found.body,
            audio_level: value(self.settings.extensions.audio_level).and_then(AudioLevel::parse),
            dependency: span(self.settings.extensions.dependency_descriptor),
            capture_time: value(self.settings.extensions.abs_capture_time).and_then(AbsCaptureTime::parse),
        }
    }

    fn note(&mut self, now: Instant, arrival: &Arrival, packet: &[u8], layer: usize) {
        let Some(stream) = self.streams[layer].as_mut().filter(|_| !arrival.is_padding()) else { return };
        self.codec = arrival.codec;
        stream.keep(arrival, packet);
        if arrival.key_frame {
            stream.note_key_frame();
        }
        if let Some(tracker) = self.trackers.get_mut(usize::from(arrival.spatial)) {
            tracker.observe(now, arrival.key_frame);
        }
        if let Some(meter) = &mut self.meter {
            meter.note(now, arrival.spatial, arrival.temporal, packet.len());
        }
        if let (Some(speaker), Some(level)) = (&mut self.speaker, arrival.audio_level) {
            speaker.observe(now, arrival.timestamp, level.level);
        }
    }

    /// What goes to the legs at an arrival: a packet that waited for it, and whether it goes itself now.
    pub fn look_ahead(&mut self, arrival: &Arrival) -> (Option<Arrival>, bool) {
        if self.settings.layered { self.lookahead.push(arrival) } else { (None, true) }
    }

    /// A packet that waited for another long enough.
    pub fn poll_waiting(&mut self, now: Instant) -> Option<Arrival> {
        self.lookahead.poll(now)
    }

    /// Takes in a sender report of one of its streams; `ours` is our NTP time now.
    pub fn handle_sender_report(&mut self, now: Instant, ours: u64, ssrc: u32, info: &SenderInfo) {
        let Some(stream) = self.streams.iter_mut().flatten().find(|stream| stream.ssrc == ssrc) else { return };
        stream.report = Some(StreamReport { ntp: info.ntp, timestamp: info.rtp_timestamp, received: now });
        self.clock.observe(ours, info.ntp);
    }

    /// Asks for a key frame of a spatial layer, soon: requests are throttled. For SVC any layer is the stream.
    pub fn request_key_frame(&mut self, spatial: u8) {
        let layer = if self.settings.layered { 0 } else { usize::from(spatial) };
        if let Some(stream) = self.streams.get_mut(layer).and_then(Option::as_mut) {
            stream.request_key_frame();
        }
    }

    /// A muted track scores well and its layers are judged anew afterwards.
    pub fn set_muted(&mut self, muted: bool) {
        if self.muted != muted {
            self.muted = muted;
            self.trackers.iter_mut().for_each(StreamTracker::reset);
        }
    }

    /// When to call [`UpTrack::poll_feedback`] next; `None` before the first stream.
    pub fn deadline(&self) -> Option<Instant> {
        let requests = self.streams.iter().flatten().filter_map(UpStream::deadline);
        requests.chain(self.next_report).chain(self.lookahead.deadline()).min()
    }

    /// Appends the RTCP that is due: a receiver report each second, NACKs, key frame requests. `sender` is our SSRC on
    /// the publisher's connection, `rtt` its round trip.
    ///
    /// # Cost
    /// No allocation beyond `out`'s growth.
    pub fn poll_feedback(&mut self, now: Instant, sender: u32, rtt: Duration, out: &mut Vec<u8>) {
        self.trackers.iter_mut().for_each(|tracker| tracker.handle_timeout(now));
        if *self.next_report.get_or_insert(now + REPORT_INTERVAL) <= now {
            self.next_report = Some(now + REPORT_INTERVAL);
            self.report(now, sender, out);
            self.streams.iter_mut().flatten().for_each(|stream| stream.rest(now));
        }
        for stream in self.streams.iter_mut().flatten() {
            stream.poll_requests(now, sender, rtt, &mut self.lost, out);
        }
    }

    fn report(&mut self, now: Instant, sender: u32, out: &mut Vec<u8>) {
        let streams = self.streams.iter_mut().flatten();
        let mut blocks: SmallVec<[ReportBlock; LAYERS]> = streams.filter_map(|s| s.poll_report_block(now)).collect();
        for block in &mut blocks {
            block.fraction_lost = block.fraction_lost.max(self.loss_beyond);
        }
        if !blocks.is_empty() {
            write_receiver_report(out, sender, &blocks);
        }
    }

    /// Has reports tell the publisher of at least this loss, of 256: what its worst subscriber suffers, so that the
    /// encoder protects what it sends.
    pub fn set_loss_beyond(&mut self, fraction: u8) {
        self.loss_beyond = fraction;
    }

    /// Loudness of a microphone track now; `None` if it does not count for active speakers.
    pub fn poll_loudness(&mut self, now: Instant) -> Option<Loudness> {
        self.speaker.as_mut().map(|speaker| speaker.poll(now))
    }

    /// The score of the window since the last call (each 5 s), smoothed, 0..=100. `layers_missed` are spatial layers
    /// subscribers want that do not flow.
    pub fn poll_score(&mut self, now: Instant, rtt: Duration, layers_missed: u8) -> f32 {
        let mut totals = Totals::default();
        for window in self.streams.iter_mut().flatten().map(UpStream::poll_window) {
            totals.expected += window.expected;
            totals.received += window.received;
        }
        let streams = || self.streams.iter().flatten();
        let fresh = |stream: &UpStream| stream.report.is_some_and(|sr| now < sr.received + RTCP_STALE);
        let window = Window {
            expected: totals.expected,
            lost: totals.lost(),
            rtt,
            jitter: streams().map(|stream| stream.reception().jitter()).max().unwrap_or_default(),
            bits: None,
            layers_missed,
            rtcp_alive: streams().any(fresh),
            silent_on_purpose: self.muted,
        };
        self.quality.observe(&window, self.codec, true)
    }

    /// Which spatial layers flow, bit 0 is layer 0.
    pub fn flowing(&self) -> u8 {
        let flows = |(layer, tracker): (usize, &StreamTracker)| u8::from(tracker.flows()) << layer;
        self.trackers.iter().enumerate().map(flows).fold(0, |mask, bit| mask | bit)
    }

    /// What a leg chooses from.
    pub fn layers(&self) -> Layers {
        Layers { announced: self.settings.announced_layers, flowing: self.flowing() }
    }

    /// A packet came.
    pub fn has_started(&self) -> bool {
        self.streams.iter().flatten().any(|stream| stream.reception().totals().received > 0)
    }

    /// Rate of a spatial layer with its temporal layers up to one: what a leg on it is sent. Within one stream the layers
    /// below count too. Zero for audio.
    pub fn bitrate(&self, now: Instant, spatial: u8, temporal: u8) -> Bitrate {
        let Some(meter) = &self.meter else { return Bitrate::ZERO };
        let lowest = if self.settings.layered { 0 } else { spatial };
        let cells = (lowest..=spatial).flat_map(|s| (0..=temporal.min(TEMPORALS as u8 - 1)).map(move |t| (s, t)));
        cells.fold(Bitrate::ZERO, |sum, (s, t)| sum.plus(meter.rate(now, s, t)))
    }

    /// The same at its highest of late, within one stream: of separate streams what is sent is what will be sent.
    fn peak(&self, spatial: u8, temporal: u8) -> Bitrate {
        let Some(meter) = self.meter.as_ref().filter(|_| self.settings.layered) else { return Bitrate::ZERO };
        let cells = (0..=spatial).flat_map(|s| (0..=temporal.min(TEMPORALS as u8 - 1)).map(move |t| (s, t)));
        cells.fold(Bitrate::ZERO, |sum, (s, t)| sum.plus(meter.peak(s, t)))
    }

    /// The ways to forward this track up to a target, from the cheapest: layers that flow, at their measured rates.
    ///
    /// # Cost
    /// No allocation.
    pub fn ladder(&self, now: Instant, wanted: Target) -> Ladder {
        let mut ladder = Ladder::new();
        for spatial in self.reachable(wanted.spatial) {
            // Half the pictures of a layer look better than a quarter of those of the next.
            let first = u8::from(!ladder.is_empty()).min(wanted.temporal);
            (first..=wanted.temporal).for_each(|temporal| self.add_rung(now, spatial, temporal, wanted, &mut ladder));
        }
        ladder
    }

    /// Spatial layers that flow up to one; if none does, the lowest above it.
    fn reachable(&self, wanted: u8) -> impl Iterator<Item = u8> {
        let flowing = self.flowing();
        let up_to = ((1u16 << (wanted.min(7) + 1)) - 1) as u8;
        let below = flowing & up_to;
        let layers = if below == 0 { flowing & flowing.wrapping_neg() } else { below };
        (0..LAYERS as u8).filter(move |layer| layers & (1 << layer) != 0)
    }

    /// A rung that adds nothing to the one before replaces it: temporal layers that are not used cost nothing.
    fn add_rung(&self, now: Instant, spatial: u8, temporal: u8, wanted: Target, ladder: &mut Ladder) {
        let rate = self.bitrate(now, spatial, temporal);
        let rung = Rung { spatial, temporal, rate, peak: self.peak(spatial, temporal).max(rate) };
        match ladder.last_mut() {
            Some(last) if last.spatial == spatial && last.rate >= rate => last.temporal = temporal,
            Some(last) if last.rate >= rate && temporal < wanted.temporal => {}
            _ => ladder.push(rung),
        }
    }

    pub fn is_screen_share(&self) -> bool {
        self.settings.is_screen_share
    }

    /// A packet of the history, if it is still there.
    pub fn find(&self, source: u32, sequence: u64) -> Option<(&Arrival, &[u8])> {
        self.stream_of(source)?.find(sequence)
    }

    /// A timestamp of the source `to` on the clock of the source `from`, if both were reported.
    pub fn align(&self, from: u32, to: u32, timestamp: u32) -> Option<u32> {
        let (from, to) = (self.stream_of(from)?.report?, self.stream_of(to)?.report?);
        Some(to.align(&from, timestamp, self.clock_rate()))
    }

    /// The timestamp a source has now, `ours` being our NTP time; `None` before its first sender report.
    pub fn timestamp_now(&self, source: u32, ours: u64) -> Option<u32> {
        let report = self.stream_of(source)?.report?;
        Some(report.timestamp_at(self.clock.to_theirs(ours)?, self.clock_rate()))
    }

    /// The publisher's clock against ours.
    pub fn clock(&self) -> ClockOffset {
        self.clock
    }

    fn stream_of(&self, source: u32) -> Option<&UpStream> {
        self.streams.iter().flatten().find(|stream| stream.source == source)
    }

    /// The layers of a stream, where its dependency descriptors tell.
    pub fn structure(&self, source: u32) -> Option<&Structure> {
        self.stream_of(source)?.context.structure()
    }

    pub fn is_layered(&self) -> bool {
        self.settings.layered
    }

    pub fn is_video(&self) -> bool {
        settings::is_video(&self.settings.payloads)
    }

    /// The codec of the last packet, before it the preferred one.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn clock_rate(&self) -> u32 {
        settings::clock_rate(&self.settings.payloads)
    }

    /// Counts since the track began (a stream that started over counts anew).
    pub fn stats(&self) -> UpStats {
        let mut stats = UpStats { drops: self.drops, ..UpStats::default() };
        for stream in self.streams.iter().flatten() {
            let totals = stream.reception().totals();
            stats.packets += totals.received;
            stats.lost += totals.lost();
            stats.bytes += stream.reception().bytes();
            stats.nacked += stream.nacked();
            stats.jitter = stats.jitter.max(stream.reception().jitter());
        }
        stats
    }
}
