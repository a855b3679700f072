//! Access tokens: as they come (first byte even), or any claims under a good signature (odd). What was read is minted
//! and read again.
#![no_main]

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use lkops::token::{mint, verify};
use std::collections::BTreeMap;

const NOW_UNIX: i64 = 1_700_000_000;
const SECRET: &str = "secret";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let keys = BTreeMap::from([("key".to_owned(), SECRET.to_owned())]);
    let jwt = if choice & 1 == 0 { String::from_utf8_lossy(rest).into_owned() } else { signed(rest) };
    let Ok(claims) = verify(&jwt, &keys, NOW_UNIX) else { return };
    assert_eq!(verify(&mint(&claims, "key", SECRET), &keys, NOW_UNIX), Ok(claims));
});

fn signed(claims: &[u8]) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{tag}")
}
