//! AV1 payloads: the aggregation header, its OBU elements, and key frames (RTP Payload Format for AV1 §4.4).

const SEQUENCE_HEADER: u8 = 1;
const OBU_HAS_EXTENSION: u8 = 0x04;

/// The byte in front of each packet's OBU elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first element continues one of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub continued: bool,
    /// W: number of elements, of which the last has no length; 0 if all have one.
    pub elements: u8,
    /// N: first packet of a coded video sequence.
    pub new_sequence: bool,
}

impl AggregationHeader {
    pub fn parse(payload: &[u8]) -> Option<AggregationHeader> {
        payload.first().map(|byte| AggregationHeader {
            continues: byte & 0x80 != 0,
            continued: byte & 0x40 != 0,
            elements: byte >> 4 & 0x03,
            new_sequence: byte & 0x08 != 0,
        })
    }
}

/// The OBU elements of a packet in order; ends at the first that does not fit.
pub fn elements(payload: &[u8]) -> Elements<'_> {
    let count = AggregationHeader::parse(payload).map_or(0, |header| header.elements);
    Elements { rest: payload.get(1..).unwrap_or_default(), index: 0, count }
}

/// Iterator over OBU elements: whole OBUs or fragments.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    index: u8,
    /// W of the aggregation header.
    count: u8,
}

impl<'a> Elements<'a> {
    fn take_element(&mut self) -> Option<&'a [u8]> {
        self.index = self.index.saturating_add(1);
        if self.index == self.count {
            return Some(std::mem::take(&mut self.rest));
        }
        let (length, rest) = leb128(self.rest)?;
        let (element, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self.take_element();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

/// A number in leb128 and what follows it; `None` beyond 32 bits (AV1 §4.10.5).
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

/// True in the first packet of a key frame: it begins a coded video sequence or carries a sequence header.
pub fn is_key_frame(payload: &[u8]) -> bool {
    let Some(header) = AggregationHeader::parse(payload) else { return false };
    !header.continues && payload.len() > 1 && (header.new_sequence || has_sequence_header(payload))
}

fn has_sequence_header(payload: &[u8]) -> bool {
    elements(payload).any(|element| element.first().is_some_and(|header| obu_type(*header) == SEQUENCE_HEADER))
}

fn obu_type(header: u8) -> u8 {
    header >> 3 & 0x0F
}

/// Temporal and spatial layer of an OBU, if it tells them.
pub fn layer(element: &[u8]) -> Option<(u8, u8)> {
    match element {
        [header, extension, ..] if header & OBU_HAS_EXTENSION != 0 => Some((extension >> 5, extension >> 3 & 0x03)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEQUENCE: [u8; 4] = [0x08, 0x00, 0x00, 0x00];
    const FRAME: [u8; 3] = [0x30, 0x10, 0xAA];

    #[test]
    fn reads_the_aggregation_header() {
        let header = AggregationHeader::parse(&[0b1010_1000]).unwrap();
        let expected = AggregationHeader { continues: true, continued: false, elements: 2, new_sequence: true };
        assert_eq!(header, expected);
        assert_eq!(AggregationHeader::parse(&[]), None);
    }

    fn elements_of(payload: &[u8]) -> Vec<&[u8]> {
        elements(payload).collect()
    }

    #[test]
    fn splits_elements_with_and_without_lengths() {
        let none: &[&[u8]] = &[];
        assert_eq!(elements_of(&[0x10, 1, 2, 3]), [&[1, 2, 3]], "one, no length");
        assert_eq!(elements_of(&[0x20, 1, 7, 2, 3]), [&[7][..], &[2, 3]], "two, the last without");
        assert_eq!(elements_of(&[0x00, 1, 7, 2, 8, 9]), [&[7][..], &[8, 9]], "each with a length");
        assert_eq!(elements_of(&[0x00, 0x81, 0x00, 7]), [&[7]], "a length of two bytes");
        assert_eq!(elements_of(&[0x00, 1, 7, 5, 8]), [&[7]], "the second is cut");
        assert_eq!(
            elements_of(&[0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            none,
            "no end of length"
        );
        assert_eq!(elements_of(&[0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1]), none, "a length beyond 32 bits");
        assert_eq!(elements_of(&[0x10]), none);
        assert_eq!(elements_of(&[]), none);
    }

    #[test]
    fn a_key_frame_begins_with_a_sequence() {
        let with_sequence = [&[0x20, 4], &SEQUENCE[..], &FRAME].concat();
        let after_delimiter = [&[0x00, 1, 0x10, 4], &SEQUENCE[..]].concat();
        let cases: &[(&str, &[u8], bool)] = &[
            ("new sequence", &[0x18, 0x30, 0x10], true),
            ("sequence header", &with_sequence, true),
            ("sequence header after a temporal delimiter", &after_delimiter, true),
            ("continues an element", &[0x98, 0x30, 0x10], false),
            ("a frame", &[0x10, 0x30, 0x10], false),
            ("no element", &[0x18], false),
            ("nothing", &[], false),
        ];
        for (name, payload, expected) in cases {
            assert_eq!(is_key_frame(payload), *expected, "{name}");
        }
    }

    #[test]
    fn extensions_tell_the_layer() {
        assert_eq!(layer(&[0x34, 0b0101_0000]), Some((2, 2)));
        assert_eq!(layer(&[0x30, 0b0101_0000]), None);
        assert_eq!(layer(&[0x34]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            is_key_frame(&payload);
            let bytes: usize = elements(&payload).inspect(|element| { layer(element); }).map(<[u8]>::len).sum();
            prop_assert!(bytes <= payload.len());
            prop_assert!(elements(&payload).count() <= payload.len());
        }
    }
}
