//! A publisher, a track and its legs on a virtual clock with seeded loss and reordering. Checks what a receiver relies
//! on: one continuous series of numbers, pictures that can be decoded, retransmissions equal to what was lost.

mod audio;
mod svc;
mod targets;
mod video;

use super::*;
use crate::wire::codec::{Codec, vp8};
use crate::wire::rtcp::{Packet, SenderInfo, packets};
use crate::wire::rtp::{OutHeader, RtpHeader, write_header};
use crate::wire::seq::Unwrapper;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const VP8_PT: u8 = 96;
const RTX_PT: u8 = 97;
const FRAME_MS: u64 = 33;
const NTP_SECOND: f64 = 4_294_967_296.0;

/// What the encoder wrote into a payload, to be recognised at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    layer: u8,
    frame: u32,
    part: u8,
    parts: u8,
    tid: u8,
    key: bool,
}

impl Content {
    fn bytes(self) -> Vec<u8> {
        let [a, b, c, d] = self.frame.to_be_bytes();
        // The first byte stands for the VP8 frame tag: bit 0 clear is a key frame.
        vec![u8::from(!self.key), self.layer, a, b, c, d, self.part, self.parts, self.tid]
    }

    fn read(data: &[u8]) -> Content {
        let frame = u32::from_be_bytes([data[2], data[3], data[4], data[5]]);
        let key = data[0] & 1 == 0;
        Content { layer: data[1], frame, part: data[6], parts: data[7], tid: data[8], key }
    }
}

/// One simulcast layer with three temporal layers.
struct Encoder {
    layer: u8,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    key_idx: u8,
    frame: u32,
    since_key: u32,
    key_wanted: bool,
    sent: BTreeMap<u16, Vec<u8>>,
    rtx_sequence: u16,
}

impl Encoder {
    fn new(layer: u8, rng: &mut StdRng) -> Encoder {
        Encoder {
            layer,
            sequence: 65_400u16.wrapping_add(rng.random_range(0..200)),
            timestamp: u32::MAX - rng.random_range(0..400_000),
            picture: 32_700 + rng.random_range(0..60),
            tl0: rng.random(),
            key_idx: rng.random_range(0..32),
            frame: 0,
            since_key: 0,
            key_wanted: true,
            sent: BTreeMap::new(),
            rtx_sequence: rng.random(),
        }
    }

    fn ssrc(&self) -> u32 {
        100 + u32::from(self.layer)
    }

    /// The packets of the next frame.
    fn encode(&mut self) -> Vec<Vec<u8>> {
        let key = std::mem::take(&mut self.key_wanted);
        self.since_key = if key { 0 } else { self.since_key + 1 };
        let tid = [0, 2, 1, 2][self.since_key as usize % 4];
        self.picture = (self.picture + 1) & 0x7FFF;
        if tid == 0 {
            (self.tl0, self.key_idx) = (self.tl0.wrapping_add(1), (self.key_idx + 1) & 31);
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME_MS as u32 * 90);
        self.frame += 1;
        let parts = 1 + self.layer + u8::from(key);
        (0..parts).map(|part| self.packet(part, parts, tid, key)).collect()
    }

    fn packet(&mut self, part: u8, parts: u8, tid: u8, key: bool) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let marker = part + 1 == parts;
        let header = OutHeader {
            marker,
            payload_type: VP8_PT,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc(),
        };
        let mut packet = vec![0; 12];
        write_header(&mut packet, &header, &[]).unwrap();
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        let sync = u8::from(self.since_key % 4 == 1 || tid == 1) << 5;
        packet.extend([0x80 | u8::from(part == 0) << 4, 0xF0, high, low, self.tl0, tid << 6 | sync | self.key_idx]);
        packet.extend(Content { layer: self.layer, frame: self.frame, part, parts, tid, key }.bytes());
        self.sent.insert(self.sequence, packet.clone());
        packet
    }

    /// The retransmission of a packet (RFC 4588).
    fn retransmit(&mut self, sequence: u16) -> Option<Vec<u8>> {
        let original = self.sent.get(&sequence)?;
        let parsed = RtpHeader::parse(original).unwrap();
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        let header = OutHeader {
            marker: parsed.marker,
            payload_type: RTX_PT,
            sequence: self.rtx_sequence,
            timestamp: parsed.timestamp,
            ssrc: self.ssrc() + 100,
        };
        let mut packet = vec![0; 12];
        write_header(&mut packet, &header, &[]).unwrap();
        packet.extend(sequence.to_be_bytes());
        packet.extend(parsed.payload(original));
        Some(packet)
    }
}

/// What a subscriber received under one sequence number.
#[derive(Clone, Debug)]
struct Received {
    packet: Vec<u8>,
    timestamp: u32,
    marker: bool,
    numbers: vp8::Descriptor,
    content: Content,
}

struct Subscriber {
    leg: DownTrack,
    sequences: Unwrapper<u16>,
    received: BTreeMap<u64, Received>,
    keys_of: Vec<u8>,
}

impl Subscriber {
    fn take(&mut self, packet: Vec<u8>) {
        let header = RtpHeader::parse(&packet).unwrap();
        let payload = header.payload(&packet);
        let numbers = vp8::Descriptor::parse(payload).unwrap();
        let content = Content::read(&payload[numbers.bytes..]);
        let sequence = self.sequences.unwrap(header.sequence);
        let (timestamp, marker) = (header.timestamp, header.marker);
        let received = Received { packet, timestamp, marker, numbers, content };
        assert!(self.received.insert(sequence, received).is_none(), "{sequence} came twice");
        if content.key && content.part == 0 {
            self.keys_of.push(content.layer);
        }
    }
}

#[derive(Clone, Copy)]
struct Network {
    loss: f64,
    reorder: f64,
}

const PERFECT: Network = Network { loss: 0.0, reorder: 0.0 };
const POOR: Network = Network { loss: 0.05, reorder: 0.05 };

struct World {
    seed: u64,
    rng: StdRng,
    ms: u64,
    network: Network,
    encoders: Vec<Encoder>,
    up: UpTrack,
    subscriber: Subscriber,
    /// Packets under way: (arrival in ms, order, packet).
    wire: BTreeMap<(u64, u64), Vec<u8>>,
    order: u64,
}

fn payloads() -> Vec<Payload> {
    vec![Payload { codec: Codec::Vp8, pt: VP8_PT, rtx_pt: Some(RTX_PT) }]
}

fn leg(target: Target) -> LegSettings {
    LegSettings {
        ssrc: 7,
        rtx_ssrc: Some(8),
        payloads: payloads(),
        extensions: Extensions::default(),
        target,
        history_packets: 512,
        encrypted: None,
        adds_red: false,
        playout: None,
        first_sequence: 1_000,
        first_timestamp: 5,
    }
}

fn target(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal, paused: false }
}

impl World {
    fn new(seed: u64, network: Network, target: Target) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = UpSettings {
            payloads: payloads(),
            extensions: Extensions::default(),
            announced_layers: 0b111,
            layered: false,
            is_screen_share: false,
            history_packets: 512,
            pli_throttle: [500, 1_000, 1_000].map(Duration::from_millis),
            speaker: None,
        };
        let mut up = UpTrack::new(settings);
        let encoders: Vec<_> = (0..3).map(|layer| Encoder::new(layer, &mut rng)).collect();
        for encoder in &encoders {
            assert!(up.set_stream(test_epoch(), usize::from(encoder.layer), encoder.ssrc()));
            up.set_rtx(usize::from(encoder.layer), encoder.ssrc() + 100);
        }
        let leg = DownTrack::new(test_epoch(), leg(target));
        let subscriber =
            Subscriber { leg, sequences: Unwrapper::new(), received: BTreeMap::new(), keys_of: Vec::new() };
        World { seed, rng, ms: 0, network, encoders, up, subscriber, wire: BTreeMap::new(), order: 0 }
    }

    fn now(&self) -> Instant {
        test_epoch() + Duration::from_millis(self.ms)
    }

    fn ntp(&self) -> u64 {
        (3_900_000_000u64 << 32) + (self.ms as f64 / 1_000.0 * NTP_SECOND) as u64
    }

    fn put_on_wire(&mut self, packet: Vec<u8>) {
        if self.rng.random_bool(self.network.loss) {
            return;
        }
        let late = if self.rng.random_bool(self.network.reorder) { self.rng.random_range(1..60) } else { 0 };
        self.order += 1;
        self.wire.insert((self.ms + 20 + late, self.order), packet);
    }

    /// Runs for some time; encoders of the layers in `sending` produce frames.
    fn run(&mut self, ms: u64, sending: &[u8]) {
        for _ in 0..ms {
            self.ms += 1;
            if self.ms.is_multiple_of(FRAME_MS) {
                self.encode(sending);
            }
            if self.ms % 1_000 == 500 {
                self.report();
            }
            self.deliver();
            if self.ms.is_multiple_of(5) {
                self.feed_back();
            }
        }
    }

    fn encode(&mut self, sending: &[u8]) {
        for layer in 0..3u8 {
            let frame = self.encoders[usize::from(layer)].encode();
            frame.into_iter().filter(|_| sending.contains(&layer)).for_each(|packet| self.put_on_wire(packet));
        }
    }

    /// Sender reports, taken at the last frame.
    fn report(&mut self) {
        let back = (self.ms % FRAME_MS) as f64 / 1_000.0 * NTP_SECOND;
        let ntp = self.ntp() - back as u64;
        for encoder in &self.encoders {
            let info = SenderInfo { ntp, rtp_timestamp: encoder.timestamp, packets: 0, octets: 0 };
            self.up.handle_sender_report(self.now(), self.ntp(), encoder.ssrc(), &info);
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.ms) {
            let packet = entry.remove();
            let header = RtpHeader::parse(&packet).unwrap();
            let layer = self.up.layer_of(header.ssrc).unwrap();
            let Ok(arrival) = self.up.handle_rtp(self.now(), &header, &packet, layer) else { continue };
            let Plan::Forward(outgoing) = self.subscriber.leg.plan(self.now(), &self.up, &arrival) else { continue };
            let mut out = vec![0; 1_500];
            let length = outgoing.write(&packet, &[], &mut out).unwrap();
            out.truncate(length);
            self.subscriber.take(out);
        }
    }

    fn feed_back(&mut self) {
        let now = self.now();
        if let Some(layer) = self.subscriber.leg.wants_key_frame(now, &self.up) {
            self.up.request_key_frame(layer);
        }
        let mut out = Vec::new();
        self.up.poll_feedback(now, 1, Duration::from_millis(50), &mut out);
        for packet in packets(&out) {
            match packet {
                Packet::Pli { media_ssrc, .. } => self.encoders[media_ssrc as usize - 100].key_wanted = true,
                Packet::Nack { media_ssrc, lost, .. } => self.retransmit(media_ssrc, lost.collect()),
                _ => {}
            }
        }
    }

    fn retransmit(&mut self, ssrc: u32, lost: Vec<u16>) {
        for sequence in lost {
            let packet = self.encoders[ssrc as usize - 100].retransmit(sequence);
            packet.into_iter().for_each(|packet| self.put_on_wire(packet));
        }
    }

    /// Everything a receiver relies on, whatever happened on the way in.
    fn check_series(&self) {
        let all: Vec<_> = self.subscriber.received.iter().collect();
        for pair in all.windows(2) {
            let ((s0, a), (s1, b)) = (pair[0], pair[1]);
            let context = format!("seed {}: {s0} {:?} then {s1} {:?}", self.seed, a.content, b.content);
            let ticks = b.timestamp.wrapping_sub(a.timestamp) as i32;
            let pictures = picture(b).wrapping_sub(picture(a)) & 0x7FFF;
            let same = (a.content.layer, a.content.frame) == (b.content.layer, b.content.frame);
            if same {
                assert_eq!((ticks, pictures), (0, 0), "{context}");
            } else {
                assert!(ticks > 0 && ticks < 90 * 5_000, "{context}: timestamp moves by {ticks}");
                assert!((1..100).contains(&pictures), "{context}: picture id moves by {pictures}");
                let tl0 = b.numbers.tl0_pic_idx.unwrap().wrapping_sub(a.numbers.tl0_pic_idx.unwrap());
                assert!(tl0 < 60, "{context}: tl0 moves by {tl0}");
            }
            if a.content.layer != b.content.layer {
                assert!(b.content.key, "{context}: a layer begins without a key frame");
            }
            assert_eq!(a.marker, a.content.part + 1 == a.content.parts, "{context}");
        }
    }

    /// On a perfect network there are no gaps at all.
    fn check_gapless(&self) {
        let all: Vec<_> = self.subscriber.received.iter().collect();
        for pair in all.windows(2) {
            let ((s0, a), (s1, b)) = (pair[0], pair[1]);
            let context = format!("seed {}: {s0} {:?} then {s1} {:?}", self.seed, a.content, b.content);
            assert_eq!(s0 + 1, *s1, "{context}");
            assert!(picture(b).wrapping_sub(picture(a)) & 0x7FFF <= 1, "{context}");
            let tl0 = b.numbers.tl0_pic_idx.unwrap().wrapping_sub(a.numbers.tl0_pic_idx.unwrap());
            let base = u8::from(b.content.tid == 0 && b.content.part == 0);
            assert_eq!(tl0, base, "{context}");
        }
    }

    fn layers_since(&self, sequence: u64) -> Vec<u8> {
        let mut layers: Vec<u8> = self.subscriber.received.range(sequence..).map(|(_, r)| r.content.layer).collect();
        layers.dedup();
        layers
    }

    fn newest(&self) -> u64 {
        self.subscriber.received.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }
}

fn picture(received: &Received) -> u16 {
    received.numbers.picture_id.unwrap().value()
}
