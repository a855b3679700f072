//! Checks an access token: signature, then time. Called where a request enters; knows keys, not rooms. RFC 7519.

use super::Claims;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Clocks of minting and verifying hosts may differ by this much, in seconds (WIRE.md §1.6).
const LEEWAY_S: i64 = 60;

/// Why a token was refused. The texts are the bodies of the 401 answers (WIRE.md §1.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT, not HS256, or its claims are not ours.
    #[error("invalid authorization token")]
    Malformed,
    /// The issuer is not one of the configured keys.
    #[error("invalid API key")]
    UnknownKey,
    #[error("invalid authorization token: signature does not match")]
    Signature,
    #[error("invalid authorization token: claim exp is missing")]
    NoExpiry,
    #[error("invalid authorization token: token is expired (exp)")]
    Expired,
    #[error("invalid authorization token: token not valid yet (nbf)")]
    NotYet,
}

/// Checks `jwt` against the secret of the key that issued it. `now_unix` in seconds.
pub fn verify(jwt: &str, keys: &BTreeMap<String, String>, now_unix: i64) -> Result<Claims, TokenError> {
    let secret = keys.get(&issuer(jwt)?).filter(|s| !s.is_empty()).ok_or(TokenError::UnknownKey)?;
    let claims = claims_of(signed(jwt, secret)?)?;
    in_time(&claims, now_unix)?;
    Ok(claims)
}

/// The key a token claims to be signed with; to be trusted only after the signature was checked.
fn issuer(jwt: &str) -> Result<String, TokenError> {
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| TokenError::Malformed)?;
    if header.alg != Algorithm::HS256 {
        return Err(TokenError::Malformed);
    }
    let claims: Map<String, Value> = dangerous::insecure_decode_claims(jwt).map_err(|_| TokenError::Malformed)?;
    Ok(claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn signed(jwt: &str, secret: &str) -> Result<Map<String, Value>, TokenError> {
    decode(jwt, &DecodingKey::from_secret(secret.as_bytes()), &signature_only())
        .map(|token| token.claims)
        .map_err(|_| TokenError::Signature)
}

/// The library reads the system clock, so times are checked here instead, against the time given.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn claims_of(mut raw: Map<String, Value>) -> Result<Claims, TokenError> {
    drop_nulls(&mut raw);
    whole_seconds(&mut raw);
    serde_json::from_value(Value::Object(raw)).map_err(|_| TokenError::Malformed)
}

/// Token libraries write unset claims as null, which to the reference means absent. Depth is bounded by the parser.
fn drop_nulls(object: &mut Map<String, Value>) {
    object.retain(|_, value| !value.is_null());
    object.values_mut().filter_map(Value::as_object_mut).for_each(drop_nulls);
}

/// A NumericDate may have a fraction (RFC 7519 §2).
fn whole_seconds(raw: &mut Map<String, Value>) {
    for name in ["exp", "nbf"] {
        if let Some(seconds) = raw.get(name).filter(|v| v.is_f64()).and_then(Value::as_f64) {
            raw.insert(name.to_owned(), Value::from(seconds as i64));
        }
    }
}

fn in_time(claims: &Claims, now_unix: i64) -> Result<(), TokenError> {
    let exp = claims.exp.ok_or(TokenError::NoExpiry)?;
    if now_unix.saturating_sub(LEEWAY_S) > exp {
        return Err(TokenError::Expired);
    }
    if claims.nbf.is_some_and(|nbf| now_unix.saturating_add(LEEWAY_S) < nbf) {
        return Err(TokenError::NotYet);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{VideoGrant, mint};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW: i64 = 1_700_000_000;

    fn keys() -> BTreeMap<String, String> {
        BTreeMap::from([("key".to_owned(), "secret".to_owned()), ("empty".to_owned(), String::new())])
    }

    fn sign(claims: &Value, alg: Algorithm, secret: &str) -> String {
        encode(&Header::new(alg), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn good() -> Value {
        json!({"iss": "key", "sub": "ann", "exp": NOW + 10, "video": {"roomJoin": true, "room": "r"}})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    #[test]
    fn what_was_minted_is_read_back() {
        let video = VideoGrant { room_join: true, room: "r".into(), can_publish: Some(false), ..Default::default() };
        let claims = Claims {
            sub: "ann".into(),
            exp: Some(NOW + 60),
            video: Some(video),
            room_config: Some(crate::proto::RoomConfiguration { max_participants: 3, ..Default::default() }),
            attributes: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..Default::default()
        };
        let read = verify(&mint(&claims, "key", "secret"), &keys(), NOW).unwrap();
        assert_eq!(read, Claims { iss: "key".into(), ..claims });
    }

    #[test]
    fn refusals_in_their_order() {
        use TokenError::*;
        let hs = Algorithm::HS256;
        let cases = [
            ("not a jwt", "rubbish".to_owned(), Malformed),
            ("empty", String::new(), Malformed),
            ("other algorithm", sign(&good(), Algorithm::HS384, "secret"), Malformed),
            ("unknown key", sign(&with("iss", json!("other")), hs, "secret"), UnknownKey),
            ("key without secret", sign(&with("iss", json!("empty")), hs, ""), UnknownKey),
            ("no issuer", sign(&with("iss", json!(null)), hs, "secret"), UnknownKey),
            ("wrong secret", sign(&good(), hs, "guess"), Signature),
            ("no exp", sign(&with("exp", json!(null)), hs, "secret"), NoExpiry),
            ("expired", sign(&with("exp", json!(NOW - 61)), hs, "secret"), Expired),
            ("not yet", sign(&with("nbf", json!(NOW + 61)), hs, "secret"), NotYet),
            ("wrong type", sign(&with("video", json!("all")), hs, "secret"), Malformed),
        ];
        for (name, jwt, expected) in cases {
            assert_eq!(verify(&jwt, &keys(), NOW), Err(expected), "{name}");
        }
    }

    #[test]
    fn accepted_although_odd() {
        let cases = [
            ("leeway after exp", with("exp", json!(NOW - 60))),
            ("leeway before nbf", with("nbf", json!(NOW + 60))),
            ("fractions of a second", with("exp", json!(NOW as f64 + 1.5))),
            ("null claims", with("kindDetails", json!(null))),
            ("null in grant", with("video", json!({"canPublishSources": null, "room": null}))),
            ("unknown claims", with("inference", json!({"perform": true}))),
            ("audience is not ours to check", with("aud", json!("someone"))),
        ];
        for (name, claims) in cases {
            let jwt = sign(&claims, Algorithm::HS256, "secret");
            assert_eq!(verify(&jwt, &keys(), NOW).map(|c| c.sub), Ok("ann".to_owned()), "{name}");
        }
    }

    #[test]
    fn a_changed_payload_breaks_the_signature() {
        let jwt = sign(&good(), Algorithm::HS256, "secret");
        let other = sign(&with("sub", json!("eve")), Algorithm::HS256, "guess");
        let signature = jwt.rsplit('.').next().unwrap();
        let forged = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
        assert_eq!(verify(&forged, &keys(), NOW), Err(TokenError::Signature));
    }

    #[test]
    fn messages_are_the_bodies_clients_know() {
        assert_eq!(TokenError::Malformed.to_string(), "invalid authorization token");
        assert_eq!(TokenError::UnknownKey.to_string(), "invalid API key");
        assert!(TokenError::Expired.to_string().starts_with("invalid authorization token: "));
    }
}
