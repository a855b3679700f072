//! SRTP and SRTCP of one peer: packets are opened and sealed in place (RFC 3711, RFC 7714), with keys from DTLS
//! (RFC 5764).
//!
//! Called by `peer`. It knows SSRCs and sequence numbers, nothing of what a packet carries.

mod cipher;
mod header;
mod index;
mod kdf;
mod profile;
mod receiver;
mod sender;
#[cfg(test)]
mod test_vectors;

pub use profile::Profile;

use crate::transport::Drop;
use receiver::Receiver;
use sender::Sender;

/// Most bytes sealing adds to a packet: an AEAD tag and the SRTCP index. Buffers need this much room behind a packet.
pub const OVERHEAD_BYTES_MAX: usize = 20;

/// Both directions of a peer's SRTP session.
pub struct Srtp {
    receiver: Receiver,
    sender: Sender,
    profile: Profile,
}

impl Srtp {
    /// `active` says that we were the DTLS client. `None` if the material is too short for the profile.
    pub fn new(profile: Profile, material: &[u8], active: bool) -> Option<Srtp> {
        let (client, server) = profile::split(profile, material)?;
        let (ours, theirs) = if active { (client, server) } else { (server, client) };
        Some(Srtp { receiver: Receiver::new(profile, theirs)?, sender: Sender::new(profile, ours)?, profile })
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Authenticates and decrypts an RTP packet; the answer is its length.
    ///
    /// # Cost
    /// No allocation for a known SSRC; one pass of the cipher.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        self.receiver.open_rtp(packet)
    }

    /// Authenticates and decrypts a compound RTCP packet; the answer is its length.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        self.receiver.open_rtcp(packet)
    }

    /// Encrypts the first `len` bytes of `buf`, whose RTP header with extensions takes `header_len`. `None` if the room
    /// behind does not hold the tag, or if the packet's number was sealed before with other bytes: then nothing may be
    /// sent.
    ///
    /// # Cost
    /// No allocation for a known SSRC; one pass of the cipher.
    pub fn seal_rtp(&mut self, buf: &mut [u8], header_len: usize, len: usize) -> Option<usize> {
        self.sender.seal_rtp(buf, header_len, len)
    }

    /// Encrypts the first `len` bytes of `buf`, a compound RTCP packet.
    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Option<usize> {
        self.sender.seal_rtcp(buf, len)
    }

    /// Frees what an SSRC we no longer send on takes, all but its last number.
    pub fn retire_ssrc(&mut self, ssrc: u32) {
        self.sender.retire(ssrc);
    }
}

#[cfg(test)]
mod tests;
