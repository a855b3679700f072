//! Sealing what we send. A packet number is never sealed twice with different bytes: under the same key that would give
//! away the plaintext and, with GCM, the authentication key (RFC 7714 §9.1, NIST SP 800-38D §8).

use super::cipher::{Cipher, ENCRYPTED};
use super::header::{rtcp_ssrc, rtp_fields, rtp_header_bytes};
use super::index::{Use, Window, estimate};
use super::profile::{Master, Profile};
use crate::limits;
use rustc_hash::FxHashMap;

/// Packets of an SSRC that may be sealed again for a retransmission without RTX, counted from its newest.
const RESEAL_PACKETS: usize = 64;

pub(super) struct Sender {
    cipher: Cipher,
    streams: FxHashMap<u32, Stream>,
    /// Of the next SRTCP packet; one count for all SSRCs keeps each of them growing.
    rtcp_index: u32,
}

/// What was sent on one SSRC.
enum Stream {
    Live(Box<Sent>),
    /// Only the last index is known: all that is needed to go on safely.
    Retired(u64),
}

struct Sent {
    window: Window,
    /// The last bytes of each recent packet's tag, by its index: equal tags are equal packets.
    tags: [u64; RESEAL_PACKETS],
}

impl Sender {
    pub fn new(profile: Profile, master: Master<'_>) -> Option<Sender> {
        Some(Sender { cipher: Cipher::new(profile, master)?, streams: FxHashMap::default(), rtcp_index: 1 })
    }

    pub fn seal_rtp(&mut self, buf: &mut [u8], header_len: usize, len: usize) -> Option<usize> {
        let packet = buf.get(..len)?;
        let fields = rtp_fields(packet).filter(|_| rtp_header_bytes(packet) == Some(header_len))?;
        let sent = live(&mut self.streams, fields.ssrc)?;
        let index = estimate(sent.window.highest(), fields.sequence)?;
        let state = sent.may_seal(index)?;
        let sealed = self.cipher.seal_rtp(buf, header_len, len, fields.ssrc, index)?;
        let allowed = sent.settle(index, state, tag_end(buf.get(..sealed)?));
        if !allowed {
            buf[..sealed].fill(0);
        }
        allowed.then_some(sealed)
    }

    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Option<usize> {
        let ssrc = rtcp_ssrc(buf.get(..len)?)?;
        let index = self.rtcp_index;
        self.rtcp_index = index.checked_add(1).filter(|_| index < ENCRYPTED)?;
        self.cipher.seal_rtcp(buf, len, ssrc, index)
    }

    pub fn retire(&mut self, ssrc: u32) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.retire();
        }
    }
}

/// The stream's state, made or revived; `None` if there are too many.
fn live(streams: &mut FxHashMap<u32, Stream>, ssrc: u32) -> Option<&mut Sent> {
    if streams.len() >= limits::SRTP_SENDERS_MAX && !streams.contains_key(&ssrc) {
        return None;
    }
    let stream = streams.entry(ssrc).or_insert_with(|| Stream::Live(Box::new(Sent::new(Window::default()))));
    if let Stream::Retired(highest) = stream {
        *stream = Stream::Live(Box::new(Sent::new(Window::after(*highest))));
    }
    match stream {
        Stream::Live(sent) => Some(sent),
        Stream::Retired(_) => None,
    }
}

impl Stream {
    fn retire(&mut self) {
        if let Stream::Live(sent) = self
            && let Some(highest) = sent.window.highest()
        {
            *self = Stream::Retired(highest);
        }
    }
}

impl Sent {
    fn new(window: Window) -> Sent {
        Sent { window, tags: [0; RESEAL_PACKETS] }
    }

    /// Whether the index was used before; `None` if it may not be used at all.
    fn may_seal(&self, index: u64) -> Option<Use> {
        let recent = self.window.highest().is_none_or(|highest| index + RESEAL_PACKETS as u64 > highest);
        match self.window.look_up(index) {
            Use::Unused => Some(Use::Unused),
            Use::Used if recent => Some(Use::Used),
            Use::Used | Use::Unknown => None,
        }
    }

    /// Notes a packet just sealed; false if its number had been used for another.
    fn settle(&mut self, index: u64, state: Use, tag: u64) -> bool {
        let known = &mut self.tags[index as usize % RESEAL_PACKETS];
        if state == Use::Used {
            return *known == tag;
        }
        if self.window.highest().is_none_or(|highest| index + RESEAL_PACKETS as u64 > highest) {
            *known = tag;
        }
        self.window.mark(index);
        true
    }
}

/// The packet's last eight bytes, part of the tag under every profile.
fn tag_end(sealed: &[u8]) -> u64 {
    sealed.last_chunk().map_or(0, |end| u64::from_be_bytes(*end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender::new(Profile::AeadAes128Gcm, Master { key: &[1; 16], salt: &[2; 12] }).unwrap()
    }

    fn seal(sender: &mut Sender, sequence: u16, payload: &[u8]) -> Option<Vec<u8>> {
        let mut buf = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        buf[2..4].copy_from_slice(&sequence.to_be_bytes());
        buf.extend_from_slice(payload);
        let len = buf.len();
        buf.resize(len + 16, 0);
        let sealed = sender.seal_rtp(&mut buf, 12, len)?;
        buf.truncate(sealed);
        Some(buf)
    }

    #[test]
    fn the_same_packet_may_go_again_and_is_the_same() {
        let mut sender = sender();
        let first = seal(&mut sender, 5, b"hello").unwrap();
        seal(&mut sender, 6, b"other").unwrap();
        assert_eq!(seal(&mut sender, 5, b"hello"), Some(first));
    }

    #[test]
    fn another_packet_under_a_used_number_is_refused_and_wiped() {
        let mut sender = sender();
        seal(&mut sender, 5, b"hello").unwrap();
        assert_eq!(seal(&mut sender, 5, b"jello"), None);
        let mut buf = vec![0x80, 96, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3];
        buf.resize(31, 0);
        assert_eq!(sender.seal_rtp(&mut buf, 12, 15), None);
        assert!(buf.iter().all(|b| *b == 0));
    }

    #[test]
    fn late_numbers_go_once_and_old_ones_do_not_go_again() {
        let mut sender = sender();
        seal(&mut sender, 1000, b"new").unwrap();
        assert!(seal(&mut sender, 700, b"late").is_some());
        assert_eq!(seal(&mut sender, 700, b"late"), None, "beyond the packets kept for retransmission");
        assert_eq!(seal(&mut sender, 65_435, b"old"), None, "before the first packet");
    }

    #[test]
    fn a_retired_stream_goes_on_above_its_last_number() {
        let mut sender = sender();
        seal(&mut sender, 65_535, b"a").unwrap();
        seal(&mut sender, 0, b"b").unwrap();
        sender.retire(9);
        assert_eq!(seal(&mut sender, 0, b"b"), None);
        assert_eq!(seal(&mut sender, 65_535, b"a"), None);
        let mut fresh = self::sender();
        seal(&mut fresh, 65_535, b"a").unwrap();
        seal(&mut fresh, 0, b"b").unwrap();
        assert_eq!(seal(&mut sender, 1, b"c"), seal(&mut fresh, 1, b"c"));
    }

    #[test]
    fn too_little_room_or_a_wrong_header_length_seals_nothing() {
        let mut sender = sender();
        let mut buf = [0; 40];
        buf[0] = 0x80;
        assert_eq!(sender.seal_rtp(&mut buf, 12, 25), None);
        assert_eq!(sender.seal_rtp(&mut buf, 13, 20), None);
        assert_eq!(sender.seal_rtp(&mut buf, 12, 41), None);
        assert_eq!(sender.seal_rtp(&mut buf, 12, 24), Some(40));
    }

    #[test]
    fn rtcp_indices_end_rather_than_repeat() {
        let mut sender = sender();
        sender.rtcp_index = ENCRYPTED - 1;
        let mut buf = [0; 64];
        buf[0] = 0x80;
        assert!(sender.seal_rtcp(&mut buf, 8).is_some());
        assert_eq!(sender.seal_rtcp(&mut buf, 8), None);
    }
}
