//! A publisher of three layers and a microphone, the server's half, and a viewer behind a bottleneck.

use crate::bottleneck::{Bottleneck, Path};
use crate::viewer::{AUDIO_SSRC, RTX_SSRC, TRANSPORT_CC, VIDEO_SSRC, Viewer};
use lkops::media::allocate::{Allocation, Allocator, Request, Rules};
use lkops::media::opening::Opening;
use lkops::media::pace::{ProbePace, ResendBudget, Waiting};
use lkops::media::{
    Arrival, Bandwidth, Bitrate, DownTrack, Extensions, LegSettings, Outgoing, Payload, Plan, Target, UpSettings,
    UpTrack,
};
use lkops::wire::codec::Codec;
use lkops::wire::rtcp::{Packet, packets};
use lkops::wire::rtp::{OutHeader, RtpHeader, write_header};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::time::{Duration, Instant};

/// What a publisher sends.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub frame_ms: u64,
    /// kbit/s by layer.
    pub rates: [u64; 3],
    /// How much larger key frames are.
    pub key_factor: usize,
    pub audio_bytes: usize,
    /// By how many percent what is filmed makes the rates swing, within [`SWING_MS`].
    pub swing: usize,
    /// Temporal layers of pictures, over and over.
    pub temporals: [u8; 4],
    /// The layers travel in one stream, each with what it adds; of a hundred pictures so many lack their top layer, marker and
    /// all, as encoders do it that run short.
    pub svc: Option<u32>,
}

impl Source {
    pub const CAMERA: Source = Source {
        frame_ms: 33,
        rates: [150, 500, 1_700],
        key_factor: 4,
        audio_bytes: 100,
        swing: 0,
        temporals: TEMPORALS,
        svc: None,
    };
    /// As a browser sends 720p at 15 frames a second, with RED: a middle layer that just fits 600 kbit/s.
    pub const SLOW_CAMERA: Source =
        Source { frame_ms: 66, rates: [160, 450, 1_750], key_factor: 5, audio_bytes: 190, ..Source::CAMERA };
    /// The same without temporal layers and with a middle layer that just does not fit, as Chromium sends VP8.
    pub const CHROMIUM: Source =
        Source { rates: [200, 450, 1_750], swing: 30, temporals: [0; 4], ..Source::SLOW_CAMERA };
    /// VP9 with three spatial layers.
    pub const SVC: Source = Source { rates: [150, 350, 1_200], svc: Some(5), ..Source::CAMERA };
}

const PACKET_BYTES: usize = 1_100;
/// From the server's request to the publisher's frame.
const PUBLISHER_MS: u64 = 60;
const ALLOCATE_MS: u64 = 100;
/// A scene, about.
const SWING_MS: u64 = 8_000;
const PUBLISHER_ALONE_MS: u64 = 2_000;
const PT: u8 = 96;
const RTX_PT: u8 = 97;
const TEMPORALS: [u8; 4] = [0, 2, 1, 2];

/// What became of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Share of the capacity left by others that was used.
    pub utilisation: f64,
    pub audio_loss: f64,
    pub longest_freeze_ms: u64,
    pub pictures_per_s: f64,
    /// Forwarded at the end, and most of the time.
    pub layer: Option<u8>,
    pub typical_layer: u8,
    pub changes: u32,
    /// From the beginning of the stretch to the last change of layer.
    pub settled_ms: u64,
    pub estimate: Bitrate,
    pub padding_bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "used {:>3.0} %, audio loss {:>5.2} %, freeze {:>4} ms, {:>4.1} fps, layer {} ({} changes), estimate {}, \
             padding {} KB",
            self.utilisation * 100.0,
            self.audio_loss * 100.0,
            self.longest_freeze_ms,
            self.pictures_per_s,
            self.typical_layer,
            self.changes,
            self.estimate,
            self.padding_bytes / 1_000,
        )
    }
}

struct Layer {
    sequence: u16,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    since_key: usize,
    /// When a key frame is due.
    key_at_ms: Option<u64>,
}

pub struct World {
    source: Source,
    rng: StdRng,
    epoch: Instant,
    ms: u64,
    layers: Vec<Layer>,
    up: UpTrack,
    leg: DownTrack,
    bandwidth: Bandwidth,
    allocator: Allocator,
    held: Option<lkops::media::allocate::LegAllowance>,
    probe: Option<ProbePace>,
    resends: ResendBudget,
    waiting: Waiting<u16>,
    number: u16,
    link: Bottleneck,
    viewer: Viewer,
    /// RTCP under way to the server.
    back: Vec<(u64, Vec<u8>)>,
    audio_sent: u64,
    audio_in_flight: Vec<u64>,
    changes: u32,
    changed_ms: u64,
    padding_bytes: u64,
    per_layer: [u64; 3],
    /// Since when the viewer is there.
    joined_ms: Option<u64>,
}

fn payloads(source: &Source) -> Vec<Payload> {
    let codec = if source.svc.is_some() { Codec::Vp9 } else { Codec::Vp8 };
    vec![Payload { codec, pt: PT, rtx_pt: Some(RTX_PT) }]
}

const WANTED: Target = Target { spatial: 2, temporal: 3, paused: false };

impl World {
    pub fn new(seed: u64, path: Path) -> World {
        World::of(Source::CAMERA, seed, path)
    }

    #[allow(clippy::disallowed_methods)] // The beginning of virtual time.
    pub fn of(source: Source, seed: u64, path: Path) -> World {
        let (mut rng, epoch) = (StdRng::seed_from_u64(seed), Instant::now());
        let mut up = UpTrack::new(UpSettings {
            payloads: payloads(&source),
            extensions: Extensions::default(),
            announced_layers: 0b111,
            layered: source.svc.is_some(),
            is_screen_share: false,
            history_packets: 512,
            pli_throttle: [500, 1_000, 1_000].map(Duration::from_millis),
            speaker: None,
        });
        let streams = if source.svc.is_some() { 1 } else { 3 };
        (0..streams).for_each(|layer| assert!(up.set_stream(epoch, layer, 100 + layer as u32)));
        let leg = LegSettings {
            ssrc: VIDEO_SSRC,
            rtx_ssrc: Some(RTX_SSRC),
            payloads: payloads(&source),
            extensions: Extensions::default(),
            target: WANTED,
            history_packets: 512,
            encrypted: None,
            adds_red: false,
            playout: None,
            first_sequence: rng.random(),
            first_timestamp: rng.random(),
        };
        let layer = |rng: &mut StdRng| Layer {
            sequence: rng.random(),
            timestamp: rng.random(),
            picture: rng.random(),
            tl0: rng.random(),
            since_key: 0,
            key_at_ms: Some(0),
        };
        World {
            source,
            epoch,
            ms: 0,
            layers: (0..3).map(|_| layer(&mut rng)).collect(),
            up,
            leg: DownTrack::new(epoch, leg),
            bandwidth: Bandwidth::new(epoch),
            allocator: Allocator::new(Rules::default()),
            held: None,
            probe: None,
            resends: ResendBudget::default(),
            waiting: Waiting::default(),
            number: rng.random(),
            link: Bottleneck::new(seed, path),
            viewer: Viewer::new(epoch, source.svc.is_some()),
            back: Vec::new(),
            audio_sent: 0,
            audio_in_flight: Vec::new(),
            changes: 0,
            changed_ms: 0,
            padding_bytes: 0,
            per_layer: [0; 3],
            joined_ms: Some(0),
            rng,
        }
    }

    /// A viewer who comes when the publisher's layers are known.
    pub fn joined(seed: u64, path: Path) -> World {
        let mut world = World { joined_ms: None, ..World::new(seed, path) };
        (0..PUBLISHER_ALONE_MS).for_each(|_| world.tick());
        world.joined_ms = Some(world.ms);
        let opening = Opening::of(&[world.request()], Bitrate::ZERO);
        if let Some(rate) = opening.rate()
            && world.bandwidth.open(world.now(), rate)
        {
            world.allocate();
        }
        world
    }

    fn now(&self) -> Instant {
        self.epoch + Duration::from_millis(self.ms)
    }

    pub fn set_path(&mut self, path: Path) {
        self.link.path = path;
    }

    pub fn is_limited(&self) -> bool {
        self.bandwidth.is_limited()
    }

    pub fn layer(&self) -> Option<u8> {
        self.leg.current_layer()
    }

    /// Runs until that holds; answers after how many ms.
    pub fn run_until(&mut self, at_most_ms: u64, holds: impl Fn(&World) -> bool) -> Option<u64> {
        (1..=at_most_ms).find(|_| {
            self.tick();
            holds(self)
        })
    }

    pub fn run(&mut self, ms: u64) -> Report {
        let (audio_before, audio_sent) = (self.viewer.audio_received, self.audio_sent);
        let in_flight = self.audio_in_flight.len() as u64;
        let began_ms = self.ms;
        let (passed, pictures) = (self.link.passed, self.viewer.pictures);
        (self.viewer.longest_freeze_ms, self.changes, self.padding_bytes) = (0, 0, 0);
        self.per_layer = [0; 3];
        (0..ms).for_each(|_| self.tick());
        self.viewer.note_time(self.ms);
        let left = (self.link.path.kbps - self.link.path.cross_kbps) * ms / 8;
        // What was sent before and after, less what is still under way.
        let due = self.audio_sent - audio_sent + in_flight - self.audio_in_flight.len() as u64;
        let heard = self.viewer.audio_received - audio_before;
        let typical = (0..3).max_by_key(|layer| self.per_layer[*layer]).unwrap_or(0);
        Report {
            utilisation: (self.link.passed - passed) as f64 / left as f64,
            audio_loss: 1.0 - heard as f64 / due.max(1) as f64,
            longest_freeze_ms: self.viewer.longest_freeze_ms,
            pictures_per_s: (self.viewer.pictures - pictures) as f64 * 1_000.0 / ms as f64,
            layer: self.layer(),
            typical_layer: typical as u8,
            changes: self.changes,
            settled_ms: self.changed_ms.saturating_sub(began_ms),
            estimate: self.bandwidth.estimate(),
            padding_bytes: self.padding_bytes,
        }
    }

    fn tick(&mut self) {
        self.ms += 1;
        self.link.advance(self.ms * 1_000);
        for layer in 0..3 {
            // The encoders of a browser send their frames one after the other.
            if self.ms % self.source.frame_ms == 2 * layer as u64 {
                match self.source.svc {
                    None => self.encode(layer),
                    Some(short) => self.encode_within(layer, short),
                }
            }
        }
        if self.joined_ms.is_none() {
            return;
        }
        if self.ms.is_multiple_of(20) {
            self.speak();
        }
        self.deliver();
        self.hear();
        if self.ms.is_multiple_of(5) {
            self.pass_wishes();
        }
        if self.ms.is_multiple_of(ALLOCATE_MS) {
            self.allocate();
        }
        if self.ms.is_multiple_of(10) {
            self.release();
        }
        self.pad();
        if let Some(layer) = self.layer() {
            self.per_layer[usize::from(layer)] += 1;
        }
    }

    fn speak(&mut self) {
        let mut packet = vec![0; 12 + self.source.audio_bytes];
        let header = OutHeader {
            marker: false,
            payload_type: 111,
            sequence: self.audio_sent as u16,
            timestamp: 0,
            ssrc: AUDIO_SSRC,
        };
        write_header(&mut packet, &header, &[]).expect("room");
        self.audio_sent += 1;
        self.audio_in_flight.push(self.ms);
        // What has not come after two seconds will not.
        self.audio_in_flight.retain(|sent| sent + 2_000 > self.ms);
        self.link.send(self.ms * 1_000, packet);
    }

    fn encode(&mut self, layer: usize) {
        let key = self.layers[layer].key_at_ms.is_some_and(|at| at <= self.ms);
        let state = &mut self.layers[layer];
        if key {
            (state.key_at_ms, state.since_key) = (None, 0);
        }
        let temporal = self.source.temporals[state.since_key % 4];
        let first = state.since_key;
        state.since_key += 1;
        state.picture = state.picture.wrapping_add(1) & 0x7FFF;
        state.tl0 = state.tl0.wrapping_add(u8::from(temporal == 0));
        state.timestamp = state.timestamp.wrapping_add(self.source.frame_ms as u32 * 90);
        let mean = (self.source.rates[layer] * self.source.frame_ms) as usize / 8;
        let varied = mean * self.rng.random_range(85..115) / 100 * self.swung() / 100;
        let bytes = if key { varied * self.source.key_factor } else { varied };
        let parts = bytes.div_ceil(PACKET_BYTES);
        for part in 0..parts {
            let packet = self.packet(layer, bytes / parts, part, parts, temporal, first);
            self.forward(layer, &packet);
        }
    }

    /// Percent of the usual rate now: up and down in a triangle.
    fn swung(&self) -> usize {
        let phase = (self.ms % SWING_MS) as usize * 400 / SWING_MS as usize;
        let height = if phase < 200 { phase } else { 400 - phase };
        100 + self.source.swing * height / 100 - self.source.swing
    }

    fn packet(
        &mut self,
        layer: usize,
        bytes: usize,
        part: usize,
        parts: usize,
        temporal: u8,
        since_key: usize,
    ) -> Vec<u8> {
        let mut packet = self.header(layer, part + 1 == parts);
        let state = &self.layers[layer];
        let [high, low] = (state.picture | 0x8000).to_be_bytes();
        let sync = u8::from(since_key % 4 == 1 || temporal == 1) << 5;
        packet.extend([0x80 | u8::from(part == 0) << 4, 0xE0, high, low, state.tl0, temporal << 6 | sync]);
        packet.push(u8::from(since_key != 0));
        packet.resize(12 + bytes, 0);
        packet
    }

    /// A layer of a picture in one stream.
    fn encode_within(&mut self, layer: usize, short: u32) {
        if layer == 0 {
            self.begin_picture();
        }
        if self.layers[0].since_key == 0 {
            return; // Not before the first picture.
        }
        let (key, temporal) =
            (self.layers[0].since_key == 1, self.source.temporals[(self.layers[0].since_key - 1) % 4]);
        let is_top = layer == 2;
        if is_top && !key && self.rng.random_ratio(short, 100) {
            return;
        }
        let mean = (self.source.rates[layer] * self.source.frame_ms) as usize / 8;
        let varied = mean * self.rng.random_range(85..115) / 100;
        let bytes = if key { varied * self.source.key_factor } else { varied };
        let parts = bytes.div_ceil(PACKET_BYTES);
        for part in 0..parts {
            let ends = part + 1 == parts;
            let mut packet = self.header(0, is_top && ends);
            let flags = 0x20 | u8::from(!key) << 6 | u8::from(part == 0) << 3 | u8::from(ends) << 2;
            // Temporal switching points are where a layer below was the last.
            let sync = u8::from(temporal > 0 && !self.layers[0].since_key.is_multiple_of(4)) << 4;
            packet.extend([flags, temporal << 5 | sync | (layer as u8) << 1, self.layers[0].tl0]);
            packet.resize(12 + bytes / parts, 0);
            self.forward(0, &packet);
        }
    }

    fn begin_picture(&mut self) {
        let state = &mut self.layers[0];
        if state.key_at_ms.is_some_and(|at| at <= self.ms) {
            (state.key_at_ms, state.since_key) = (None, 0);
        }
        let temporal = self.source.temporals[state.since_key % 4];
        state.since_key += 1;
        state.tl0 = state.tl0.wrapping_add(u8::from(temporal == 0));
        state.timestamp = state.timestamp.wrapping_add(self.source.frame_ms as u32 * 90);
    }

    fn header(&mut self, layer: usize, marker: bool) -> Vec<u8> {
        let state = &mut self.layers[layer];
        state.sequence = state.sequence.wrapping_add(1);
        let (sequence, timestamp) = (state.sequence, state.timestamp);
        let header = OutHeader { marker, payload_type: PT, sequence, timestamp, ssrc: 100 + layer as u32 };
        let mut packet = vec![0; 12];
        write_header(&mut packet, &header, &[]).expect("room");
        packet
    }

    fn forward(&mut self, layer: usize, packet: &[u8]) {
        let (now, header) = (self.now(), RtpHeader::parse(packet).expect("a packet"));
        let Ok(arrival) = self.up.handle_rtp(now, &header, packet, layer) else { return };
        let (before, goes) = self.up.look_ahead(&arrival);
        if self.joined_ms.is_none() {
            return;
        }
        if let Some(before) = before {
            let packet = self.up.find(before.source, before.sequence).expect("just kept").1.to_vec();
            self.offer(&before, &packet);
        }
        if goes {
            self.offer(&arrival, packet);
        }
    }

    fn offer(&mut self, arrival: &Arrival, packet: &[u8]) {
        let (now, before) = (self.now(), self.leg.current_layer());
        if let Plan::Forward(outgoing) = self.leg.plan(now, &self.up, arrival) {
            if arrival.key_frame {
                self.bandwidth.note_burst(now);
            }
            if self.waiting.admits(now, self.pace()) {
                self.send(&outgoing, packet);
            } else {
                self.waiting.hold(outgoing.header.sequence, packet.len());
            }
        }
        let after = self.leg.current_layer();
        self.changes += u32::from(before.is_some() && after.is_some() && before != after);
        if before != after {
            self.changed_ms = self.ms;
        }
    }

    fn pace(&self) -> Bitrate {
        let probe = self.probe.map_or(Bitrate::ZERO, |probe| probe.rate());
        self.bandwidth.pace().max(probe)
    }

    fn release(&mut self) {
        while let Some(sequence) = self.waiting.poll(self.now(), self.pace()) {
            let Some((outgoing, packet)) = self.leg.release(&self.up, sequence) else { continue };
            let packet = packet.to_vec();
            self.send(&outgoing, &packet);
        }
    }

    fn send(&mut self, outgoing: &Outgoing, packet: &[u8]) {
        let number = self.number.to_be_bytes();
        let mut out = vec![0; 1_500];
        let length = outgoing.write(packet, &[(TRANSPORT_CC, &number)], &mut out).expect("room");
        out.truncate(length);
        self.send_numbered(out);
    }

    fn send_numbered(&mut self, packet: Vec<u8>) {
        self.bandwidth.note_sent(self.now(), self.number, packet.len());
        if let Some(probe) = &mut self.probe {
            probe.note_sent(packet.len());
        }
        self.waiting.note_sent(packet.len());
        self.number = self.number.wrapping_add(1);
        self.link.send(self.ms * 1_000, packet);
    }

    fn deliver(&mut self) {
        while let Some((us, packet)) = self.link.receive(self.ms * 1_000) {
            if RtpHeader::parse(&packet).is_some_and(|header| header.ssrc == AUDIO_SSRC) {
                let sequence = u64::from(RtpHeader::parse(&packet).expect("a packet").sequence);
                let sent_ms = self.joined_ms.unwrap_or(0) + (sequence + 1) * 20;
                self.audio_in_flight.retain(|sent| *sent % (65_536 * 20) != sent_ms % (65_536 * 20));
            }
            self.viewer.take(us, &packet);
        }
        let mut out = Vec::new();
        self.viewer.feed_back(self.ms, &mut out);
        if !out.is_empty() && !self.rng.random_bool(self.link.path.loss) {
            self.back.push((self.ms + self.link.path.delay_ms, out));
        }
    }

    /// The viewer's RTCP at the server.
    fn hear(&mut self) {
        let due = self.back.iter().take_while(|(at, _)| *at <= self.ms).count();
        for (_, compound) in self.back.drain(..due).collect::<Vec<_>>() {
            for packet in packets(&compound) {
                self.hear_packet(packet);
            }
        }
    }

    fn hear_packet(&mut self, packet: Packet<'_>) {
        let now = self.now();
        match packet {
            Packet::TransportCc(feedback) => {
                self.bandwidth.handle_feedback(now, &feedback);
                self.allocate();
            }
            Packet::Pli { .. } => {
                if let Some(layer) = self.leg.handle_picture_loss(now, &self.up) {
                    self.up.request_key_frame(layer);
                }
            }
            Packet::Nack { lost, .. } => lost.for_each(|sequence| self.resend(sequence)),
            _ => {}
        }
    }

    fn resend(&mut self, sequence: u16) {
        let now = self.now();
        if !self.resends.admits(now, self.bandwidth.estimate()) || self.bandwidth.is_queued() {
            return self.leg.refuse_resend(now);
        }
        let Ok((outgoing, packet)) = self.leg.resend(now, &self.up, sequence) else { return };
        let packet = packet.to_vec();
        self.resends.note_sent(packet.len());
        self.send(&outgoing, &packet);
    }

    fn pass_wishes(&mut self) {
        let now = self.now();
        if let Some(layer) = self.leg.wants_key_frame(now, &self.up) {
            self.up.request_key_frame(layer);
        }
        let mut out = Vec::new();
        self.up.poll_feedback(now, 1, Duration::from_millis(50), &mut out);
        for packet in packets(&out) {
            if let Packet::Pli { media_ssrc, .. } = packet {
                let layer = &mut self.layers[media_ssrc as usize - 100];
                layer.key_at_ms = layer.key_at_ms.or(Some(self.ms + PUBLISHER_MS));
            }
        }
    }

    fn request(&self) -> Request {
        Request { priority: 1, ladder: self.up.ladder(self.now(), WANTED), held: self.held, paused: None }
    }

    fn plan(&mut self) -> Allocation {
        let (now, requests) = (self.now(), [self.request()]);
        if self.bandwidth.is_opening() {
            let opening = Opening::of(&requests, Bitrate::ZERO);
            if !opening.is_enough(self.bandwidth.estimate()) {
                return opening.allocation(&requests, self.allocator.rules());
            }
            self.bandwidth.finish_opening();
        }
        let estimate = self.bandwidth.estimate();
        let clogged = self.bandwidth.is_clogged(now);
        let room = if clogged { self.allocator.relieved(now, estimate, &requests) } else { estimate };
        self.allocator.plan(now, room, &requests)
    }

    fn allocate(&mut self) {
        self.bandwidth.handle_timeout(self.now());
        let allocation = self.plan();
        let share = allocation.shares[0];
        if share != self.held {
            self.held = share;
            self.leg.set_allowed(share);
        }
        self.bandwidth.set_goal(allocation.goal);
    }

    fn pad(&mut self) {
        let now = self.now();
        if self.probe.is_none() && self.layer().is_some() {
            self.probe = self.bandwidth.poll_probe(now).map(|cluster| ProbePace::new(now, cluster));
        }
        let Some(probe) = self.probe.filter(|_| self.ms.is_multiple_of(10)) else { return };
        let mut due = probe.due(now);
        while due > 0 {
            let Some(padding) = self.leg.padding(now) else { break };
            let number = self.number.to_be_bytes();
            let mut out = vec![0; 600];
            let length = padding.write(&[(TRANSPORT_CC, &number)], &mut out).expect("room");
            out.truncate(length);
            self.padding_bytes += length as u64;
            self.send_numbered(out);
            due = due.saturating_sub(length);
        }
        if probe.is_over(now) {
            self.probe = None;
        }
    }
}
