//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).

use super::{FMT_APPLICATION, PAYLOAD_FEEDBACK, Packet, Ssrcs};
use super::{put_u32, take, take_array, take_u32, write_packet};

const NAME: [u8; 4] = *b"REMB";
const MANTISSA_BITS: u32 = 18;

/// `None` for any other application feedback too.
pub(super) fn parse(mut body: &[u8]) -> Option<Packet<'_>> {
    let sender_ssrc = take_u32(&mut body)?;
    take_u32(&mut body)?;
    if take_array::<4>(&mut body)? != NAME {
        return None;
    }
    let [count, b0, b1, b2] = take_array::<4>(&mut body)?;
    let ssrcs = Ssrcs { words: take(&mut body, usize::from(count) * 4)? };
    Some(Packet::Remb { sender_ssrc, bitrate_bps: bitrate(u32::from_be_bytes([0, b0, b1, b2])), ssrcs })
}

/// From six bits of exponent and eighteen of mantissa; beyond 64 bits it is as much as 64 bits can say.
fn bitrate(coded: u32) -> u64 {
    let mantissa = u64::from(coded & ((1 << MANTISSA_BITS) - 1));
    let exponent = coded >> MANTISSA_BITS;
    if mantissa.leading_zeros() < exponent { u64::MAX } else { mantissa << exponent }
}

/// Rounds down to what eighteen bits of mantissa can say.
fn coded(bitrate_bps: u64) -> u32 {
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(MANTISSA_BITS);
    exponent << MANTISSA_BITS | (bitrate_bps >> exponent) as u32
}

/// Appends a REMB for the first 255 of these streams.
pub fn write_remb(out: &mut Vec<u8>, sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(usize::from(u8::MAX))];
    write_packet(out, PAYLOAD_FEEDBACK, FMT_APPLICATION, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, 0);
        out.extend_from_slice(&NAME);
        put_u32(out, (ssrcs.len() as u32) << 24 | coded(bitrate_bps));
        ssrcs.iter().for_each(|ssrc| put_u32(out, *ssrc));
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> (u64, Vec<u32>) {
        let Packet::Remb { sender_ssrc: 1, bitrate_bps, ssrcs } = only(bytes) else { panic!("{bytes:?}") };
        (bitrate_bps, ssrcs.collect())
    }

    #[test]
    fn matches_its_bytes() {
        let mut out = Vec::new();
        write_remb(&mut out, 1, 1_000_000, &[7]);
        // 1 000 000 = 250 000 << 2
        let expected =
            [0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0B, 0xD0, 0x90, 0, 0, 0, 7];
        assert_eq!(out, expected);
        assert_eq!(read(&out), (1_000_000, vec![7]));
    }

    #[test]
    fn the_largest_bitrate_does_not_overflow() {
        let mut out = Vec::new();
        write_remb(&mut out, 1, 5, &[]);
        out[17..20].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
        assert_eq!(read(&out).0, u64::MAX);
        out[17..20].copy_from_slice(&[0xFC, 0, 0]);
        assert_eq!(read(&out).0, 0);
    }

    #[test]
    fn other_application_feedback_is_unknown() {
        let mut out = Vec::new();
        write_remb(&mut out, 1, 5, &[7]);
        out[12] = b'X';
        assert!(matches!(only(&out), Packet::Unknown { packet_type: 206, format: 15 }));
        out[12] = b'R';
        out[16] = 2;
        assert!(matches!(only(&out), Packet::Unknown { .. }), "more streams than bytes");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            bitrate: u64, scale in 0u32..64, ssrcs in proptest::collection::vec(any::<u32>(), 0..300),
        ) {
            let bitrate = bitrate >> scale;
            let mut out = Vec::new();
            write_remb(&mut out, 1, bitrate, &ssrcs);
            let (told, read) = read(&out);
            prop_assert_eq!(&read[..], &ssrcs[..ssrcs.len().min(255)]);
            prop_assert!(told <= bitrate && bitrate - told <= bitrate >> 17, "{} told as {}", bitrate, told);
        }
    }
}
