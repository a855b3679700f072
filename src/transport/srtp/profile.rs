//! The SRTP protection profiles DTLS may negotiate and the master keys it exports (RFC 5764 §4.1.2, §4.2, RFC 7714 §14.2).

/// A protection profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Aes128CmSha1_80,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Profile {
    pub const ALL: [Profile; 3] = [Profile::Aes128CmSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

    pub const fn key_bytes(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    pub const fn salt_bytes(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    /// Bytes the authentication tag adds to a packet; SRTCP adds four more for its index.
    pub const fn tag_bytes(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 => 10,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
        }
    }
}

/// Master key and salt of one direction.
#[derive(Clone, Copy)]
pub struct Master<'a> {
    pub key: &'a [u8],
    pub salt: &'a [u8],
}

/// Splits exported keying material into the DTLS client's and server's write keys (RFC 5764 §4.2); `None` if it is too
/// short for the profile.
pub fn split(profile: Profile, material: &[u8]) -> Option<(Master<'_>, Master<'_>)> {
    let (client_key, rest) = material.split_at_checked(profile.key_bytes())?;
    let (server_key, rest) = rest.split_at_checked(profile.key_bytes())?;
    let (client_salt, rest) = rest.split_at_checked(profile.salt_bytes())?;
    let server_salt = rest.get(..profile.salt_bytes())?;
    Some((Master { key: client_key, salt: client_salt }, Master { key: server_key, salt: server_salt }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn material_is_keys_then_salts() {
        let material: Vec<u8> = (0..60).collect();
        let (client, server) = split(Profile::Aes128CmSha1_80, &material).unwrap();
        assert_eq!((client.key, client.salt), (&material[..16], &material[32..46]));
        assert_eq!((server.key, server.salt), (&material[16..32], &material[46..]));
    }

    #[test]
    fn short_material_is_refused() {
        for profile in Profile::ALL {
            let needed = 2 * (profile.key_bytes() + profile.salt_bytes());
            assert!(split(profile, &vec![0; needed]).is_some());
            assert!(split(profile, &vec![0; needed - 1]).is_none());
        }
    }
}
