//! RTCP as borrowed views over a compound packet, and writers that append to a buffer.
//!
//! Called by `media` for feedback in both directions. RFC 3550 §6 (reports), RFC 4585 (NACK, PLI), RFC 5104 (FIR),
//! RFC 3611 (XR), draft-alvestrand-rmcat-remb and draft-holmer-rmcat-transport-wide-cc. Knows nothing of encryption:
//! SRTCP's index and tag are gone before and added after.

mod feedback;
mod remb;
mod report;
mod sdes;
mod transport_cc;
mod xr;

pub use feedback::{FirEntries, FirEntry, LostSequences, write_fir, write_nack, write_pli};
pub use remb::write_remb;
pub use report::{ReportBlock, ReportBlocks, SenderInfo, write_receiver_report, write_sender_report};
pub use sdes::{SdesChunk, SdesChunks, SdesItems, SdesSource, write_bye, write_sdes};
pub use transport_cc::{FeedbackHeader, PacketStatus, Statuses, TransportCc, write_transport_cc};
pub use xr::{DlrrReport, DlrrReports, XrBlock, XrBlocks, write_xr_dlrr, write_xr_rrtr};

const HEADER_BYTES: usize = 4;
const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
/// The count field has five bits.
const COUNT_MAX: usize = 31;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;

const FMT_NACK: u8 = 1;
const FMT_TRANSPORT_CC: u8 = 15;
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_APPLICATION: u8 = 15;

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    SenderReport {
        ssrc: u32,
        info: SenderInfo,
        blocks: ReportBlocks<'a>,
    },
    ReceiverReport {
        ssrc: u32,
        blocks: ReportBlocks<'a>,
    },
    Sdes {
        chunks: SdesChunks<'a>,
    },
    Bye {
        ssrcs: Ssrcs<'a>,
    },
    /// Generic NACK: sequence numbers the receiver misses.
    Nack {
        sender_ssrc: u32,
        media_ssrc: u32,
        lost: LostSequences<'a>,
    },
    /// Picture loss: asks for a key frame.
    Pli {
        sender_ssrc: u32,
        media_ssrc: u32,
    },
    /// Full intra request: asks for a key frame of each entry's stream.
    Fir {
        sender_ssrc: u32,
        entries: FirEntries<'a>,
    },
    /// Receiver estimated maximum bitrate, in bits per second.
    Remb {
        sender_ssrc: u32,
        bitrate_bps: u64,
        ssrcs: Ssrcs<'a>,
    },
    TransportCc(TransportCc<'a>),
    Xr {
        ssrc: u32,
        blocks: XrBlocks<'a>,
    },
    /// Well formed, but nothing this server acts on.
    Unknown {
        packet_type: u8,
        format: u8,
    },
}

/// The packets of a compound in order. A malformed packet ends it: what follows cannot be trusted.
///
/// # Cost
/// No allocation.
pub fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// Iterator over a compound packet.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let packet = split_frame(self.rest).and_then(|(frame, rest)| {
            self.rest = rest;
            frame.parse()
        });
        if packet.is_none() {
            self.rest = &[];
        }
        packet
    }
}

/// A packet cut out by its header, padding removed.
struct Frame<'a> {
    packet_type: u8,
    /// The count or format field.
    count: u8,
    body: &'a [u8],
}

fn split_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let [first, packet_type, l0, l1] = *bytes.first_chunk::<HEADER_BYTES>()?;
    let end = HEADER_BYTES + usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let (packet, rest) = bytes.split_at_checked(end)?;
    let body = packet.get(HEADER_BYTES..)?;
    let padding = if first & PADDING_BIT != 0 { usize::from(*body.last()?) } else { 0 };
    let body = body.get(..body.len().checked_sub(padding)?)?;
    (first >> 6 == VERSION).then_some((Frame { packet_type, count: first & 0x1F, body }, rest))
}

impl<'a> Frame<'a> {
    fn parse(self) -> Option<Packet<'a>> {
        match (self.packet_type, self.count) {
            (SENDER_REPORT, count) => report::parse_sender_report(count, self.body),
            (RECEIVER_REPORT, count) => report::parse_receiver_report(count, self.body),
            (SDES, count) => Some(Packet::Sdes { chunks: SdesChunks::new(count, self.body) }),
            (BYE, count) => sdes::parse_bye(count, self.body),
            (TRANSPORT_FEEDBACK, FMT_NACK) => feedback::parse_nack(self.body),
            (TRANSPORT_FEEDBACK, FMT_TRANSPORT_CC) => transport_cc::parse(self.body),
            (PAYLOAD_FEEDBACK, FMT_PLI) => feedback::parse_pli(self.body),
            (PAYLOAD_FEEDBACK, FMT_FIR) => feedback::parse_fir(self.body),
            (PAYLOAD_FEEDBACK, FMT_APPLICATION) => Some(remb::parse(self.body).unwrap_or(self.unknown())),
            (EXTENDED_REPORT, _) => xr::parse(self.body),
            _ => Some(self.unknown()),
        }
    }

    fn unknown(&self) -> Packet<'a> {
        Packet::Unknown { packet_type: self.packet_type, format: self.count }
    }
}

/// A list of SSRCs on the wire.
#[derive(Clone, Debug)]
pub struct Ssrcs<'a> {
    words: &'a [u8],
}

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        take_u32(&mut self.words)
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take_array(bytes).map(u16::from_be_bytes)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take_array(bytes).map(u32::from_be_bytes)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take_array(bytes).map(u64::from_be_bytes)
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends one packet whose body `write` appends; pads to a word and fills in the length. A body longer than the
/// length field can say (256 KiB, far above any datagram) is taken back.
fn write_packet(out: &mut Vec<u8>, packet_type: u8, count: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[VERSION << 6 | count & 0x1F, packet_type, 0, 0]);
    write(out);
    let padding = out.len().wrapping_sub(begin).next_multiple_of(4) - (out.len() - begin);
    out.resize(out.len() + padding, 0);
    match u16::try_from((out.len() - begin) / 4 - 1) {
        Ok(words) => out[begin + 2..begin + 4].copy_from_slice(&words.to_be_bytes()),
        Err(_) => out.truncate(begin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The only packet in `bytes`.
    pub(super) fn only(bytes: &[u8]) -> Packet<'_> {
        let mut packets = packets(bytes);
        let packet = packets.next().expect("a packet");
        assert!(packets.next().is_none(), "one packet in {bytes:?}");
        packet
    }

    /// Reads everything there is and returns how many values that were.
    pub(super) fn read_all(compound: &[u8]) -> usize {
        packets(compound).map(|packet| 1 + read(packet)).sum()
    }

    fn read(packet: Packet<'_>) -> usize {
        match packet {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks.count(),
            Packet::Sdes { chunks } => {
                chunks.map(|c| c.items.clone().count() + c.cname().into_iter().chain(c.mid()).count()).sum()
            }
            Packet::Bye { ssrcs } | Packet::Remb { ssrcs, .. } => ssrcs.count(),
            Packet::Nack { lost, .. } => lost.count(),
            Packet::Fir { entries, .. } => entries.count(),
            Packet::TransportCc(feedback) => feedback.statuses().count(),
            Packet::Xr { blocks, .. } => blocks.count(),
            Packet::Pli { .. } | Packet::Unknown { .. } => 0,
        }
    }

    fn names(compound: &[u8]) -> Vec<&'static str> {
        packets(compound)
            .map(|packet| match packet {
                Packet::ReceiverReport { .. } => "rr",
                Packet::Pli { .. } => "pli",
                Packet::Bye { .. } => "bye",
                Packet::Unknown { .. } => "unknown",
                _ => "other",
            })
            .collect()
    }

    #[test]
    fn a_malformed_packet_ends_the_compound() {
        const RR: &[u8] = &[0x80, 201, 0, 1, 0, 0, 0, 1];
        const PLI: &[u8] = &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        const APP: &[u8] = &[0x80, 204, 0, 2, 0, 0, 0, 1, b'n', b'a', b'm', b'e'];
        const PADDED_BYE: &[u8] = &[0xA1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4];
        type Case<'a> = (&'a str, &'a [&'a [u8]], &'a [&'a str]);
        let cases: &[Case] = &[
            ("in order", &[RR, APP, PLI, PADDED_BYE], &["rr", "unknown", "pli", "bye"]),
            ("nothing", &[], &[]),
            ("header cut", &[RR, PLI.split_at(3).0], &["rr"]),
            ("body cut", &[RR, PLI.split_at(11).0], &["rr"]),
            ("version 1", &[RR, &[0x41, 206, 0, 0], PLI], &["rr"]),
            ("body too short for its kind", &[RR, &[0x81, 206, 0, 1, 0, 0, 0, 1], PLI], &["rr"]),
            ("more blocks than bytes", &[RR, &[0x81, 201, 0, 1, 0, 0, 0, 1], PLI], &["rr"]),
            ("padding beyond the body", &[RR, &[0xA0, 201, 0, 1, 0, 0, 0, 5], PLI], &["rr"]),
            ("padding without a body", &[RR, &[0xA0, 203, 0, 0], PLI], &["rr"]),
        ];
        for (name, parts, expected) in cases {
            assert_eq!(names(&parts.concat()), *expected, "{name}");
        }
    }

    #[test]
    fn a_body_beyond_the_length_field_is_taken_back() {
        let mut out = vec![1, 2, 3];
        write_packet(&mut out, BYE, 0, |out| out.resize(out.len() + 4 * 65536, 0));
        assert_eq!(out, [1, 2, 3]);
        write_packet(&mut out, BYE, 0, |out| out.push(9));
        assert_eq!(out, [1, 2, 3, 0x80, BYE, 0, 1, 9, 0, 0, 0], "padded to a word");
    }

    const KINDS: [(u8, u8); 11] = [
        (SENDER_REPORT, 0),
        (RECEIVER_REPORT, 0),
        (SDES, 0),
        (BYE, 0),
        (204, 0),
        (TRANSPORT_FEEDBACK, FMT_NACK),
        (TRANSPORT_FEEDBACK, FMT_TRANSPORT_CC),
        (PAYLOAD_FEEDBACK, FMT_PLI),
        (PAYLOAD_FEEDBACK, FMT_FIR),
        (PAYLOAD_FEEDBACK, FMT_APPLICATION),
        (EXTENDED_REPORT, 0),
    ];

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200)) {
            prop_assert!(read_all(&bytes) <= bytes.len());
        }

        #[test]
        fn any_body_is_survived(kind in 0..KINDS.len(), count in 0u8..32, words in vec(any::<u32>(), 0..20)) {
            let (packet_type, format) = KINDS[kind];
            let mut bytes = Vec::new();
            let count = if format == 0 { count } else { format };
            write_packet(&mut bytes, packet_type, count, |out| words.iter().for_each(|word| put_u32(out, *word)));
            let values = read_all(&bytes);
            prop_assert!(values <= 1 + 17 * words.len() || packet_type == TRANSPORT_FEEDBACK);
        }
    }
}
