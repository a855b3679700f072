//! H.264 payloads: which packet begins a key frame, and its size (RFC 6184 §5, ITU-T H.264 §7.3.2.1).

use super::nal::{NalUnits, Unescaped};
use crate::wire::bits::BitReader;

const NAL_TYPE: u8 = 0x1F;
const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
/// Set in the first byte of a slice header if the slice is a picture's first: ue(v) of 0 is a single one bit.
const FIRST_SLICE: u8 = 0x80;

/// True in a packet with which a key frame may begin: one with a sequence parameter set or the first slice of an IDR
/// picture. The packets of one key frame may give several such: a forwarder starts at the first.
pub fn is_key_frame(payload: &[u8]) -> bool {
    match payload {
        [header, rest @ ..] if header & NAL_TYPE == FU_A => begins_key_fragment(rest),
        _ => nal_units(payload).any(begins_key),
    }
}

fn begins_key(unit: &[u8]) -> bool {
    match unit {
        [header, ..] if header & NAL_TYPE == SPS => true,
        [header, slice, ..] if header & NAL_TYPE == IDR => slice & FIRST_SLICE != 0,
        _ => false,
    }
}

/// `fragment` is what follows the FU indicator.
fn begins_key_fragment(fragment: &[u8]) -> bool {
    fragment.first().is_some_and(|header| header & FU_START != 0) && begins_key(fragment)
}

fn nal_units(payload: &[u8]) -> NalUnits<'_> {
    match payload {
        [header, rest @ ..] if header & NAL_TYPE == STAP_A => NalUnits::aggregated(rest),
        unit => NalUnits::single(unit),
    }
}

/// Width and height from a sequence parameter set in this packet.
pub fn key_frame_size(payload: &[u8]) -> Option<(u32, u32)> {
    let sps = nal_units(payload).find(|unit| unit.first().is_some_and(|header| header & NAL_TYPE == SPS))?;
    let unescaped = Unescaped::new(sps.get(1..)?);
    parse_sps(&mut BitReader::new(unescaped.bytes()))
}

/// Picture format of an SPS, as far as the size needs it.
struct Chroma {
    /// 4:0:0, 4:2:0, 4:2:2, 4:4:4.
    format: u32,
    separate_planes: bool,
}

fn parse_sps(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    let profile = bits.bits(8)?;
    bits.bits(16)?; // constraint flags, level
    bits.exp_golomb()?; // seq_parameter_set_id
    let chroma = if has_chroma(profile) { parse_chroma(bits)? } else { Chroma { format: 1, separate_planes: false } };
    bits.exp_golomb()?; // log2_max_frame_num_minus4
    skip_picture_order(bits)?;
    bits.exp_golomb()?; // max_num_ref_frames
    bits.bit()?; // gaps_in_frame_num_value_allowed_flag
    let width = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.exp_golomb()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?; // mb_adaptive_frame_field_flag
    }
    bits.bit()?; // direct_8x8_inference_flag
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units.checked_mul(16 * fields)?;
    let (cut_width, cut_height) = if bits.bit()? { parse_crop(bits, &chroma, fields)? } else { (0, 0) };
    Some((width.checked_sub(cut_width)?, height.checked_sub(cut_height)?))
}

/// The profiles whose SPS tells the chroma format (§7.3.2.1.1).
fn has_chroma(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn parse_chroma(bits: &mut BitReader<'_>) -> Option<Chroma> {
    let format = bits.exp_golomb()?;
    let separate_planes = format == 3 && bits.bit()?;
    bits.exp_golomb()?; // bit_depth_luma_minus8
    bits.exp_golomb()?; // bit_depth_chroma_minus8
    bits.bit()?; // qpprime_y_zero_transform_bypass_flag
    if bits.bit()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
        }
    }
    Some(Chroma { format, separate_planes })
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..if bits.bit()? { size } else { 0 } {
        if next != 0 {
            next = last.wrapping_add(bits.signed_exp_golomb()?) & 0xFF;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.exp_golomb()? {
        0 => bits.exp_golomb().map(drop), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.signed_exp_golomb()?; // offset_for_non_ref_pic
            bits.signed_exp_golomb()?; // offset_for_top_to_bottom_field
            (0..bits.exp_golomb()?).try_for_each(|_| bits.signed_exp_golomb().map(drop))
        }
        _ => Some(()),
    }
}

/// Pixels cut off the width and the height.
fn parse_crop(bits: &mut BitReader<'_>, chroma: &Chroma, fields: u32) -> Option<(u32, u32)> {
    let [left, right, top, bottom] = [bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?];
    let format = if chroma.separate_planes { 0 } else { chroma.format };
    let unit_width = if matches!(format, 1 | 2) { 2 } else { 1 };
    let unit_height = fields * if format == 1 { 2 } else { 1 };
    let width = left.checked_add(right)?.checked_mul(unit_width)?;
    Some((width, top.checked_add(bottom)?.checked_mul(unit_height)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// x264, High profile, 1920 x 1080: eight lines are cut off, emulation prevention inside.
    const SPS_1080: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xAC, 0xD9, 0x40, 0x78, 0x02, 0x27, 0xE5, 0xC0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
        0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C, 0x60, 0xC6, 0x58,
    ];
    /// Constrained baseline, 1280 x 720.
    const SPS_720: &[u8] = &[
        0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16, 0xEC, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00,
        0x0C, 0x23, 0xC6, 0x0C, 0xA8,
    ];
    const PPS: &[u8] = &[0x68, 0xCE, 0x3C, 0x80];
    const IDR: &[u8] = &[0x65, 0x88, 0x84];

    fn stap(units: &[&[u8]]) -> Vec<u8> {
        let mut payload = vec![0x78];
        for unit in units {
            payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        payload
    }

    #[test]
    fn tells_where_key_frames_begin() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("parameter set", SPS_720, true),
            ("picture parameter set", PPS, false),
            ("first slice of an IDR", IDR, true),
            ("second slice of an IDR", &[0x65, 0x40, 0x84], false),
            ("other slice", &[0x61, 0x88], false),
            ("aggregate with a parameter set", &stap(&[&[0x09, 0x10], SPS_720, PPS]), true),
            ("aggregate without", &stap(&[PPS, &[0x61, 0x88]]), false),
            ("aggregate cut before its parameter set", &[0x78, 0, 9, 0x67, 0x42], false),
            ("first fragment of an IDR", &[0x7C, 0x85, 0x88], true),
            ("next fragment of an IDR", &[0x7C, 0x05, 0x88], false),
            ("fragment of its second slice", &[0x7C, 0x85, 0x40], false),
            ("first fragment of another", &[0x7C, 0x81, 0x88], false),
            ("header only", &[0x65], false),
            ("fragment without header", &[0x7C], false),
            ("nothing", &[], false),
        ];
        for (name, payload, expected) in cases {
            assert_eq!(is_key_frame(payload), *expected, "{name}");
        }
    }

    #[test]
    fn parameter_sets_tell_the_size() {
        assert_eq!(key_frame_size(SPS_1080), Some((1920, 1080)));
        assert_eq!(key_frame_size(SPS_720), Some((1280, 720)));
        assert_eq!(key_frame_size(&stap(&[SPS_720, PPS])), Some((1280, 720)));
        assert_eq!(key_frame_size(IDR), None);
        for cut in 1..8 {
            assert_eq!(key_frame_size(&SPS_720[..cut]), None, "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut payload in proptest::collection::vec(any::<u8>(), 0..120), header in 0usize..4) {
            is_key_frame(&payload);
            if let Some(first) = payload.first_mut() {
                *first = [0x67, 0x78, 0x7C, 0x65][header];
            }
            is_key_frame(&payload);
            key_frame_size(&payload);
        }
    }
}
