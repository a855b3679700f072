//! Opening what arrives: the index is estimated, looked up in the replay window, and noted only once the tag has proved
//! the packet (RFC 3711 §3.3).

use super::cipher::{Cipher, ENCRYPTED};
use super::header::{rtcp_ssrc, rtp_fields, rtp_header_bytes};
use super::index::{Use, Window, estimate};
use super::profile::{Master, Profile};
use crate::limits;
use crate::transport::Drop;
use rustc_hash::FxHashMap;

pub(super) struct Receiver {
    cipher: Cipher,
    rtp: Sources,
    rtcp: Sources,
}

impl Receiver {
    pub fn new(profile: Profile, master: Master<'_>) -> Option<Receiver> {
        Some(Receiver { cipher: Cipher::new(profile, master)?, rtp: Sources::default(), rtcp: Sources::default() })
    }

    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        let fields = rtp_fields(packet).ok_or(Drop::Malformed)?;
        let header_len = rtp_header_bytes(packet).ok_or(Drop::Malformed)?;
        let index = estimate(self.rtp.highest(fields.ssrc), fields.sequence).ok_or(Drop::Replayed)?;
        self.rtp.check(fields.ssrc, index)?;
        let len = self.cipher.open_rtp(packet, header_len, fields.ssrc, index).ok_or(Drop::BadAuth)?;
        self.rtp.note(fields.ssrc, index);
        Ok(len)
    }

    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        let ssrc = rtcp_ssrc(packet).ok_or(Drop::Malformed)?;
        let trailer = self.cipher.rtcp_trailer(packet).ok_or(Drop::Malformed)?;
        let index = u64::from(trailer & !ENCRYPTED);
        self.rtcp.check(ssrc, index)?;
        let len = self.cipher.open_rtcp(packet, ssrc, trailer).ok_or(Drop::BadAuth)?;
        self.rtcp.note(ssrc, index);
        Ok(len)
    }
}

/// The windows of the SSRCs a peer sends on.
#[derive(Default)]
struct Sources {
    windows: FxHashMap<u32, Source>,
    /// Packets noted, by which the source idle longest is found.
    clock: u64,
}

struct Source {
    window: Window,
    noted: u64,
}

impl Sources {
    fn highest(&self, ssrc: u32) -> Option<u64> {
        self.windows.get(&ssrc).and_then(|source| source.window.highest())
    }

    fn check(&self, ssrc: u32, index: u64) -> Result<(), Drop> {
        match self.windows.get(&ssrc).map_or(Use::Unused, |source| source.window.look_up(index)) {
            Use::Unused => Ok(()),
            Use::Used | Use::Unknown => Err(Drop::Replayed),
        }
    }

    fn note(&mut self, ssrc: u32, index: u64) {
        if self.windows.len() >= limits::SRTP_SOURCES_MAX && !self.windows.contains_key(&ssrc) {
            self.forget_idlest();
        }
        self.clock += 1;
        let source = self.windows.entry(ssrc).or_insert_with(|| Source { window: Window::default(), noted: 0 });
        source.noted = self.clock;
        source.window.mark(index);
    }

    fn forget_idlest(&mut self) {
        let idlest = self.windows.iter().min_by_key(|(_, source)| source.noted).map(|(ssrc, _)| *ssrc);
        idlest.map(|ssrc| self.windows.remove(&ssrc));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_bounded_and_the_idlest_goes() {
        let mut sources = Sources::default();
        let max = limits::SRTP_SOURCES_MAX as u32;
        (0..max).for_each(|ssrc| sources.note(ssrc, 1));
        sources.note(0, 2);
        sources.note(max, 1);
        assert_eq!(sources.windows.len(), limits::SRTP_SOURCES_MAX);
        assert_eq!(sources.highest(0), Some(2), "used lately");
        assert_eq!(sources.highest(1), None, "idle longest");
    }
}
