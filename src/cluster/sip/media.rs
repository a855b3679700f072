//! How a call's media is sent: what the trunk says, over it what the rule or the request says.

use crate::proto::{SipMediaConfig, SipMediaEncryption};

const UNSET: i32 = SipMediaEncryption::SipMediaEncryptDisable as i32;

/// With the encryption of the deprecated field beside it, where it has none of its own.
pub fn upgraded(media: Option<&SipMediaConfig>, encryption: i32) -> SipMediaConfig {
    let mut media = media.cloned().unwrap_or_default();
    if media.encryption.is_none() && encryption != UNSET {
        media.encryption = Some(encryption);
    }
    media
}

/// The second goes before the first.
pub fn merged(first: Option<SipMediaConfig>, second: SipMediaConfig) -> SipMediaConfig {
    let Some(first) = first else { return second };
    let mut merged = second;
    merged.encryption = match (first.encryption, merged.encryption) {
        (first, None) => first,
        (Some(first), Some(UNSET)) => Some(first),
        (_, second) => second,
    };
    merged.media_timeout = merged.media_timeout.or(first.media_timeout);
    if merged.codecs.is_empty() {
        merged.only_listed_codecs = first.only_listed_codecs;
        merged.codecs = first.codecs;
    }
    merged
}
