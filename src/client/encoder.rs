//! Synthetic video: the frames of one encoding, cut into packets of equal size, each with its codec's headers in front,
//! meaningless contents and a stamp at its end. Called by `outgoing`; the headers are in `payload`.

use super::media::{Count, FILLING, Layer, PAYLOAD_BYTES_MAX, VideoCodec, VideoSource};
use super::payload::{self, HEAD_BYTES_MAX, Picture, SPATIAL_LAYERS_MAX, Spatial};
use super::stamp::{STAMP_BYTES, Stamp};

/// Headers and stamp.
const BYTES_MIN: usize = HEAD_BYTES_MAX + STAMP_BYTES;
/// A key frame takes as much as so many others, and what it takes more is saved on those that follow.
const KEY_FRAME_FACTOR: usize = 4;
/// The share of each following frame that is saved.
const SAVED_SHARE: usize = 5;

/// Temporal layers of the pictures of one cycle.
const PATTERNS: [&[u8]; 3] = [&[0], &[0, 1], &[0, 2, 1, 2]];

/// Makes the frames of one encoding.
#[derive(Clone, Debug)]
pub struct Encoder {
    codec: VideoCodec,
    layer: Layer,
    index: u8,
    spatial: Spatial,
    fps: u32,
    delta_bytes: usize,
    /// What key frames took too much.
    debt_bytes: usize,
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
    /// So many of the last packets are a byte longer, as where encoders cut pictures into about equal parts.
    longer: u16,
    tid: u8,
}

impl Encoder {
    /// `index` is the place of `layer` in the source. The first frame is a key frame. Only VP8 and VP9 tell temporal layers
    /// in their payloads, so only they have some.
    pub fn new(codec: VideoCodec, source: &VideoSource, layer: Layer, index: u8, picture_id: u16) -> Encoder {
        let scalable = matches!(codec, VideoCodec::Vp8 | VideoCodec::Vp9);
        let layers = if scalable { source.temporal_layers.clamp(1, 3) } else { 1 };
        let mut encoder = Encoder {
            codec,
            layer,
            index,
            spatial: Spatial { sid: 0, layers: 1, sizes: [(layer.width, layer.height); SPATIAL_LAYERS_MAX] },
            fps: source.fps.max(1),
            delta_bytes: 0,
            debt_bytes: 0,
            pattern: PATTERNS[usize::from(layers) - 1],
            step: 0,
            picture_id: picture_id & 0x7FFF,
            tl0_pic_idx: 0,
            count: Count::default(),
            wants_key_frame: true,
        };
        encoder.set_bitrate(layer.bitrate_bps);
        encoder
    }

    /// The spatial layers of one stream, from the lowest up: they are to be asked for frames and key frames together.
    pub fn scalable(codec: VideoCodec, source: &VideoSource, picture_id: u16) -> Vec<Encoder> {
        let mut sizes = [(0, 0); SPATIAL_LAYERS_MAX];
        sizes.iter_mut().zip(&source.layers).for_each(|(size, layer)| *size = (layer.width, layer.height));
        let layers = source.layers.len().min(SPATIAL_LAYERS_MAX) as u8;
        let one = |(layer, sid): (&Layer, u8)| {
            let spatial = Spatial { sid, layers, sizes };
            Encoder { spatial, ..Encoder::new(codec, source, *layer, sid, picture_id) }
        };
        source.layers.iter().zip(0..layers).map(one).collect()
    }

    pub fn request_key_frame(&mut self) {
        self.wants_key_frame = true;
    }

    /// From the next frame on.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.delta_bytes = bitrate_bps as usize / 8 / self.fps as usize;
    }

    /// Begins the next frame; its packets are to be taken in order by [`Encoder::packet`].
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
        let bytes = self.next_bytes(key_frame);
        let packets = bytes.div_ceil(PAYLOAD_BYTES_MAX).clamp(1, usize::from(u16::MAX));
        let bytes_each = (bytes / packets).clamp(BYTES_MIN, PAYLOAD_BYTES_MAX);
        let longer = if bytes_each < PAYLOAD_BYTES_MAX { bytes % packets } else { 0 };
        Frame { packets: packets as u16, key_frame, bytes_each, longer: longer as u16, tid }
    }

    fn next_bytes(&mut self, key_frame: bool) -> usize {
        if key_frame {
            self.debt_bytes += self.delta_bytes * (KEY_FRAME_FACTOR - 1);
            return self.delta_bytes * KEY_FRAME_FACTOR;
        }
        let saved = self.debt_bytes.min(self.delta_bytes / SAVED_SHARE);
        self.debt_bytes -= saved;
        self.delta_bytes - saved
    }

    /// Fills `payload` with that packet of the frame.
    pub fn packet(&mut self, frame: &Frame, index: u16, sent_us: u64, payload: &mut Vec<u8>) {
        payload.clear();
        let is_longer = index >= frame.packets - frame.longer;
        payload.resize(frame.bytes_each + usize::from(is_longer), FILLING);
        let picture = Picture {
            key_frame: frame.key_frame,
            starts: index == 0,
            second: index == 1,
            ends: index + 1 == frame.packets,
            picture_id: self.picture_id,
            tl0_pic_idx: self.tl0_pic_idx,
            tid: frame.tid,
            tids: self.pattern.len().ilog2() as u8,
            size: (self.layer.width, self.layer.height),
            spatial: self.spatial,
        };
        payload::write_head(self.codec, &picture, payload);
        let Count { packets: number, frames } = self.count;
        let (count, layer, key_frame) = (frame.packets, self.index, frame.key_frame);
        let scalable = self.spatial.layers > 1;
        Stamp { number, frame: frames, index, count, layer, scalable, key_frame, sent_us }.write(payload);
        self.count.packets = number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::vp8::{Descriptor, PictureId};
    use crate::wire::codec::{self, Codec};

    fn frames(source: &VideoSource, count: usize) -> Vec<Vec<Vec<u8>>> {
        let mut vp8 = Encoder::new(VideoCodec::Vp8, source, source.layers[0], 0, 0x7FFF);
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
        assert_eq!(codec::key_frame_size(Codec::Vp8, &all[0][0]), Some((1280, 720)));
        assert!([&all[1][0], &all[0][1]].iter().all(|packet| !codec::is_key_frame(Codec::Vp8, packet)));
        let starts = |p: &Vec<u8>| Descriptor::parse(p).unwrap().starts_frame();
        assert!(all.iter().all(|f| starts(&f[0]) && !f[1..].iter().any(starts)));
        let ids: Vec<_> = all.iter().map(|f| Descriptor::parse(&f[0]).unwrap().picture_id.unwrap()).collect();
        assert_eq!(ids, [0, 1, 2].map(PictureId::Long));
    }

    #[test]
    fn frames_have_the_bit_rate_and_packets_of_about_equal_size() {
        let all = frames(&VideoSource::p720(2_000_000), 31);
        let bytes: usize = all[..30].iter().flatten().map(Vec::len).sum();
        assert!(bytes.abs_diff(250_000) < 2500, "{bytes} bytes a second, the key frame among them");
        assert!(all.iter().all(|f| f.iter().all(|p| p.len() - f[0].len() <= 1 && p.len() <= PAYLOAD_BYTES_MAX)));
        assert!(all.iter().any(|f| f[0].len() < f[f.len() - 1].len()), "the last ones are longer");
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
    fn a_starved_encoder_still_has_room_for_its_stamp() {
        let all = frames(&VideoSource::p360(1), 2);
        assert!(all.iter().all(|f| f.len() == 1 && Stamp::read(&f[0]).is_some()));
    }

    #[test]
    fn the_bit_rate_can_change() {
        let source = VideoSource::p720(2_000_000);
        let mut encoder = Encoder::new(VideoCodec::H264, &source, source.layers[0], 0, 0);
        (0..31).for_each(|_| {
            encoder.next_frame();
        });
        let before = encoder.next_frame().packets;
        encoder.set_bitrate(1_000_000);
        assert_eq!((before, encoder.next_frame().packets), (8, 4));
    }
}
