//! RED made of plain Opus for subscribers that take it (WIRE.md §4.10, RFC 2198): each packet repeats the two before it, which
//! the track's history has. Decided by `down_track`, written by the shard just before the packet is sealed.

use super::arrival::{RED_BLOCKS_MAX, Span};
use super::put::put;
use super::up_track::UpTrack;

/// Frames this long or longer go as plain Opus: a block header has ten bits for the length, and such a packet is as large as the
/// path takes already.
pub const FRAME_BYTES_MAX: usize = 1_024;
/// What a RED packet may carry, in bytes.
pub const RED_BYTES_MAX: usize = 1_200;
const FOLLOWED: u8 = 0x80;
const BLOCK_HEADER_BYTES: usize = 4;
/// Timestamp offsets have 14 bits.
const OFFSET_MAX: u32 = 0x3FFF;

/// Which packet is to be sent with what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundancy {
    /// Of the blocks, as the subscriber knows it.
    pub opus: u8,
    pub source: u32,
    pub sequence: u64,
    /// As it came.
    pub timestamp: u32,
}

impl Redundancy {
    /// Writes the RED payload around `frame` to the front of `out` and returns where it is; `None` if it does not fit.
    ///
    /// # Cost
    /// No allocation, a copy of each block.
    pub fn write(&self, up: &UpTrack, frame: &[u8], out: &mut [u8; RED_BYTES_MAX]) -> Option<Span> {
        let mut left = RED_BYTES_MAX.checked_sub(frame.len() + 1)?;
        let mut blocks: [Option<(u16, &[u8])>; RED_BLOCKS_MAX] = [None; RED_BLOCKS_MAX];
        for (back, block) in (1..).zip(&mut blocks) {
            *block = self.block(up, back).filter(|(_, payload)| payload.len() + BLOCK_HEADER_BYTES <= left);
            left -= block.map_or(0, |(_, payload)| payload.len() + BLOCK_HEADER_BYTES);
        }
        let (mut at, oldest_first) = (0, || blocks.iter().rev().flatten());
        for (offset, payload) in oldest_first() {
            let [_, high, middle, low] = (u32::from(*offset) << 10 | payload.len() as u32).to_be_bytes();
            at = put(out, at, &[&[FOLLOWED | self.opus, high, middle, low]])?;
        }
        at = put(out, at, &[&[self.opus]])?;
        for (_, payload) in oldest_first() {
            at = put(out, at, &[payload])?;
        }
        at = put(out, at, &[frame])?;
        Some(Span { begin: 0, bytes: at as u16 })
    }

    /// How much older the packet `back` before is, and its payload.
    fn block<'a>(&self, up: &'a UpTrack, back: u64) -> Option<(u16, &'a [u8])> {
        let (arrival, packet) = up.find(self.source, self.sequence.checked_sub(back)?)?;
        let payload = arrival.payload.in_packet(packet);
        let offset = self.timestamp.wrapping_sub(arrival.timestamp);
        let fits = !payload.is_empty() && payload.len() < FRAME_BYTES_MAX && offset <= OFFSET_MAX;
        fits.then_some((offset as u16, payload))
    }
}
