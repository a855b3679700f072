//! A message together with the bytes it came as, for who passes it on or stores it: fields of newer releases stay, and so does
//! their order, which differs from encoder to encoder.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};
use std::ops::Deref;

/// As a whole message only; within another one the bytes would be lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept<T> {
    message: T,
    bytes: Vec<u8>,
}

impl<T: Message> From<T> for Kept<T> {
    fn from(message: T) -> Kept<T> {
        Kept { bytes: message.encode_to_vec(), message }
    }
}

impl<T> Kept<T> {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_message(self) -> T {
        self.message
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T: Message + Default> Message for Kept<T> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn decode(mut buf: impl Buf) -> Result<Self, DecodeError> {
        let bytes = buf.copy_to_bytes(buf.remaining()).to_vec();
        Ok(Kept { message: T::decode(bytes.as_slice())?, bytes })
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.message.merge_field(tag, wire_type, buf, ctx)
    }

    fn clear(&mut self) {
        self.message.clear();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::psrpc::{ClaimResponse, Response};

    /// Field 7 is not one of `ClaimResponse`, and field 2 stands before field 1.
    #[test]
    fn what_is_not_understood_is_passed_on() {
        let bytes = [0x12, 1, b's', 0x0a, 1, b'r', 0x3a, 1, b'x'];
        let kept = Kept::<ClaimResponse>::decode(bytes.as_slice()).unwrap();
        assert_eq!((kept.request_id.as_str(), kept.server_id.as_str()), ("r", "s"));
        assert_eq!(kept.encode_to_vec(), bytes);
        assert_eq!(Response::decode(bytes.as_slice()).unwrap().raw_response, b"x");
        assert!(Kept::<ClaimResponse>::decode([0x0a, 9].as_slice()).is_err());
    }
}
