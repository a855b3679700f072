//! SRTP, first byte for the profile: foreign bytes are never taken for authentic, what was sealed opens as it was and
//! once only, a changed packet never, and no packet number is sealed with two contents.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use lkops::transport::srtp::{OVERHEAD_BYTES_MAX, Profile, Srtp};
use lkops::wire::rtp::RtpHeader;
use std::collections::HashMap;

const MATERIAL: [u8; 88] = {
    let mut material = [0; 88];
    let mut at = 0;
    while at < material.len() {
        material[at] = at as u8;
        at += 1;
    }
    material
};

struct Ends {
    ours: Srtp,
    theirs: Srtp,
    /// By SSRC and packet index: two steps of nearly half a cycle bring a sequence number back under another index.
    sealed: HashMap<(u32, i64), Vec<u8>>,
    highest: HashMap<u32, i64>,
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let profile = Profile::ALL[usize::from(*choice) % Profile::ALL.len()];
    let end = |active| Srtp::new(profile, &MATERIAL, active).expect("material enough");
    let mut ends = Ends { ours: end(true), theirs: end(false), sealed: HashMap::new(), highest: HashMap::new() };
    let mut input = Unstructured::new(rest);
    while let (false, Ok([action, length])) = (input.is_empty(), input.arbitrary::<[u8; 2]>()) {
        let packet = input.bytes(usize::from(length).min(input.len())).unwrap_or_default();
        match action % 4 {
            0 => ends.foreign(packet),
            1 => ends.rtcp(packet),
            2 => ends.rtp(packet, None),
            _ => ends.rtp(packet, Some(action)),
        }
    }
});

impl Ends {
    fn foreign(&mut self, packet: &[u8]) {
        assert!(self.theirs.open_rtp(&mut packet.to_vec()).is_err());
        assert!(self.theirs.open_rtcp(&mut packet.to_vec()).is_err());
    }

    fn rtcp(&mut self, packet: &[u8]) {
        let mut buf = with_room(packet);
        let Some(length) = self.ours.seal_rtcp(&mut buf, packet.len()) else { return };
        buf.truncate(length);
        let mut opened = buf.clone();
        let length = self.theirs.open_rtcp(&mut opened).expect("what was sealed");
        assert_eq!(&opened[..length], packet);
        assert!(self.theirs.open_rtcp(&mut buf).is_err(), "a replay");
    }

    fn rtp(&mut self, packet: &[u8], change: Option<u8>) {
        let Some(header) = RtpHeader::parse(packet) else { return };
        let mut buf = with_room(packet);
        let sealed = self.ours.seal_rtp(&mut buf, usize::from(header.payload_offset), packet.len());
        let Some(length) = sealed else { return };
        buf.truncate(length);
        let key = (header.ssrc, self.index(&header));
        let before = self.sealed.entry(key).or_insert_with(|| buf.clone());
        assert_eq!(*before, buf, "a number sealed twice");
        match change {
            Some(at) => self.changed(buf, usize::from(at)),
            None => self.open(packet, buf),
        }
    }

    /// The sealed packet's index, RFC 3711 §3.3.1: the nearest to the highest so far.
    fn index(&mut self, header: &RtpHeader) -> i64 {
        let highest = self.highest.entry(header.ssrc).or_insert(i64::from(header.sequence));
        let step = header.sequence.wrapping_sub(*highest as u16) as i16;
        let index = *highest + i64::from(step);
        *highest = index.max(*highest);
        index
    }

    fn changed(&mut self, mut sealed: Vec<u8>, at: usize) {
        let at = at % sealed.len();
        sealed[at] ^= 1;
        assert!(self.theirs.open_rtp(&mut sealed).is_err());
    }

    /// What is too old, or came before, does not open; it opens once at most.
    fn open(&mut self, packet: &[u8], mut sealed: Vec<u8>) {
        let mut again = sealed.clone();
        if let Ok(length) = self.theirs.open_rtp(&mut sealed) {
            assert_eq!(&sealed[..length], packet);
        }
        assert!(self.theirs.open_rtp(&mut again).is_err(), "a replay");
    }
}

fn with_room(packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    buf
}
