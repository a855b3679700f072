//! The one field of a STUN binding request that routing needs; everything else about STUN is the ICE agent's.
//!
//! Called by `shard` for datagrams from addresses it does not know yet. RFC 8489 §5 and §14.3.

const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const USERNAME: u16 = 0x0006;

/// The part of USERNAME before the colon of a binding request: the ufrag of the agent it is meant for (RFC 8445
/// §7.2.2). `None` for any other datagram, and if a length does not fit. The request is not authenticated.
///
/// # Cost
/// No allocation.
pub fn binding_request_ufrag(datagram: &[u8]) -> Option<&str> {
    let (header, attributes) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    let [t0, t1, l0, l1, c0, c1, c2, c3, ..] = *header;
    let is_request = u16::from_be_bytes([t0, t1]) == BINDING_REQUEST
        && u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE
        && usize::from(u16::from_be_bytes([l0, l1])) == attributes.len()
        && attributes.len().is_multiple_of(4);
    let username = is_request.then(|| attribute(attributes, USERNAME))??;
    let (ufrag, _) = std::str::from_utf8(username).ok()?.split_once(':')?;
    (!ufrag.is_empty()).then_some(ufrag)
}

/// The value of the first attribute of this type.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let ([t0, t1, l0, l1], rest) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*t0, *t1]) == wanted {
            return Some(value);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A message of this type with these attributes, lengths filled in.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend_from_slice(&kind.to_be_bytes());
            body.extend_from_slice(&(value.len() as u16).to_be_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = kind.to_be_bytes().to_vec();
        message.extend_from_slice(&(body.len() as u16).to_be_bytes());
        message.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        message.extend_from_slice(&[7; 12]);
        message.extend_from_slice(&body);
        message
    }

    /// The sample request of RFC 5769 §2.1, up to its USERNAME, with the length this makes.
    #[test]
    fn reads_the_rfc_sample() {
        let software = b"STUN test client";
        let request = message(1, &[(0x8022, software), (0x0024, &[0x6E, 0, 1, 0xFF]), (6, b"evtj:h6vY")]);
        assert_eq!(binding_request_ufrag(&request), Some("evtj"));
    }

    #[test]
    fn refuses_everything_else() {
        let good = message(BINDING_REQUEST, &[(USERNAME, b"ours:theirs")]);
        assert_eq!(binding_request_ufrag(&good), Some("ours"));
        let changed = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            bad
        };
        let longer = [&good[..], &[0; 4]].concat();
        let cases = [
            ("a response", message(0x0101, &[(USERNAME, b"ours:theirs")])),
            ("another cookie", changed(4, 0)),
            ("a length beyond the datagram", changed(3, 20)),
            ("trailing bytes", longer),
            ("an attribute beyond the message", changed(23, 200)),
            ("no username", message(BINDING_REQUEST, &[(0x0024, &[0; 4])])),
            ("no colon", message(BINDING_REQUEST, &[(USERNAME, b"ours")])),
            ("an empty ufrag", message(BINDING_REQUEST, &[(USERNAME, b":theirs")])),
            ("not text", message(BINDING_REQUEST, &[(USERNAME, &[0xFF, b':'])])),
            ("nothing", vec![]),
        ];
        for (name, datagram) in cases {
            assert_eq!(binding_request_ufrag(&datagram), None, "{name}");
        }
        for cut in 0..good.len() {
            assert_eq!(binding_request_ufrag(&good[..cut]), None, "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(tail in vec(any::<u8>(), 0..80)) {
            binding_request_ufrag(&tail);
            let mut request = message(BINDING_REQUEST, &[]);
            request.extend_from_slice(&tail);
            request[2..4].copy_from_slice(&(tail.len() as u16).to_be_bytes());
            binding_request_ufrag(&request);
        }
    }
}
