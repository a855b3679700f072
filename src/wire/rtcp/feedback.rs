//! Loss and key-frame feedback: generic NACK and PLI (RFC 4585 §6.2.1, §6.3.1), FIR (RFC 5104 §4.3.1).

use super::{FMT_FIR, FMT_NACK, FMT_PLI, PAYLOAD_FEEDBACK, Packet, TRANSPORT_FEEDBACK};
use super::{put_u16, put_u32, take_array, take_u16, take_u32, write_packet};

/// Sequence numbers one NACK entry can name: its own and one for each bit of its mask.
const ENTRY_SPAN: u16 = 17;

/// Iterator over the sequence numbers a NACK names.
#[derive(Clone, Debug)]
pub struct LostSequences<'a> {
    entries: &'a [u8],
    /// The entry being read: its sequence number, and a bit for each number from it on still to be told.
    sequence: u16,
    pending: u32,
}

impl<'a> LostSequences<'a> {
    fn new(entries: &'a [u8]) -> Self {
        LostSequences { entries, sequence: 0, pending: 0 }
    }
}

impl Iterator for LostSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.pending == 0 {
            self.sequence = take_u16(&mut self.entries)?;
            self.pending = u32::from(take_u16(&mut self.entries)?) << 1 | 1;
        }
        let offset = self.pending.trailing_zeros();
        self.pending &= self.pending - 1;
        Some(self.sequence.wrapping_add(offset as u16))
    }
}

/// One stream asked for in a FIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    pub ssrc: u32,
    /// Command number: the same one again is a repetition, not a new request.
    pub sequence: u8,
}

/// Iterator over the entries of a FIR.
#[derive(Clone, Debug)]
pub struct FirEntries<'a> {
    bytes: &'a [u8],
}

impl Iterator for FirEntries<'_> {
    type Item = FirEntry;

    fn next(&mut self) -> Option<FirEntry> {
        let ssrc = take_u32(&mut self.bytes)?;
        let [sequence, ..] = take_array::<4>(&mut self.bytes)?;
        Some(FirEntry { ssrc, sequence })
    }
}

pub(super) fn parse_nack(mut body: &[u8]) -> Option<Packet<'_>> {
    let sender_ssrc = take_u32(&mut body)?;
    let media_ssrc = take_u32(&mut body)?;
    Some(Packet::Nack { sender_ssrc, media_ssrc, lost: LostSequences::new(body) })
}

pub(super) fn parse_pli(mut body: &[u8]) -> Option<Packet<'_>> {
    Some(Packet::Pli { sender_ssrc: take_u32(&mut body)?, media_ssrc: take_u32(&mut body)? })
}

pub(super) fn parse_fir(mut body: &[u8]) -> Option<Packet<'_>> {
    let sender_ssrc = take_u32(&mut body)?;
    // The media source is unused: each entry names its own.
    take_u32(&mut body)?;
    Some(Packet::Fir { sender_ssrc, entries: FirEntries { bytes: body } })
}

/// Appends a NACK for sequence numbers in ascending (wrapping) order; nothing if there are none.
pub fn write_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) {
    if lost.is_empty() {
        return;
    }
    write_packet(out, TRANSPORT_FEEDBACK, FMT_NACK, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, media_ssrc);
        let mut rest = lost;
        while let [first, ..] = rest {
            rest = write_nack_entry(out, *first, rest);
        }
    });
}

/// Writes the entry that starts at `first` and returns what it does not cover.
fn write_nack_entry<'a>(out: &mut Vec<u8>, first: u16, lost: &'a [u16]) -> &'a [u16] {
    let covered = lost.iter().take_while(|sequence| sequence.wrapping_sub(first) < ENTRY_SPAN).count();
    let (entry, rest) = lost.split_at(covered);
    let mask = entry.iter().fold(0u32, |mask, sequence| mask | 1 << sequence.wrapping_sub(first));
    put_u16(out, first);
    put_u16(out, (mask >> 1) as u16);
    rest
}

/// Appends a picture loss indication.
pub fn write_pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    write_packet(out, PAYLOAD_FEEDBACK, FMT_PLI, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, media_ssrc);
    });
}

/// Appends a full intra request; nothing without entries.
pub fn write_fir(out: &mut Vec<u8>, sender_ssrc: u32, entries: &[FirEntry]) {
    if entries.is_empty() {
        return;
    }
    write_packet(out, PAYLOAD_FEEDBACK, FMT_FIR, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, 0);
        for entry in entries {
            put_u32(out, entry.ssrc);
            out.extend_from_slice(&[entry.sequence, 0, 0, 0]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn lost_of(bytes: &[u8]) -> Vec<u16> {
        let Packet::Nack { sender_ssrc: 1, media_ssrc: 2, lost } = only(bytes) else { panic!("{bytes:?}") };
        lost.collect()
    }

    #[test]
    fn nack_matches_its_bytes() {
        let cases: &[(&[u16], &[u8])] = &[
            (&[5], &[0, 5, 0, 0]),
            (&[5, 6, 21], &[0, 5, 0x80, 0x01]),
            (&[5, 22], &[0, 5, 0, 0, 0, 22, 0, 0]),
            (&[65535, 0, 1], &[0xFF, 0xFF, 0, 0x03]),
        ];
        for (lost, entries) in cases {
            let mut out = Vec::new();
            write_nack(&mut out, 1, 2, lost);
            let header = [0x81, 205, 0, (2 + entries.len() / 4) as u8, 0, 0, 0, 1, 0, 0, 0, 2];
            assert_eq!(out, [&header[..], entries].concat(), "{lost:?}");
            assert_eq!(lost_of(&out), *lost);
        }
    }

    #[test]
    fn nothing_lost_is_not_told() {
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &[]);
        write_fir(&mut out, 1, &[]);
        assert!(out.is_empty());
    }

    #[test]
    fn key_frame_requests_match_their_bytes() {
        let mut out = Vec::new();
        write_pli(&mut out, 1, 2);
        assert_eq!(out, [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert!(matches!(only(&out), Packet::Pli { sender_ssrc: 1, media_ssrc: 2 }));
        out.clear();
        let entries = [FirEntry { ssrc: 3, sequence: 4 }, FirEntry { ssrc: 5, sequence: 255 }];
        write_fir(&mut out, 1, &entries);
        assert_eq!(out[..12], [0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0]);
        let Packet::Fir { sender_ssrc: 1, entries: read } = only(&out) else { panic!("{out:?}") };
        assert_eq!(read.collect::<Vec<_>>(), entries);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(start: u16, offsets in proptest::collection::btree_set(0u16..2000, 1..200)) {
            let lost: Vec<u16> = offsets.iter().map(|offset| start.wrapping_add(*offset)).collect();
            let mut out = Vec::new();
            write_nack(&mut out, 1, 2, &lost);
            prop_assert_eq!(lost_of(&out), lost);
        }

        /// A caller that breaks the order still has every number told.
        #[test]
        fn disorder_loses_nothing(lost in proptest::collection::vec(any::<u16>(), 1..100)) {
            let mut out = Vec::new();
            write_nack(&mut out, 1, 2, &lost);
            let told: BTreeSet<u16> = lost_of(&out).into_iter().collect();
            prop_assert_eq!(told, lost.into_iter().collect::<BTreeSet<u16>>());
        }
    }
}
