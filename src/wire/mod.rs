//! Bytes to values and back, without state, time or sockets: RTP, RTCP, STUN and codec payload headers as borrowed
//! views.

mod bits;
pub mod codec;
pub mod dependency;
pub mod ext;
pub mod rtcp;
pub mod rtp;
pub mod seq;
pub mod stun;

/// What a datagram on a media port is, told by its first byte (RFC 7983 §7, RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

/// Classifies a datagram by its first two bytes.
pub fn classify(datagram: &[u8]) -> Datagram {
    match datagram {
        [0..=3, ..] => Datagram::Stun,
        [20..=63, ..] => Datagram::Dtls,
        [128..=191, 192..=223, ..] => Datagram::Rtcp,
        [128..=191, _, ..] => Datagram::Rtp,
        _ => Datagram::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_datagrams_apart_by_two_bytes() {
        let cases: &[(&[u8], Datagram)] = &[
            (&[], Datagram::Unknown),
            (&[0, 1], Datagram::Stun),
            (&[3], Datagram::Stun),
            (&[4, 0], Datagram::Unknown),
            (&[20, 0xFE], Datagram::Dtls),
            (&[63], Datagram::Dtls),
            (&[64, 0], Datagram::Unknown),
            (&[0x80, 96], Datagram::Rtp),
            (&[0x90, 96 | 0x80], Datagram::Rtp),
            (&[0x80, 191], Datagram::Rtp),
            (&[0x80, 192], Datagram::Rtcp),
            (&[0xBF, 223], Datagram::Rtcp),
            (&[0x80, 224], Datagram::Rtp),
            (&[0x80], Datagram::Unknown),
            (&[192, 0], Datagram::Unknown),
        ];
        for (datagram, expected) in cases {
            assert_eq!(classify(datagram), *expected, "{datagram:?}");
        }
    }
}
