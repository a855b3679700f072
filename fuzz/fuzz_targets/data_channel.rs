//! Data channels: a hand-made SCTP client with any messages, streams and chunks against one peer's SCTP. Whatever comes,
//! the other side stays bounded, and time and packets to send come to an end.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::arbitrary::Unstructured;
use lkops::limits::{DATA_CHANNEL_LABEL_BYTES_MAX, DATA_CHANNELS_MAX, DATA_MESSAGE_BYTES_MAX};
use lkops::transport::{Reliability, Sctp, SctpEvent, SctpStart};
use std::collections::HashSet;
use std::time::{Duration, Instant};

const TAG: u32 = 7;
const FIRST_TSN: u32 = u32::MAX - 3;
const INIT: u8 = 1;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
const STATE_COOKIE: u16 = 7;
const DCEP: u8 = 50;
/// More packets or timeouts than this at one moment are an endless loop.
const ROUNDS_MAX: usize = 10_000;

struct World {
    now: Instant,
    sctp: Sctp,
    /// What our packets must show.
    tag: u32,
    tsn: u32,
    request: u32,
    open: HashSet<u16>,
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let mut world = World::connected();
    while let (false, Ok([action, stream, length])) = (input.is_empty(), input.arbitrary::<[u8; 3]>()) {
        let body = input.bytes(usize::from(length).min(input.len())).unwrap_or_default();
        world.act(action, u16::from(stream), body);
        world.settle();
    }
});

impl World {
    #[allow(clippy::disallowed_methods)] // where the virtual clock begins
    fn connected() -> World {
        let (now, mut sctp) = (Instant::now(), Sctp::default());
        let initiate_at = now + Duration::from_secs(1);
        sctp.start(SctpStart { remote_port: 5000, max_message_bytes: 1000, dtls_active: false, initiate_at });
        let mut world = World { now, sctp, tag: 0, tsn: FIRST_TSN, request: FIRST_TSN, open: HashSet::new() };
        let hello = [TAG.to_be_bytes(), 1_000_000u32.to_be_bytes(), [0xFF; 4], FIRST_TSN.to_be_bytes()].concat();
        world.send(&chunk(INIT, 0, &hello));
        let answer = world.poll_packet().expect("an INIT ACK");
        world.tag = u32::from_be_bytes(*answer[16..].first_chunk().expect("a tag"));
        world.send(&chunk(COOKIE_ECHO, 0, cookie(&answer[32..])));
        assert_eq!(world.poll_packet().map(|packet| packet[12]), Some(COOKIE_ACK));
        world
    }

    fn act(&mut self, action: u8, stream: u16, body: &[u8]) {
        let kind = action & 7;
        let high = action >> 3;
        match kind {
            0 => self.data(stream, DCEP, 0, body),
            1 => self.data(stream, [51, 53, 54, 56, 57, 0][usize::from(high) % 6], 0, body),
            2 => self.data(stream, 53, high, body),
            3 => self.send(body),
            4 => self.reset(stream),
            5 => self.forward(u32::from(high)),
            6 => self.speak(stream, high, body),
            _ => self.now += Duration::from_millis(u64::from(stream) * 40),
        }
    }

    /// The lowest bits of `odd` make it a fragment, unordered, of a later number.
    fn data(&mut self, stream: u16, ppid: u8, odd: u8, body: &[u8]) {
        let flags = if odd == 0 { 3 } else { odd & 7 };
        let head = [&self.tsn.to_be_bytes()[..], &stream.to_be_bytes(), &u16::from(odd >> 3).to_be_bytes()].concat();
        let data = [&head[..], &[0, 0, 0, ppid], body].concat();
        self.tsn = self.tsn.wrapping_add(1 + u32::from(odd >> 4));
        self.send(&chunk(0, flags, &data));
    }

    /// RFC 6525 §4.1
    fn reset(&mut self, stream: u16) {
        let last = self.tsn.wrapping_sub(1);
        let words = [self.request, 0, last].map(u32::to_be_bytes).concat();
        self.request = self.request.wrapping_add(1);
        let parameter = [&[0, 13, 0, 18][..], &words, &stream.to_be_bytes(), &[0, 0]].concat();
        self.send(&chunk(RE_CONFIG, 0, &parameter));
    }

    fn forward(&mut self, ahead: u32) {
        let to = self.tsn.wrapping_add(ahead).wrapping_sub(1);
        self.tsn = to.wrapping_add(1);
        self.send(&chunk(FORWARD_TSN, 0, &to.to_be_bytes()));
    }

    /// What our side of the connection does.
    fn speak(&mut self, id: u16, how: u8, body: &[u8]) {
        if how & 1 == 0 {
            let label = String::from_utf8_lossy(body).into_owned();
            self.sctp.open_channel(label, how & 2 == 0, Reliability::Retransmits(u32::from(how >> 2)));
        } else {
            let _ = self.sctp.send(id, how & 2 == 0, body);
            self.sctp.buffered(id);
        }
    }

    /// One packet of chunks; RFC 9260 §3.1
    fn send(&mut self, chunks: &[u8]) {
        let mut packet = [&[0x13, 0x88, 0x13, 0x88][..], &self.tag.to_be_bytes(), &[0; 4], chunks].concat();
        let sum = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&sum);
        self.sctp.handle_packet(self.now, Bytes::from(packet));
    }

    fn poll_packet(&mut self) -> Option<Bytes> {
        self.sctp.poll_transmit(self.now)
    }

    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.note_events();
            if self.sctp.poll_timeout().is_some_and(|at| at <= self.now) {
                self.sctp.handle_timeout(self.now);
            } else if self.poll_packet().is_none() {
                return;
            }
        }
        panic!("no end of packets and timeouts");
    }

    fn note_events(&mut self) {
        while let Some(event) = self.sctp.poll_event() {
            match event {
                SctpEvent::Open { id, label, .. } => {
                    assert!(self.open.insert(id), "{id} opened twice");
                    assert!(self.open.len() <= DATA_CHANNELS_MAX && label.len() <= DATA_CHANNEL_LABEL_BYTES_MAX);
                }
                SctpEvent::Closed { id } => drop(self.open.remove(&id)),
                SctpEvent::Message { id, data, .. } => {
                    assert!(self.open.contains(&id) && data.len() <= DATA_MESSAGE_BYTES_MAX as usize);
                }
            }
        }
    }
}

fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u16 + 4).to_be_bytes();
    let mut chunk = [&[kind, flags][..], &length, value].concat();
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// The state cookie among an INIT ACK's parameters.
fn cookie(mut parameters: &[u8]) -> &[u8] {
    while let [k0, k1, l0, l1, ..] = *parameters {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([k0, k1]) == STATE_COOKIE {
            return &parameters[4..length];
        }
        parameters = &parameters[length.next_multiple_of(4)..];
    }
    panic!("an INIT ACK without a cookie");
}

/// RFC 9260 Appendix A
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82F6_3B78 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
