//! TURN over a stream: where one message ends and the next begins (RFC 8656 §3.1 and §12.5).

/// Longest STUN message or channel data.
const MESSAGE_BYTES_MAX: usize = 65_536 + 20;
const STUN_HEADER_BYTES: usize = 20;
const CHANNEL_HEADER_BYTES: usize = 4;

/// Bytes of a message, and how many it takes in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub message: usize,
    pub with_padding: usize,
}

/// What is neither STUN nor channel data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server does not speak TURN")]
pub struct Foreign;

/// The first message in `bytes`; `None` if its length is not there yet.
pub fn extent(bytes: &[u8]) -> Result<Option<Extent>, Foreign> {
    let Some(([first, _, high, low], _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match first >> 6 {
        0 => Ok(Some(Extent { message: STUN_HEADER_BYTES + length, with_padding: STUN_HEADER_BYTES + length })),
        1 => {
            let message = CHANNEL_HEADER_BYTES + length;
            Ok(Some(Extent { message, with_padding: message.next_multiple_of(4) }))
        }
        _ => Err(Foreign),
    }
}

/// Collects what a stream brings and hands out whole messages.
#[derive(Debug, Default)]
pub struct Deframer {
    held: Vec<u8>,
}

impl Deframer {
    pub fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Foreign> {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(extent) = extent(&self.held[at..])? {
            let Some(message) = self.held.get(at..at + extent.with_padding) else { break };
            each(&message[..extent.message]);
            at += extent.with_padding;
        }
        self.held.drain(..at);
        // A message's length says at most this much, so more cannot be held.
        debug_assert!(self.held.len() <= MESSAGE_BYTES_MAX);
        Ok(())
    }
}

/// A message as streams carry it: channel data padded to a multiple of four.
pub fn padded(message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    bytes.resize(message.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stun(body: usize) -> Vec<u8> {
        let mut message = vec![1, 3, 0, body as u8];
        message.resize(STUN_HEADER_BYTES + body, 7);
        message
    }

    fn channel_data(body: usize) -> Vec<u8> {
        let mut message = vec![0x40, 0, 0, body as u8];
        message.resize(CHANNEL_HEADER_BYTES + body, 9);
        message
    }

    #[test]
    fn other_protocols_are_noticed() {
        assert_eq!(extent(b"HTTP"), Ok(Some(Extent { message: 4 + 0x5450, with_padding: 4 + 0x5450 })));
        assert_eq!(extent(&[0x80, 0, 0, 0]), Err(Foreign));
        assert_eq!(extent(&[0; 3]), Ok(None));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            kinds in proptest::collection::vec((any::<bool>(), 0_usize..64), 1..10), cut in 1_usize..40,
        ) {
            let messages: Vec<Vec<u8>> =
                kinds.into_iter().map(|(is_stun, n)| if is_stun { stun(n / 4 * 4) } else { channel_data(n) }).collect();
            let stream: Vec<u8> = messages.iter().flat_map(|message| padded(message)).collect();
            let (mut deframer, mut out) = (Deframer::default(), Vec::new());
            for piece in stream.chunks(cut) {
                deframer.take(piece, |message| out.push(message.to_vec())).unwrap();
            }
            prop_assert_eq!(out, messages);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Deframer::default().take(&bytes, |_| {});
        }
    }
}
