//! RTP headers and the header extensions in them: every view lies inside the packet, and what is written again reads
//! the same.
#![no_main]

use lkops::wire::rtp::{self, OutHeader, RtpHeader};
use lkops::wire::{classify, ext};

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    classify(packet);
    let Some(header) = RtpHeader::parse(packet) else { return };
    assert!(usize::from(header.payload_offset) + header.payload(packet).len() <= packet.len());
    for (id, value) in header.extensions(packet) {
        read_value(value);
        let range = header.extension_range(packet, id).expect("an element that was listed");
        assert_eq!(header.extension(packet, id), Some(&packet[range]));
    }
    write_again(&header, packet);
});

fn read_value(value: &[u8]) {
    ext::AudioLevel::parse(value);
    ext::AbsSendTime::parse(value);
    ext::AbsCaptureTime::parse(value);
    ext::PlayoutDelay::parse(value);
    ext::transport_sequence(value);
    ext::mid(value);
    ext::rid(value);
}

fn write_again(header: &RtpHeader, packet: &[u8]) {
    let elements: Vec<_> = header.extensions(packet).collect();
    let RtpHeader { marker, payload_type, sequence, timestamp, ssrc, .. } = *header;
    let fields = OutHeader { marker, payload_type, sequence, timestamp, ssrc };
    let mut out = vec![0xFF; rtp::header_bytes(&elements).expect("elements that were read")];
    let bytes = rtp::write_header(&mut out, &fields, &elements).expect("room for the header");
    assert_eq!(bytes, out.len());
    let written = RtpHeader::parse(&out).expect("a header that was written");
    assert_eq!(written.extensions(&out).collect::<Vec<_>>(), elements);
}
