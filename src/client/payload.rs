//! The headers in front of synthetic video: enough for whoever forwards it to find frames, layers, key frames and sizes.
//! Called by `encoder`. RFC 7741, RFC 6386 §9.1; RFC 6184; RFC 9628; RTP Payload Format for AV1 §4.4.

use super::media::VideoCodec;

/// The longest of all heads: a VP9 key frame's with three spatial layers.
pub const HEAD_BYTES_MAX: usize = 19;

/// The frame a packet belongs to, and its place in it.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    pub key_frame: bool,
    /// First, second and last packet of the frame.
    pub starts: bool,
    pub second: bool,
    pub ends: bool,
    /// 15 bits.
    pub picture_id: u16,
    pub tl0_pic_idx: u8,
    /// Temporal layer, and the highest there is.
    pub tid: u8,
    pub tids: u8,
    pub size: (u16, u16),
    pub spatial: Spatial,
}

/// The place among the layers of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spatial {
    /// 0 is the lowest.
    pub sid: u8,
    /// Their number, and their sizes.
    pub layers: u8,
    pub sizes: [(u16, u16); SPATIAL_LAYERS_MAX],
}

/// Most layers of a picture.
pub const SPATIAL_LAYERS_MAX: usize = 3;

/// Writes over the first bytes of a payload of at least [`HEAD_BYTES_MAX`] bytes.
pub fn write_head(codec: VideoCodec, picture: &Picture, payload: &mut [u8]) {
    match codec {
        VideoCodec::Vp8 => write_vp8(picture, payload),
        VideoCodec::H264 => write_h264(picture, payload),
        VideoCodec::Vp9 => write_vp9(picture, payload),
        VideoCodec::Av1 => write_av1(picture, payload),
    }
}

fn put(payload: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    if let Some(place) = payload.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
    at + bytes.len()
}

/// An extended descriptor with picture id of 15 bits, TL0PICIDX and TID (RFC 7741 §4.2); in the first packet the frame tag,
/// and for key frames start code and size (RFC 6386 §9.1).
fn write_vp8(picture: &Picture, payload: &mut [u8]) {
    let highest = picture.tid > 0 && picture.tid == picture.tids;
    let [high, low] = (0x8000 | picture.picture_id).to_be_bytes();
    let first = 0x80 | u8::from(highest) << 5 | u8::from(picture.starts) << 4;
    // Higher layers here refer to the base layer alone, so one may step up at each of them.
    let layer_sync = u8::from(picture.tid > 0) << 5;
    let at = put(payload, 0, &[first, 0xE0, high, low, picture.tl0_pic_idx, picture.tid << 6 | layer_sync]);
    if !picture.starts {
        return;
    }
    let at = put(payload, at, &[if picture.key_frame { 0x10 } else { 0x11 }, 0x02, 0x00]);
    if picture.key_frame {
        let at = put(payload, at, &[0x9D, 0x01, 0x2A]);
        let at = put(payload, at, &picture.size.0.to_le_bytes());
        put(payload, at, &picture.size.1.to_le_bytes());
    }
}

const H264_IDR: u8 = 5;
const H264_SLICE: u8 = 1;
const H264_STAP_A: u8 = 24;
const H264_FU_A: u8 = 28;
/// The most important NAL unit type of reference pictures (nal_ref_idc 3).
const H264_REFERENCE: u8 = 0x60;
/// first_mb_in_slice 0, then a slice type: one bit each, and a byte that begins with a set bit.
const H264_SLICE_HEAD: u8 = 0x88;
/// Sequence and picture parameter set, each behind its length: only their types and the profile mean something. LiveKit's
/// server knows a key frame by the former.
const H264_PARAMETERS: [u8; 10] = [0, 4, H264_REFERENCE | 7, 0x42, 0xE0, 0x1F, 0, 2, H264_REFERENCE | 8, 0xCE];

/// A frame is one slice, cut up as FU-A (RFC 6184 §5.8); start and end may not be set together, so what fits one packet is
/// a single NAL unit. A key frame's first packet is an aggregate (§5.7.1) of its parameter sets and a slice of its own.
fn write_h264(picture: &Picture, payload: &mut [u8]) {
    let kind = if picture.key_frame { H264_IDR } else { H264_SLICE };
    if picture.key_frame && picture.starts {
        let at = put(payload, 0, &[H264_REFERENCE | H264_STAP_A]);
        let at = put(payload, at, &H264_PARAMETERS);
        let rest = u16::try_from(payload.len().saturating_sub(at + 2)).unwrap_or(u16::MAX);
        let at = put(payload, at, &rest.to_be_bytes());
        put(payload, at, &[H264_REFERENCE | kind, H264_SLICE_HEAD]);
        return;
    }
    let slice_starts = if picture.key_frame { picture.second } else { picture.starts };
    if slice_starts && picture.ends {
        put(payload, 0, &[H264_REFERENCE | kind, H264_SLICE_HEAD]);
        return;
    }
    let start_end = u8::from(slice_starts) << 7 | u8::from(picture.ends) << 6;
    let at = put(payload, 0, &[H264_REFERENCE | H264_FU_A, start_end | kind]);
    if slice_starts {
        put(payload, at, &[H264_SLICE_HEAD]);
    }
}

/// Of the uncompressed header: frame marker, profile 0, shown (VP9 bitstream §6.2); then the type, 0 for key frames.
const VP9_FRAME: u8 = 0x82;

/// Non-flexible mode with picture id of 15 bits and layer indices; a key picture's first packet has the scalability
/// structure with the sizes of its spatial layers (RFC 9628 §4.2). A layer refers to the one below it in key pictures only.
fn write_vp9(picture: &Picture, payload: &mut [u8]) {
    let Spatial { sid, layers, sizes } = picture.spatial;
    let structured = picture.key_frame && picture.starts && sid == 0;
    let (refers_down, referred_to) = (picture.key_frame && sid > 0, picture.key_frame && sid + 1 < layers);
    let flags = [
        (true, 0x80),               // I: picture id
        (!picture.key_frame, 0x40), // P: refers to earlier pictures
        (true, 0x20),               // L: layer indices
        (picture.starts, 0x08),     // B
        (picture.ends, 0x04),       // E
        (structured, 0x02),         // V: scalability structure
        (!referred_to, 0x01),       // Z: no upper layer refers to it
    ];
    let first: u8 = flags.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
    let [high, low] = (0x8000 | picture.picture_id).to_be_bytes();
    // Higher layers refer to the base layer alone, so one may step up anywhere (U).
    let indices = picture.tid << 5 | 0x10 | sid << 1 | u8::from(refers_down);
    let mut at = put(payload, 0, &[first, high, low, indices, picture.tl0_pic_idx]);
    if structured {
        // So many spatial layers, their sizes, no picture group.
        at = put(payload, at, &[layers.saturating_sub(1) << 5 | 0x10]);
        for (width, height) in sizes.iter().take(usize::from(layers)) {
            at = put(payload, at, &width.to_be_bytes());
            at = put(payload, at, &height.to_be_bytes());
        }
    }
    if picture.starts {
        put(payload, at, &[VP9_FRAME | u8::from(!picture.key_frame || sid > 0) << 2]);
    }
}

/// Sequence header OBU and frame OBU, neither with a size field.
const AV1_SEQUENCE: u8 = 1 << 3;
const AV1_FRAME: u8 = 6 << 3;
/// Bytes the sequence header is said to have.
const AV1_SEQUENCE_BYTES: usize = 10;
/// Of the frame header: a new frame that is shown (AV1 bitstream §5.9.2); the type between, 0 for key frames.
const AV1_SHOWN: u8 = 0x10;

/// One frame OBU in pieces; a key frame's first packet begins a coded video sequence and has a sequence header before it
/// (RTP Payload Format for AV1 §4.4).
fn write_av1(picture: &Picture, payload: &mut [u8]) {
    let begins = picture.key_frame && picture.starts;
    let elements = if begins { 2 } else { 1 };
    let (continues, continued) = (u8::from(!picture.starts) << 7, u8::from(!picture.ends) << 6);
    let mut at = put(payload, 0, &[continues | continued | elements << 4 | u8::from(begins) << 3]);
    if begins {
        at = put(payload, at, &[AV1_SEQUENCE_BYTES as u8, AV1_SEQUENCE]) + AV1_SEQUENCE_BYTES - 1;
    }
    if picture.starts {
        put(payload, at, &[AV1_FRAME, AV1_SHOWN | u8::from(!picture.key_frame) << 5]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{self, Codec, av1, vp9};

    const CODECS: [(VideoCodec, Codec); 4] = [
        (VideoCodec::Vp8, Codec::Vp8),
        (VideoCodec::H264, Codec::H264),
        (VideoCodec::Vp9, Codec::Vp9),
        (VideoCodec::Av1, Codec::Av1),
    ];

    fn head(codec: VideoCodec, key_frame: bool, starts: bool, ends: bool) -> Vec<u8> {
        head_of(codec, &Picture { key_frame, starts, second: !starts, ends, ..PICTURE })
    }

    const PICTURE: Picture = Picture {
        key_frame: true,
        starts: false,
        second: false,
        ends: false,
        picture_id: 0x1234,
        tl0_pic_idx: 7,
        tid: 0,
        tids: 2,
        size: (1280, 720),
        spatial: Spatial { sid: 0, layers: 1, sizes: [(1280, 720); SPATIAL_LAYERS_MAX] },
    };

    fn head_of(codec: VideoCodec, picture: &Picture) -> Vec<u8> {
        let mut payload = vec![0x55; 100];
        write_head(codec, picture, &mut payload);
        payload
    }

    #[test]
    fn key_frames_are_known_by_their_first_packet_in_every_codec() {
        for (codec, read) in CODECS {
            for (starts, ends) in [(true, false), (true, true)] {
                assert!(codec::is_key_frame(read, &head(codec, true, starts, ends)), "{codec:?}");
                assert!(!codec::is_key_frame(read, &head(codec, false, starts, ends)), "{codec:?}");
            }
            assert!(!codec::is_key_frame(read, &head_of(codec, &PICTURE)), "{codec:?}");
        }
    }

    /// What LiveKit's server looks at (its mediatransportutil/pkg/codec/keyframe.go): other bits than ours.
    #[test]
    fn key_frames_carry_what_other_servers_know_them_by() {
        let stap = head(VideoCodec::H264, true, true, false);
        assert_eq!((stap[0] & 0x1F, stap[3] & 0x1F, stap[9] & 0x1F, stap[13] & 0x1F), (24, 7, 8, 5));
        assert_eq!(usize::from(u16::from_be_bytes([stap[11], stap[12]])), stap.len() - 13, "the rest is one slice");
        let second = head(VideoCodec::H264, true, false, false);
        assert_eq!((second[0] & 0x1F, second[1]), (28, 0x80 | 5), "another slice begins");
        assert_eq!(head(VideoCodec::H264, true, false, true)[0] & 0x1F, 5, "which may be one packet");
        assert_eq!(
            [true, false].map(|key| head(VideoCodec::Vp9, key, true, false)[if key { 10 } else { 5 }] & 0xCC),
            [0x80, 0x84]
        );
        let av1 = |key: bool| head(VideoCodec::Av1, key, true, false)[if key { 13 } else { 2 }] & 0xE0;
        assert_eq!([av1(true), av1(false)], [0x00, 0x20]);
    }

    #[test]
    fn vp9_tells_picture_layer_and_size() {
        let read = vp9::Descriptor::parse(&head(VideoCodec::Vp9, true, true, false)).unwrap();
        assert_eq!(read.picture_id.map(vp9::PictureId::value), Some(0x1234));
        assert_eq!(read.structure.and_then(|s| s.size()), Some((1280, 720)));
        assert!(read.frame_start && !read.frame_end && !read.flexible && read.bytes <= HEAD_BYTES_MAX);
        assert_eq!(read.layer.and_then(|l| l.tl0_pic_idx), Some(7));
    }

    #[test]
    fn layers_of_a_vp9_key_picture_refer_down_and_those_of_others_do_not() {
        let read = |sid, key_frame| {
            let spatial = Spatial { sid, layers: 3, sizes: [(320, 180), (640, 360), (1280, 720)] };
            let picture = Picture { key_frame, starts: true, ends: true, spatial, ..PICTURE };
            vp9::Descriptor::parse(&head_of(VideoCodec::Vp9, &picture)).unwrap()
        };
        let of = |sid, key_frame| {
            let read = read(sid, key_frame);
            let layer = read.layer.unwrap();
            (layer.sid, layer.inter_layer, read.not_upper_reference, read.inter_picture, read.starts_key_frame())
        };
        assert_eq!([of(0, true), of(1, true)], [(0, false, false, false, true), (1, true, false, false, false)]);
        assert_eq!([of(2, true), of(2, false)], [(2, true, true, false, false), (2, false, true, true, false)]);
        let structure = read(0, true).structure.unwrap();
        assert_eq!((structure.spatial_layers, structure.size()), (3, Some((1280, 720))));
        assert!(read(1, true).structure.is_none() && read(0, true).bytes < HEAD_BYTES_MAX);
    }

    #[test]
    fn av1_elements_are_pieces_of_one_frame() {
        let first = head(VideoCodec::Av1, true, true, false);
        assert_eq!(
            av1::elements(&first).map(<[u8]>::len).collect::<Vec<_>>(),
            [AV1_SEQUENCE_BYTES, 100 - 2 - AV1_SEQUENCE_BYTES]
        );
        let header = av1::AggregationHeader::parse(&head(VideoCodec::Av1, true, false, true)).unwrap();
        assert!(header.continues && !header.continued && !header.new_sequence);
    }
}
