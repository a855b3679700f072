//! The transforms: AES-CM with HMAC-SHA1 (RFC 3711 §4) and AES-GCM (RFC 7714), on packets whose index is known.
//!
//! Packet layouts:
//! * SRTP: header, ciphertext, tag;
//! * SRTCP by AES-CM: 8 clear bytes, ciphertext, E bit and index, tag;
//! * SRTCP by GCM: 8 clear bytes, ciphertext, tag, E bit and index.

use super::header::RTCP_CLEAR_BYTES;
use super::kdf::{Label, ctr_context, ctr_key, derive};
use super::profile::{Master, Profile};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

/// Bytes of the E bit and SRTCP index.
pub(super) const INDEX_BYTES: usize = 4;

/// The E bit: the packet is encrypted.
pub(super) const ENCRYPTED: u32 = 1 << 31;

const CM_TAG_BYTES: usize = 10;
const GCM_TAG_BYTES: usize = 16;

/// Session keys of one direction, expanded once.
pub(super) enum Cipher {
    Cm(Box<Cm>),
    Gcm(Box<Gcm>),
}

pub(super) struct Cm {
    rtp: CmKeys,
    rtcp: CmKeys,
}

struct CmKeys {
    cipher: EncryptingKey,
    auth: hmac::Key,
    salt: [u8; 14],
}

pub(super) struct Gcm {
    rtp: LessSafeKey,
    rtp_salt: [u8; 12],
    rtcp: LessSafeKey,
    rtcp_salt: [u8; 12],
}

impl Cipher {
    /// `None` if the master key or salt has not the profile's length.
    pub fn new(profile: Profile, master: Master<'_>) -> Option<Cipher> {
        match profile {
            Profile::Aes128CmSha1_80 => Some(Cipher::Cm(Box::new(Cm {
                rtp: CmKeys::new(master, [Label::RtpKey, Label::RtpAuth, Label::RtpSalt])?,
                rtcp: CmKeys::new(master, [Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt])?,
            }))),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Some(Cipher::Gcm(Box::new(Gcm {
                rtp: gcm_key(profile, master, Label::RtpKey)?,
                rtp_salt: derive(master, Label::RtpSalt)?,
                rtcp: gcm_key(profile, master, Label::RtcpKey)?,
                rtcp_salt: derive(master, Label::RtcpSalt)?,
            }))),
        }
    }

    /// Seals the first `len` bytes; the answer is the new length. `None` if the buffer is too short.
    pub fn seal_rtp(&self, buf: &mut [u8], header_len: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        match self {
            Cipher::Cm(keys) => keys.rtp.seal(buf, header_len, len, ssrc, index),
            Cipher::Gcm(keys) => keys.seal_rtp(buf, header_len, len, ssrc, index),
        }
    }

    /// `None` if the tag is wrong; the packet is garbage then.
    pub fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Option<usize> {
        match self {
            Cipher::Cm(keys) => keys.rtp.open(packet, header_len, ssrc, index),
            Cipher::Gcm(keys) => keys.open_rtp(packet, header_len, ssrc, index),
        }
    }

    /// As [`Cipher::seal_rtp`]; `index` is 31 bits.
    pub fn seal_rtcp(&self, buf: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        match self {
            Cipher::Cm(keys) => keys.rtcp.seal_rtcp(buf, len, ssrc, index),
            Cipher::Gcm(keys) => keys.seal_rtcp(buf, len, ssrc, index),
        }
    }

    /// A packet that claims not to be encrypted counts as forged: every profile DTLS negotiates encrypts SRTCP
    /// (RFC 5764 §4.1.2).
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, trailer: u32) -> Option<usize> {
        if trailer & ENCRYPTED == 0 {
            return None;
        }
        match self {
            Cipher::Cm(keys) => keys.rtcp.open_rtcp(packet, ssrc, trailer),
            Cipher::Gcm(keys) => keys.open_rtcp(packet, ssrc, trailer),
        }
    }

    /// The E bit and index of an SRTCP packet.
    pub fn rtcp_trailer(&self, packet: &[u8]) -> Option<u32> {
        let behind = if matches!(self, Cipher::Cm(_)) { CM_TAG_BYTES } else { 0 };
        let end = packet.len().checked_sub(behind)?;
        packet.get(..end)?.last_chunk().map(|trailer| u32::from_be_bytes(*trailer))
    }
}

fn gcm_key(profile: Profile, master: Master<'_>, label: Label) -> Option<LessSafeKey> {
    let key = if profile == Profile::AeadAes256Gcm {
        UnboundKey::new(&AES_256_GCM, &derive::<32>(master, label)?)
    } else {
        UnboundKey::new(&AES_128_GCM, &derive::<16>(master, label)?)
    };
    Some(LessSafeKey::new(key.ok()?))
}

impl CmKeys {
    fn new(master: Master<'_>, [key, auth, salt]: [Label; 3]) -> Option<CmKeys> {
        Some(CmKeys {
            cipher: ctr_key(&derive::<16>(master, key)?)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &derive::<20>(master, auth)?),
            salt: derive(master, salt)?,
        })
    }

    fn seal(&self, buf: &mut [u8], header_len: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (packet, room) = buf.split_at_mut_checked(len)?;
        let tag = room.first_chunk_mut::<CM_TAG_BYTES>()?;
        self.crypt(packet.get_mut(header_len..)?, ssrc, index)?;
        *tag = self.tag(packet, &roll_over(index));
        Some(len + CM_TAG_BYTES)
    }

    fn open(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (packet, tag) = packet.split_last_chunk_mut::<CM_TAG_BYTES>()?;
        verify_slices_are_equal(&self.tag(packet, &roll_over(index)), tag).ok()?;
        self.crypt(packet.get_mut(header_len..)?, ssrc, index)?;
        Some(packet.len())
    }

    fn seal_rtcp(&self, buf: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let (packet, room) = buf.split_at_mut_checked(len)?;
        let (trailer, room) = room.split_first_chunk_mut::<INDEX_BYTES>()?;
        let tag = room.first_chunk_mut::<CM_TAG_BYTES>()?;
        self.crypt(packet.get_mut(RTCP_CLEAR_BYTES..)?, ssrc, u64::from(index))?;
        *trailer = (ENCRYPTED | index).to_be_bytes();
        *tag = self.tag(packet, trailer);
        Some(len + INDEX_BYTES + CM_TAG_BYTES)
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, trailer: u32) -> Option<usize> {
        let (packet, tag) = packet.split_last_chunk_mut::<CM_TAG_BYTES>()?;
        verify_slices_are_equal(&self.tag(packet, &[]), tag).ok()?;
        let (packet, _) = packet.split_last_chunk_mut::<INDEX_BYTES>()?;
        self.crypt(packet.get_mut(RTCP_CLEAR_BYTES..)?, ssrc, u64::from(trailer & !ENCRYPTED))?;
        Some(packet.len())
    }

    /// Counter mode both ways (RFC 3711 §4.1.1).
    fn crypt(&self, payload: &mut [u8], ssrc: u32, index: u64) -> Option<()> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        self.cipher.less_safe_encrypt(payload, ctr_context(&iv)).ok().map(|_| ())
    }

    fn tag(&self, packet: &[u8], behind: &[u8]) -> [u8; CM_TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(packet);
        context.update(behind);
        let mut tag = [0; CM_TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..CM_TAG_BYTES]);
        tag
    }
}

impl Gcm {
    fn seal_rtp(&self, buf: &mut [u8], header_len: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (packet, room) = buf.split_at_mut_checked(len)?;
        let (header, payload) = packet.split_at_mut_checked(header_len)?;
        let tag = room.first_chunk_mut::<GCM_TAG_BYTES>()?;
        let nonce = nonce(&self.rtp_salt, ssrc, index);
        let sealed = self.rtp.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload).ok()?;
        tag.copy_from_slice(sealed.as_ref());
        Some(len + GCM_TAG_BYTES)
    }

    fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (header, sealed) = packet.split_at_mut_checked(header_len)?;
        let nonce = nonce(&self.rtp_salt, ssrc, index);
        let payload = self.rtp.open_in_place(nonce, Aad::from(&*header), sealed).ok()?;
        Some(header_len + payload.len())
    }

    /// The associated data are the clear bytes and the trailer (RFC 7714 §9.2).
    fn seal_rtcp(&self, buf: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let (packet, room) = buf.split_at_mut_checked(len)?;
        let (clear, payload) = packet.split_first_chunk_mut::<RTCP_CLEAR_BYTES>()?;
        let (tag, room) = room.split_first_chunk_mut::<GCM_TAG_BYTES>()?;
        let trailer = room.first_chunk_mut::<INDEX_BYTES>()?;
        *trailer = (ENCRYPTED | index).to_be_bytes();
        let (nonce, aad) = (nonce(&self.rtcp_salt, ssrc, u64::from(index)), rtcp_aad(clear, trailer));
        let sealed = self.rtcp.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
        tag.copy_from_slice(sealed.as_ref());
        Some(len + GCM_TAG_BYTES + INDEX_BYTES)
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, trailer: u32) -> Option<usize> {
        let (packet, _) = packet.split_last_chunk_mut::<INDEX_BYTES>()?;
        let (clear, sealed) = packet.split_first_chunk_mut::<RTCP_CLEAR_BYTES>()?;
        let index = u64::from(trailer & !ENCRYPTED);
        let (nonce, aad) = (nonce(&self.rtcp_salt, ssrc, index), rtcp_aad(clear, &trailer.to_be_bytes()));
        let payload = self.rtcp.open_in_place(nonce, Aad::from(aad), sealed).ok()?;
        Some(RTCP_CLEAR_BYTES + payload.len())
    }
}

/// Zero, SSRC and 48-bit index, masked by the salt: roll-over counter and sequence number for SRTP (RFC 7714 §8.1), the
/// SRTCP index for SRTCP (§9.1).
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    Nonce::assume_unique_for_key(nonce)
}

fn rtcp_aad(clear: &[u8; RTCP_CLEAR_BYTES], trailer: &[u8; INDEX_BYTES]) -> [u8; RTCP_CLEAR_BYTES + INDEX_BYTES] {
    let mut aad = [0; RTCP_CLEAR_BYTES + INDEX_BYTES];
    aad[..RTCP_CLEAR_BYTES].copy_from_slice(clear);
    aad[RTCP_CLEAR_BYTES..].copy_from_slice(trailer);
    aad
}

/// The 32 bits above the sequence number.
fn roll_over(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn xor(bytes: &mut [u8], mask: &[u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::super::test_vectors::{self, hex};
    use super::*;

    fn gcm(profile: Profile, key: &[u8]) -> Cipher {
        let algorithm = if profile == Profile::AeadAes256Gcm { &AES_256_GCM } else { &AES_128_GCM };
        let key = || LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
        let salt = *test_vectors::GCM_SALT;
        Cipher::Gcm(Box::new(Gcm { rtp: key(), rtp_salt: salt, rtcp: key(), rtcp_salt: salt }))
    }

    /// RFC 7714 §16.1.1 and §16.2.1: the keys are session keys, the roll-over counter is zero.
    #[test]
    fn rfc7714_srtp() {
        for (profile, key, sealed) in test_vectors::GCM_SRTP {
            let (cipher, plain, sealed) = (gcm(profile, &hex(key)), hex(test_vectors::GCM_RTP), hex(sealed));
            let mut buf = plain.clone();
            buf.resize(plain.len() + GCM_TAG_BYTES, 0);
            assert_eq!(cipher.seal_rtp(&mut buf, 12, plain.len(), 0x5501_a0b2, 0xf17b), Some(sealed.len()));
            assert_eq!(buf, sealed, "{profile:?}");
            assert_eq!(cipher.open_rtp(&mut buf, 12, 0x5501_a0b2, 0xf17b), Some(plain.len()));
            assert_eq!(buf[..plain.len()], plain);
        }
    }

    /// RFC 7714 §17.1 and §17.3.
    #[test]
    fn rfc7714_srtcp() {
        for (profile, key, sealed) in test_vectors::GCM_SRTCP {
            let (cipher, plain, sealed) = (gcm(profile, &hex(key)), hex(test_vectors::GCM_RTCP), hex(sealed));
            let mut buf = plain.clone();
            buf.resize(plain.len() + GCM_TAG_BYTES + INDEX_BYTES, 0);
            assert_eq!(cipher.seal_rtcp(&mut buf, plain.len(), 0x4d61_7273, 0x5d4), Some(sealed.len()));
            assert_eq!(buf, sealed, "{profile:?}");
            assert_eq!(cipher.rtcp_trailer(&buf), Some(ENCRYPTED | 0x5d4));
            assert_eq!(cipher.open_rtcp(&mut buf, 0x4d61_7273, ENCRYPTED | 0x5d4), Some(plain.len()));
            assert_eq!(buf[..plain.len()], plain);
        }
    }

    /// The reference packets of libsrtp's own self-test, AES-CM with HMAC-SHA1-80 from RFC 3711 B.3's master key.
    #[test]
    fn cm_reference_packets() {
        let (key, salt) = (hex(test_vectors::CM_KEY), hex(test_vectors::CM_SALT));
        let cipher = Cipher::new(Profile::Aes128CmSha1_80, Master { key: &key, salt: &salt }).unwrap();
        let (plain, sealed) = (hex(test_vectors::CM_RTP), hex(test_vectors::CM_SRTP));
        let mut buf = plain.clone();
        buf.resize(sealed.len(), 0);
        assert_eq!(cipher.seal_rtp(&mut buf, 12, plain.len(), 0xcafe_babe, 0x1234), Some(sealed.len()));
        assert_eq!(buf, sealed);
        let (plain, sealed) = (hex(test_vectors::CM_RTCP), hex(test_vectors::CM_SRTCP));
        let mut buf = plain.clone();
        buf.resize(sealed.len(), 0);
        assert_eq!(cipher.seal_rtcp(&mut buf, plain.len(), 0xcafe_babe, 1), Some(sealed.len()));
        assert_eq!(buf, sealed);
    }
}
