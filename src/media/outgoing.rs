//! A leg's copy of a packet, decided but not yet written: new header fields and where to find the rest. The shard writes
//! it into a slot of its outbox, where `transport` seals it.

use super::arrival::Span;
use super::redundancy::Redundancy;
use crate::wire::codec::vp8;
use crate::wire::dependency::{BYTES_MAX, Mask};
use crate::wire::ext::AbsCaptureTime;
use crate::wire::rtp::{OutHeader, set_padding, write_header};
use smallvec::SmallVec;

/// Extension elements that fit without allocation: three of ours and those of the pacer.
const EXTENSIONS_INLINE: usize = 6;

/// What to send, in terms of the incoming packet it is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub header: OutHeader,
    /// Of a retransmission on an RTX SSRC: written before the payload (RFC 4588 §4).
    pub original_sequence: Option<u16>,
    /// In the incoming packet.
    pub payload: Span,
    /// Bytes of padding behind it, the count byte included; 0 is none.
    pub padding: u8,
    /// Written over the payload descriptor's.
    pub vp8: Option<vp8::Numbers>,
    /// Dependency descriptor as it came: id, and where in the incoming packet.
    pub dependency: Option<(u8, Span)>,
    /// Written into the dependency descriptor.
    pub decode_targets: Option<Mask>,
    /// On our clock.
    pub capture_time: Option<(u8, AbsCaptureTime)>,
    pub playout_delay: Option<(u8, [u8; 3])>,
    /// The payload is to be put into RED first, see [`Redundancy::write`].
    pub redundancy: Option<Redundancy>,
}

impl Outgoing {
    /// Writes the whole RTP packet made from `packet` to the front of `out` and returns its length. `extra` are extension
    /// elements of the connection: abs-send-time, transport-cc. `None` if `out` is too small.
    ///
    /// # Cost
    /// One copy of the payload, no allocation.
    pub fn write(&self, packet: &[u8], extra: &[(u8, &[u8])], out: &mut [u8]) -> Option<usize> {
        let header = self.write_header(packet, extra, out)?;
        let payload_at = header + self.write_original_sequence(out.get_mut(header..)?)?;
        let payload = self.payload.in_packet(packet);
        let end = payload_at + payload.len();
        let place = out.get_mut(payload_at..end)?;
        place.copy_from_slice(payload);
        if let Some(numbers) = &self.vp8 {
            vp8::rewrite(place, numbers);
        }
        self.write_padding(out, end)
    }

    fn write_padding(&self, out: &mut [u8], begin: usize) -> Option<usize> {
        let end = begin + usize::from(self.padding);
        let padding = out.get_mut(begin..end)?;
        padding.fill(0);
        if let Some(count) = padding.last_mut() {
            *count = self.padding;
            set_padding(out, true);
        }
        Some(end)
    }

    fn write_header(&self, packet: &[u8], extra: &[(u8, &[u8])], out: &mut [u8]) -> Option<usize> {
        let mut masked = [0; BYTES_MAX];
        let dependency = self.dependency.map(|(id, span)| (id, self.masked(span.in_packet(packet), &mut masked)));
        let capture = self.capture_time.map(|(id, time)| (id, time.to_bytes()));
        let mut elements: SmallVec<[(u8, &[u8]); EXTENSIONS_INLINE]> = SmallVec::new();
        elements.extend(dependency);
        elements.extend(capture.as_ref().map(|(id, (bytes, length))| (*id, &bytes[..*length])));
        elements.extend(self.playout_delay.as_ref().map(|(id, bytes)| (*id, &bytes[..])));
        elements.extend(extra.iter().copied());
        write_header(out, &self.header, &elements)
    }

    fn masked<'a>(&self, descriptor: &'a [u8], out: &'a mut [u8; BYTES_MAX]) -> &'a [u8] {
        match self.decode_targets.and_then(|mask| mask.write(descriptor, out)) {
            Some(length) => &out[..length],
            None => descriptor,
        }
    }

    fn write_original_sequence(&self, out: &mut [u8]) -> Option<usize> {
        let Some(sequence) = self.original_sequence else { return Some(0) };
        out.first_chunk_mut::<2>()?.copy_from_slice(&sequence.to_be_bytes());
        Some(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::RtpHeader;

    fn outgoing() -> Outgoing {
        Outgoing {
            header: OutHeader { marker: true, payload_type: 97, sequence: 7, timestamp: 8, ssrc: 9 },
            original_sequence: None,
            payload: Span { begin: 12, bytes: 6 },
            padding: 0,
            vp8: None,
            dependency: None,
            decode_targets: None,
            capture_time: None,
            playout_delay: None,
            redundancy: None,
        }
    }

    const PACKET: [u8; 18] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x80, 0x80, 0x05, 0xAA, 0xBB];

    #[test]
    fn rewrites_the_descriptor_and_leaves_the_source_alone() {
        let numbers = vp8::Numbers { picture_id: 0x1234, ..Default::default() };
        let mut out = [0; 64];
        let length = Outgoing { vp8: Some(numbers), ..outgoing() }.write(&PACKET, &[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!((header.sequence, header.payload_type, header.marker), (7, 97, true));
        assert_eq!(header.payload(&out[..length]), [0x90, 0x80, 0x92, 0x34, 0xAA, 0xBB]);
    }

    #[test]
    fn retransmissions_carry_the_original_sequence_number() {
        let mut out = [0; 64];
        let length = Outgoing { original_sequence: Some(0x0102), ..outgoing() }.write(&PACKET, &[], &mut out).unwrap();
        assert_eq!(out[12..length], [1, 2, 0x90, 0x80, 0x80, 0x05, 0xAA, 0xBB]);
    }

    #[test]
    fn padding_makes_it_longer_and_leaves_the_payload_alone() {
        let mut out = [0xFF; 64];
        let length = Outgoing { padding: 3, ..outgoing() }.write(&PACKET, &[], &mut out).unwrap();
        assert_eq!((length, &out[18..length]), (21, &[0, 0, 3][..]));
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!(header.payload(&out[..length]), &PACKET[12..]);
        assert_eq!(Outgoing { padding: 3, ..outgoing() }.write(&PACKET, &[], &mut out[..20]), None);
    }

    #[test]
    fn the_mask_goes_into_the_descriptor() {
        let mut out = [0; 64];
        let decode_targets = Some(Mask { active: 0b011, targets: 3 });
        let leg = Outgoing { dependency: Some((5, Span { begin: 12, bytes: 3 })), decode_targets, ..outgoing() };
        let length = leg.write(&PACKET, &[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!(header.extension(&out[..length], 5), Some(&[0x90, 0x80, 0x80, 0b0100_0011][..]));
        let unreadable = Outgoing { dependency: Some((5, Span { begin: 12, bytes: 2 })), ..leg };
        let length = unreadable.write(&PACKET, &[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!(header.extension(&out[..length], 5), Some(&[0x90, 0x80][..]), "is left as it was");
    }

    #[test]
    fn extensions_of_the_packet_and_the_connection_go_out_together() {
        let capture_time = Some((4, AbsCaptureTime { ntp: 77, clock_offset: None }));
        let dependency = Some((5, Span { begin: 16, bytes: 2 }));
        let mut out = [0; 64];
        let playout_delay = Some((6, [1, 2, 3]));
        let leg = Outgoing { dependency, capture_time, playout_delay, ..outgoing() };
        let length = leg.write(&PACKET, &[(3, &[1, 2, 3])], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        let value = |id| header.extension(&out[..length], id);
        assert_eq!(value(6), Some(&[1, 2, 3][..]));
        assert_eq!((value(3), value(5)), (Some(&[1, 2, 3][..]), Some(&[0xAA, 0xBB][..])));
        assert_eq!(value(4).and_then(AbsCaptureTime::parse).map(|t| t.ntp), Some(77));
        assert_eq!(leg.write(&PACKET, &[], &mut out[..20]), None);
    }
}
