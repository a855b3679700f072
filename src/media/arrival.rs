//! A received packet as a forwarder sees it: its numbers unwrapped, its layers and payload told apart, its bytes left
//! where they are. Made by `up_track`, read by every leg.

use crate::wire::codec::Codec;
use crate::wire::ext::{AbsCaptureTime, AudioLevel};
use std::time::Instant;

/// Redundant blocks of a RED packet that are told apart; senders use one or two.
pub const RED_BLOCKS_MAX: usize = 2;

/// A piece of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub begin: u16,
    pub bytes: u16,
}

impl Span {
    /// Where `part` lies in `packet`, of which it must be a piece; the empty span if it is not.
    pub fn of(packet: &[u8], part: &[u8]) -> Span {
        let begin = (part.as_ptr() as usize).wrapping_sub(packet.as_ptr() as usize);
        let inside = begin.checked_add(part.len()).is_some_and(|end| end <= packet.len());
        match (u16::try_from(begin), u16::try_from(part.len())) {
            (Ok(begin), Ok(bytes)) if inside => Span { begin, bytes },
            _ => Span::default(),
        }
    }

    pub fn in_packet(self, packet: &[u8]) -> &[u8] {
        packet.get(usize::from(self.begin)..usize::from(self.begin) + usize::from(self.bytes)).unwrap_or_default()
    }

    pub fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

/// One packet of a published track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    pub received: Instant,
    /// The series its sequence number and timestamp belong to: changes between encodings and when a client starts over.
    pub source: u32,
    pub codec: Codec,
    /// Unwrapped.
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// Without padding; empty for packets that are padding only.
    pub payload: Span,
    /// Bytes of padding that make it as long as its neighbours, the count byte included; 0 is none.
    pub padding: u8,
    /// Packets just before this one that did not come by now; 0 for a late packet.
    pub missing_before: u8,
    pub spatial: u8,
    pub temporal: u8,
    /// Several spatial layers travel in this stream.
    pub layered: bool,
    /// A key frame begins in this packet.
    pub key_frame: bool,
    /// First and last packet of a (layer) frame, as far as the codec tells.
    pub frame_start: bool,
    pub frame_end: bool,
    /// What follows it, of a packet that ends a layer's frame.
    pub next: Next,
    /// Frames of this temporal layer may be forwarded from here on.
    pub sync: bool,
    pub body: Body,
    pub audio_level: Option<AudioLevel>,
    /// Value of the dependency descriptor extension.
    pub dependency: Option<Span>,
    /// On the publisher's clock.
    pub capture_time: Option<AbsCaptureTime>,
}

/// What comes after a layer's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    #[default]
    Unknown,
    /// A frame of this spatial layer of the same picture.
    Layer(u8),
    /// The picture is over.
    Nothing,
}

/// What of the payload a leg may have to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    Opaque,
    Vp8(Vp8Picture),
    Red(RedLayout),
}

/// The numbers of a VP8 payload descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vp8Picture {
    /// Unwrapped.
    pub id: Option<u64>,
    pub tl0_pic_idx: Option<u8>,
    pub key_idx: Option<u8>,
}

/// Where the blocks of a RED packet lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedLayout {
    pub primary: Span,
    /// The newest first: the payload of the packet before this, then the one before that.
    pub redundant: [Option<RedBlock>; RED_BLOCKS_MAX],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedBlock {
    /// How much older than the packet, in timestamp units.
    pub timestamp_offset: u16,
    pub payload: Span,
}

impl Arrival {
    pub fn is_padding(&self) -> bool {
        self.payload.is_empty()
    }
}

#[cfg(test)]
impl Arrival {
    /// A VP8 delta packet of source 0 with nothing special.
    pub fn for_tests() -> Arrival {
        Arrival {
            received: super::test_epoch(),
            source: 0,
            codec: Codec::Vp8,
            sequence: 0,
            timestamp: 0,
            marker: false,
            payload: Span { begin: 12, bytes: 10 },
            padding: 0,
            missing_before: 0,
            spatial: 0,
            temporal: 0,
            layered: false,
            key_frame: false,
            frame_start: true,
            frame_end: true,
            next: Next::Unknown,
            sync: false,
            body: Body::Opaque,
            audio_level: None,
            dependency: None,
            capture_time: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_find_their_bytes_again() {
        let packet = [1, 2, 3, 4, 5];
        let span = Span::of(&packet, &packet[1..4]);
        assert_eq!(span, Span { begin: 1, bytes: 3 });
        assert_eq!(span.in_packet(&packet), [2, 3, 4]);
        assert_eq!(span.in_packet(&packet[..2]), [0u8; 0]);
        assert!(Span::of(&packet[..2], &packet[3..]).is_empty(), "not a piece of it");
    }
}
