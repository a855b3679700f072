//! The ICE servers a client is told of, from the configuration (WIRE.md §3.9). With nothing configured the list is empty:
//! no third party learns of a client unless the operator says so.

use crate::config::model::{Rtc, TurnServer};
use crate::proto::IceServer;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Lifetime of a credential made from a shared secret when `ttl` is not set, in seconds.
const TURN_TTL_S: u32 = 14_400;

/// External servers for one participant. `tls_only` leaves those that look like HTTPS to a firewall.
pub fn ice_servers(rtc: &Rtc, participant_sid: &str, tls_only: bool, now_unix: i64) -> Vec<IceServer> {
    let turn = rtc.turn_servers.iter().filter(|s| !tls_only || is_tls(s));
    let mut servers: Vec<_> = turn.map(|s| turn_server(s, participant_sid, now_unix)).collect();
    if !rtc.stun_servers.is_empty() && !tls_only {
        servers.push(stun_server(&rtc.stun_servers));
    }
    servers
}

fn stun_server(hosts: &[String]) -> IceServer {
    IceServer { urls: hosts.iter().map(|host| format!("stun:{host}")).collect(), ..Default::default() }
}

fn turn_server(server: &TurnServer, participant_sid: &str, now_unix: i64) -> IceServer {
    let (username, credential) = credentials(server, participant_sid, now_unix);
    IceServer { urls: vec![turn_url(server)], username, credential }
}

fn turn_url(server: &TurnServer) -> String {
    let scheme = if is_tls(server) { "turns" } else { "turn" };
    let transport = if server.protocol.eq_ignore_ascii_case("udp") { "udp" } else { "tcp" };
    format!("{scheme}:{}:{}?transport={transport}", server.host, server.port)
}

fn is_tls(server: &TurnServer) -> bool {
    server.protocol.eq_ignore_ascii_case("tls")
}

fn credentials(server: &TurnServer, participant_sid: &str, now_unix: i64) -> (String, String) {
    if server.secret.is_empty() {
        return (server.username.clone(), server.credential.clone());
    }
    let ttl = if server.ttl == 0 { TURN_TTL_S } else { server.ttl };
    let username = format!("{}:{participant_sid}", now_unix.saturating_add(ttl.into()));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, server.secret.as_bytes());
    let credential = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    (username, credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(protocol: &str) -> TurnServer {
        TurnServer { host: "turn.example".into(), port: 3478, protocol: protocol.into(), ..Default::default() }
    }

    #[test]
    fn urls_by_protocol() {
        let cases = [
            ("udp", "turn:turn.example:3478?transport=udp"),
            ("tcp", "turn:turn.example:3478?transport=tcp"),
            ("", "turn:turn.example:3478?transport=tcp"),
            ("tls", "turns:turn.example:3478?transport=tcp"),
        ];
        for (protocol, url) in cases {
            assert_eq!(turn_url(&turn(protocol)), url, "{protocol}");
        }
    }

    #[test]
    fn nothing_configured_gives_nothing() {
        assert_eq!(ice_servers(&Rtc::default(), "PA_1", false, 0), []);
    }

    #[test]
    fn static_and_stun_entries() {
        let server = TurnServer { username: "u".into(), credential: "c".into(), ..turn("udp") };
        let rtc =
            Rtc { turn_servers: vec![server], stun_servers: vec!["a:1".into(), "b:2".into()], ..Default::default() };
        let servers = ice_servers(&rtc, "PA_1", false, 0);
        assert_eq!((servers[0].username.as_str(), servers[0].credential.as_str()), ("u", "c"));
        assert_eq!(servers[1].urls, ["stun:a:1", "stun:b:2"]);
        assert_eq!(servers.len(), 2);
    }

    #[test]
    fn tls_only_leaves_turns() {
        let rtc = Rtc {
            turn_servers: vec![turn("udp"), turn("tls")],
            stun_servers: vec!["a:1".into()],
            ..Default::default()
        };
        let servers = ice_servers(&rtc, "PA_1", true, 0);
        assert_eq!(servers.len(), 1);
        assert!(servers[0].urls[0].starts_with("turns:"));
    }

    /// The expected value is from `printf %s 1014400:PA_1 | openssl dgst -sha1 -hmac north -binary | base64`.
    #[test]
    fn secret_makes_credentials_that_expire() {
        let server = TurnServer { secret: "north".into(), username: "ignored".into(), ..turn("udp") };
        let (username, credential) = credentials(&server, "PA_1", 1_000_000);
        assert_eq!(username, "1014400:PA_1");
        assert_eq!(credential, "OdBrdbluEYkApoV1WE4OdxwUDr4=");
        let (username, _) = credentials(&TurnServer { ttl: 60, ..server }, "PA_1", 1_000_000);
        assert_eq!(username, "1000060:PA_1");
    }
}
