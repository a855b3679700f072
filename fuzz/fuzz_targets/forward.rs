//! Forwarding: one track fed by any sequence of packets, two legs with their wishes and complaints. What a subscriber
//! relies on: a sequence number is never used for two contents, packets of one frame have one timestamp, and every packet
//! is one it agreed to.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use lkops::media::arrival::RED_BLOCKS_MAX;
use lkops::media::{
    Arrival, DownTrack, Extensions, LegSettings, Outgoing, Payload, Plan, SpeakerRule, Target, UpSettings, UpTrack,
};
use lkops::wire::codec::Codec;
use lkops::wire::rtcp::{ReportBlock, SenderInfo, packets};
use lkops::wire::rtp::{OutHeader, RtpHeader, write_header};
use lkops::wire::seq::Unwrapper;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const HISTORY_PACKETS: usize = 64;
const EXTENSIONS: Extensions =
    Extensions { audio_level: Some(1), abs_capture_time: Some(2), dependency_descriptor: Some(3) };
/// Codec lists of tracks, and whether spatial layers travel in one stream.
const TRACKS: [(&[Payload], bool); 6] = [
    (&[payload(Codec::Vp8, 96)], false),
    (&[payload(Codec::Vp9, 98), payload(Codec::Vp8, 96)], true),
    (&[payload(Codec::Av1, 45)], true),
    (&[payload(Codec::H264, 102)], false),
    (&[payload(Codec::Red, 63), payload(Codec::Opus, 111)], false),
    (&[payload(Codec::Pcmu, 0)], false),
];
/// Beginnings of payloads the codecs above know; the input's bytes follow.
const BEGINNINGS: [&[u8]; 12] = [
    &[],
    &[0x90, 0xF0, 0x92, 0x34, 0x07, 0x65, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01],
    &[0x90, 0xF0, 0x92, 0x35, 0x07, 0xA5, 0x11],
    &[0x80, 0xF0, 0x92, 0x35, 0x07, 0xA5],
    &[0xAA, 0x81, 0x02, 0x00, 0x09, 0x38, 0x01, 0x40, 0x00, 0xB4, 0x00, 0x28, 0x02, 0x80, 0x01, 0x68],
    &[0xF5, 0x11, 0x53, 0x03, 0x04, 0xDA],
    &[0x18, 0x08, 0x00, 0x00, 0x00, 0x30, 0x10, 0xAA],
    &[0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16, 0xEC],
    &[0x7C, 0x85, 0x88],
    &[0xEF, 0x1E, 0x00, 0x01, 0xEF, 0x0F, 0x00, 0x02, 0x6F, 0x01],
    &[0x6F, 0x09],
    &[0xF8, 0xFF, 0xFE],
];

const fn payload(codec: Codec, pt: u8) -> Payload {
    Payload { codec, pt, rtx_pt: Some(pt + 1) }
}

struct World {
    now: Instant,
    ntp: u64,
    up: UpTrack,
    legs: [Leg; 2],
    payloads: &'static [Payload],
    /// The last number and timestamp of each stream.
    sent: [(u16, u32); 3],
}

struct Leg {
    down: DownTrack,
    payloads: Vec<Payload>,
    sequences: HashMap<u32, Unwrapper<u16>>,
    /// By SSRC and unwrapped number.
    received: HashMap<(u32, u64), Vec<u8>>,
    /// By source, incoming timestamp and how often the series was interrupted.
    timestamps: HashMap<(u32, u32, u32), u32>,
    interruptions: u32,
    source: Option<u32>,
    last: u16,
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let Ok(mut world) = World::new(&mut input) else { return };
    while world.act(&mut input).is_ok() && !input.is_empty() {}
});

impl World {
    #[allow(clippy::disallowed_methods)] // where the virtual clock begins
    fn new(input: &mut Unstructured) -> Result<World> {
        let [choice, flags] = input.arbitrary::<[u8; 2]>()?;
        let (payloads, layered) = TRACKS[usize::from(choice) % TRACKS.len()];
        let now = Instant::now();
        let mut up = UpTrack::new(UpSettings {
            payloads: payloads.to_vec(),
            extensions: EXTENSIONS,
            announced_layers: 0b111,
            layered,
            is_screen_share: flags & 1 != 0,
            history_packets: HISTORY_PACKETS,
            pli_throttle: [Duration::from_millis(500); 3],
            speaker: Some(SpeakerRule::default()),
        });
        for layer in 0..3 {
            assert!(up.set_stream(now, layer, 100 + layer as u32));
            up.set_rtx(layer, 200 + layer as u32);
        }
        let legs = [Leg::new(now, payloads, flags), Leg::new(now, &payloads[payloads.len() - 1..], flags >> 4)];
        Ok(World { now, ntp: 1 << 40, up, legs, payloads, sent: [(65_530, u32::MAX - 9_000); 3] })
    }

    fn act(&mut self, input: &mut Unstructured) -> Result<()> {
        let [action, value] = input.arbitrary::<[u8; 2]>()?;
        let index = usize::from(value & 1);
        let (now, ntp, up, leg) = (self.now, self.ntp, &mut self.up, &mut self.legs[index]);
        match action % 12 {
            0..=4 => self.packet(value, input)?,
            5 => self.wait(Duration::from_millis(u64::from(value) * 5)),
            6 => leg.set_target(value),
            7 => leg.set_muted(now, value & 2 != 0),
            8 => leg.lost(now, up, value),
            9 => drop(leg.down.handle_picture_loss(now, up)),
            10 => {
                let info =
                    SenderInfo { ntp: input.arbitrary()?, rtp_timestamp: input.arbitrary()?, packets: 1, octets: 1 };
                up.handle_sender_report(now, ntp, 100 + u32::from(value % 3), &info);
            }
            _ => leg.report(now, ntp, input)?,
        }
        Ok(())
    }

    /// The next packet of a stream, or one some numbers off; of the second payload type, or as a retransmission.
    fn packet(&mut self, value: u8, input: &mut Unstructured) -> Result<()> {
        let [ahead, frame, form, length] = input.arbitrary::<[u8; 4]>()?;
        let layer = usize::from(value) % 3;
        let (sequence, timestamp) = self.sent[layer];
        let ahead = if ahead & 0xC0 == 0 { 1 } else { i16::from(ahead as i8) * if ahead & 1 == 0 { 1 } else { 200 } };
        let ticks = if frame & 3 == 0 { u32::from(frame) * 90 } else { 0 };
        self.sent[layer] = (sequence.wrapping_add_signed(ahead), timestamp.wrapping_add(ticks));
        let (sequence, timestamp) = self.sent[layer];
        let Payload { pt, rtx_pt, .. } = self.payloads[usize::from(value >> 2) % self.payloads.len()];
        let rtx = rtx_pt.filter(|_| value & 0x80 != 0);
        let ssrc = if rtx.is_some() { 200 } else { 100 } + layer as u32;
        let marker = frame & 4 != 0;
        let header = OutHeader { marker, payload_type: rtx.unwrap_or(pt), sequence, timestamp, ssrc };
        let extension = input.bytes(usize::from(value >> 4 & 3).min(input.len()))?;
        let elements = [(1 + value % 3, extension)];
        let beginning = BEGINNINGS[usize::from(form) % BEGINNINGS.len()];
        let rest = input.bytes(usize::from(length % 64).min(input.len()))?;
        let mut packet = vec![0; 64];
        let elements = if extension.is_empty() { &[][..] } else { &elements };
        let header = write_header(&mut packet, &header, elements).expect("room for a header");
        packet.truncate(header);
        if rtx.is_some() {
            packet.extend(sequence.to_be_bytes());
        }
        packet.extend(beginning);
        packet.extend(rest);
        self.forward(&packet, layer);
        Ok(())
    }

    fn forward(&mut self, packet: &[u8], layer: usize) {
        let header = RtpHeader::parse(packet).expect("a packet of ours");
        assert_eq!(self.up.layer_of(header.ssrc), Some(layer));
        let Ok(arrival) = self.up.handle_rtp(self.now, &header, packet, layer) else { return };
        for leg in &mut self.legs {
            leg.offer(self.now, &self.up, &arrival, packet);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.ntp += (time.as_millis() as u64) << 32 / 1_000;
        let mut out = Vec::new();
        self.up.poll_feedback(self.now, 1, Duration::from_millis(50), &mut out);
        assert_eq!(packets(&out).map(|packet| drop(format!("{packet:?}"))).count() == 0, out.is_empty());
        self.up.poll_loudness(self.now);
        assert!((0.0..=100.0).contains(&self.up.poll_score(self.now, Duration::from_millis(50), 0)));
        for leg in &mut self.legs {
            leg.wait(self.now, self.ntp, &mut self.up);
        }
    }
}

impl Leg {
    fn new(now: Instant, payloads: &[Payload], flags: u8) -> Leg {
        let with_rtx = flags & 2 == 0;
        let settings = LegSettings {
            ssrc: 7,
            rtx_ssrc: with_rtx.then_some(8),
            payloads: payloads.to_vec(),
            extensions: Extensions { audio_level: None, ..EXTENSIONS },
            target: Target { spatial: 2, temporal: 3, paused: false },
            history_packets: HISTORY_PACKETS,
            encrypted: (flags & 4 != 0).then_some([7; 24]),
            first_sequence: 65_500,
            first_timestamp: 1,
            adds_red: false,
            playout: None,
        };
        Leg {
            down: DownTrack::new(now, settings),
            payloads: payloads.to_vec(),
            sequences: HashMap::new(),
            received: HashMap::new(),
            timestamps: HashMap::new(),
            interruptions: 0,
            source: None,
            last: 0,
        }
    }

    fn offer(&mut self, now: Instant, up: &UpTrack, arrival: &Arrival, packet: &[u8]) {
        let Plan::Forward(outgoing) = self.down.plan(now, up, arrival) else { return };
        self.note_frame(arrival, &outgoing);
        self.write(&outgoing, packet);
        for back in 1..=arrival.missing_before.min(RED_BLOCKS_MAX as u8) {
            if let Some(recovered) = self.down.plan_recovered(now, up, arrival, back) {
                self.write(&recovered, packet);
            }
        }
    }

    fn note_frame(&mut self, arrival: &Arrival, outgoing: &Outgoing) {
        if self.source.replace(arrival.source) != Some(arrival.source) {
            self.interruptions += 1;
        }
        let frame = (arrival.source, arrival.timestamp, self.interruptions);
        let timestamp = *self.timestamps.entry(frame).or_insert(outgoing.header.timestamp);
        assert_eq!(timestamp, outgoing.header.timestamp, "two timestamps in one frame");
    }

    fn write(&mut self, outgoing: &Outgoing, packet: &[u8]) {
        let mut out = vec![0; 1_500];
        let length = outgoing.write(packet, &[], &mut out).expect("room for a packet");
        out.truncate(length);
        self.receive(out);
    }

    fn receive(&mut self, packet: Vec<u8>) {
        let header = RtpHeader::parse(&packet).expect("a packet of ours");
        let agreed = |p: &Payload| [Some(p.pt), p.rtx_pt].contains(&Some(header.payload_type));
        assert!(self.payloads.iter().any(agreed), "payload type {}", header.payload_type);
        let sequence = self.sequences.entry(header.ssrc).or_default().unwrap(header.sequence);
        if header.ssrc == self.down.ssrc() {
            self.last = header.sequence;
        }
        let before = self.received.entry((header.ssrc, sequence)).or_insert_with(|| packet.clone());
        assert_eq!(*before, packet, "{sequence} of {} has two contents", header.ssrc);
    }

    fn set_target(&mut self, value: u8) {
        let paused = value & 0x30 == 0x30;
        self.interruptions += u32::from(paused);
        self.down.set_target(Target { spatial: value >> 1 & 3, temporal: value >> 3 & 3, paused });
    }

    fn set_muted(&mut self, now: Instant, muted: bool) {
        self.interruptions += 1;
        self.down.set_muted(now, muted);
    }

    fn lost(&mut self, now: Instant, up: &UpTrack, back: u8) {
        let Ok((outgoing, packet)) = self.down.resend(now, up, self.last.wrapping_sub(u16::from(back >> 1))) else {
            return;
        };
        let packet = packet.to_vec();
        self.write(&outgoing, &packet);
    }

    fn report(&mut self, now: Instant, ntp: u64, input: &mut Unstructured) -> Result<()> {
        let [highest_sequence, jitter, last_sr, delay_since_last_sr] = input.arbitrary()?;
        let [fraction_lost, cumulative_lost] = input.arbitrary::<[u8; 2]>()?;
        let block = ReportBlock {
            ssrc: self.down.ssrc(),
            fraction_lost,
            cumulative_lost: i32::from(cumulative_lost) - 99,
            highest_sequence,
            jitter,
            last_sr,
            delay_since_last_sr,
        };
        self.down.handle_report_block(now, ntp, &block);
        Ok(())
    }

    fn wait(&mut self, now: Instant, ntp: u64, up: &mut UpTrack) {
        let injected: Vec<_> = std::iter::from_fn(|| self.down.poll_injected(now, up)).collect();
        for packet in injected {
            let mut out = vec![0; 1_500];
            let length = packet.write(&[], &mut out).expect("room for a packet");
            out.truncate(length);
            self.receive(out);
        }
        if let Some(layer) = self.down.wants_key_frame(now, up) {
            up.request_key_frame(layer);
        }
        self.down.poll_sender_report(now, ntp, up);
        assert!((0.0..=100.0).contains(&self.down.poll_score(now, up)));
        self.down.deadline(now);
    }
}
