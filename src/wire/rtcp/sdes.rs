//! Source descriptions (RFC 3550 §6.5, MID item RFC 9143 §15.1) and goodbyes (§6.6).

use super::{BYE, COUNT_MAX, Packet, SDES, Ssrcs, put_u32, take, take_array, take_u32, write_packet};

const END: u8 = 0;
const CNAME: u8 = 1;
const MID: u8 = 15;

/// Iterator over the chunks of a source description; ends at the first malformed one.
#[derive(Clone, Debug)]
pub struct SdesChunks<'a> {
    left: u8,
    bytes: &'a [u8],
}

impl<'a> SdesChunks<'a> {
    pub(super) fn new(count: u8, bytes: &'a [u8]) -> Self {
        SdesChunks { left: count, bytes }
    }

    fn take_chunk(&mut self) -> Option<SdesChunk<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut rest = self.bytes;
        let ssrc = take_u32(&mut rest)?;
        let bytes = items_bytes(rest)?;
        let items = SdesItems { bytes: rest.get(..bytes)? };
        // A chunk starts and ends at a word; the null that ends the items is at least one byte of the padding.
        let padded = (bytes + 1).next_multiple_of(4);
        self.bytes = rest.get(padded..).unwrap_or_default();
        Some(SdesChunk { ssrc, items })
    }
}

impl<'a> Iterator for SdesChunks<'a> {
    type Item = SdesChunk<'a>;

    fn next(&mut self) -> Option<SdesChunk<'a>> {
        let chunk = self.take_chunk();
        if chunk.is_none() {
            self.left = 0;
        }
        chunk
    }
}

/// Length of a chunk's items up to the null that ends them; `None` without one.
fn items_bytes(chunk: &[u8]) -> Option<usize> {
    let mut at = 0;
    while *chunk.get(at)? != END {
        at += 2 + usize::from(*chunk.get(at + 1)?);
    }
    Some(at)
}

/// The items of one source.
#[derive(Clone, Debug)]
pub struct SdesChunk<'a> {
    pub ssrc: u32,
    pub items: SdesItems<'a>,
}

impl<'a> SdesChunk<'a> {
    pub fn cname(&self) -> Option<&'a str> {
        self.text(CNAME)
    }

    pub fn mid(&self) -> Option<&'a str> {
        self.text(MID)
    }

    fn text(&self, kind: u8) -> Option<&'a str> {
        let (_, bytes) = self.items.clone().find(|(found, _)| *found == kind)?;
        std::str::from_utf8(bytes).ok()
    }
}

/// Iterator over a chunk's items as (type, text).
#[derive(Clone, Debug)]
pub struct SdesItems<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [kind, length] = take_array(&mut self.bytes)?;
        Some((kind, take(&mut self.bytes, usize::from(length))?))
    }
}

/// What to say of one source. Texts are cut at 255 bytes, the most an item can carry.
#[derive(Clone, Copy, Debug)]
pub struct SdesSource<'a> {
    pub ssrc: u32,
    pub cname: &'a str,
    /// The identification of the source's media section, which LiveKit's clients read as item 15.
    pub mid: Option<&'a str>,
}

/// Appends source descriptions, one packet for each 31 sources.
pub fn write_sdes(out: &mut Vec<u8>, sources: &[SdesSource<'_>]) {
    for sources in sources.chunks(COUNT_MAX) {
        write_packet(out, SDES, sources.len() as u8, |out| {
            let begin = out.len();
            sources.iter().for_each(|source| write_chunk(out, begin, source));
        });
    }
}

/// `begin` is where the first chunk of the packet began: padding counts from there.
fn write_chunk(out: &mut Vec<u8>, begin: usize, source: &SdesSource<'_>) {
    put_u32(out, source.ssrc);
    write_item(out, CNAME, source.cname);
    if let Some(mid) = source.mid {
        write_item(out, MID, mid);
    }
    out.push(END);
    let padded = (out.len() - begin).next_multiple_of(4);
    out.resize(begin + padded, END);
}

fn write_item(out: &mut Vec<u8>, kind: u8, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u8::MAX))];
    out.push(kind);
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn parse_bye(count: u8, mut body: &[u8]) -> Option<Packet<'_>> {
    take(&mut body, usize::from(count) * 4).map(|words| Packet::Bye { ssrcs: Ssrcs { words } })
}

/// Appends goodbyes without a reason, one packet for each 31 sources.
pub fn write_bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    for ssrcs in ssrcs.chunks(COUNT_MAX) {
        write_packet(out, BYE, ssrcs.len() as u8, |out| ssrcs.iter().for_each(|ssrc| put_u32(out, *ssrc)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packets, tests::only};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn cname_and_mid_match_their_bytes() {
        let mut out = Vec::new();
        let sources = [
            SdesSource { ssrc: 1, cname: "ab", mid: Some("0") },
            SdesSource { ssrc: 2, cname: "c", mid: None },
            SdesSource { ssrc: 3, cname: "de", mid: None },
        ];
        write_sdes(&mut out, &sources);
        // The third chunk's items fill their words, so the null that ends them needs one of its own.
        #[rustfmt::skip]
        let expected = [
            0x83, 202, 0, 8,
            0, 0, 0, 1, 1, 2, b'a', b'b', 15, 1, b'0', 0,
            0, 0, 0, 2, 1, 1, b'c', 0,
            0, 0, 0, 3, 1, 2, b'd', b'e', 0, 0, 0, 0,
        ];
        assert_eq!(out, expected);
        let Packet::Sdes { chunks } = only(&out) else { panic!("{out:?}") };
        let read: Vec<_> = chunks.map(|chunk| (chunk.ssrc, chunk.cname(), chunk.mid())).collect();
        assert_eq!(read, [(1, Some("ab"), Some("0")), (2, Some("c"), None), (3, Some("de"), None)]);
    }

    #[test]
    fn a_malformed_chunk_ends_the_list() {
        let good = [0, 0, 0, 1, 1, 1, b'c', 0];
        let cases: &[(&str, &[u8])] = &[
            ("no end", &[0, 0, 0, 2, 1, 2, b'd', b'e']),
            ("item beyond the packet", &[0, 0, 0, 2, 1, 200, 0, 0]),
            ("ssrc cut", &[0, 0, 0]),
            ("none", &[]),
        ];
        for (name, second) in cases {
            let bytes = [&good[..], second].concat();
            let ssrcs: Vec<_> = SdesChunks::new(2, &bytes).map(|chunk| chunk.ssrc).collect();
            assert_eq!(ssrcs, [1], "{name}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut out = Vec::new();
        let cname = "ä".repeat(200);
        write_sdes(&mut out, &[SdesSource { ssrc: 1, cname: &cname, mid: None }]);
        let Packet::Sdes { mut chunks } = only(&out) else { panic!("{out:?}") };
        assert_eq!(chunks.next().unwrap().cname(), Some(&cname[..254]));
    }

    #[test]
    fn bye_matches_its_bytes() {
        let mut out = Vec::new();
        write_bye(&mut out, &[1, 2]);
        assert_eq!(out, [0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let with_reason = [0x81, 203, 0, 2, 0, 0, 0, 1, 3, b'b', b'y', b'e'];
        let Packet::Bye { ssrcs } = only(&with_reason) else { panic!() };
        assert_eq!(ssrcs.collect::<Vec<_>>(), [1]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            sources in vec((any::<u32>(), "[a-zA-Z_|]{0,60}", proptest::option::of("[0-9]{1,3}")), 1..70),
        ) {
            let borrowed: Vec<_> = sources
                .iter()
                .map(|(ssrc, cname, mid)| SdesSource { ssrc: *ssrc, cname, mid: mid.as_deref() })
                .collect();
            let mut out = Vec::new();
            write_sdes(&mut out, &borrowed);
            let read: Vec<_> = packets(&out)
                .flat_map(|packet| match packet {
                    Packet::Sdes { chunks } => chunks,
                    other => panic!("{other:?}"),
                })
                .map(|chunk| (chunk.ssrc, chunk.cname().unwrap().to_owned(), chunk.mid().map(str::to_owned)))
                .collect();
            prop_assert_eq!(read, sources);
        }

        #[test]
        fn every_goodbye_is_told(ssrcs in vec(any::<u32>(), 0..100)) {
            let mut out = Vec::new();
            write_bye(&mut out, &ssrcs);
            let read: Vec<_> = packets(&out)
                .flat_map(|packet| match packet {
                    Packet::Bye { ssrcs } => ssrcs,
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(read, ssrcs);
        }
    }
}
