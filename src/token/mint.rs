//! Writes an access token: for refreshed sessions, the command line and tests. RFC 7519.

use super::Claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

/// Signs the claims with HS256 in the name of `key`.
///
/// The only claim that can fail to serialise is a `room_config` with enum numbers outside the protocol, which neither
/// a token nor a configuration file can bring in.
pub fn mint(claims: &Claims, key: &str, secret: &str) -> String {
    let claims = Claims { iss: key.to_owned(), ..claims.clone() };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims are plain JSON and HMAC takes any key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    #[test]
    fn unset_claims_are_left_out() {
        let claims = Claims { sub: "ann".into(), exp: Some(5), ..Default::default() };
        let jwt = mint(&claims, "key", "secret");
        let parts: Vec<&str> = jwt.split('.').collect();
        let json = |part: &str| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert!(json(parts[0]).contains(r#""alg":"HS256""#));
        assert_eq!(json(parts[1]), r#"{"iss":"key","sub":"ann","exp":5}"#);
    }
}
