use super::lkops::{lkops, lkops_with};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use lkops::token::Claims;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a-secret-that-is-longer-than-32-bytes";
const PAIR: [(&str, &str); 2] = [("LIVEKIT_API_KEY", "APIenv"), ("LIVEKIT_API_SECRET", SECRET)];

/// The claims of a token that was signed with `secret` and is valid now.
fn claims(token: &str, secret: &str) -> Claims {
    let validation = Validation::new(Algorithm::HS256);
    decode(token.trim_end(), &DecodingKey::from_secret(secret.as_bytes()), &validation)
        .expect("the token is valid")
        .claims
}

/// Seconds from now until the token ends.
#[allow(clippy::disallowed_methods, reason = "the binary counts from the wall clock too")]
fn life(claims: &Claims) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    claims.exp.expect("a token ends") - now
}

#[test]
fn a_token_says_what_it_was_asked_to() {
    let args =
        ["token", "create", "--join", "--room", "lobby", "--identity", "ann", "--name", "Ann", "--valid-for", "30m"];
    let claims = claims(&lkops_with(&args, &PAIR).ok(), SECRET);
    let video = claims.video.clone().unwrap();
    assert_eq!((claims.iss.as_str(), claims.sub.as_str(), claims.name.as_str()), ("APIenv", "ann", "Ann"));
    assert_eq!((video.room_join, video.room.as_str(), video.room_admin), (true, "lobby", false));
    assert!((1740..=1800).contains(&life(&claims)), "{}", life(&claims));
}

#[test]
fn server_grants_need_nobody() {
    let token = lkops_with(&["token", "create", "--create", "--list"], &PAIR).ok();
    let claims = claims(&token, SECRET);
    let video = claims.video.clone().unwrap();
    assert!(video.room_create && video.room_list && !video.room_join);
    assert!((21_540..=21_600).contains(&life(&claims)), "six hours by default");
}

#[test]
fn a_key_given_by_flag_wins_over_the_environment_and_that_over_the_configuration() {
    let key = |args: &[&str], env: &[(&str, &str)]| {
        let all = [&["token", "create", "--list", "-o", "json"][..], args].concat();
        lkops_with(&all, env).json()["api_key"].as_str().unwrap().to_owned()
    };
    let configured = ("LIVEKIT_KEYS", "APIconfig: secret");
    assert_eq!(key(&[], &[configured]), "APIconfig");
    assert_eq!(key(&["--dev"], &[]), "devkey");
    assert_eq!(key(&[], &[configured, PAIR[0], PAIR[1]]), "APIenv");
    assert_eq!(key(&["--api-key", "APIflag", "--api-secret", SECRET], &PAIR), "APIflag");
}

#[test]
fn a_token_that_would_allow_nothing_is_refused() {
    let errors = lkops_with(&["token", "create", "--identity", "ann"], &PAIR).failed(2);
    assert_eq!(errors, ["error: the token would allow nothing; give --join, --create, --list or --admin"]);
    assert_eq!(lkops_with(&["token", "create", "--join"], &PAIR).code, Some(2), "joining needs a room and an identity");
}

#[test]
fn without_keys_there_is_no_token() {
    let errors = lkops(&["token", "create", "--list"]).failed(2);
    assert_eq!(errors, ["error: one of key-file or keys must be provided"]);
}

#[test]
fn the_join_token_of_old_lasts_30_days() {
    let out = lkops(&["create-join-token", "--dev", "--room", "lobby", "--identity", "ann", "--recorder"]).ok();
    let claims = claims(out.strip_prefix("Token: ").expect("as LiveKit prints it"), "secret");
    let video = claims.video.clone().unwrap();
    assert!(video.hidden && video.recorder && video.room_join && !video.may_publish() && !video.may_publish_data());
    assert!(life(&claims) > 29 * 24 * 3600);
}
