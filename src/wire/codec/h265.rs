//! H.265 payloads: which packet begins a key frame, and its size (RFC 7798 §4.4, ITU-T H.265 §7.3.2.2).

use super::nal::{NalUnits, Unescaped};
use crate::wire::bits::BitReader;

const VPS: u8 = 32;
const SPS: u8 = 33;
/// BLA, IDR and CRA pictures.
const RANDOM_ACCESS: std::ops::RangeInclusive<u8> = 16..=21;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const FU_START: u8 = 0x80;
const FU_TYPE: u8 = 0x3F;
/// first_slice_segment_in_pic_flag.
const FIRST_SLICE: u8 = 0x80;

fn nal_type(header: u8) -> u8 {
    header >> 1 & 0x3F
}

/// True in a packet with which a key frame may begin: one with a video or sequence parameter set or the first slice of
/// a random access picture. The packets of one key frame may give several such: a forwarder starts at the first.
///
/// DONL fields are not expected: no client negotiates `sprop-max-don-diff`.
pub fn is_key_frame(payload: &[u8]) -> bool {
    match payload {
        [header, _, fragment, slice, ..] if nal_type(*header) == FRAGMENTATION => {
            fragment & FU_START != 0 && begins_key(fragment & FU_TYPE, *slice)
        }
        _ => nal_units(payload).any(|unit| match unit {
            [header, _, slice, ..] => begins_key(nal_type(*header), *slice),
            _ => false,
        }),
    }
}

fn begins_key(nal_type: u8, slice: u8) -> bool {
    matches!(nal_type, VPS | SPS) || RANDOM_ACCESS.contains(&nal_type) && slice & FIRST_SLICE != 0
}

fn nal_units(payload: &[u8]) -> NalUnits<'_> {
    match payload {
        [header, _, rest @ ..] if nal_type(*header) == AGGREGATION => NalUnits::aggregated(rest),
        unit => NalUnits::single(unit),
    }
}

/// Width and height from a sequence parameter set in this packet.
pub fn key_frame_size(payload: &[u8]) -> Option<(u32, u32)> {
    let sps = nal_units(payload).find(|unit| unit.first().is_some_and(|header| nal_type(*header) == SPS))?;
    let unescaped = Unescaped::new(sps.get(2..)?);
    parse_sps(&mut BitReader::new(unescaped.bytes()))
}

fn parse_sps(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    bits.bits(4)?; // sps_video_parameter_set_id
    let sub_layers_minus_one = bits.bits(3)?;
    bits.bit()?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(bits, sub_layers_minus_one)?;
    bits.exp_golomb()?; // sps_seq_parameter_set_id
    let chroma_format = bits.exp_golomb()?;
    let separate_planes = chroma_format == 3 && bits.bit()?;
    let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let format = if separate_planes { 0 } else { chroma_format };
    let (cut_width, cut_height) = if bits.bit()? { parse_window(bits, format)? } else { (0, 0) };
    Some((width.checked_sub(cut_width)?, height.checked_sub(cut_height)?))
}

/// profile_tier_level (§7.3.3): 88 bits of general profile, 8 of level, then the same for sub-layers that have it.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers_minus_one: u32) -> Option<()> {
    skip(bits, 88 + 8)?;
    let mut present = 0;
    for _ in 0..sub_layers_minus_one {
        present += if bits.bit()? { 88 } else { 0 } + if bits.bit()? { 8 } else { 0 };
    }
    // The flags are filled up to eight pairs if there are any.
    let unused = if sub_layers_minus_one > 0 { (8 - sub_layers_minus_one) * 2 } else { 0 };
    skip(bits, unused + present)
}

fn skip(bits: &mut BitReader<'_>, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.bit().map(drop))
}

/// Pixels the conformance window cuts off the width and the height.
fn parse_window(bits: &mut BitReader<'_>, format: u32) -> Option<(u32, u32)> {
    let [left, right, top, bottom] = [bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?];
    let unit_width = if matches!(format, 1 | 2) { 2 } else { 1 };
    let unit_height = if format == 1 { 2 } else { 1 };
    let width = left.checked_add(right)?.checked_mul(unit_width)?;
    Some((width, top.checked_add(bottom)?.checked_mul(unit_height)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Main profile, 1920 x 1080: eight lines are cut off, emulation prevention inside.
    const SPS_1080: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78,
        0xA0, 0x03, 0xC0, 0x80, 0x10, 0xE5, 0x96, 0x66, 0x69, 0x24, 0xCA, 0xE0, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x01, 0xE0, 0x80,
    ];
    const PPS: &[u8] = &[0x44, 0x01, 0xC1, 0x72];

    fn aggregate(units: &[&[u8]]) -> Vec<u8> {
        let mut payload = vec![0x60, 0x01];
        for unit in units {
            payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        payload
    }

    #[test]
    fn tells_where_key_frames_begin() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("video parameter set", &[0x40, 0x01, 0x0C], true),
            ("sequence parameter set", SPS_1080, true),
            ("picture parameter set", PPS, false),
            ("first slice of an IDR", &[0x26, 0x01, 0xAF], true),
            ("first slice of a CRA", &[0x2A, 0x01, 0xAF], true),
            ("second slice of an IDR", &[0x26, 0x01, 0x2F], false),
            ("other slice", &[0x02, 0x01, 0xAF], false),
            ("aggregate with a parameter set", &aggregate(&[PPS, SPS_1080]), true),
            ("aggregate without", &aggregate(&[PPS, &[0x02, 0x01, 0xAF]]), false),
            ("aggregate cut", &[0x60, 0x01, 0, 9, 0x42, 0x01, 0x01], false),
            ("first fragment of an IDR", &[0x62, 0x01, 0x93, 0xAF], true),
            ("next fragment of an IDR", &[0x62, 0x01, 0x13, 0xAF], false),
            ("first fragment of another", &[0x62, 0x01, 0x81, 0xAF], false),
            ("header only", &[0x26, 0x01], false),
            ("nothing", &[], false),
        ];
        for (name, payload, expected) in cases {
            assert_eq!(is_key_frame(payload), *expected, "{name}");
        }
    }

    #[test]
    fn parameter_sets_tell_the_size() {
        assert_eq!(key_frame_size(SPS_1080), Some((1920, 1080)));
        assert_eq!(key_frame_size(&aggregate(&[PPS, SPS_1080])), Some((1920, 1080)));
        assert_eq!(key_frame_size(PPS), None);
        assert_eq!(key_frame_size(&SPS_1080[..20]), None, "cut");
    }

    #[test]
    fn sub_layer_profiles_are_passed_over() {
        // Two sub-layers, the lower with profile and level: the flags are filled up to sixteen bits, then 96 more.
        let general = [[0x01u8, 0x60].as_slice(), &[0x11; 10]].concat();
        let sub_layer = [[0xC0u8, 0x00].as_slice(), &[0x11; 12]].concat();
        // ue(0) id, ue(1) 4:2:0, ue(31) width, ue(15) height, no window: 1 010 00000100000 000010000 0
        let format = [0b1010_0000, 0b0100_0000, 0b0001_0000, 0b0000_0000];
        let payload = [&[0x42, 0x01, 0x02][..], &general, &sub_layer, &format].concat();
        assert_eq!(key_frame_size(&payload), Some((31, 15)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut payload in proptest::collection::vec(any::<u8>(), 0..120), header in 0usize..4) {
            is_key_frame(&payload);
            if let Some(first) = payload.first_mut() {
                *first = [0x42, 0x60, 0x62, 0x26][header];
            }
            is_key_frame(&payload);
            key_frame_size(&payload);
        }
    }
}
