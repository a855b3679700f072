//! Changes an encoded DataPacket without touching what it does not know: clients may be newer than the server, so payloads
//! and fields unknown here must pass unharmed. Protocol Buffers encoding; depth one.

use crate::proto::DataPacket;
use prost::Message;

/// Numbers of DataPacket's fields.
pub(super) mod field {
    pub const KIND: u32 = 1;
    pub const USER: u32 = 2;
    pub const PARTICIPANT_IDENTITY: u32 = 4;
    pub const DESTINATION_IDENTITIES: u32 = 5;
    pub const CHAT_MESSAGE: u32 = 9;
    pub const STREAM_HEADER: u32 = 13;
    pub const PARTICIPANT_SID: u32 = 17;
}

/// The packet without the fields of those numbers, followed by the fields of `written`. `None` if it is not well formed.
pub(super) fn replace(packet: &[u8], dropped: &[u32], written: &DataPacket) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(packet.len() + written.encoded_len());
    let mut rest = packet;
    while !rest.is_empty() {
        let (number, length) = first_field(rest)?;
        let (field, tail) = rest.split_at_checked(length)?;
        if !dropped.contains(&number) {
            out.extend_from_slice(field);
        }
        rest = tail;
    }
    written.encode(&mut out).ok()?;
    Some(out)
}

/// Number and length, key included, of the field the bytes begin with.
fn first_field(bytes: &[u8]) -> Option<(u32, usize)> {
    let (key, key_bytes) = varint(bytes)?;
    let body = bytes.get(key_bytes..)?;
    let body_bytes = match key & 7 {
        0 => varint(body)?.1,
        1 => 8,
        2 => {
            let (length, length_bytes) = varint(body)?;
            length_bytes.checked_add(usize::try_from(length).ok()?)?
        }
        5 => 4,
        _ => return None,
    };
    Some((u32::try_from(key >> 3).ok()?, key_bytes.checked_add(body_bytes)?))
}

/// Value and length; at most 10 bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{RpcAck, data_packet::Value};
    use proptest::prelude::*;

    fn written(identity: &str) -> DataPacket {
        DataPacket { participant_identity: identity.into(), ..Default::default() }
    }

    #[test]
    fn replaces_and_keeps() {
        let packet = DataPacket {
            participant_identity: "eve".into(),
            sequence: 300,
            value: Some(Value::RpcAck(RpcAck { request_id: "id".into() })),
            ..Default::default()
        };
        let out = replace(&packet.encode_to_vec(), &[field::PARTICIPANT_IDENTITY], &written("ann")).unwrap();
        let read = DataPacket::decode(out.as_slice()).unwrap();
        assert_eq!(read, DataPacket { participant_identity: "ann".into(), ..packet });
    }

    #[test]
    fn unknown_fields_of_every_type_survive() {
        let unknown: [&[u8]; 4] = [
            &[0xc0, 0x3e, 0x96, 0x01],
            &[0xc1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xc2, 0x3e, 3, 7, 8, 9],
            &[0xc5, 0x3e, 1, 2, 3, 4],
        ];
        for bytes in unknown {
            assert_eq!(replace(bytes, &[field::KIND], &written("")).unwrap(), bytes, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_strange_is_refused() {
        let bad: [&[u8]; 7] =
            [&[0x0a], &[0x0a, 5, 1], &[0x08], &[0x09, 1], &[0x0b], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff; 11]];
        for bytes in bad {
            assert_eq!(replace(bytes, &[], &written("")), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_kept_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(out) = replace(&bytes, &[], &DataPacket::default()) {
                prop_assert_eq!(out, bytes);
            }
        }
    }
}
