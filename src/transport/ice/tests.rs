//! The rules of ICE that the agent leaves to its user.

use super::*;
use is::stun::TransId;
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};

const PASSWORD: &str = "a-password-of-some-length";

#[allow(clippy::disallowed_methods)] // where the virtual clock begins
fn epoch() -> Instant {
    Instant::now()
}

fn creds(ufrag: &str) -> IceCreds {
    IceCreds { ufrag: ufrag.to_owned(), pass: PASSWORD.to_owned() }
}

fn ice(now: Instant, lite: bool, local: &str) -> Ice {
    let locals = vec![(local.parse().unwrap(), Proto::Udp)];
    let mut ice = Ice::new(now, lite, false, creds("us"), locals).unwrap();
    ice.set_remote(now, creds("them"), false);
    ice
}

fn pair(local: &str, port: u16) -> Pair {
    let remote = (Ipv4Addr::new(203, 0, 113, 5), port).into();
    Pair { proto: Proto::Udp, local: local.parse().unwrap(), remote }
}

fn check(user: &str, password: &str, use_candidate: bool) -> Vec<u8> {
    let message = StunMessage::binding_request(user, TransId::new(), true, 1, 1, use_candidate);
    let mut bytes = vec![0; 200];
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let len = message.to_bytes(Some(password.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(len);
    bytes
}

fn answers(ice: &mut Ice) -> Vec<Pair> {
    let mut out = Vec::new();
    std::iter::from_fn(|| ice.poll_transmit(&mut out)).collect()
}

#[test]
fn a_socket_bound_to_any_address_answers_from_it() {
    for local in ["0.0.0.0:7882", "[::]:7882", "10.0.0.1:7882", "127.0.0.1:7882"] {
        let now = epoch();
        let mut ice = ice(now, true, local);
        let pair = pair(local, 4000);
        assert_eq!(ice.handle_stun(now, pair, &check("us:them", PASSWORD, true)), Ok(()), "{local}");
        assert_eq!(answers(&mut ice), [pair], "{local}");
        assert_eq!(ice.pair(), Some(pair), "{local}");
    }
}

#[test]
fn what_was_tried_is_known_until_there_is_a_pair() {
    let now = epoch();
    let local = "10.0.0.1:7882";
    let mut ice = ice(now, true, local);
    ice.add_remote_candidate(now, "candidate:1 1 udp 1 192.0.2.7 5000 typ host").unwrap();
    assert_eq!(ice.unfinished().unwrap(), ["candidate udp 192.0.2.7:5000 host"]);
    ice.handle_stun(now, pair(local, 4000), &check("us:them", PASSWORD, true)).unwrap();
    assert_eq!(ice.unfinished(), None);
    ice.handle_timeout(now + limits::ICE_DISCONNECTED);
    let tried = ["check udp 203.0.113.5:4000 -> 10.0.0.1:7882", "candidate udp 192.0.2.7:5000 host"];
    assert_eq!(ice.unfinished().unwrap(), tried);
    ice.handle_timeout(now + limits::ICE_DISCONNECTED + limits::ICE_FAILED);
    assert_eq!(ice.unfinished(), None, "a failure was told already");
}

#[test]
fn what_is_not_authentic_gets_silence() {
    let now = epoch();
    let local = "10.0.0.1:7882";
    let mut ice = ice(now, true, local);
    let cases = [
        ("garbage", vec![0; 40], Drop::Malformed),
        ("empty", Vec::new(), Drop::Malformed),
        ("wrong password", check("us:them", "another", true), Drop::BadAuth),
        ("for another", check("him:them", PASSWORD, true), Drop::BadAuth),
        ("from another", check("us:him", PASSWORD, true), Drop::BadAuth),
    ];
    for (name, bytes, why) in cases {
        assert_eq!(ice.handle_stun(now, pair(local, 4000), &bytes), Err(why), "{name}");
        assert_eq!(answers(&mut ice), [], "{name}");
        assert_eq!(ice.pair(), None, "{name}");
    }
}

#[test]
fn addresses_are_bounded_and_a_lite_agent_goes_on() {
    let now = epoch();
    let local = "10.0.0.1:7882";
    let count = 4 * limits::ICE_ADDRESSES_MAX as u16;
    for lite in [true, false] {
        let mut ice = ice(now, lite, local);
        let taken = (0..count)
            .filter(|port| ice.handle_stun(now, pair(local, 4000 + port), &check("us:them", PASSWORD, true)).is_ok())
            .count();
        assert_eq!(taken, if lite { usize::from(count) } else { limits::ICE_ADDRESSES_MAX });
        assert!(ice.agent.remote_candidates().count() <= limits::ICE_ADDRESSES_MAX);
        assert_eq!(ice.paths.pairs().count(), limits::ICE_PATHS_MAX);
        if lite {
            assert_eq!(ice.pair(), Some(pair(local, 4000 + count - 1)), "the last nomination counts");
        }
    }
}

#[test]
fn checks_before_the_description_are_held_to_a_limit() {
    let now = epoch();
    let local = "10.0.0.1:7882";
    let locals = vec![(local.parse().unwrap(), Proto::Udp)];
    let mut ice = Ice::new(now, true, false, creds("us"), locals).unwrap();
    let held = (0..100)
        .filter(|port| ice.handle_stun(now, pair(local, 4000 + port), &check("us:them", PASSWORD, true)).is_ok())
        .count();
    assert_eq!(held, limits::ICE_HELD_CHECKS_MAX);
    assert_eq!(ice.handle_stun(now, pair(local, 1), &check("us:them", "another", true)), Err(Drop::BadAuth));
    ice.set_remote(now, creds("them"), false);
    assert_eq!(answers(&mut ice).len(), held);
}

#[test]
fn before_a_restart_is_agreed_the_old_pair_is_kept_alive_but_does_not_move() {
    let now = epoch();
    let local = "10.0.0.1:7882";
    let mut ice = ice(now, true, local);
    let (old, new) = (pair(local, 4000), pair(local, 4001));
    ice.handle_stun(now, old, &check("us:them", PASSWORD, true)).unwrap();
    answers(&mut ice);
    ice.restart(now, creds("us2"));
    ice.handle_stun(now, old, &check("us:them", PASSWORD, true)).unwrap();
    assert_eq!(answers(&mut ice), [old]);
    assert_eq!(ice.handle_stun(now, new, &check("us:them", PASSWORD, true)), Err(Drop::BadAuth));
    ice.set_remote(now, creds("them2"), false);
    ice.handle_stun(now, new, &check("us2:them2", PASSWORD, true)).unwrap();
    assert_eq!(ice.pair(), Some(new));
    assert_eq!(ice.handle_stun(now, old, &check("us:them", PASSWORD, true)), Err(Drop::BadAuth), "agreed");
}
