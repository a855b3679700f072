//! The token a participant is handed to come back with (WIRE.md §2.8, refresh_token).

use crate::token::{Claims, mint};

/// A refreshed token lives at least this long, in seconds.
const VALID_FOR_MIN_S: i64 = 600;

/// Signs the participant's present claims again. `claims.exp` is the original token's; `identity` includes the suffix of a
/// secondary connection; key and secret are the first of the configuration.
pub fn refresh_token(claims: &Claims, identity: &str, now_unix: i64, key: &str, secret: &str) -> String {
    mint(&refreshed(claims, identity, now_unix), key, secret)
}

fn refreshed(claims: &Claims, identity: &str, now_unix: i64) -> Claims {
    let shortest = now_unix.saturating_add(VALID_FOR_MIN_S);
    Claims {
        sub: identity.to_owned(),
        exp: Some(claims.exp.map_or(shortest, |exp| exp.max(shortest))),
        nbf: Some(now_unix),
        name: claims.name.clone(),
        kind: claims.kind.clone(),
        video: claims.video.clone(),
        room_config: claims.room_config.clone(),
        room_preset: claims.room_preset.clone(),
        metadata: claims.metadata.clone(),
        attributes: claims.attributes.clone(),
        ..Claims::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{SipGrant, VideoGrant, verify};
    use std::collections::BTreeMap;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn validity_is_ten_minutes_or_what_is_left() {
        let cases = [
            (Some(NOW + 3600), NOW + 3600),
            (Some(NOW + 10), NOW + 600),
            (Some(NOW - 5), NOW + 600),
            (None, NOW + 600),
        ];
        for (exp, expected) in cases {
            let claims = Claims { exp, ..Default::default() };
            assert_eq!(refreshed(&claims, "ann", NOW).exp, Some(expected), "{exp:?}");
        }
    }

    #[test]
    fn carries_the_participant_and_nothing_else() {
        let claims = Claims {
            sub: "ann".into(),
            jti: "once".into(),
            sha256: "hash".into(),
            name: "Ann".into(),
            metadata: "m".into(),
            room_preset: "p".into(),
            sip: Some(SipGrant { admin: true, call: true }),
            video: Some(VideoGrant { room_join: true, room: "r".into(), ..Default::default() }),
            attributes: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..Default::default()
        };
        let jwt = refresh_token(&claims, "ann#screen", NOW, "key", "secret");
        let keys = BTreeMap::from([("key".to_owned(), "secret".to_owned())]);
        let read = verify(&jwt, &keys, NOW).unwrap();
        assert_eq!(read.identity(), "ann#screen");
        assert_eq!((read.sip, read.jti.as_str(), read.sha256.as_str()), (None, "", ""));
        assert_eq!((read.name, read.metadata, read.room_preset), (claims.name, claims.metadata, claims.room_preset));
        assert_eq!((read.video, read.attributes), (claims.video, claims.attributes));
    }
}
