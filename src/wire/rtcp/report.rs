//! Sender and receiver reports (RFC 3550 §6.4).

use super::{COUNT_MAX, Packet, RECEIVER_REPORT, SENDER_REPORT};
use super::{put_u32, put_u64, take, take_array, take_u32, take_u64, write_packet};

const BLOCK_BYTES: usize = 24;

/// What a sender report says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time in 32.32 fixed point at which `rtp_timestamp` would be sent.
    pub ntp: u64,
    pub rtp_timestamp: u32,
    /// Packets and payload bytes sent so far.
    pub packets: u32,
    pub octets: u32,
}

/// How one stream arrives at the reporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Lost since the last report, in 1/256 of the packets expected.
    pub fraction_lost: u8,
    /// Signed 24 bits; duplicates may make it negative.
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    /// In timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 before the first.
    pub last_sr: u32,
    /// Since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn take(bytes: &mut &[u8]) -> Option<ReportBlock> {
        let ssrc = take_u32(bytes)?;
        let [fraction_lost, lost @ ..] = take_array::<4>(bytes)?;
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: signed_24(lost),
            highest_sequence: take_u32(bytes)?,
            jitter: take_u32(bytes)?,
            last_sr: take_u32(bytes)?,
            delay_since_last_sr: take_u32(bytes)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let [_, lost @ ..] = self.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF).to_be_bytes();
        put_u32(out, self.ssrc);
        out.push(self.fraction_lost);
        out.extend_from_slice(&lost);
        put_u32(out, self.highest_sequence);
        put_u32(out, self.jitter);
        put_u32(out, self.last_sr);
        put_u32(out, self.delay_since_last_sr);
    }
}

/// Sign-extends a 24-bit number.
pub(super) fn signed_24([a, b, c]: [u8; 3]) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

/// Iterator over report blocks.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        ReportBlock::take(&mut self.bytes)
    }
}

pub(super) fn parse_sender_report(count: u8, mut body: &[u8]) -> Option<Packet<'_>> {
    let ssrc = take_u32(&mut body)?;
    let info = SenderInfo {
        ntp: take_u64(&mut body)?,
        rtp_timestamp: take_u32(&mut body)?,
        packets: take_u32(&mut body)?,
        octets: take_u32(&mut body)?,
    };
    Some(Packet::SenderReport { ssrc, info, blocks: parse_blocks(count, body)? })
}

pub(super) fn parse_receiver_report(count: u8, mut body: &[u8]) -> Option<Packet<'_>> {
    let ssrc = take_u32(&mut body)?;
    Some(Packet::ReceiverReport { ssrc, blocks: parse_blocks(count, body)? })
}

fn parse_blocks(count: u8, mut body: &[u8]) -> Option<ReportBlocks<'_>> {
    take(&mut body, usize::from(count) * BLOCK_BYTES).map(|bytes| ReportBlocks { bytes })
}

/// Appends a sender report; blocks beyond the 31 it can hold go into receiver reports after it.
pub fn write_sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
    let (first, rest) = blocks.split_at(blocks.len().min(COUNT_MAX));
    write_packet(out, SENDER_REPORT, first.len() as u8, |out| {
        put_u32(out, ssrc);
        put_u64(out, info.ntp);
        put_u32(out, info.rtp_timestamp);
        put_u32(out, info.packets);
        put_u32(out, info.octets);
        first.iter().for_each(|block| block.put(out));
    });
    rest.chunks(COUNT_MAX).for_each(|blocks| write_one_receiver_report(out, ssrc, blocks));
}

/// Appends receiver reports, one for each 31 blocks; without blocks a single empty one.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    if blocks.is_empty() {
        return write_one_receiver_report(out, ssrc, blocks);
    }
    blocks.chunks(COUNT_MAX).for_each(|blocks| write_one_receiver_report(out, ssrc, blocks));
}

fn write_one_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    write_packet(out, RECEIVER_REPORT, blocks.len() as u8, |out| {
        put_u32(out, ssrc);
        blocks.iter().for_each(|block| block.put(out));
    });
}

#[cfg(test)]
mod tests {
    use super::super::{packets, tests::only};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 0x0102_0304,
        fraction_lost: 64,
        cumulative_lost: -2,
        highest_sequence: 0x0001_0005,
        jitter: 9,
        last_sr: 0xAABB_CCDD,
        delay_since_last_sr: 0x0001_0000,
    };

    #[rustfmt::skip]
    const SENDER_REPORT_BYTES: [u8; 52] = [
        0x81, 200, 0, 12,
        0, 0, 0, 7,
        0xE0, 0, 0, 1, 0x80, 0, 0, 0,
        0, 0, 0x10, 0,
        0, 0, 0, 3,
        0, 0, 0x0C, 0,
        1, 2, 3, 4,
        64, 0xFF, 0xFF, 0xFE,
        0, 1, 0, 5,
        0, 0, 0, 9,
        0xAA, 0xBB, 0xCC, 0xDD,
        0, 1, 0, 0,
    ];

    #[test]
    fn sender_report_matches_its_bytes() {
        let info = SenderInfo { ntp: 0xE000_0001_8000_0000, rtp_timestamp: 4096, packets: 3, octets: 3072 };
        let mut out = Vec::new();
        write_sender_report(&mut out, 7, &info, &[BLOCK]);
        assert_eq!(out, SENDER_REPORT_BYTES);
        let Packet::SenderReport { ssrc, info: read, blocks } = only(&out) else { panic!("{out:?}") };
        assert_eq!((ssrc, read, blocks.collect::<Vec<_>>()), (7, info, vec![BLOCK]));
    }

    #[test]
    fn an_empty_receiver_report_is_two_words() {
        let mut out = Vec::new();
        write_receiver_report(&mut out, 7, &[]);
        assert_eq!(out, [0x80, 201, 0, 1, 0, 0, 0, 7]);
    }

    #[test]
    fn loss_is_held_within_24_bits() {
        for (lost, told) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (5, 5)] {
            let mut out = Vec::new();
            write_receiver_report(&mut out, 7, &[ReportBlock { cumulative_lost: lost, ..BLOCK }]);
            let Packet::ReceiverReport { mut blocks, .. } = only(&out) else { panic!("{out:?}") };
            assert_eq!(blocks.next().unwrap().cumulative_lost, told);
        }
    }

    /// All blocks of a compound, and in how many packets.
    fn blocks_of(compound: &[u8]) -> (Vec<ReportBlock>, usize) {
        let blocks = packets(compound).flat_map(|packet| match packet {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks,
            other => panic!("{other:?}"),
        });
        (blocks.collect(), packets(compound).count())
    }

    fn any_block() -> impl Strategy<Value = ReportBlock> {
        (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(|(words, fraction_lost, cumulative_lost)| {
            let [ssrc, highest_sequence, jitter, last_sr, delay_since_last_sr] = words;
            ReportBlock { ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr, delay_since_last_sr }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(blocks in vec(any_block(), 0..70), ntp: u64) {
            let info = SenderInfo { ntp, rtp_timestamp: 1, packets: 2, octets: 3 };
            let expected = blocks.len().div_ceil(COUNT_MAX).max(1);
            let mut out = Vec::new();
            write_sender_report(&mut out, 1, &info, &blocks);
            prop_assert_eq!(blocks_of(&out), (blocks.clone(), expected));
            out.clear();
            write_receiver_report(&mut out, 1, &blocks);
            prop_assert_eq!(blocks_of(&out), (blocks, expected));
        }
    }
}
