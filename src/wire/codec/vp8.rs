//! VP8 payloads: the descriptor, its numbers rewritten in place, key frames and their size (RFC 7741 §4).

use super::fields::Reader;

pub use super::fields::PictureId;

const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0_PIC_IDX: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_IDX: u8 = 0x10;
const LAYER_SYNC: u8 = 0x20;
const KEY_IDX: u8 = 0x1F;
/// The P bit of the VP8 frame tag, clear on key frames (RFC 6386 §9.1).
const INTER_FRAME: u8 = 0x01;
const START_CODE: [u8; 3] = [0x9D, 0x01, 0x2A];

/// The payload descriptor in front of each packet's VP8 data (RFC 7741 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// No other frame refers to this one.
    pub non_reference: bool,
    /// S: a partition begins in this packet.
    pub start: bool,
    /// PID; 0 is the first partition, with the frame header.
    pub partition: u8,
    pub picture_id: Option<PictureId>,
    pub tl0_pic_idx: Option<u8>,
    /// Temporal layer, 0..=3.
    pub tid: Option<u8>,
    /// Y: this frame and its successors in this layer need only the base layer from before; false without `tid`.
    pub layer_sync: bool,
    /// 0..=31.
    pub key_idx: Option<u8>,
    /// Length of the descriptor.
    pub bytes: usize,
}

impl Descriptor {
    pub fn parse(payload: &[u8]) -> Option<Descriptor> {
        let mut reader = Reader::new(payload);
        let first = reader.take()?;
        let extended = reader.take_if(first & EXTENDED != 0)?.unwrap_or(0);
        let picture_id = reader.take_picture_id(extended & HAS_PICTURE_ID != 0)?;
        let tl0_pic_idx = reader.take_if(extended & HAS_TL0_PIC_IDX != 0)?;
        let layer = reader.take_if(extended & (HAS_TID | HAS_KEY_IDX) != 0)?.unwrap_or(0);
        let has_tid = extended & HAS_TID != 0;
        Some(Descriptor {
            non_reference: first & NON_REFERENCE != 0,
            start: first & START != 0,
            partition: first & PARTITION,
            picture_id,
            tl0_pic_idx,
            tid: has_tid.then_some(layer >> 6),
            layer_sync: has_tid && layer & LAYER_SYNC != 0,
            key_idx: (extended & HAS_KEY_IDX != 0).then_some(layer & KEY_IDX),
            bytes: reader.taken(),
        })
    }

    /// True in the first packet of a frame.
    pub fn starts_frame(&self) -> bool {
        self.start && self.partition == 0
    }
}

/// Numbers to write over a descriptor's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Cut to the bits the packet has for it.
    pub picture_id: u16,
    pub tl0_pic_idx: u8,
    pub key_idx: u8,
}

/// The descriptor in front of a whole frame of the lowest temporal layer, with the fields its stream has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// 15 bits.
    pub picture_id: Option<u16>,
    pub tl0_pic_idx: Option<u8>,
    /// 5 bits.
    pub key_idx: Option<u8>,
}

impl Start {
    /// Writes it to the front of `out` and returns its length; `None` if `out` is too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let id = self.picture_id.map(|id| PictureId::Long(id & 0x7FFF).to_bytes().0);
        // RFC 7741 §4.2: TL0PICIDX goes with a TID, and TID and KEYIDX share a byte.
        let tid = if self.tl0_pic_idx.is_some() { HAS_TL0_PIC_IDX | HAS_TID } else { 0 };
        let key = self.key_idx.map_or(0, |_| HAS_KEY_IDX);
        let fields = id.map_or(0, |_| HAS_PICTURE_ID) | tid | key;
        let layer = (tid | key != 0).then(|| self.key_idx.unwrap_or(0) & KEY_IDX);
        let extended = if fields == 0 { 0 } else { EXTENDED };
        let mut at = put(out, 0, &[START | extended]);
        at += if fields == 0 { 0 } else { put(out, at, &[fields]) };
        at += id.map_or(0, |id| put(out, at, &id));
        at += self.tl0_pic_idx.map_or(0, |index| put(out, at, &[index]));
        at += layer.map_or(0, |layer| put(out, at, &[layer]));
        (at <= out.len()).then_some(at)
    }
}

/// Writes `numbers` over those the payload's descriptor has; sizes and all other bits stay. A malformed payload is left
/// alone.
///
/// # Cost
/// No allocation, at most four bytes written.
pub fn rewrite(payload: &mut [u8], numbers: &Numbers) {
    let Some(descriptor) = Descriptor::parse(payload) else { return };
    // The descriptor was parsed, so these bytes are there: two of flags, then the fields in this order.
    let mut at = 2;
    if let Some(old) = descriptor.picture_id {
        let (bytes, used) = old.with_value(numbers.picture_id).to_bytes();
        at += put(payload, at, &bytes[..used]);
    }
    if descriptor.tl0_pic_idx.is_some() {
        at += put(payload, at, &[numbers.tl0_pic_idx]);
    }
    if let (Some(_), Some(layer)) = (descriptor.key_idx, payload.get_mut(at)) {
        *layer = *layer & !KEY_IDX | numbers.key_idx & KEY_IDX;
    }
}

fn put(payload: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    if let Some(place) = payload.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
    bytes.len()
}

/// True in the first packet of a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    key_frame_header(payload).is_some()
}

/// Width and height of the key frame that begins in this packet.
pub fn key_frame_size(payload: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, code @ .., w0, w1, h0, h1] = *key_frame_header(payload)?.first_chunk::<10>()?;
    // The two top bits of each are a scaling hint for the renderer.
    let pixels = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3FFF);
    (code == START_CODE).then(|| (pixels([w0, w1]), pixels([h0, h1])))
}

/// The VP8 data of a packet that begins a key frame.
fn key_frame_header(payload: &[u8]) -> Option<&[u8]> {
    let descriptor = Descriptor::parse(payload)?;
    let data = payload.get(descriptor.bytes..)?;
    let key = descriptor.starts_frame() && data.first()? & INTER_FRAME == 0;
    key.then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Frame tag of a key frame of 640 x 360 (with a scaling hint), start code and sizes.
    const KEY: [u8; 10] = [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x42, 0x68, 0x01];

    #[test]
    fn reads_descriptors_of_every_shape() {
        let start = Descriptor { start: true, ..Descriptor::default() };
        let long = Some(PictureId::Long(0x1234));
        let cases: &[(&[u8], Descriptor)] = &[
            (&[0x10], Descriptor { bytes: 1, ..start }),
            (&[0x23], Descriptor { non_reference: true, partition: 3, bytes: 1, ..Descriptor::default() }),
            (&[0x90, 0x00], Descriptor { bytes: 2, ..start }),
            (&[0x90, 0x80, 0x17], Descriptor { picture_id: Some(PictureId::Short(0x17)), bytes: 3, ..start }),
            (&[0x90, 0x80, 0x92, 0x34], Descriptor { picture_id: long, bytes: 4, ..start }),
            (&[0x90, 0x40, 0xAB], Descriptor { tl0_pic_idx: Some(0xAB), bytes: 3, ..start }),
            (&[0x90, 0x20, 0xBF], Descriptor { tid: Some(2), layer_sync: true, bytes: 3, ..start }),
            (&[0x90, 0x10, 0xFF], Descriptor { key_idx: Some(31), bytes: 3, ..start }),
            (
                &[0x90, 0xF0, 0x92, 0x34, 7, 0x45],
                Descriptor {
                    picture_id: long,
                    tl0_pic_idx: Some(7),
                    tid: Some(1),
                    key_idx: Some(5),
                    bytes: 6,
                    ..start
                },
            ),
        ];
        for (payload, expected) in cases {
            assert_eq!(Descriptor::parse(payload), Some(*expected), "{payload:02x?}");
            for cut in 0..payload.len() {
                assert_eq!(Descriptor::parse(&payload[..cut]), None, "{payload:02x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_key_frame_begins_in_the_first_packet_of_partition_0() {
        let with = |descriptor: &[u8], data: &[u8]| [descriptor, data].concat();
        assert!(is_key_frame(&with(&[0x10], &KEY)));
        assert!(is_key_frame(&with(&[0x90, 0x80, 0x92, 0x34], &KEY)));
        assert!(!is_key_frame(&with(&[0x00], &KEY)), "continues a partition");
        assert!(!is_key_frame(&with(&[0x11], &KEY)), "begins another partition");
        assert!(!is_key_frame(&with(&[0x10], &[0x11])), "inter frame");
        assert!(!is_key_frame(&[0x10]), "no data");
    }

    #[test]
    fn key_frames_tell_their_size() {
        let payload = [&[0x10], &KEY[..]].concat();
        assert_eq!(key_frame_size(&payload), Some((640, 360)));
        assert_eq!(key_frame_size(&payload[..10]), None, "cut");
        let mut wrong_code = payload.clone();
        wrong_code[4] = 0;
        assert_eq!(key_frame_size(&wrong_code), None);
    }

    #[test]
    fn rewriting_keeps_everything_else() {
        let numbers = Numbers { picture_id: 0x7FFF, tl0_pic_idx: 0xCC, key_idx: 0x3E };
        let cases: &[(&[u8], &[u8])] = &[
            (&[0x90, 0xF0, 0x92, 0x34, 7, 0x65, 0xDD], &[0x90, 0xF0, 0xFF, 0xFF, 0xCC, 0x7E, 0xDD]),
            (&[0x90, 0xF0, 0x12, 7, 0x65, 0xDD], &[0x90, 0xF0, 0x7F, 0xCC, 0x7E, 0xDD]),
            (&[0x90, 0x20, 0x65, 0xDD], &[0x90, 0x20, 0x65, 0xDD]),
            (&[0x90, 0x50, 7, 0x65, 0xDD], &[0x90, 0x50, 0xCC, 0x7E, 0xDD]),
            (&[0x10, 0xDD], &[0x10, 0xDD]),
            (&[0x90, 0x80], &[0x90, 0x80]),
        ];
        for (before, after) in cases {
            let mut payload = before.to_vec();
            rewrite(&mut payload, &numbers);
            assert_eq!(payload, *after, "{before:02x?}");
        }
    }

    #[test]
    fn the_start_of_a_frame_has_what_its_stream_has() {
        let start = Start { picture_id: Some(0x1234), tl0_pic_idx: Some(7), key_idx: Some(5) };
        let cases: &[(Start, &[u8])] = &[
            (start, &[0x90, 0xF0, 0x92, 0x34, 7, 0x05]),
            (Start { tl0_pic_idx: None, ..start }, &[0x90, 0x90, 0x92, 0x34, 0x05]),
            (Start { picture_id: None, key_idx: None, ..start }, &[0x90, 0x60, 7, 0x00]),
            (Start::default(), &[0x10]),
        ];
        for (start, bytes) in cases {
            let mut out = [0xEE; 6];
            let length = start.write(&mut out).unwrap();
            assert_eq!(out[..length], **bytes);
            let read = Descriptor::parse(&out[..length]).unwrap();
            assert!(read.starts_frame() && read.bytes == length);
            assert_eq!(start.write(&mut out[..length - 1]), None);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_rewritten(
            mut payload in vec(any::<u8>(), 0..20), picture_id: u16, tl0_pic_idx: u8, key_idx: u8,
        ) {
            is_key_frame(&payload);
            key_frame_size(&payload);
            let before = Descriptor::parse(&payload);
            rewrite(&mut payload, &Numbers { picture_id, tl0_pic_idx, key_idx });
            let expected = before.map(|before| Descriptor {
                picture_id: before.picture_id.map(|old| match old {
                    PictureId::Short(_) => PictureId::Short((picture_id & 0x7F) as u8),
                    PictureId::Long(_) => PictureId::Long(picture_id & 0x7FFF),
                }),
                tl0_pic_idx: before.tl0_pic_idx.map(|_| tl0_pic_idx),
                key_idx: before.key_idx.map(|_| key_idx & 31),
                ..before
            });
            prop_assert_eq!(Descriptor::parse(&payload), expected);
        }
    }
}
