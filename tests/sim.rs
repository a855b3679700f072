//! Whole transports on a virtual clock, over a network with seeded loss, delay and reordering. Failures print the seed.

#[path = "support/call.rs"]
mod call;
#[path = "support/network.rs"]
mod network;

use call::{Call, Setup, address, creds, rtp};
use lkops::transport::{Drop, Failure, Pair, PeerEvent, Proto, RemoteParams};
use network::{Conditions, Datagram};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(20);

/// Sends so many packets each way, one a tick, and counts what arrives.
fn talk(call: &mut Call, from: u16, packets: u16) -> (usize, usize) {
    let before = (call.client.rtp.len(), call.server.rtp.len());
    for sequence in (0..packets).map(|n| from.wrapping_add(n)) {
        let packet = rtp(0x1111, sequence, &[sequence as u8; 700]);
        call.client.send_media(call.now, &mut call.network, &packet);
        let packet = rtp(0x2222, sequence, &[!sequence as u8; 900]);
        call.server.send_media(call.now, &mut call.network, &packet);
        call.run_for(TICK);
    }
    call.run_for(SECOND);
    (call.client.rtp.len() - before.0, call.server.rtp.len() - before.1)
}

fn failures(events: &[PeerEvent]) -> Vec<&Failure> {
    events.iter().filter_map(|e| if let PeerEvent::Failed(why) = e { Some(why) } else { None }).collect()
}

#[test]
fn connects_and_talks_over_a_bad_network() {
    for seed in 0..12 {
        let setup = Setup { server_is_lite: seed % 3 > 0, server_is_active: seed % 2 == 0, ..Setup::default() };
        let mut call = Call::new(seed, Conditions::BAD, setup);
        call.connect();
        let (down, up) = talk(&mut call, 65_500, 60);
        assert!(down > 45 && up > 45, "seed {seed}: {down} and {up} of 60 packets arrived");
        assert!(call.server.rtp.iter().all(|packet| packet[12..].iter().all(|b| *b == packet[3])), "seed {seed}");
    }
}

#[test]
fn rtcp_goes_both_ways() {
    let mut call = Call::connected(1, Conditions::PERFECT);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    call.client.send_media(call.now, &mut call.network, &report);
    call.server.send_media(call.now, &mut call.network, &report);
    call.run_for(SECOND);
    assert_eq!((call.client.rtcp.len(), call.server.rtcp.len()), (1, 1));
    assert_eq!(call.server.rtcp[0], report);
}

#[test]
fn data_arrives_whole_and_in_order_and_lossy_does_not_wait() {
    for seed in 0..4 {
        let mut call = Call::new(seed, Conditions::BAD, Setup { server_is_active: seed % 2 == 0, ..Setup::default() });
        call.connect();
        let reliable = call.client.peer.open_channel(call.now, "_reliable", true, None);
        let lossy = call.client.peer.open_channel(call.now, "_lossy", false, Some(0));
        call.flush();
        let open = |label: &'static str| move |e: &PeerEvent| matches!(e, PeerEvent::ChannelOpen { label: l, .. } if l == label);
        call.run_until(30 * SECOND, "channels open", |call| {
            [&call.client, &call.server].iter().all(|end| end.count(open("_reliable")) + end.count(open("_lossy")) == 2)
        });
        let messages: Vec<Vec<u8>> = (0..70_u8).map(|n| vec![n; 15_000]).collect();
        for message in &messages {
            call.client.peer.send(call.now, reliable, true, message).unwrap();
        }
        for n in 0..20_u8 {
            call.client.peer.send(call.now, lossy, false, &[n; 100]).unwrap();
            call.flush();
            call.run_for(TICK);
        }
        let sent = messages.len();
        let is_large = |e: &PeerEvent| matches!(e, PeerEvent::Message { binary: true, .. });
        call.run_until(300 * SECOND, "all data", |call| call.server.count(is_large) == sent);
        call.run_for(5 * SECOND);
        let received = |binary: bool| {
            call.server.events.iter().filter_map(move |e| match e {
                PeerEvent::Message { binary: b, data, .. } if *b == binary => Some(data.to_vec()),
                _ => None,
            })
        };
        assert!(received(true).eq(messages), "seed {seed}: out of order or broken");
        assert!(received(false).count() > 10, "seed {seed}: lossy lost {} of 20", 20 - received(false).count());
        assert_eq!(call.client.peer.buffered(reliable), 0, "seed {seed}");
    }
}

#[test]
fn channels_of_either_side_and_empty_messages() {
    let mut call = Call::new(3, Conditions::PERFECT, Setup::default());
    let channel = call.server.peer.open_channel(call.now, "_reliable", true, None);
    call.describe();
    let is_open = |e: &PeerEvent| matches!(e, PeerEvent::ChannelOpen { label, ordered: true, reliable: true, .. } if label == "_reliable");
    call.run_until(20 * SECOND, "channel", |call| call.client.count(is_open) + call.server.count(is_open) == 2);
    for binary in [true, false] {
        call.server.peer.send(call.now, channel, binary, b"").unwrap();
    }
    call.flush();
    call.run_for(SECOND);
    let got: Vec<_> = call.client.events.iter().filter(|e| matches!(e, PeerEvent::Message { .. })).collect();
    let [PeerEvent::Message { binary: true, data: a, .. }, PeerEvent::Message { binary: false, data: b, .. }] = got[..]
    else {
        panic!("{got:?}")
    };
    assert!(a.is_empty() && b.is_empty());
}

#[test]
fn sending_respects_the_peers_limits() {
    use lkops::transport::SendError;
    let mut call = Call::connected(5, Conditions::PERFECT);
    assert_eq!(call.client.peer.send(call.now, 0, true, b"x"), Err(SendError::NotOpen(0)));
    let channel = call.client.peer.open_channel(call.now, "_reliable", true, None);
    call.flush();
    call.run_for(SECOND);
    assert!(matches!(
        call.client.peer.send(call.now, channel, true, &vec![0; 65_536]),
        Err(SendError::TooLarge { bytes: 65_536, max: 65_535 })
    ));
    call.network.conditions = Conditions::DEAD;
    let full = (0..1000).find_map(|_| call.client.peer.send(call.now, channel, true, &[0; 60_000]).err());
    assert!(matches!(full, Some(SendError::Full { .. })), "{full:?}");
}

#[test]
fn ice_restart_of_either_side_keeps_everything_above() {
    for (server_begins, server_is_lite) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut call = Call::new(7, Conditions::BAD, Setup { server_is_lite, ..Setup::default() });
        call.connect();
        talk(&mut call, 1, 20);
        call.client.creds = creds("client2");
        call.server.creds = creds("server2");
        let (client, server) = (call.client.params(), call.server.params());
        if server_begins {
            call.server.peer.restart_ice(call.now, call.server.creds.clone());
            let (down, up) = talk(&mut call, 21, 40);
            assert!(down > 25 && up > 25, "media goes on meanwhile: {down} and {up} of 40");
            call.client.peer.restart_ice(call.now, call.client.creds.clone());
            call.client.peer.set_remote(call.now, server);
            call.run_for(SECOND / 10);
            call.server.peer.set_remote(call.now, client);
        } else {
            call.client.peer.restart_ice(call.now, call.client.creds.clone());
            call.run_for(SECOND / 10);
            call.server.peer.set_remote(call.now, client);
            call.server.peer.restart_ice(call.now, call.server.creds.clone());
            call.run_for(SECOND / 10);
            call.client.peer.set_remote(call.now, server);
        }
        call.trickle();
        call.run_for(20 * SECOND);
        let (down, up) = talk(&mut call, 61, 40);
        assert!(down > 25 && up > 25, "begun by server {server_begins}, lite {server_is_lite}: {down} and {up} of 40");
        for end in [&call.client, &call.server] {
            assert_eq!(end.count(|e| *e == PeerEvent::Connected), 1, "DTLS ran once");
            assert_eq!(end.count(|e| *e == PeerEvent::IceLost), 0, "{server_begins} {server_is_lite}");
        }
    }
}

/// A binding request as the client would send it.
fn check(call: &Call, use_candidate: bool) -> Vec<u8> {
    use is::stun::{StunMessage, TransId};
    use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
    let user = format!("{}:{}", call.server.creds.0, call.client.creds.0);
    let message = StunMessage::binding_request(&user, TransId::new(), true, 1, 1, use_candidate);
    let mut bytes = vec![0; 200];
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let len = message.to_bytes(Some(call.server.creds.1.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn a_checked_renomination_moves_sending_at_once() {
    let mut call = Call::connected(11, Conditions::PERFECT);
    let before = call.server.peer.send_pair().unwrap();
    let elsewhere = address("203.0.113.9:40000");
    let from = |call: &Call, bytes| Datagram { proto: Proto::Udp, from: elsewhere, to: call.server.address, bytes };
    call.deliver(from(&call, check(&call, false)));
    assert_eq!(call.server.peer.send_pair(), Some(before), "a check alone moves nothing");
    let mut forged = check(&call, true);
    let tail = forged.len() - 20;
    forged[tail] ^= 1;
    call.deliver(from(&call, forged));
    assert_eq!(call.server.peer.send_pair(), Some(before), "nor does a forged one");
    assert_eq!(call.server.drops, [Drop::BadAuth]);
    call.deliver(from(&call, check(&call, true)));
    let after = Pair { remote: elsewhere, ..before };
    assert_eq!(call.server.peer.send_pair(), Some(after));
    assert!(call.server.has(&PeerEvent::PairChanged { pair: after }));
}

#[test]
fn tcp_carries_everything_too() {
    let mut call = Call::new(43, Conditions::PERFECT, Setup { proto: Proto::Tcp, ..Setup::default() });
    call.connect();
    assert_eq!(call.server.peer.send_pair().map(|pair| pair.proto), Some(Proto::Tcp));
    assert_eq!(talk(&mut call, 1, 10), (10, 10));
}

#[test]
fn a_client_that_changes_networks_is_followed() {
    for seed in 0..4 {
        let setup = Setup { server_is_lite: seed % 2 == 0, ..Setup::default() };
        let mut call = Call::new(seed, Conditions::BAD, setup);
        call.connect();
        let outside = address("198.51.100.4:61000");
        call.network.translate(call.client.address, outside);
        call.run_until(5 * SECOND, "the server follows", |call| {
            call.server.peer.send_pair().is_some_and(|pair| pair.remote == outside)
        });
        let (down, up) = talk(&mut call, 100, 60);
        assert!(down > 45 && up > 45, "seed {seed}: {down} and {up} of 60");
        assert_eq!(call.server.count(|e| *e == PeerEvent::Connected), 1, "seed {seed}");
    }
}

#[test]
fn dtls_and_media_from_strangers_are_dropped() {
    let mut call = Call::new(13, Conditions::PERFECT, Setup::default());
    call.describe();
    let stranger = address("203.0.113.66:666");
    let mut hello = vec![22, 254, 253];
    hello.resize(120, 0);
    for bytes in [hello, rtp(1, 1, &[0; 50])] {
        call.deliver(Datagram { proto: Proto::Udp, from: stranger, to: call.server.address, bytes });
    }
    assert_eq!(call.server.drops, [Drop::NotValidated, Drop::NotValidated]);
    call.run_for(5 * SECOND);
    assert!(call.server.has(&PeerEvent::Connected), "and the call comes up all the same");
}

#[test]
fn a_wrong_fingerprint_never_yields_keys() {
    for wrong_at_server in [true, false] {
        let mut call = Call::new(17, Conditions::PERFECT, Setup::default());
        let (client, server) = (call.client.params(), call.server.params());
        let wrong = |params: RemoteParams, spoil: bool| match spoil {
            true => RemoteParams { fingerprints: vec![("sha-256".to_owned(), vec![7; 32])], ..params },
            false => params,
        };
        call.client.peer.set_remote(call.now, RemoteParams { dtls_active: true, ..wrong(server, !wrong_at_server) });
        call.server.peer.set_remote(call.now, wrong(client, wrong_at_server));
        call.trickle();
        call.run_for(5 * SECOND);
        let end = if wrong_at_server { &mut call.server } else { &mut call.client };
        assert!(!end.has(&PeerEvent::Connected), "wrong at server {wrong_at_server}");
        assert!(matches!(failures(&end.events)[..], [Failure::Dtls(why)] if why.contains("fingerprint")));
        assert!(end.seal(&rtp(1, 1, &[0; 10])).is_none());
    }
}

#[test]
fn garbage_does_not_disturb_a_call() {
    use rand::{Rng, SeedableRng};
    for seed in 0..4 {
        let mut call = Call::connected(seed, Conditions::PERFECT);
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        for _ in 0..2000 {
            let first = [0, 1, 20, 22, 23, 25, 31, 63, 64, 127, 128, 144, 191, 255][rng.random_range(0..14)];
            let mut bytes: Vec<u8> = (0..rng.random_range(1..200)).map(|_| rng.random()).collect();
            bytes[0] = first;
            let (from, to) = (call.client.address, call.server.address);
            call.deliver(Datagram { proto: Proto::Udp, from, to, bytes: bytes.clone() });
            call.deliver(Datagram { proto: Proto::Udp, from: to, to: from, bytes });
        }
        let (down, up) = talk(&mut call, 1, 20);
        assert_eq!((down, up), (20, 20), "seed {seed}");
        assert_eq!(failures(&call.server.events), Vec::<&Failure>::new(), "seed {seed}");
        assert_eq!(failures(&call.client.events), Vec::<&Failure>::new(), "seed {seed}");
    }
}

#[test]
fn replays_are_dropped() {
    let mut call = Call::connected(19, Conditions::PERFECT);
    let (pair, bytes) = call.client.seal(&rtp(5, 1, b"once")).unwrap();
    for _ in 0..2 {
        call.deliver(Datagram { proto: Proto::Udp, from: pair.local, to: pair.remote, bytes: bytes.clone() });
    }
    assert_eq!((call.server.rtp.len(), &call.server.drops[..]), (1, &[Drop::Replayed][..]));
}

#[test]
fn silence_is_told_and_may_end() {
    let mut call = Call::connected(23, Conditions::PERFECT);
    call.run_for(60 * SECOND);
    assert!(!call.server.has(&PeerEvent::IceLost), "an idle call stays up");
    call.network.conditions = Conditions::DEAD;
    let cut = call.now;
    call.run_until(11 * SECOND, "lost", |call| call.server.has(&PeerEvent::IceLost));
    assert!(call.now - cut > 7 * SECOND, "not at the first missed check");
    call.network.conditions = Conditions::PERFECT;
    call.run_until(5 * SECOND, "found again", |call| {
        call.server.count(|e| matches!(e, PeerEvent::IceConnected { .. })) == 2
    });
    call.network.conditions = Conditions::DEAD;
    call.run_until(16 * SECOND, "failed", |call| !failures(&call.server.events).is_empty());
    assert!(
        matches!(failures(&call.server.events)[..], [Failure::Ice { tried }] if tried[0].contains("192.168.1.7:50000"))
    );
}

#[test]
fn a_client_that_never_comes_fails() {
    let mut call = Call::new(29, Conditions::DEAD, Setup::default());
    call.run_for(60 * SECOND);
    assert!(call.server.events.is_empty(), "nothing is expected before the description");
    call.describe();
    call.run_for(14 * SECOND);
    assert!(call.server.events.is_empty());
    call.run_for(2 * SECOND);
    assert_eq!(failures(&call.server.events), [&Failure::Ice { tried: vec![] }]);
}

#[test]
fn checks_that_come_before_the_description_are_answered_with_it() {
    let mut call = Call::new(31, Conditions::PERFECT, Setup::default());
    let server = call.server.params();
    call.client.peer.set_remote(call.now, RemoteParams { dtls_active: true, ..server });
    call.trickle();
    call.run_for(SECOND / 5);
    assert!(call.server.events.is_empty());
    let client = call.client.params();
    call.server.peer.set_remote(call.now, client);
    assert!(matches!(call.server.peer.poll_event(), Some(PeerEvent::IceConnected { .. })));
    call.run_until(5 * SECOND, "connect", |call| call.client.has(&PeerEvent::Connected));
}

#[test]
fn a_goodbye_ends_channels_but_not_media() {
    let mut call = Call::connected(37, Conditions::PERFECT);
    call.client.peer.open_channel(call.now, "_reliable", true, None);
    call.flush();
    call.run_for(SECOND);
    let (pair, late) = call.client.seal(&rtp(5, 1, b"late")).unwrap();
    call.client.peer.close(call.now);
    call.flush();
    call.run_for(SECOND);
    assert_eq!(call.server.count(|e| matches!(e, PeerEvent::ChannelClosed { .. })), 1);
    call.deliver(Datagram { proto: Proto::Udp, from: pair.local, to: pair.remote, bytes: late });
    assert_eq!(call.server.rtp.len(), 1);
    assert_eq!(call.client.peer.poll_timeout(), None);
    assert!(failures(&call.server.events).is_empty());
}

#[test]
fn useless_candidates_are_ignored_and_bad_ones_told() {
    let mut call = Call::new(41, Conditions::PERFECT, Setup::default());
    let cases = [
        ("candidate:1 1 udp 2113937151 4f6f1b0a-1.local 50000 typ host", true),
        ("a=candidate:1 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active", true),
        ("", true),
        ("1 1 UDP 2113937151 192.168.1.7 50000 typ host generation 0 network-cost 999", true),
        ("candidate:1 1 udp x 192.168.1.7 50000 typ host", false),
        ("candidate:1", false),
    ];
    for (line, good) in cases {
        assert_eq!(call.server.peer.add_remote_candidate(call.now, line).is_ok(), good, "{line}");
    }
    let refused = (0..200)
        .map(|n| format!("candidate:1 1 udp 2113937151 192.168.1.7 {} typ host", 1000 + n))
        .filter(|line| call.server.peer.add_remote_candidate(call.now, line).is_err())
        .count();
    assert!(refused > 100, "candidates are bounded");
}
