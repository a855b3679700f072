//! What a subscriber makes of the packets that reach it: pictures, sound, and the feedback a browser would send.

use lkops::media::TransportFeedback;
use lkops::wire::codec::{vp8, vp9};
use lkops::wire::ext;
use lkops::wire::rtcp::{write_nack, write_pli};
use lkops::wire::rtp::RtpHeader;
use lkops::wire::seq::Unwrapper;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const VIDEO_SSRC: u32 = 7;
pub const RTX_SSRC: u32 = 8;
pub const AUDIO_SSRC: u32 = 9;
pub const TRANSPORT_CC: u8 = 5;
const REORDER_MS: u64 = 10;
const NACK_EVERY_MS: u64 = 60;
const NACKS_MAX: u8 = 8;
/// A picture missing this long is asked for anew.
const PLI_AFTER_MS: u64 = 250;

#[derive(Clone, Copy)]
struct Piece {
    timestamp: u32,
    marker: bool,
    key_start: bool,
}

#[derive(Clone, Copy)]
struct Missing {
    since_ms: u64,
    asked_ms: Option<u64>,
    tries: u8,
}

pub struct Viewer {
    epoch: Instant,
    /// VP9, else VP8.
    is_vp9: bool,
    feedback: TransportFeedback,
    sequences: Unwrapper<u16>,
    pieces: BTreeMap<u64, Piece>,
    missing: BTreeMap<u64, Missing>,
    newest: Option<u64>,
    /// The next packet the decoder needs; before the first key frame none.
    next: Option<u64>,
    stuck_since: Option<u64>,
    asked_picture: Option<u64>,
    /// When a picture was last complete.
    pub shown_ms: Option<u64>,
    pub longest_freeze_ms: u64,
    pub pictures: u64,
    pub audio_received: u64,
    pub video_bytes: u64,
}

fn starts_key_frame(payload: &[u8]) -> bool {
    let descriptor = vp8::Descriptor::parse(payload).expect("a descriptor");
    let key = payload.get(descriptor.bytes).is_some_and(|first| first & 1 == 0);
    key && payload[0] & 0x10 != 0
}

fn starts_key_picture(payload: &[u8]) -> bool {
    vp9::Descriptor::parse(payload).expect("a descriptor").starts_key_frame()
}

impl Viewer {
    pub fn new(epoch: Instant, is_vp9: bool) -> Viewer {
        Viewer {
            epoch,
            is_vp9,
            feedback: TransportFeedback::new(epoch),
            sequences: Unwrapper::new(),
            pieces: BTreeMap::new(),
            missing: BTreeMap::new(),
            newest: None,
            next: None,
            stuck_since: None,
            asked_picture: None,
            shown_ms: None,
            longest_freeze_ms: 0,
            pictures: 0,
            audio_received: 0,
            video_bytes: 0,
        }
    }

    pub fn take(&mut self, us: u64, packet: &[u8]) {
        let header = RtpHeader::parse(packet).expect("a packet");
        if header.ssrc == AUDIO_SSRC {
            self.audio_received += 1;
            return;
        }
        let number = header.extension(packet, TRANSPORT_CC).and_then(ext::transport_sequence).expect("a number");
        self.feedback.note(self.epoch + Duration::from_micros(us), number, header.marker);
        let payload = header.payload(packet);
        match header.ssrc {
            RTX_SSRC if payload.len() > 2 => {
                let sequence = u16::from_be_bytes([payload[0], payload[1]]);
                self.keep(us / 1_000, sequence, &header, &payload[2..]);
            }
            VIDEO_SSRC => self.keep(us / 1_000, header.sequence, &header, payload),
            _ => {}
        }
    }

    fn keep(&mut self, ms: u64, sequence: u16, header: &RtpHeader, payload: &[u8]) {
        self.video_bytes += payload.len() as u64;
        let sequence = self.sequences.unwrap(sequence);
        let key_start = if self.is_vp9 { starts_key_picture(payload) } else { starts_key_frame(payload) };
        self.note_gap(ms, sequence);
        self.missing.remove(&sequence);
        self.pieces.insert(sequence, Piece { timestamp: header.timestamp, marker: header.marker, key_start });
        self.show(ms);
    }

    fn note_gap(&mut self, ms: u64, sequence: u64) {
        let newest = self.newest.unwrap_or(sequence);
        let since = Missing { since_ms: ms, asked_ms: None, tries: 0 };
        self.missing.extend((newest + 1..sequence).map(|gap| (gap, since)));
        self.newest = Some(newest.max(sequence));
    }

    /// Shows every picture that is complete and follows from what was shown.
    fn show(&mut self, ms: u64) {
        loop {
            let from = self.next.filter(|next| self.end_of_picture(*next).is_some());
            let from = from.or_else(|| self.complete_key_frame());
            let Some((from, end)) = from.and_then(|from| Some((from, self.end_of_picture(from)?))) else { break };
            self.pieces = self.pieces.split_off(&(end + 1));
            self.missing = self.missing.split_off(&(end + 1));
            debug_assert!(from <= end);
            self.next = Some(end + 1);
            self.note_picture(ms);
        }
        let waits = self.next.is_none() || self.newest >= self.next;
        self.stuck_since = if waits { self.stuck_since.or(Some(ms)) } else { None };
    }

    fn note_picture(&mut self, ms: u64) {
        let frozen = self.shown_ms.map_or(0, |shown| ms - shown);
        self.longest_freeze_ms = self.longest_freeze_ms.max(frozen);
        self.shown_ms = Some(ms);
        self.pictures += 1;
        self.stuck_since = None;
    }

    fn end_of_picture(&self, from: u64) -> Option<u64> {
        let first = self.pieces.get(&from)?;
        let mut at = from;
        loop {
            let piece = self.pieces.get(&at).filter(|piece| piece.timestamp == first.timestamp)?;
            if piece.marker {
                return Some(at);
            }
            at += 1;
        }
    }

    fn complete_key_frame(&self) -> Option<u64> {
        let keys = self.pieces.iter().rev().filter(|(_, piece)| piece.key_start);
        keys.map(|(sequence, _)| *sequence).find(|sequence| self.end_of_picture(*sequence).is_some())
    }

    /// The picture has not moved until now.
    pub fn note_time(&mut self, ms: u64) {
        let frozen = self.shown_ms.map_or(0, |shown| ms - shown);
        self.longest_freeze_ms = self.longest_freeze_ms.max(frozen);
    }

    /// Appends the RTCP that is due.
    pub fn feed_back(&mut self, ms: u64, out: &mut Vec<u8>) {
        self.feedback.poll(self.epoch + Duration::from_millis(ms), 1, VIDEO_SSRC, out);
        let mut lost = Vec::new();
        for (sequence, missing) in &mut self.missing {
            let due = missing.asked_ms.map_or(missing.since_ms + REORDER_MS, |asked| asked + NACK_EVERY_MS);
            if ms >= due && missing.tries < NACKS_MAX {
                (missing.asked_ms, missing.tries) = (Some(ms), missing.tries + 1);
                lost.push(*sequence as u16);
            }
        }
        write_nack(out, 1, VIDEO_SSRC, &lost);
        let stuck = self.stuck_since.is_some_and(|since| ms >= since + PLI_AFTER_MS);
        if stuck && self.asked_picture.is_none_or(|asked| ms >= asked + PLI_AFTER_MS) {
            self.asked_picture = Some(ms);
            write_pli(out, 1, VIDEO_SSRC);
        }
    }
}
