//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): which packets
//! arrived, and when.

use super::report::signed_24;
use super::{FMT_TRANSPORT_CC, PADDING_BIT, Packet, TRANSPORT_FEEDBACK};
use super::{put_u16, put_u32, take_array, take_u16, take_u32, write_packet};
use crate::limits::TRANSPORT_CC_STATUSES_MAX;

const RUN_LENGTH_MAX: usize = 0x1FFF;
/// Statuses in a vector chunk with one and with two bits for each.
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

const SYMBOL_LOST: u8 = 0;
const SYMBOL_SMALL_DELTA: u8 = 1;
const SYMBOL_LARGE_DELTA: u8 = 2;

/// What a feedback packet says before its statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackHeader {
    pub sender_ssrc: u32,
    pub media_ssrc: u32,
    /// Transport-wide sequence number of the first status.
    pub base_sequence: u16,
    /// In multiples of 64 ms since a moment of the receiver's choice; signed 24 bits. The first delta counts from here.
    pub reference_time: i32,
    /// Counts feedback packets, to notice lost ones.
    pub feedback_count: u8,
}

/// A feedback packet.
#[derive(Clone, Debug)]
pub struct TransportCc<'a> {
    pub header: FeedbackHeader,
    statuses: u16,
    /// Chunks, then deltas.
    bytes: &'a [u8],
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStatus {
    pub sequence: u16,
    /// `None` if it did not arrive, else the time since the previous arrival (the first: since the reference time) in
    /// steps of 250 us.
    pub delta: Option<i16>,
}

pub(super) fn parse(mut body: &[u8]) -> Option<Packet<'_>> {
    let sender_ssrc = take_u32(&mut body)?;
    let media_ssrc = take_u32(&mut body)?;
    let base_sequence = take_u16(&mut body)?;
    let statuses = take_u16(&mut body)?;
    let [r0, r1, r2, feedback_count] = take_array(&mut body)?;
    let reference_time = signed_24([r0, r1, r2]);
    let header = FeedbackHeader { sender_ssrc, media_ssrc, base_sequence, reference_time, feedback_count };
    let feedback = TransportCc { header, statuses, bytes: body };
    feedback.deltas()?;
    Some(Packet::TransportCc(feedback))
}

impl<'a> TransportCc<'a> {
    /// How many packets it speaks of.
    pub fn status_count(&self) -> u16 {
        self.statuses
    }

    /// The packets in order of their sequence numbers, at most [`TRANSPORT_CC_STATUSES_MAX`] of them.
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            symbols: self.symbols(),
            deltas: self.deltas().unwrap_or_default(),
            sequence: self.header.base_sequence,
        }
    }

    fn symbols(&self) -> Symbols<'a> {
        Symbols {
            chunks: self.bytes,
            left: usize::from(self.statuses).min(TRANSPORT_CC_STATUSES_MAX),
            chunk: Chunk::default(),
        }
    }

    /// What follows the chunks; `None` if there are fewer chunks than the statuses need.
    fn deltas(&self) -> Option<&'a [u8]> {
        let mut rest = self.bytes;
        let mut left = usize::from(self.statuses);
        while left > 0 {
            left = left.saturating_sub(Chunk::take(&mut rest)?.left);
        }
        Some(rest)
    }
}

/// Iterator over the statuses of a feedback packet; ends early where deltas are missing.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    sequence: u16,
}

impl Iterator for Statuses<'_> {
    type Item = PacketStatus;

    fn next(&mut self) -> Option<PacketStatus> {
        let delta = match self.symbols.next()? {
            SYMBOL_SMALL_DELTA => Some(i16::from(take_array::<1>(&mut self.deltas)?[0])),
            SYMBOL_LARGE_DELTA => Some(take_array(&mut self.deltas).map(i16::from_be_bytes)?),
            // Symbol 3 is reserved and has no delta.
            _ => None,
        };
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Some(PacketStatus { sequence, delta })
    }
}

/// The statuses one 16-bit chunk holds and has not told yet.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    left: usize,
    /// The next symbol in the highest bits; a run shifts by nothing.
    symbols: u16,
    bits: u32,
    shift: u32,
}

impl Chunk {
    fn take(chunks: &mut &[u8]) -> Option<Chunk> {
        let word = take_u16(chunks)?;
        Some(match word >> 14 {
            0 | 1 => Chunk { left: usize::from(word & 0x1FFF), symbols: word << 1, bits: 2, shift: 0 },
            2 => Chunk { left: ONE_BIT_SYMBOLS, symbols: word << 2, bits: 1, shift: 1 },
            _ => Chunk { left: TWO_BIT_SYMBOLS, symbols: word << 2, bits: 2, shift: 2 },
        })
    }

    fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        let symbol = self.symbols >> (u16::BITS - self.bits);
        self.symbols <<= self.shift;
        Some(symbol as u8)
    }
}

#[derive(Clone, Debug)]
struct Symbols<'a> {
    chunks: &'a [u8],
    /// Statuses not told yet.
    left: usize,
    chunk: Chunk,
}

impl Iterator for Symbols<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk.left == 0 {
            self.chunk = Chunk::take(&mut self.chunks)?;
        }
        self.chunk.next()
    }
}

/// Appends feedback on the packets from the header's base sequence on, one element for each: `None` if it did not
/// arrive, else its delta as in [`PacketStatus::delta`]. Nothing without elements; more than 65535 are not told.
pub fn write_transport_cc(out: &mut Vec<u8>, header: &FeedbackHeader, deltas: &[Option<i16>]) {
    let deltas = &deltas[..deltas.len().min(usize::from(u16::MAX))];
    if deltas.is_empty() {
        return;
    }
    let begin = out.len();
    let mut padding = 0;
    write_packet(out, TRANSPORT_FEEDBACK, FMT_TRANSPORT_CC, |out| {
        put_header(out, header, deltas.len() as u16);
        put_chunks(out, deltas);
        deltas.iter().flatten().for_each(|delta| put_delta(out, *delta));
        padding = (out.len() - begin).next_multiple_of(4) - (out.len() - begin);
        out.resize(out.len() + padding, 0);
        // The last byte of padding counts it; without any it is the last delta's.
        if let Some(last) = out.last_mut().filter(|_| padding > 0) {
            *last = padding as u8;
        }
    });
    if let Some(first) = out.get_mut(begin).filter(|_| padding > 0) {
        *first |= PADDING_BIT;
    }
}

fn put_header(out: &mut Vec<u8>, header: &FeedbackHeader, statuses: u16) {
    let [_, reference @ ..] = header.reference_time.to_be_bytes();
    put_u32(out, header.sender_ssrc);
    put_u32(out, header.media_ssrc);
    put_u16(out, header.base_sequence);
    put_u16(out, statuses);
    out.extend_from_slice(&reference);
    out.push(header.feedback_count);
}

fn put_delta(out: &mut Vec<u8>, delta: i16) {
    match u8::try_from(delta) {
        Ok(small) => out.push(small),
        Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
    }
}

fn symbol(delta: Option<i16>) -> u8 {
    match delta {
        None => SYMBOL_LOST,
        Some(0..=255) => SYMBOL_SMALL_DELTA,
        Some(_) => SYMBOL_LARGE_DELTA,
    }
}

fn put_chunks(out: &mut Vec<u8>, mut deltas: &[Option<i16>]) {
    while !deltas.is_empty() {
        let told = put_chunk(out, deltas);
        deltas = &deltas[told..];
    }
}

/// Writes the chunk that tells most of what comes next and returns how many statuses it tells.
fn put_chunk(out: &mut Vec<u8>, deltas: &[Option<i16>]) -> usize {
    let first = symbol(deltas[0]);
    let run = deltas.iter().take(RUN_LENGTH_MAX).take_while(|delta| symbol(**delta) == first).count();
    let one_bit = deltas.iter().take(ONE_BIT_SYMBOLS).take_while(|delta| symbol(**delta) != SYMBOL_LARGE_DELTA).count();
    let two_bit = deltas.len().min(TWO_BIT_SYMBOLS);
    // A vector chunk always stands for all its places, so a short one may only be the last.
    let one_bit = if one_bit == ONE_BIT_SYMBOLS || one_bit == deltas.len() { one_bit } else { 0 };
    if run >= one_bit.max(two_bit) {
        put_u16(out, u16::from(first) << 13 | run as u16);
        return run;
    }
    if one_bit >= two_bit {
        put_u16(out, vector(&deltas[..one_bit], 0b10, 1));
        return one_bit;
    }
    put_u16(out, vector(&deltas[..two_bit], 0b11, 2));
    two_bit
}

/// A vector chunk: its two type bits, then `bits` for each status from the left.
fn vector(deltas: &[Option<i16>], kind: u16, bits: u32) -> u16 {
    let symbols = deltas.iter().fold(0, |word, delta| word << bits | u16::from(symbol(*delta)));
    let unused = 14 - bits * deltas.len() as u32;
    kind << 14 | symbols << unused
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HEADER: FeedbackHeader =
        FeedbackHeader { sender_ssrc: 1, media_ssrc: 2, base_sequence: 65530, reference_time: -3, feedback_count: 9 };

    fn written(deltas: &[Option<i16>]) -> Vec<u8> {
        let mut out = Vec::new();
        write_transport_cc(&mut out, &HEADER, deltas);
        out
    }

    fn feedback(bytes: &[u8]) -> TransportCc<'_> {
        let Packet::TransportCc(feedback) = only(bytes) else { panic!("{bytes:?}") };
        feedback
    }

    fn deltas_of(bytes: &[u8]) -> Vec<Option<i16>> {
        feedback(bytes).statuses().map(|status| status.delta).collect()
    }

    /// The chunks and deltas after the 20 bytes of headers.
    fn body_of(deltas: &[Option<i16>]) -> Vec<u8> {
        written(deltas)[20..].to_vec()
    }

    #[test]
    fn header_matches_its_bytes() {
        let out = written(&[Some(4)]);
        let expected = [0xAF, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFA, 0, 1, 0xFF, 0xFF, 0xFD, 9, 0x20, 1, 4, 1];
        assert_eq!(out, expected, "padded by one byte");
        assert_eq!(feedback(&out).header, HEADER);
        assert_eq!(feedback(&out).status_count(), 1);
    }

    #[test]
    fn takes_the_chunk_that_tells_most() {
        let (lost, small, large) = (None, Some(1), Some(-1));
        let mixed = [small, lost].repeat(7);
        assert_eq!(body_of(&[lost; 4]), [0x00, 4, 0, 2], "a run of lost");
        assert_eq!(body_of(&[large; 2])[..2], [0x40, 2], "a run of large deltas");
        assert_eq!(body_of(&mixed)[..2], [0b1010_1010, 0b1010_1010], "fourteen of one bit");
        assert_eq!(body_of(&[small, lost, small])[..2], [0b1010_1000, 0], "a short last vector");
        assert_eq!(body_of(&[small, large, lost])[..2], [0b1101_1000, 0], "two bits");
        assert_eq!(body_of(&[lost; 8193])[..4], [0x1F, 0xFF, 0x00, 2], "the longest run");
    }

    /// A feedback packet with these statuses and bytes after the header.
    fn raw(statuses: u16, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_packet(&mut out, TRANSPORT_FEEDBACK, FMT_TRANSPORT_CC, |out| {
            put_header(out, &HEADER, statuses);
            out.extend_from_slice(body);
        });
        out
    }

    #[test]
    fn reads_up_to_what_is_missing() {
        assert_eq!(super::super::packets(&raw(15, &[0x80, 0, 0, 0, 0, 1])).count(), 1, "an empty run is passed");
        assert_eq!(super::super::packets(&raw(30, &[0x80, 0, 0x80, 0])).count(), 0, "chunks missing");
        let bytes = raw(4, &[0x20, 4, 7, 8]);
        assert_eq!(deltas_of(&bytes), [Some(7), Some(8)], "deltas missing");
        let bytes = raw(2, &[0x60, 2, 7, 8]);
        assert_eq!(deltas_of(&bytes), [None, None], "the reserved symbol has no delta");
    }

    #[test]
    fn forged_run_lengths_are_bounded() {
        let bytes = raw(u16::MAX, &[0x1F, 0xFF].repeat(10));
        assert_eq!(feedback(&bytes).statuses().count(), TRANSPORT_CC_STATUSES_MAX);
    }

    fn any_delta() -> impl Strategy<Value = Option<i16>> {
        prop_oneof![4 => Just(None), 8 => (0i16..256).prop_map(Some), 1 => any::<i16>().prop_map(Some)]
    }

    fn any_deltas() -> impl Strategy<Value = Vec<Option<i16>>> {
        vec((any_delta(), prop_oneof![9 => 1usize..4, 1 => 1usize..3000]), 1..40).prop_map(|runs| {
            let all = runs.into_iter().flat_map(|(delta, times)| std::iter::repeat_n(delta, times));
            all.take(TRANSPORT_CC_STATUSES_MAX).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            deltas in any_deltas(), base_sequence: u16, reference_time in -0x80_0000..0x80_0000,
        ) {
            let header = FeedbackHeader { base_sequence, reference_time, ..HEADER };
            let mut out = vec![0xEE];
            write_transport_cc(&mut out, &header, &deltas);
            let read = feedback(&out[1..]);
            prop_assert_eq!(read.header, header);
            let statuses: Vec<PacketStatus> = read.statuses().collect();
            let sequences = (0..deltas.len()).map(|index| base_sequence.wrapping_add(index as u16));
            let expected: Vec<PacketStatus> =
                sequences.zip(&deltas).map(|(sequence, delta)| PacketStatus { sequence, delta: *delta }).collect();
            prop_assert_eq!(statuses, expected);
        }

        #[test]
        fn any_bytes_are_survived(statuses: u16, body in vec(any::<u8>(), 0..60)) {
            super::super::tests::read_all(&raw(statuses, &body));
        }
    }
}
