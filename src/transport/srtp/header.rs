//! The few fields of RTP and RTCP headers that SRTP reads (RFC 3550 §5.1, §6.4.1).

/// What SRTP needs of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpFields {
    pub sequence: u16,
    pub ssrc: u32,
}

/// Fixed part of an RTP header, in bytes.
const FIXED_BYTES: usize = 12;

/// What stays clear in SRTCP: the first header and the sender's SSRC (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR_BYTES: usize = 8;

/// `None` for what is no RTP version 2 packet.
pub(super) fn rtp_fields(packet: &[u8]) -> Option<RtpFields> {
    match packet.first_chunk::<FIXED_BYTES>()? {
        [v, _, s0, s1, _, _, _, _, ssrc @ ..] if v >> 6 == 2 => {
            Some(RtpFields { sequence: u16::from_be_bytes([*s0, *s1]), ssrc: u32::from_be_bytes(*ssrc) })
        }
        _ => None,
    }
}

/// Bytes of the header with CSRCs and extensions; `None` if the packet ends before.
pub(super) fn rtp_header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = FIXED_BYTES + 4 * usize::from(first & 0x0f);
    let end = if first & 0x10 == 0 { fixed } else { fixed + 4 + extension_bytes(packet.get(fixed..)?)? };
    (end <= packet.len()).then_some(end)
}

fn extension_bytes(extension: &[u8]) -> Option<usize> {
    let [_, _, hi, lo] = extension.first_chunk::<4>()?;
    Some(4 * usize::from(u16::from_be_bytes([*hi, *lo])))
}

/// The SSRC of a compound packet's sender; `None` for what is no RTCP.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    match packet.first_chunk::<RTCP_CLEAR_BYTES>()? {
        [v, _, _, _, ssrc @ ..] if v >> 6 == 2 => Some(u32::from_be_bytes(*ssrc)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len];
        packet[0] = first;
        packet
    }

    #[test]
    fn header_bytes() {
        let mut extended = packet(0x92, 40);
        extended[20..24].copy_from_slice(&[0xbe, 0xde, 0, 3]);
        let cases: [(&str, Vec<u8>, Option<usize>); 6] = [
            ("plain", packet(0x80, 12), Some(12)),
            ("two CSRCs", packet(0x82, 20), Some(20)),
            ("CSRCs cut off", packet(0x82, 19), None),
            ("extension", extended.clone(), Some(36)),
            ("extension cut off", extended[..35].to_vec(), None),
            ("extension header cut off", extended[..22].to_vec(), None),
        ];
        for (name, packet, expected) in cases {
            assert_eq!(rtp_header_bytes(&packet), expected, "{name}");
        }
    }

    #[test]
    fn fields_need_version_two_and_a_whole_header() {
        let mut rtp = packet(0x80, 12);
        rtp[2..4].copy_from_slice(&[1, 2]);
        rtp[8..].copy_from_slice(&[3, 4, 5, 6]);
        assert_eq!(rtp_fields(&rtp), Some(RtpFields { sequence: 0x0102, ssrc: 0x0304_0506 }));
        assert_eq!(rtp_fields(&rtp[..11]), None);
        assert_eq!(rtp_fields(&packet(0x40, 12)), None);
        assert_eq!(rtcp_ssrc(&packet(0x80, 7)), None);
    }
}
