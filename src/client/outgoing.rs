//! One published track: frames at their times, numbered and put into RTP, kept for a while to answer NACKs, with sender
//! reports (RFC 3550, RFC 4588). Called by `peer`, which encrypts and sends.

use super::clock;
use super::encoder::{Encoder, Frame};
use super::media::{AudioSource, OPUS_FRAME, OPUS_FRAME_TICKS, Opus, RIDS, Video, VideoSource};
use super::stats::StreamStats;
use crate::limits::CLIENT_HISTORY_PACKETS;
use crate::wire::ext::AudioLevel;
use crate::wire::rtcp::{ReportBlock, SdesSource, SenderInfo, write_sdes, write_sender_report};
use crate::wire::rtp::{OutHeader, write_header};
use std::time::{Duration, Instant};

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Audio(AudioSource),
    Video(Video),
}

impl Source {
    /// Streams it is sent as.
    pub fn encodings(&self) -> usize {
        match self {
            Source::Audio(_) => 1,
            Source::Video(video) if video.is_scalable() => 1,
            Source::Video(video) => video.source.layers.len(),
        }
    }
}

/// What the server agreed to of a published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingSetup {
    pub cid: String,
    pub mid: String,
    pub source: Source,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    /// One for each encoding, from the lowest up, with its retransmissions'.
    pub ssrcs: Vec<(u32, u32)>,
    pub extensions: ExtensionIds,
}

/// Ids of the header extensions in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub repaired_rid: Option<u8>,
    pub audio_level: Option<u8>,
    pub transport_cc: Option<u8>,
}

/// Packets that carry mid and rid before the server may be taken to know the stream.
const NAMED_PACKETS: u64 = 500;
/// A sender this late gives up catching up.
const LATE_MAX: Duration = Duration::from_millis(500);
/// A key frame answers all requests of this time.
const KEY_FRAME_EVERY: Duration = Duration::from_millis(200);

/// Where finished packets go. Implemented by the connection: it numbers them transport-wide, seals and sends them.
pub trait Wire {
    /// The next transport-wide sequence number.
    fn transport_sequence(&mut self) -> u16;
    /// Takes a whole packet whose header takes the first so many bytes.
    fn send_rtp(&mut self, packet: &mut Vec<u8>, header_bytes: usize);
}

pub struct Outgoing {
    pub setup: OutgoingSetup,
    encodings: Vec<Encoding>,
    interval: Duration,
    next_at: Instant,
    timestamp_base: u32,
    frames: u32,
    payload: Vec<u8>,
    muted: bool,
}

enum Codec {
    Opus(Opus, u8),
    Video(Encoder),
    Scalable(Layers),
}

/// The spatial layers of one stream.
struct Layers {
    /// From the lowest up.
    encoders: Vec<Encoder>,
    /// So many somebody watches, and so many there is room for.
    watched: usize,
    afforded: usize,
}

struct Encoding {
    codec: Codec,
    stream: Stream,
    active: bool,
    /// For want of bandwidth.
    paused: bool,
    key_frame_asked: bool,
    key_frame_every: Option<Duration>,
    key_frame_at: Option<Instant>,
}

impl Outgoing {
    /// Begins at a random moment of the first interval, so that many publishers do not send in step.
    pub fn new(setup: OutgoingSetup, now: Instant) -> Outgoing {
        let interval = match &setup.source {
            Source::Audio(_) => OPUS_FRAME,
            Source::Video(video) => video.source.frame_interval(),
        };
        Outgoing {
            encodings: encodings(&setup),
            interval,
            next_at: now + interval.mul_f64(rand::random()),
            timestamp_base: rand::random(),
            frames: 0,
            payload: Vec::with_capacity(1200),
            muted: false,
            setup,
        }
    }

    pub fn poll_timeout(&self) -> Instant {
        self.next_at
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant, wire: &mut impl Wire) {
        let late = now.saturating_duration_since(self.next_at);
        if late > LATE_MAX {
            // Timestamps follow the clock: what was not sent was still the camera's time.
            let missed = (late.as_nanos() / self.interval.as_nanos().max(1)) as u32;
            self.frames = self.frames.wrapping_add(missed);
            self.next_at += self.interval * missed;
        }
        while self.next_at <= now {
            self.send_frame(now, wire);
            self.next_at += self.interval;
        }
    }

    fn send_frame(&mut self, now: Instant, wire: &mut impl Wire) {
        let timestamp = self.timestamp();
        self.frames = self.frames.wrapping_add(1);
        if self.muted {
            return;
        }
        let now_us = clock::unix_us();
        for encoding in self.encodings.iter_mut().filter(|e| e.active && !e.paused) {
            encoding.send_frame(now, now_us, timestamp, &mut self.payload, wire);
        }
    }

    fn timestamp(&self) -> u32 {
        let ticks = match &self.setup.source {
            Source::Audio(_) => OPUS_FRAME_TICKS,
            Source::Video(video) => 90_000 / video.source.fps.max(1),
        };
        self.timestamp_base.wrapping_add(self.frames.wrapping_mul(ticks))
    }

    /// Packets the server misses.
    pub fn handle_nack(&mut self, ssrc: u32, lost: impl Iterator<Item = u16>, wire: &mut impl Wire) -> bool {
        let Some(encoding) = self.encodings.iter_mut().find(|e| e.stream.ssrc == ssrc) else { return false };
        lost.for_each(|sequence| encoding.stream.resend(sequence, wire));
        true
    }

    pub fn handle_key_frame_request(&mut self, ssrc: u32) {
        if let Some(encoding) = self.encodings.iter_mut().find(|e| e.stream.ssrc == ssrc) {
            encoding.key_frame_asked = true;
            encoding.stream.stats.plis += 1;
        }
    }

    pub fn handle_report_block(&mut self, block: &ReportBlock) {
        if let Some(encoding) = self.encodings.iter_mut().find(|e| e.stream.ssrc == block.ssrc) {
            let stats = &mut encoding.stream.stats;
            (stats.fraction_lost, stats.reported_lost) = (block.fraction_lost, block.cumulative_lost);
            stats.reports += 1;
        }
    }

    /// Sends only these encodings from now on; `active` counts from the lowest up.
    pub fn set_active(&mut self, active: &[bool]) {
        if let Some(Encoding { codec: Codec::Scalable(layers), active: any, key_frame_asked, .. }) =
            self.encodings.first_mut()
        {
            let watched = active.iter().rposition(|active| *active).map_or(0, |top| top + 1);
            *key_frame_asked |= watched > layers.watched;
            (layers.watched, *any) = (watched, watched > 0);
            return;
        }
        for (encoding, active) in self.encodings.iter_mut().zip(active) {
            encoding.key_frame_asked |= *active && !encoding.active;
            encoding.active = *active;
        }
    }

    /// Gives way to congestion.
    pub fn yields(&self) -> bool {
        matches!(&self.setup.source, Source::Video(video) if video.yields)
    }

    /// Bits per second of all encodings somebody may watch.
    pub fn wanted_bps(&self) -> u32 {
        match &self.setup.source {
            Source::Audio(audio) => audio.bitrate_bps,
            Source::Video(video) if video.is_scalable() => {
                let watched = self.encodings.first().map_or(0, Encoding::watched);
                video.source.layers.iter().take(watched).map(|layer| layer.bitrate_bps).sum()
            }
            Source::Video(video) => {
                let layers = video.source.layers.iter().zip(&self.encodings);
                layers.filter(|(_, encoding)| encoding.active).map(|(layer, _)| layer.bitrate_bps).sum()
            }
        }
    }

    /// Keeps within so many bits per second; `None` lifts the limit. Lower encodings go first, and one that would get less
    /// than half of its bit rate pauses, but never the lowest.
    pub fn set_allowed(&mut self, bps: Option<u32>) {
        let Source::Video(video) = &self.setup.source else { return };
        let mut rest = bps.unwrap_or(u32::MAX);
        if let Some(Encoding { codec: Codec::Scalable(layers), key_frame_asked, .. }) = self.encodings.first_mut() {
            *key_frame_asked |= layers.afford(&video.source, rest);
            return;
        }
        for (index, (layer, encoding)) in video.source.layers.iter().zip(&mut self.encodings).enumerate() {
            if !encoding.active {
                continue;
            }
            let granted = rest.min(layer.bitrate_bps);
            let paused = index > 0 && granted < layer.bitrate_bps / 2;
            encoding.key_frame_asked |= encoding.paused && !paused;
            encoding.paused = paused;
            if let (Codec::Video(encoder), false) = (&mut encoding.codec, paused) {
                encoder.set_bitrate(granted);
                rest -= granted;
            }
        }
    }

    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        if !muted {
            self.encodings.iter_mut().for_each(|e| e.key_frame_asked = true);
        }
    }

    /// Appends sender reports of all encodings that have sent, each with its source description.
    pub fn write_reports(&self, now: Instant, cname: &str, out: &mut Vec<u8>) {
        let ticks_per_s = if matches!(self.setup.source, Source::Audio(_)) { 48_000.0 } else { 90_000.0 };
        // The next frame's timestamp stands for the moment it is due.
        let early = self.next_at.saturating_duration_since(now).as_secs_f64();
        let late = now.saturating_duration_since(self.next_at).as_secs_f64();
        let offset = ((late - early) * ticks_per_s) as i32;
        let (ntp, rtp_timestamp) = (clock::ntp(clock::unix_us()), self.timestamp().wrapping_add_signed(offset));
        for stream in self.encodings.iter().map(|e| &e.stream).filter(|s| s.stats.packets > 0) {
            let (packets, octets) = (stream.stats.packets as u32, stream.stats.bytes as u32);
            write_sender_report(out, stream.ssrc, &SenderInfo { ntp, rtp_timestamp, packets, octets }, &[]);
            write_sdes(out, &[SdesSource { ssrc: stream.ssrc, cname, mid: None }]);
        }
    }

    pub fn ssrcs(&self) -> impl Iterator<Item = u32> {
        self.encodings.iter().flat_map(|e| [e.stream.ssrc, e.stream.rtx_ssrc])
    }

    pub fn stats(&self) -> impl Iterator<Item = StreamStats> {
        self.encodings
            .iter()
            .map(|e| StreamStats { active: e.active && !e.paused && !self.muted, ..e.stream.stats.clone() })
    }
}

fn encodings(setup: &OutgoingSetup) -> Vec<Encoding> {
    match &setup.source {
        Source::Audio(audio) => {
            let codec = Codec::Opus(Opus::new(audio), audio.level);
            setup
                .ssrcs
                .first()
                .map(|ssrcs| Encoding::new(codec, Stream::new(setup, *ssrcs, None)))
                .into_iter()
                .collect()
        }
        Source::Video(video) if video.is_scalable() => {
            let encoders = Encoder::scalable(video.codec, &video.source, rand::random());
            let all = encoders.len();
            let codec = Codec::Scalable(Layers { encoders, watched: all, afforded: all });
            let one = |ssrcs: &(u32, u32)| Encoding {
                key_frame_every: video.key_frame_every,
                ..Encoding::new(codec, Stream::new(setup, *ssrcs, None))
            };
            setup.ssrcs.first().map(one).into_iter().collect()
        }
        Source::Video(video) => {
            let simulcast = video.source.layers.len() > 1;
            let each = video.source.layers.iter().zip(&setup.ssrcs).zip(0u8..);
            each.map(|((layer, ssrcs), index)| {
                let rid = RIDS.get(usize::from(index)).copied().filter(|_| simulcast);
                let encoder = Encoder::new(video.codec, &video.source, *layer, index, rand::random());
                let key_frame_every = video.key_frame_every;
                Encoding { key_frame_every, ..Encoding::new(Codec::Video(encoder), Stream::new(setup, *ssrcs, rid)) }
            })
            .collect()
        }
    }
}

impl Encoding {
    fn new(codec: Codec, stream: Stream) -> Encoding {
        Encoding {
            codec,
            stream,
            active: true,
            paused: false,
            key_frame_asked: false,
            key_frame_every: None,
            key_frame_at: None,
        }
    }

    fn send_frame(&mut self, now: Instant, now_us: u64, timestamp: u32, payload: &mut Vec<u8>, wire: &mut impl Wire) {
        self.stream.stats.frames += 1;
        match &mut self.codec {
            Codec::Opus(opus, level) => {
                opus.next(now_us, payload);
                let level = AudioLevel { level: *level, voice: *level < 127 };
                self.stream.send(timestamp, false, Some(level), payload, wire);
            }
            Codec::Video(encoder) => {
                let due = |every| self.key_frame_at.is_none_or(|at| now >= at + every);
                let regular = self.key_frame_every.is_some_and(due);
                if regular || due(KEY_FRAME_EVERY) && std::mem::take(&mut self.key_frame_asked) {
                    encoder.request_key_frame();
                }
                let frame = encoder.next_frame();
                if frame.key_frame {
                    self.key_frame_at = Some(now);
                    self.stream.stats.key_frames += 1;
                }
                send_picture(encoder, &frame, true, now_us, timestamp, payload, &mut self.stream, wire);
            }
            Codec::Scalable(layers) => {
                let due = |every| self.key_frame_at.is_none_or(|at| now >= at + every);
                let regular = self.key_frame_every.is_some_and(due);
                if regular || due(KEY_FRAME_EVERY) && std::mem::take(&mut self.key_frame_asked) {
                    layers.encoders.iter_mut().for_each(Encoder::request_key_frame);
                }
                let sent = layers.watched.min(layers.afforded);
                for (index, encoder) in layers.encoders.iter_mut().enumerate() {
                    let frame = encoder.next_frame();
                    if frame.key_frame && index == 0 {
                        self.key_frame_at = Some(now);
                        self.stream.stats.key_frames += 1;
                    }
                    if index < sent {
                        let ends = index + 1 == sent;
                        send_picture(encoder, &frame, ends, now_us, timestamp, payload, &mut self.stream, wire);
                    }
                }
            }
        }
    }

    fn watched(&self) -> usize {
        if let Codec::Scalable(layers) = &self.codec { layers.watched } else { 1 }
    }
}

impl Layers {
    /// Keeps within so many bits per second: upper layers that would get less than half are left out, never the lowest.
    /// Answers whether one came back, which needs a key frame.
    fn afford(&mut self, source: &VideoSource, mut rest: u32) -> bool {
        let before = self.afforded;
        self.afforded = 0;
        for (layer, encoder) in source.layers.iter().zip(&mut self.encoders) {
            let granted = rest.min(layer.bitrate_bps);
            if self.afforded > 0 && granted < layer.bitrate_bps / 2 {
                break;
            }
            encoder.set_bitrate(granted);
            (self.afforded, rest) = (self.afforded + 1, rest - granted);
        }
        self.afforded > before
    }
}

/// `ends`: no layer of the same picture follows.
#[allow(clippy::too_many_arguments)] // Those of one packet's way out.
fn send_picture(
    encoder: &mut Encoder,
    frame: &Frame,
    ends: bool,
    now_us: u64,
    timestamp: u32,
    payload: &mut Vec<u8>,
    stream: &mut Stream,
    wire: &mut impl Wire,
) {
    for index in 0..frame.packets {
        encoder.packet(frame, index, now_us, payload);
        stream.send(timestamp, ends && index + 1 == frame.packets, None, payload, wire);
    }
}

/// The RTP side of one encoding.
struct Stream {
    ssrc: u32,
    rtx_ssrc: u32,
    payload_type: u8,
    rtx_payload_type: Option<u8>,
    mid: String,
    rid: Option<&'static str>,
    ids: ExtensionIds,
    sequence: u16,
    rtx_sequence: u16,
    /// Sent packets by the low bits of their number.
    history: Vec<Kept>,
    packet: Vec<u8>,
    stats: StreamStats,
}

#[derive(Clone, Default)]
struct Kept {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

impl Stream {
    fn new(setup: &OutgoingSetup, (ssrc, rtx_ssrc): (u32, u32), rid: Option<&'static str>) -> Stream {
        Stream {
            ssrc,
            rtx_ssrc,
            payload_type: setup.payload_type,
            rtx_payload_type: setup.rtx_payload_type,
            mid: setup.mid.clone(),
            rid,
            ids: setup.extensions,
            sequence: rand::random::<u16>() & 0x7FFF,
            rtx_sequence: rand::random::<u16>() & 0x7FFF,
            history: Vec::new(),
            packet: Vec::with_capacity(1600),
            stats: StreamStats { cid: setup.cid.clone(), rid, ..StreamStats::default() },
        }
    }

    fn send(&mut self, timestamp: u32, marker: bool, level: Option<AudioLevel>, payload: &[u8], wire: &mut impl Wire) {
        self.sequence = self.sequence.wrapping_add(1);
        let header =
            OutHeader { marker, payload_type: self.payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let named = self.stats.packets < NAMED_PACKETS;
        let rid = self.ids.rid.zip(self.rid);
        let header_bytes = self.write_header(&header, named, rid, level, wire);
        self.packet.extend_from_slice(payload);
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        if self.rtx_payload_type.is_some() {
            self.keep(timestamp, marker, payload);
        }
        wire.send_rtp(&mut self.packet, header_bytes);
    }

    /// Starts `packet` with that header; answers its length.
    fn write_header(
        &mut self,
        header: &OutHeader,
        named: bool,
        rid: Option<(u8, &'static str)>,
        level: Option<AudioLevel>,
        wire: &mut impl Wire,
    ) -> usize {
        let level = self.ids.audio_level.zip(level.map(AudioLevel::to_bytes));
        let number = self.ids.transport_cc.map(|id| (id, wire.transport_sequence().to_be_bytes()));
        let mid = self.ids.mid.filter(|_| named);
        let mut extensions: Vec<(u8, &[u8])> = Vec::with_capacity(4);
        extensions.extend(level.iter().map(|(id, value)| (*id, &value[..])));
        extensions.extend(number.iter().map(|(id, value)| (*id, &value[..])));
        extensions.extend(mid.map(|id| (id, self.mid.as_bytes())));
        extensions.extend(rid.filter(|_| named).map(|(id, rid)| (id, rid.as_bytes())));
        self.packet.resize(128, 0);
        let header_bytes = write_header(&mut self.packet, header, &extensions).unwrap_or(0);
        self.packet.truncate(header_bytes);
        header_bytes
    }

    fn keep(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        self.history.resize_with(CLIENT_HISTORY_PACKETS, Kept::default);
        let kept = &mut self.history[usize::from(self.sequence) % CLIENT_HISTORY_PACKETS];
        (kept.sequence, kept.timestamp, kept.marker) = (self.sequence, timestamp, marker);
        kept.payload.clear();
        kept.payload.extend_from_slice(payload);
    }

    fn resend(&mut self, sequence: u16, wire: &mut impl Wire) {
        let Some(payload_type) = self.rtx_payload_type else { return };
        let at = usize::from(sequence) % CLIENT_HISTORY_PACKETS;
        let Some(kept) = self.history.get_mut(at).filter(|k| k.sequence == sequence && !k.payload.is_empty()) else {
            return;
        };
        let payload = std::mem::take(&mut kept.payload);
        let (timestamp, marker) = (kept.timestamp, kept.marker);
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        let header = OutHeader { marker, payload_type, sequence: self.rtx_sequence, timestamp, ssrc: self.rtx_ssrc };
        let rid = self.ids.repaired_rid.zip(self.rid);
        let header_bytes = self.write_header(&header, true, rid, None, wire);
        self.packet.extend_from_slice(&sequence.to_be_bytes());
        self.packet.extend_from_slice(&payload);
        self.stats.resent += 1;
        wire.send_rtp(&mut self.packet, header_bytes);
        self.history[at].payload = payload;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::media::VideoCodec;
    use crate::client::stamp::Stamp;
    use crate::wire::rtp::RtpHeader;

    #[derive(Default)]
    struct Sent {
        packets: Vec<Vec<u8>>,
        numbers: u16,
    }

    impl Wire for Sent {
        fn transport_sequence(&mut self) -> u16 {
            self.numbers += 1;
            self.numbers
        }

        fn send_rtp(&mut self, packet: &mut Vec<u8>, header_bytes: usize) {
            assert_eq!(usize::from(RtpHeader::parse(packet).unwrap().payload_offset), header_bytes);
            self.packets.push(packet.clone());
        }
    }

    impl Sent {
        fn headers(&self) -> impl Iterator<Item = RtpHeader> {
            self.packets.iter().map(|p| RtpHeader::parse(p).unwrap())
        }
    }

    fn setup(source: Source) -> OutgoingSetup {
        let extensions = ExtensionIds {
            mid: Some(4),
            rid: Some(10),
            repaired_rid: Some(11),
            audio_level: Some(1),
            transport_cc: Some(3),
        };
        OutgoingSetup {
            cid: "cam".into(),
            mid: "2".into(),
            source,
            payload_type: 96,
            rtx_payload_type: Some(97),
            ssrcs: vec![(1, 101), (2, 102), (3, 103)],
            extensions,
        }
    }

    fn run(out: &mut Outgoing, from: Instant, time: Duration) -> Sent {
        let mut sent = Sent::default();
        let mut now = from;
        while now < from + time {
            out.handle_timeout(now, &mut sent);
            now += Duration::from_millis(5);
        }
        sent
    }

    #[test]
    fn audio_runs_at_fifty_a_second() {
        let now = clock::now();
        let mut out = Outgoing::new(setup(Source::Audio(AudioSource::default())), now);
        let sent = run(&mut out, now, Duration::from_secs(1));
        assert!(sent.packets.len().abs_diff(50) <= 1, "{}", sent.packets.len());
        let headers: Vec<_> = sent.headers().collect();
        assert!(headers.windows(2).all(|w| w[1].timestamp.wrapping_sub(w[0].timestamp) == 960));
        assert_eq!(headers[0].extension(&sent.packets[0], 1), Some(&[0x80 | 30][..]));
        assert_eq!(headers[0].extension(&sent.packets[0], 4), Some(&b"2"[..]));
    }

    #[test]
    fn simulcast_encodings_share_timestamps_and_name_themselves() {
        let now = clock::now();
        let mut out = Outgoing::new(setup(Source::Video(VideoSource::simulcast().into())), now);
        let sent = run(&mut out, now, Duration::from_millis(40));
        for (ssrc, rid) in [(1, "q"), (2, "h"), (3, "f")] {
            let first = sent.packets.iter().find(|p| RtpHeader::parse(p).unwrap().ssrc == ssrc).unwrap();
            assert_eq!(RtpHeader::parse(first).unwrap().extension(first, 10), Some(rid.as_bytes()));
        }
        out.set_active(&[true, false, false]);
        let later = run(&mut out, now + Duration::from_secs(1), Duration::from_millis(100));
        assert!(later.headers().all(|h| h.ssrc == 1) && !later.packets.is_empty());
    }

    #[test]
    fn the_layers_of_a_vp9_camera_are_one_stream() {
        let now = clock::now();
        let video = Video { codec: VideoCodec::Vp9, ..VideoSource::simulcast().into() };
        let mut out = Outgoing::new(setup(Source::Video(video)), now);
        let layers = |sent: &Sent| {
            let stamps = sent.packets.iter().map(|p| Stamp::read(p).unwrap());
            stamps.map(|s| (s.frame, s.layer)).collect::<std::collections::BTreeSet<_>>()
        };
        let first = run(&mut out, now, Duration::from_millis(40));
        assert!(first.headers().all(|h| h.ssrc == 1));
        assert_eq!(layers(&first).iter().take(3).map(|(_, layer)| *layer).collect::<Vec<_>>(), [0, 1, 2]);
        let ends = first.packets.iter().filter(|p| RtpHeader::parse(p).unwrap().marker);
        assert!(ends.clone().all(|p| Stamp::read(p).unwrap().layer == 2) && ends.count() > 0, "one marker a picture");
        out.set_active(&[true, true, false]);
        let two = run(&mut out, now + Duration::from_secs(1), Duration::from_millis(100));
        assert!(layers(&two).iter().all(|(_, layer)| *layer < 2) && !two.packets.is_empty());
        assert_eq!(out.wanted_bps(), 610_000);
        out.set_allowed(Some(200_000));
        let one = run(&mut out, now + Duration::from_secs(2), Duration::from_millis(100));
        assert!(layers(&one).iter().all(|(_, layer)| *layer == 0) && !one.packets.is_empty());
        let before = out.stats().next().unwrap().key_frames;
        out.set_allowed(None);
        out.set_active(&[true, true, true]);
        run(&mut out, now + Duration::from_secs(3), Duration::from_millis(100));
        assert_eq!(out.stats().next().unwrap().key_frames, before + 1, "an upper layer begins with a key picture");
        out.set_active(&[false, false, false]);
        assert!(run(&mut out, now + Duration::from_secs(4), Duration::from_millis(100)).packets.is_empty());
    }

    #[test]
    fn a_request_is_answered_with_a_key_frame_but_not_too_often() {
        let now = clock::now();
        let mut out = Outgoing::new(setup(Source::Video(VideoSource::p360(300_000).into())), now);
        run(&mut out, now, Duration::from_millis(100));
        let keys = |out: &Outgoing| out.stats().next().unwrap().key_frames;
        assert_eq!(keys(&out), 1);
        (0..5).for_each(|_| out.handle_key_frame_request(1));
        run(&mut out, now + Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(keys(&out), 2);
    }

    #[test]
    fn a_tight_link_is_shared_out_from_the_lowest_encoding_up() {
        let now = clock::now();
        let mut out = Outgoing::new(setup(Source::Video(VideoSource::simulcast().into())), now);
        let active = |out: &Outgoing| out.stats().map(|s| s.active).collect::<Vec<_>>();
        assert_eq!(out.wanted_bps(), 2_310_000);
        for (bps, wanted) in [
            (Some(1_000), [true, false, false]),
            (Some(500_000), [true, true, false]),
            (Some(1_500_000), [true, true, true]),
            (None, [true, true, true]),
        ] {
            out.set_allowed(bps);
            assert_eq!(active(&out), wanted, "{bps:?}");
        }
        out.set_allowed(Some(1_000_000));
        run(&mut out, now, Duration::from_secs(1));
        let before: u64 = out.stats().map(|s| s.bytes).sum();
        run(&mut out, now + Duration::from_secs(1), Duration::from_secs(4));
        let sent = (out.stats().map(|s| s.bytes).sum::<u64>() - before) * 8 / 4;
        assert!((550_000..1_050_000).contains(&sent), "{sent} bit/s");
    }

    #[test]
    fn key_frames_come_by_themselves_where_wanted() {
        let now = clock::now();
        let every = Some(Duration::from_millis(500));
        let video = Video { key_frame_every: every, ..VideoSource::p360(300_000).into() };
        let mut out = Outgoing::new(setup(Source::Video(video)), now);
        run(&mut out, now, Duration::from_secs(2));
        assert_eq!(out.stats().next().unwrap().key_frames, 4);
    }

    #[test]
    fn lost_packets_go_out_again_as_retransmissions() {
        let now = clock::now();
        let mut out = Outgoing::new(setup(Source::Video(VideoSource::p360(300_000).into())), now);
        let sent = run(&mut out, now, Duration::from_millis(300));
        let (wanted, lost) = (&sent.packets[5], sent.headers().nth(5).unwrap());
        let mut again = Sent::default();
        assert!(out.handle_nack(1, [lost.sequence, lost.sequence.wrapping_add(9000)].into_iter(), &mut again));
        let [packet] = &again.packets[..] else { panic!("{}", again.packets.len()) };
        let header = RtpHeader::parse(packet).unwrap();
        assert_eq!((header.ssrc, header.payload_type, header.timestamp), (101, 97, lost.timestamp));
        assert_eq!(header.payload(packet)[..2], lost.sequence.to_be_bytes());
        assert_eq!(Stamp::read(packet), Stamp::read(wanted));
    }
}
