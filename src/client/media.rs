//! Synthetic media: Opus and VP8 payloads with true headers and meaningless contents, each with a stamp at its end.
//! Called by `outgoing`; knows payloads, not RTP. RFC 7587, RFC 7741, RFC 6386 §9.1.

use super::stamp::{STAMP_BYTES, Stamp};
use std::time::Duration;

/// A microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSource {
    pub bitrate_bps: u32,
    /// Loudness told in the audio-level extension, in -dBov: 0 is loudest, 127 silence.
    pub level: u8,
}

impl Default for AudioSource {
    fn default() -> AudioSource {
        AudioSource { bitrate_bps: 32_000, level: 30 }
    }
}

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoSource {
    pub fps: u32,
    /// 1..=3.
    pub temporal_layers: u8,
    /// From the lowest up; more than one are simulcast.
    pub layers: Vec<Layer>,
}

/// One encoding of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub width: u16,
    pub height: u16,
    pub bitrate_bps: u32,
}

/// RIDs of simulcast encodings from the lowest up (WIRE.md §3.12).
pub const RIDS: [&str; 3] = ["q", "h", "f"];

impl VideoSource {
    /// One encoding of 640x360.
    pub fn p360(bitrate_bps: u32) -> VideoSource {
        VideoSource { fps: 30, temporal_layers: 1, layers: vec![Layer { width: 640, height: 360, bitrate_bps }] }
    }

    /// One encoding of 1280x720.
    pub fn p720(bitrate_bps: u32) -> VideoSource {
        VideoSource { fps: 30, temporal_layers: 1, layers: vec![Layer { width: 1280, height: 720, bitrate_bps }] }
    }

    /// 1280x720 with halves and quarters, at the bit rates of LiveKit's JS client, three temporal layers each.
    pub fn simulcast() -> VideoSource {
        let layer = |width, height, bitrate_bps| Layer { width, height, bitrate_bps };
        let layers = vec![layer(320, 180, 160_000), layer(640, 360, 450_000), layer(1280, 720, 1_700_000)];
        VideoSource { fps: 30, temporal_layers: 3, layers }
    }

    pub fn frame_interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps.max(1)
    }
}

/// Time between Opus packets.
pub const OPUS_FRAME: Duration = Duration::from_millis(20);
/// The same in units of its 48 kHz clock.
pub const OPUS_FRAME_TICKS: u32 = 960;

/// CELT-only fullband, 20 ms, mono, one frame (RFC 6716 §3.1).
const OPUS_TOC: u8 = 31 << 3;

/// Where frames and packets of one encoding are counted.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    packets: u32,
    frames: u32,
}

/// Makes Opus packets.
#[derive(Clone, Debug)]
pub struct Opus {
    bytes: usize,
    count: Count,
}

impl Opus {
    pub fn new(source: &AudioSource) -> Opus {
        let bytes = source.bitrate_bps as usize / 8 / 50;
        Opus { bytes: bytes.clamp(1 + STAMP_BYTES, PAYLOAD_BYTES_MAX), count: Count::default() }
    }

    /// Fills `payload` with the next packet.
    pub fn next(&mut self, sent_us: u64, payload: &mut Vec<u8>) {
        payload.clear();
        payload.resize(self.bytes, FILLING);
        payload[0] = OPUS_TOC;
        let Count { packets: number, frames: frame } = self.count;
        Stamp { number, frame, index: 0, count: 1, layer: 0, key_frame: false, sent_us }.write(payload);
        self.count = Count { packets: number.wrapping_add(1), frames: frame.wrapping_add(1) };
    }
}

/// What fills payloads: neither zeros nor anything that looks like a header.
const FILLING: u8 = 0x55;
/// Leaves room for RTP with extensions, SRTP, RTX and a relay below 1280 bytes.
const PAYLOAD_BYTES_MAX: usize = 1150;
/// Descriptor, key frame header and stamp.
const VP8_PAYLOAD_BYTES_MIN: usize = DESCRIPTOR_BYTES + 10 + STAMP_BYTES;
const DESCRIPTOR_BYTES: usize = 6;
/// A key frame takes as much as so many others.
const KEY_FRAME_FACTOR: usize = 4;

/// Temporal layers of the pictures of one cycle.
const PATTERNS: [&[u8]; 3] = [&[0], &[0, 1], &[0, 2, 1, 2]];

/// Makes VP8 frames of one encoding.
#[derive(Clone, Debug)]
pub struct Vp8 {
    layer: Layer,
    index: u8,
    delta_bytes: usize,
    pattern: &'static [u8],
    /// Place in the pattern; key frames begin it.
    step: usize,
    picture_id: u16,
    tl0_pic_idx: u8,
    count: Count,
    wants_key_frame: bool,
}

/// A frame being cut into packets.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub packets: u16,
    pub key_frame: bool,
    bytes_each: usize,
    tid: u8,
}

impl Vp8 {
    /// `index` is the place of `layer` in the source. The first frame is a key frame.
    pub fn new(source: &VideoSource, layer: Layer, index: u8, picture_id: u16) -> Vp8 {
        let pattern = PATTERNS[usize::from(source.temporal_layers.clamp(1, 3)) - 1];
        Vp8 {
            layer,
            index,
            delta_bytes: layer.bitrate_bps as usize / 8 / source.fps.max(1) as usize,
            pattern,
            step: 0,
            picture_id: picture_id & 0x7FFF,
            tl0_pic_idx: 0,
            count: Count::default(),
            wants_key_frame: true,
        }
    }

    pub fn request_key_frame(&mut self) {
        self.wants_key_frame = true;
    }

    /// Begins the next frame; its packets are to be taken in order by [`Vp8::packet`].
    pub fn next_frame(&mut self) -> Frame {
        let key_frame = std::mem::take(&mut self.wants_key_frame);
        if key_frame {
            self.step = 0;
        }
        let tid = self.pattern[self.step % self.pattern.len()];
        self.step += 1;
        self.picture_id = (self.picture_id + 1) & 0x7FFF;
        self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(u8::from(tid == 0));
        self.count.frames = self.count.frames.wrapping_add(1);
        let bytes = self.delta_bytes * if key_frame { KEY_FRAME_FACTOR } else { 1 };
        let room = PAYLOAD_BYTES_MAX - DESCRIPTOR_BYTES;
        let packets = bytes.div_ceil(room).clamp(1, usize::from(u16::MAX));
        let bytes_each = (bytes.div_ceil(packets) + DESCRIPTOR_BYTES).clamp(VP8_PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MAX);
        Frame { packets: packets as u16, key_frame, bytes_each, tid }
    }

    /// Fills `payload` with that packet of the frame.
    pub fn packet(&mut self, frame: &Frame, index: u16, sent_us: u64, payload: &mut Vec<u8>) {
        payload.clear();
        payload.resize(frame.bytes_each, FILLING);
        payload[..DESCRIPTOR_BYTES].copy_from_slice(&self.descriptor(frame, index == 0));
        if index == 0 {
            self.write_frame_header(frame.key_frame, &mut payload[DESCRIPTOR_BYTES..]);
        }
        let Count { packets: number, frames } = self.count;
        let (count, layer, key_frame) = (frame.packets, self.index, frame.key_frame);
        Stamp { number, frame: frames, index, count, layer, key_frame, sent_us }.write(payload);
        self.count.packets = number.wrapping_add(1);
    }

    /// Extended, with picture id of 15 bits, TL0PICIDX and TID (RFC 7741 §4.2).
    fn descriptor(&self, frame: &Frame, start: bool) -> [u8; DESCRIPTOR_BYTES] {
        let highest = frame.tid > 0 && u32::from(frame.tid) == self.pattern.len().ilog2();
        let [high, low] = (0x8000 | self.picture_id).to_be_bytes();
        let first = 0x80 | u8::from(highest) << 5 | u8::from(start) << 4;
        // Higher layers here refer to the base layer alone, so one may step up at each of them.
        let layer_sync = u8::from(frame.tid > 0) << 5;
        [first, 0xE0, high, low, self.tl0_pic_idx, frame.tid << 6 | layer_sync]
    }

    /// Frame tag, and for key frames start code and size (RFC 6386 §9.1).
    fn write_frame_header(&self, key_frame: bool, out: &mut [u8]) {
        out[..3].copy_from_slice(&[if key_frame { 0x10 } else { 0x11 }, 0x02, 0x00]);
        if key_frame {
            out[3..6].copy_from_slice(&[0x9D, 0x01, 0x2A]);
            out[6..8].copy_from_slice(&self.layer.width.to_le_bytes());
            out[8..10].copy_from_slice(&self.layer.height.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::vp8::{Descriptor, PictureId, is_key_frame, key_frame_size};

    fn frames(source: &VideoSource, count: usize) -> Vec<Vec<Vec<u8>>> {
        let mut vp8 = Vp8::new(source, source.layers[0], 0, 0x7FFF);
        let mut payload = Vec::new();
        let mut frame = || {
            let frame = vp8.next_frame();
            let packet = |index| {
                vp8.packet(&frame, index, 5, &mut payload);
                payload.clone()
            };
            (0..frame.packets).map(packet).collect()
        };
        (0..count).map(|_| frame()).collect()
    }

    #[test]
    fn a_key_frame_begins_and_tells_its_size() {
        let all = frames(&VideoSource::p720(2_000_000), 3);
        assert_eq!(key_frame_size(&all[0][0]), Some((1280, 720)));
        assert!(!is_key_frame(&all[1][0]) && !is_key_frame(&all[0][1]));
        let starts = |p: &Vec<u8>| Descriptor::parse(p).unwrap().starts_frame();
        assert!(all.iter().all(|f| starts(&f[0]) && !f[1..].iter().any(starts)));
        let ids: Vec<_> = all.iter().map(|f| Descriptor::parse(&f[0]).unwrap().picture_id.unwrap()).collect();
        assert_eq!(ids, [0, 1, 2].map(PictureId::Long));
    }

    #[test]
    fn frames_have_the_bit_rate_and_equal_packets() {
        let all = frames(&VideoSource::p720(2_000_000), 31);
        let bytes: usize = all[1..].iter().flatten().map(|p| p.len() - DESCRIPTOR_BYTES).sum();
        assert!(bytes.abs_diff(250_000) < 2500, "{bytes} bytes a second");
        assert!(all.iter().all(|f| f.iter().all(|p| p.len() == f[0].len() && p.len() <= PAYLOAD_BYTES_MAX)));
        let numbers = all.iter().flatten().map(|p| Stamp::read(p).unwrap().number);
        assert!(numbers.enumerate().all(|(i, n)| n as usize == i));
    }

    #[test]
    fn temporal_layers_follow_the_pattern() {
        let source = VideoSource { temporal_layers: 3, ..VideoSource::p360(300_000) };
        let read: Vec<_> = frames(&source, 8).iter().map(|f| Descriptor::parse(&f[0]).unwrap()).collect();
        assert_eq!(read.iter().map(|d| d.tid.unwrap()).collect::<Vec<_>>(), [0, 2, 1, 2, 0, 2, 1, 2]);
        assert_eq!(read.iter().map(|d| d.tl0_pic_idx.unwrap()).collect::<Vec<_>>(), [1, 1, 1, 1, 2, 2, 2, 2]);
        assert!(read.iter().all(|d| d.non_reference == (d.tid == Some(2))));
    }

    #[test]
    fn opus_packets_have_the_bit_rate() {
        let mut opus = Opus::new(&AudioSource::default());
        let mut payload = Vec::new();
        (0..2).for_each(|_| opus.next(9, &mut payload));
        assert_eq!((payload.len(), payload[0]), (80, OPUS_TOC));
        assert_eq!(Stamp::read(&payload).unwrap().number, 1);
    }

    #[test]
    fn a_starved_encoder_still_has_room_for_its_stamp() {
        let all = frames(&VideoSource::p360(1), 2);
        assert!(all.iter().all(|f| f.len() == 1 && Stamp::read(&f[0]).is_some()));
        let mut payload = Vec::new();
        Opus::new(&AudioSource { bitrate_bps: 0, level: 0 }).next(1, &mut payload);
        assert!(Stamp::read(&payload).is_some());
    }
}
