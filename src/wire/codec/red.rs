//! Redundant audio (RFC 2198): the blocks of a packet, the oldest first and the primary last.

const FOLLOWED: u8 = 0x80;
const REDUNDANT_HEADER_BYTES: usize = 4;
const PRIMARY_HEADER_BYTES: usize = 1;

/// One block of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub payload_type: u8,
    /// How much older than the packet's timestamp, 14 bits; 0 for the primary.
    pub timestamp_offset: u16,
    pub payload: &'a [u8],
    pub is_primary: bool,
}

/// The blocks of a packet; `None` if a header is cut short or the redundant blocks are longer than the packet.
///
/// # Cost
/// No allocation; the headers are read twice.
pub fn blocks(payload: &[u8]) -> Option<Blocks<'_>> {
    let mut at = 0;
    let mut redundant_bytes = 0;
    while payload.get(at)? & FOLLOWED != 0 {
        let (_, _, length) = redundant_header(payload.get(at..)?)?;
        redundant_bytes += length;
        at += REDUNDANT_HEADER_BYTES;
    }
    let (headers, data) = payload.split_at_checked(at + PRIMARY_HEADER_BYTES)?;
    (redundant_bytes <= data.len()).then_some(Blocks { headers, data })
}

/// Payload type and payload of the primary block.
pub fn primary(payload: &[u8]) -> Option<Block<'_>> {
    blocks(payload)?.last()
}

/// Iterator over the blocks of a packet.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    headers: &'a [u8],
    data: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (&first, after) = self.headers.split_first()?;
        if first & FOLLOWED == 0 {
            self.headers = after;
            return Some(Block { payload_type: first, timestamp_offset: 0, payload: self.data, is_primary: true });
        }
        let (payload_type, timestamp_offset, length) = redundant_header(self.headers)?;
        let (payload, data) = self.data.split_at_checked(length)?;
        self.headers = self.headers.get(REDUNDANT_HEADER_BYTES..)?;
        self.data = data;
        Some(Block { payload_type, timestamp_offset, payload, is_primary: false })
    }
}

/// Payload type, timestamp offset and length of a redundant block.
fn redundant_header(bytes: &[u8]) -> Option<(u8, u16, usize)> {
    let [pt, b0, b1, b2] = *bytes.first_chunk::<REDUNDANT_HEADER_BYTES>()?;
    let word = u32::from_be_bytes([0, b0, b1, b2]);
    Some((pt & !FOLLOWED, (word >> 10) as u16, (word & 0x3FF) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Two redundant blocks of Opus 40 and 20 ms back, then the primary.
    const PACKET: &[u8] = &[0xEF, 0x1E, 0x00, 0x01, 0xEF, 0x0F, 0x00, 0x02, 0x6F, 1, 2, 3, 4, 5, 6];

    #[test]
    fn splits_blocks() {
        let block =
            |timestamp_offset, payload, is_primary| Block { payload_type: 111, timestamp_offset, payload, is_primary };
        let expected = [block(1920, &[1][..], false), block(960, &[2, 3], false), block(0, &[4, 5, 6], true)];
        assert_eq!(blocks(PACKET).unwrap().collect::<Vec<_>>(), expected);
        assert_eq!(primary(PACKET), Some(expected[2]));
        assert_eq!(primary(&[0x6F, 9]), Some(block(0, &[9], true)), "no redundancy");
        assert_eq!(primary(&PACKET[..12]), Some(block(0, &[], true)), "an empty primary");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for cut in 0..12 {
            assert!(blocks(&PACKET[..cut]).is_none(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(
            redundant in vec((0u8..128, 0u16..0x4000, vec(any::<u8>(), 0..50)), 0..6), last in vec(any::<u8>(), 0..50),
        ) {
            let mut packet = Vec::new();
            for (pt, offset, payload) in &redundant {
                let word = u32::from(*offset) << 10 | payload.len() as u32;
                packet.push(pt | FOLLOWED);
                packet.extend_from_slice(&word.to_be_bytes()[1..]);
            }
            packet.push(111);
            redundant.iter().for_each(|(_, _, payload)| packet.extend_from_slice(payload));
            packet.extend_from_slice(&last);
            let read: Vec<_> = blocks(&packet).unwrap().collect();
            let (primary, read) = read.split_last().unwrap();
            prop_assert_eq!((primary.payload_type, primary.payload, primary.is_primary), (111, &last[..], true));
            let read: Vec<_> =
                read.iter().map(|b| (b.payload_type, b.timestamp_offset, b.payload.to_vec())).collect();
            prop_assert_eq!(read, redundant);
        }

        #[test]
        fn any_bytes_are_survived(payload in vec(any::<u8>(), 0..60)) {
            if let Some(blocks) = blocks(&payload) {
                let blocks: Vec<_> = blocks.collect();
                prop_assert!(blocks.last().is_some_and(|block| block.is_primary));
                prop_assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < payload.len());
            }
        }
    }
}
