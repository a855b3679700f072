//! Session keys from master keys: the AES-CM pseudo-random function (RFC 3711 §4.3, RFC 7714 §11) at key derivation
//! rate zero.

use super::profile::Master;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// What a session key is for (RFC 3711 §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// `N` bytes of the session key with that label; `None` if the master key is not one of AES-128 or AES-256.
pub(super) fn derive<const N: usize>(master: Master<'_>, label: Label) -> Option<[u8; N]> {
    let mut out = [0; N];
    let key = ctr_key(master.key)?;
    key.less_safe_encrypt(&mut out, ctr_context(&iv(master.salt, label)?)).ok()?;
    Some(out)
}

/// An expanded AES key for counter mode.
pub(super) fn ctr_key(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

pub(super) fn ctr_context(iv: &[u8; 16]) -> EncryptionContext {
    EncryptionContext::Iv128(FixedLength::from(iv))
}

/// The master salt with the label in the seventh byte from its right end, times 2^16. Shorter salts (GCM's 96 bits) are
/// filled with zeros on the right to 112 bits.
fn iv(salt: &[u8], label: Label) -> Option<[u8; 16]> {
    let mut iv = [0; 16];
    iv.get_mut(..14)?.get_mut(..salt.len())?.copy_from_slice(salt);
    iv[7] ^= label as u8;
    Some(iv)
}

#[cfg(test)]
mod tests {
    use super::super::test_vectors::hex;
    use super::*;

    /// RFC 3711 appendix B.3.
    #[test]
    fn rfc3711_b3() {
        let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
        let master = Master { key: &key, salt: &salt };
        let cipher: [u8; 16] = derive(master, Label::RtpKey).unwrap();
        assert_eq!(cipher[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let salt: [u8; 14] = derive(master, Label::RtpSalt).unwrap();
        assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let auth: [u8; 94] = derive(master, Label::RtpAuth).unwrap();
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF72270\
                        986371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(auth[..], hex(expected));
    }

    #[test]
    fn labels_give_different_keys() {
        let master = Master { key: &[7; 16], salt: &[9; 12] };
        let labels = [Label::RtpKey, Label::RtpAuth, Label::RtpSalt, Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt];
        let keys: std::collections::HashSet<[u8; 16]> = labels.map(|l| derive(master, l).unwrap()).into();
        assert_eq!(keys.len(), labels.len());
    }

    #[test]
    fn odd_master_keys_are_refused() {
        assert!(derive::<16>(Master { key: &[0; 15], salt: &[0; 14] }, Label::RtpKey).is_none());
        assert!(derive::<16>(Master { key: &[0; 16], salt: &[0; 15] }, Label::RtpKey).is_none());
    }
}
