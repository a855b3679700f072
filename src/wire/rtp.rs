//! RTP packets (RFC 3550 §5.1, header extensions RFC 8285) as borrowed views, and the header writer.
//!
//! Called by `transport` to find what SRTP protects, by `media` to read and rewrite packets. Knows nothing of what a
//! payload or an extension means.

use std::ops::Range;

/// Bytes of a header without CSRCs and extensions.
pub const FIXED_HEADER_BYTES: usize = 12;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const MARKER_BIT: u8 = 0x80;
const PROFILE_ONE_BYTE: u16 = 0xBEDE;
const PROFILE_TWO_BYTE: u16 = 0x1000;

/// A parsed RTP packet; offsets point into the packet's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The extension profile word, if there are header extensions: 0xBEDE or 0x100n.
    pub extension_profile: Option<u16>,
    /// Where the extension elements begin, and their length in bytes.
    pub extension_offset: u16,
    pub extension_bytes: u16,
    /// Where the payload begins.
    pub payload_offset: u16,
    /// Padding at the end, in bytes, the count byte included. Only meaningful on decrypted packets.
    pub padding_bytes: u8,
}

impl RtpHeader {
    /// Reads the header; every offset is checked against the packet. The padding count is taken as it stands, because
    /// on an encrypted packet it is noise: [`RtpHeader::payload`] checks it.
    ///
    /// # Cost
    /// No allocation, no copy.
    pub fn parse(packet: &[u8]) -> Option<RtpHeader> {
        let fixed = packet.first_chunk::<FIXED_HEADER_BYTES>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if first >> 6 != VERSION || packet.len() > usize::from(u16::MAX) {
            return None;
        }
        let after_csrcs = FIXED_HEADER_BYTES + usize::from(first & 0x0F) * 4;
        let extension = Extension::parse(packet, after_csrcs, first & EXTENSION_BIT != 0)?;
        Some(RtpHeader {
            marker: second & MARKER_BIT != 0,
            payload_type: second & !MARKER_BIT,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            extension_profile: extension.profile,
            extension_offset: extension.offset,
            extension_bytes: extension.bytes,
            payload_offset: extension.offset + extension.bytes,
            padding_bytes: if first & PADDING_BIT != 0 { *packet.last()? } else { 0 },
        })
    }

    /// The payload without padding; empty when the padding count is larger than what follows the header.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let end = packet.len().saturating_sub(usize::from(self.padding_bytes));
        packet.get(usize::from(self.payload_offset)..end).unwrap_or_default()
    }

    /// The header extension elements in order, as (id, value).
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let begin = usize::from(self.extension_offset);
        let elements = packet.get(begin..begin + usize::from(self.extension_bytes)).unwrap_or_default();
        Extensions { elements, position: 0, form: self.extension_profile.and_then(Form::of_profile) }
    }

    /// The value of the first element with this id.
    pub fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        self.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value)
    }

    /// Where in the packet the value of the first element with this id lies, to write over it.
    pub fn extension_range(&self, packet: &[u8], id: u8) -> Option<Range<usize>> {
        let mut elements = self.extensions(packet);
        let (_, value) = elements.by_ref().find(|(found, _)| *found == id)?;
        let end = usize::from(self.extension_offset) + elements.position;
        Some(end - value.len()..end)
    }
}

/// Where a packet's extension elements lie; without any, an empty place before the payload.
struct Extension {
    profile: Option<u16>,
    offset: u16,
    bytes: u16,
}

impl Extension {
    fn parse(packet: &[u8], at: usize, present: bool) -> Option<Extension> {
        let rest = packet.get(at..)?;
        let at = u16::try_from(at).ok()?;
        if !present {
            return Some(Extension { profile: None, offset: at, bytes: 0 });
        }
        let [p0, p1, w0, w1] = *rest.first_chunk::<4>()?;
        let bytes = u16::from_be_bytes([w0, w1]).checked_mul(4)?;
        rest.get(4..4 + usize::from(bytes))?;
        Some(Extension { profile: Some(u16::from_be_bytes([p0, p1])), offset: at + 4, bytes })
    }
}

/// Id and value of a header extension element.
pub type Element<'a> = (u8, &'a [u8]);

/// The two element layouts of RFC 8285 §4.2 and §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
}

impl Form {
    fn of_profile(profile: u16) -> Option<Form> {
        match profile {
            PROFILE_ONE_BYTE => Some(Form::OneByte),
            // The low four bits are "appbits", free for the application.
            p if p & 0xFFF0 == PROFILE_TWO_BYTE => Some(Form::TwoByte),
            _ => None,
        }
    }

    /// The shortest form that can carry all elements; `None` if none can.
    fn for_elements(elements: &[Element<'_>]) -> Option<Form> {
        if elements.iter().all(|(id, value)| (1..=14).contains(id) && (1..=16).contains(&value.len())) {
            return Some(Form::OneByte);
        }
        let fits = elements.iter().all(|(id, value)| *id != 0 && value.len() <= usize::from(u8::MAX));
        fits.then_some(Form::TwoByte)
    }

    fn profile(self) -> u16 {
        match self {
            Form::OneByte => PROFILE_ONE_BYTE,
            Form::TwoByte => PROFILE_TWO_BYTE,
        }
    }

    fn header_bytes(self) -> usize {
        match self {
            Form::OneByte => 1,
            Form::TwoByte => 2,
        }
    }
}

/// Iterator over header extension elements; ends at the first element that does not fit.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    elements: &'a [u8],
    /// First byte not yet read.
    position: usize,
    form: Option<Form>,
}

impl<'a> Extensions<'a> {
    fn skip_padding(&mut self) {
        while self.elements.get(self.position) == Some(&0) {
            self.position += 1;
        }
    }

    /// Id and length of the element at the position, which moves to its value.
    fn element_header(&mut self) -> Option<(u8, usize)> {
        let first = *self.elements.get(self.position)?;
        let header = match self.form? {
            // Id 15 is reserved and id 0 with a length is not padding: both end the list (RFC 8285 §4.2).
            Form::OneByte if matches!(first >> 4, 0 | 15) => None,
            Form::OneByte => Some((first >> 4, usize::from(first & 0x0F) + 1)),
            Form::TwoByte => Some((first, usize::from(*self.elements.get(self.position + 1)?))),
        }?;
        self.position += self.form?.header_bytes();
        Some(header)
    }

    fn end(&mut self) {
        self.form = None;
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.skip_padding();
        let element = self.element_header().and_then(|(id, bytes)| {
            let value = self.elements.get(self.position..self.position + bytes)?;
            self.position += bytes;
            Some((id, value))
        });
        if element.is_none() {
            self.end();
        }
        element
    }
}

/// The fields of a header to write. CSRCs are never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutHeader {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// Writes a header with these extension elements (id, value) to the front of `out` and returns its length in bytes.
/// `None` if `out` is too small or an element has id 0 or more than 255 bytes; `out` may then be half written.
///
/// # Cost
/// No allocation.
pub fn write_header(out: &mut [u8], fields: &OutHeader, extensions: &[Element<'_>]) -> Option<usize> {
    let fixed = out.first_chunk_mut::<FIXED_HEADER_BYTES>()?;
    fixed[0] = VERSION << 6 | if extensions.is_empty() { 0 } else { EXTENSION_BIT };
    fixed[1] = u8::from(fields.marker) << 7 | (fields.payload_type & !MARKER_BIT);
    fixed[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
    if extensions.is_empty() {
        return Some(FIXED_HEADER_BYTES);
    }
    write_extensions(&mut out[FIXED_HEADER_BYTES..], extensions).map(|bytes| FIXED_HEADER_BYTES + bytes)
}

/// Bytes [`write_header`] needs for these elements, `None` if it would refuse them.
pub fn header_bytes(extensions: &[Element<'_>]) -> Option<usize> {
    if extensions.is_empty() {
        return Some(FIXED_HEADER_BYTES);
    }
    let form = Form::for_elements(extensions)?;
    let elements: usize = extensions.iter().map(|(_, value)| form.header_bytes() + value.len()).sum();
    Some(FIXED_HEADER_BYTES + 4 + elements.next_multiple_of(4))
}

fn write_extensions(out: &mut [u8], extensions: &[Element<'_>]) -> Option<usize> {
    let form = Form::for_elements(extensions)?;
    let mut at = 4;
    for (id, value) in extensions {
        at = write_element(out, at, form, *id, value)?;
    }
    let end = at.next_multiple_of(4);
    out.get_mut(at..end)?.fill(0);
    let words = u16::try_from(end / 4 - 1).ok()?;
    out[..2].copy_from_slice(&form.profile().to_be_bytes());
    out[2..4].copy_from_slice(&words.to_be_bytes());
    Some(end)
}

fn write_element(out: &mut [u8], at: usize, form: Form, id: u8, value: &[u8]) -> Option<usize> {
    let begin = at + form.header_bytes();
    let end = begin + value.len();
    out.get_mut(begin..end)?.copy_from_slice(value);
    match form {
        Form::OneByte => out[at] = id << 4 | (value.len() - 1) as u8,
        Form::TwoByte => {
            out[at] = id;
            out[at + 1] = value.len() as u8;
        }
    }
    Some(end)
}

/// Writes over the marker bit. Like the other setters it leaves a packet shorter than a header alone.
pub fn set_marker(packet: &mut [u8], marker: bool) {
    if let Some(byte) = packet.get_mut(1) {
        *byte = *byte & !MARKER_BIT | u8::from(marker) << 7;
    }
}

/// Writes over the padding bit; the padding bytes and their count are the caller's.
pub fn set_padding(packet: &mut [u8], padded: bool) {
    if let Some(byte) = packet.get_mut(0) {
        *byte = *byte & !PADDING_BIT | if padded { PADDING_BIT } else { 0 };
    }
}

pub fn set_payload_type(packet: &mut [u8], payload_type: u8) {
    if let Some(byte) = packet.get_mut(1) {
        *byte = *byte & MARKER_BIT | payload_type & !MARKER_BIT;
    }
}

pub fn set_sequence(packet: &mut [u8], sequence: u16) {
    put(packet, 2..4, &sequence.to_be_bytes());
}

pub fn set_timestamp(packet: &mut [u8], timestamp: u32) {
    put(packet, 4..8, &timestamp.to_be_bytes());
}

pub fn set_ssrc(packet: &mut [u8], ssrc: u32) {
    put(packet, 8..12, &ssrc.to_be_bytes());
}

fn put(packet: &mut [u8], range: Range<usize>, bytes: &[u8]) {
    if let Some(place) = packet.get_mut(range) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// V=2, P, X, one CSRC; marker, payload type 96; one-byte extensions 1 = AA, padding, 3 = BB CC; payload; padding.
    const FULL: &[u8] = &[
        0xB1, 0xE0, 0x12, 0x34, 0, 0, 0, 5, 0xDE, 0xAD, 0xBE, 0xEF, 0, 0, 0, 9, 0xBE, 0xDE, 0, 2, 0x10, 0xAA, 0, 0x31,
        0xBB, 0xCC, 0, 0, 1, 2, 3, 0, 2,
    ];

    #[test]
    fn reads_every_field() {
        let header = RtpHeader::parse(FULL).unwrap();
        assert!(header.marker);
        assert_eq!((header.payload_type, header.sequence, header.timestamp, header.ssrc), (96, 0x1234, 5, 0xDEAD_BEEF));
        assert_eq!(header.extension_profile, Some(0xBEDE));
        assert_eq!((header.extension_offset, header.extension_bytes, header.payload_offset), (20, 8, 28));
        assert_eq!(header.payload(FULL), [1, 2, 3]);
        assert_eq!(header.extensions(FULL).collect::<Vec<_>>(), [(1, &[0xAA][..]), (3, &[0xBB, 0xCC][..])]);
        assert_eq!(header.extension(FULL, 3), Some(&[0xBB, 0xCC][..]));
        assert_eq!(header.extension_range(FULL, 3), Some(24..26));
        assert_eq!(header.extension(FULL, 2), None);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let refused: &[(&str, &[u8])] = &[
            ("empty", &[]),
            ("eleven bytes", &[0x80; 11]),
            ("version 1", &[0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("csrc missing", &[0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]),
            ("extension header cut", &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0]),
            ("extension elements cut", &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0, 1, 0, 0, 0]),
            ("extension longer than any packet", &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0xFF, 0xFF]),
        ];
        for (name, packet) in refused {
            assert_eq!(RtpHeader::parse(packet), None, "{name}");
        }
        assert_eq!(RtpHeader::parse(&[0x80; 65536]), None);
    }

    fn elements_of(profile: u16, elements: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut packet = vec![0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(&profile.to_be_bytes());
        packet.extend_from_slice(&((elements.len() / 4) as u16).to_be_bytes());
        packet.extend_from_slice(elements);
        let header = RtpHeader::parse(&packet).unwrap();
        header.extensions(&packet).map(|(id, value)| (id, value.to_vec())).collect()
    }

    #[test]
    fn reads_elements_up_to_the_first_bad_one() {
        let one = |id, value: &[u8]| vec![(id, value.to_vec())];
        assert_eq!(elements_of(0xBEDE, &[0x10, 7, 0xF0, 1, 0x20, 8, 0, 0]), one(1, &[7]), "id 15 ends the list");
        assert_eq!(elements_of(0xBEDE, &[0x10, 7, 0x01, 1, 0x20, 8, 0, 0]), one(1, &[7]), "id 0 with a length too");
        assert_eq!(elements_of(0xBEDE, &[0x10, 7, 0x23, 1]), one(1, &[7]), "value cut");
        assert_eq!(elements_of(0x1000, &[1, 0, 0, 0]), one(1, &[]), "two-byte form may be empty");
        assert_eq!(elements_of(0x100F, &[16, 2, 3, 4]), one(16, &[3, 4]), "appbits are ignored");
        assert_eq!(elements_of(0x1000, &[0, 0, 0, 9]), vec![], "length cut");
        assert_eq!(elements_of(0xABCD, &[0x10, 7, 0, 0]), vec![], "unknown profile");
    }

    #[test]
    fn payload_is_empty_when_padding_is_too_long() {
        let mut packet = FULL.to_vec();
        for (count, expected) in [(2, &[1, 2, 3][..]), (5, &[]), (6, &[]), (255, &[])] {
            *packet.last_mut().unwrap() = count;
            let header = RtpHeader::parse(&packet).unwrap();
            assert_eq!(header.payload(&packet), expected, "padding {count}");
        }
    }

    #[test]
    fn setters_touch_only_their_field() {
        let mut packet = FULL.to_vec();
        set_marker(&mut packet, false);
        set_payload_type(&mut packet, 0xE3);
        set_sequence(&mut packet, 0xFFFE);
        set_timestamp(&mut packet, 0x0102_0304);
        set_ssrc(&mut packet, 42);
        set_padding(&mut packet, false);
        let before = RtpHeader::parse(FULL).unwrap();
        let expected = RtpHeader {
            marker: false,
            payload_type: 0x63,
            sequence: 0xFFFE,
            timestamp: 0x0102_0304,
            ssrc: 42,
            padding_bytes: 0,
            ..before
        };
        assert_eq!(RtpHeader::parse(&packet), Some(expected));
        assert_eq!(packet[12..], FULL[12..]);
        set_ssrc(&mut [0; 11], 1);
        set_marker(&mut [], true);
    }

    const FIELDS: OutHeader = OutHeader { marker: true, payload_type: 111, sequence: 7, timestamp: 8, ssrc: 9 };

    type FormCase = (&'static [Element<'static>], Option<u16>, usize);

    #[test]
    fn writer_takes_the_shortest_form() {
        const LONG: [u8; 17] = [5; 17];
        let cases: &[FormCase] = &[
            (&[], None, 12),
            (&[(1, &[1]), (14, &[2, 3])], Some(0xBEDE), 24),
            (&[(1, &[5; 16])], Some(0xBEDE), 36),
            (&[(1, &LONG)], Some(0x1000), 36),
            (&[(15, &[1, 2])], Some(0x1000), 20),
            (&[(1, &[])], Some(0x1000), 20),
        ];
        for (extensions, profile, bytes) in cases {
            let mut out = [0xFF; 64];
            assert_eq!(write_header(&mut out, &FIELDS, extensions), Some(*bytes), "{extensions:?}");
            assert_eq!(header_bytes(extensions), Some(*bytes));
            let header = RtpHeader::parse(&out[..*bytes]).unwrap();
            assert_eq!(header.extension_profile, *profile, "{extensions:?}");
            assert_eq!(usize::from(header.payload_offset), *bytes);
        }
    }

    #[test]
    fn writer_refuses_what_cannot_be_said() {
        let mut out = [0; 64];
        assert_eq!(write_header(&mut out, &FIELDS, &[(0, &[1])]), None);
        assert_eq!(write_header(&mut [0; 600], &FIELDS, &[(1, &[0; 256])]), None);
        assert_eq!(write_header(&mut out[..11], &FIELDS, &[]), None);
        for room in 12..20 {
            assert_eq!(write_header(&mut out[..room], &FIELDS, &[(1, &[1])]), None, "room for {room} bytes");
        }
        assert_eq!(write_header(&mut out[..20], &FIELDS, &[(1, &[1])]), Some(20));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            elements in vec((1u8..=255, vec(any::<u8>(), 0..40)), 0..6), payload in vec(any::<u8>(), 0..30),
        ) {
            let fields = OutHeader { marker, payload_type, sequence, timestamp, ssrc };
            let borrowed: Vec<Element> = elements.iter().map(|(id, value)| (*id, value.as_slice())).collect();
            let mut packet = [0xEE; 512];
            let bytes = write_header(&mut packet, &fields, &borrowed).unwrap();
            packet[bytes..bytes + payload.len()].copy_from_slice(&payload);
            let packet = &packet[..bytes + payload.len()];
            let header = RtpHeader::parse(packet).unwrap();
            prop_assert_eq!(header.extensions(packet).collect::<Vec<_>>(), borrowed);
            prop_assert_eq!(header.payload(packet), payload);
            prop_assert_eq!(
                (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc),
                (marker, payload_type, sequence, timestamp, ssrc)
            );
        }

        #[test]
        fn any_bytes_are_read_within_bounds(mut packet in vec(any::<u8>(), 0..80), id: u8, forced in 0u8..64) {
            if let Some(first) = packet.first_mut() {
                *first = 0x80 | forced;
            }
            if let Some(header) = RtpHeader::parse(&packet) {
                prop_assert!(header.payload(&packet).len() + usize::from(header.payload_offset) <= packet.len());
                let value = header.extension(&packet, id);
                let range = header.extension_range(&packet, id);
                prop_assert_eq!(value, range.map(|range| &packet[range]));
                prop_assert!(header.extensions(&packet).count() <= packet.len());
            }
        }
    }
}
