//! The data channel establishment protocol (RFC 8832): its two messages, and the payload identifiers of the rest
//! (RFC 8831 §8).

use crate::limits;

/// A DATA_CHANNEL_OPEN message (RFC 8832 §5.1), as far as it concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub label: String,
    pub ordered: bool,
    pub reliability: Reliability,
}

/// How long a message is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    Reliable,
    Retransmits(u32),
    Milliseconds(u32),
}

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;
const UNORDERED: u8 = 0x80;
/// Message type, channel type, priority, reliability parameter and both lengths.
const FIXED_BYTES: usize = 12;

/// What a DCEP message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dcep {
    Open(Open),
    Ack,
}

pub(super) const ACK_MESSAGE: [u8; 1] = [ACK];

impl Dcep {
    /// `None` if it is malformed, unknown, or its label too long.
    pub fn parse(message: &[u8]) -> Option<Dcep> {
        match *message.first()? {
            ACK => Some(Dcep::Ack),
            OPEN => Open::parse(message).map(Dcep::Open),
            _ => None,
        }
    }
}

impl Open {
    fn parse(message: &[u8]) -> Option<Open> {
        let (fixed, rest) = message.split_first_chunk::<FIXED_BYTES>()?;
        let [_, kind, _, _, p0, p1, p2, p3, l0, l1, ..] = *fixed;
        let label = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        let label = (label.len() <= limits::DATA_CHANNEL_LABEL_BYTES_MAX).then_some(label)?;
        let reliability = Reliability::parse(kind & !UNORDERED, u32::from_be_bytes([p0, p1, p2, p3]))?;
        let label = std::str::from_utf8(label).ok()?.to_owned();
        Some(Open { label, ordered: kind & UNORDERED == 0, reliability })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, parameter) = self.reliability.parts();
        let mut out = vec![OPEN, if self.ordered { kind } else { kind | UNORDERED }, 0, 0];
        out.extend_from_slice(&parameter.to_be_bytes());
        out.extend_from_slice(&(self.label.len() as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(self.label.as_bytes());
        out
    }
}

impl Reliability {
    fn parse(kind: u8, parameter: u32) -> Option<Reliability> {
        match kind {
            0 => Some(Reliability::Reliable),
            1 => Some(Reliability::Retransmits(parameter)),
            2 => Some(Reliability::Milliseconds(parameter)),
            _ => None,
        }
    }

    fn parts(self) -> (u8, u32) {
        match self {
            Reliability::Reliable => (0, 0),
            Reliability::Retransmits(times) => (1, times),
            Reliability::Milliseconds(ms) => (2, ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lossy_open_as_clients_send_it() {
        let open = Open { label: "_lossy".into(), ordered: false, reliability: Reliability::Retransmits(0) };
        let bytes = [0x03, 0x81, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, b'_', b'l', b'o', b's', b's', b'y'];
        assert_eq!(open.to_bytes(), bytes);
        assert_eq!(Dcep::parse(&bytes), Some(Dcep::Open(open)));
    }

    #[test]
    fn bad_messages() {
        let good = Open { label: "abc".into(), ordered: true, reliability: Reliability::Reliable }.to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            bad
        };
        let cases: [(&str, Vec<u8>); 6] = [
            ("empty", Vec::new()),
            ("unknown type", with(0, 1)),
            ("unknown channel type", with(1, 3)),
            ("label longer than the message", with(9, 4)),
            ("label not UTF-8", with(12, 0xff)),
            ("cut off", good[..11].to_vec()),
        ];
        for (name, message) in cases {
            assert_eq!(Dcep::parse(&message), None, "{name}");
        }
        let long = "x".repeat(limits::DATA_CHANNEL_LABEL_BYTES_MAX + 1);
        let long = Open { label: long, ordered: true, reliability: Reliability::Reliable };
        assert_eq!(Dcep::parse(&long.to_bytes()), None);
    }

    proptest! {
        #[test]
        fn round_trip(label in "\\PC{0,40}", ordered: bool, kind in 0_u8..3, parameter: u32) {
            let reliability = Reliability::parse(kind, parameter).unwrap();
            let open = Open { label, ordered, reliability };
            prop_assert_eq!(Dcep::parse(&open.to_bytes()), Some(Dcep::Open(open)));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = Dcep::parse(&bytes);
        }
    }
}
