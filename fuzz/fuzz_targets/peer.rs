//! A whole transport that has met its client over ICE: any datagrams, from its address and others, honest packets changed
//! on the way, candidates, restarts and waiting. It never panics and always comes to rest.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use lkops::limits::DTLS_DATAGRAM_BYTES;
use lkops::transport::{Certificate, Input, Peer, PeerConfig, Proto, RemoteParams, RemoteSctp};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static CERTIFICATE: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(Certificate::generate().expect("randomness")));
/// More packets or timeouts than this at one moment are an endless loop.
const ROUNDS_MAX: usize = 10_000;
const STUN_BYTES_MAX: usize = 1200;
const NAMES: [&str; 2] = ["client", "server"];

struct World {
    now: Instant,
    /// Client and server.
    peers: [Peer; 2],
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let mut world = World::new(choice & 1 != 0, choice & 2 != 0);
    world.exchange(4, None);
    let mut input = Unstructured::new(rest);
    while let (false, Ok([action, value, length])) = (input.is_empty(), input.arbitrary::<[u8; 3]>()) {
        let body = input.bytes(usize::from(length).min(input.len())).unwrap_or_default();
        world.act(action, value, body);
        world.rest();
    }
});

impl World {
    #[allow(clippy::disallowed_methods)] // where the virtual clock begins
    fn new(lite: bool, server_active: bool) -> World {
        let now = Instant::now();
        let peer = |who: usize| {
            let config = PeerConfig {
                ice_lite: lite && who == 1,
                controlling: who == 0,
                creds: creds(who),
                certificate: CERTIFICATE.clone(),
                local_candidates: vec![(address(who), Proto::Udp)],
            };
            let mut peer = Peer::new(now, config).expect("a usable address");
            peer.set_remote(now, remote(1 - who, (who == 1) == server_active));
            let line = format!("1 1 udp 2130706431 {} {} typ host", address(1 - who).ip(), address(1 - who).port());
            peer.add_remote_candidate(now, &line).expect("a candidate of ours");
            peer
        };
        World { now, peers: [peer(0), peer(1)] }
    }

    fn act(&mut self, action: u8, value: u8, body: &[u8]) {
        let (now, server) = (self.now, &mut self.peers[1]);
        match action % 10 {
            0 | 1 => self.inject(address(0), body),
            2 => self.inject(address(usize::from(value) + 2), body),
            3 => self.exchange(1 + usize::from(value) % 8, None),
            4 => self.exchange(1, Some((value, body))),
            5 => self.now += Duration::from_millis(u64::from(value) * 100),
            6 => drop(server.add_remote_candidate(now, &String::from_utf8_lossy(body))),
            7 => self.channel(value, body),
            8 => server.set_remote(now, restarted(value)),
            _ => self.seal(value, body),
        }
    }

    fn inject(&mut self, from: SocketAddr, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        let input = self.peers[1].handle_datagram(self.now, Proto::Udp, address(1), from, &mut datagram);
        if let Input::Rtp(length) | Input::Rtcp(length) = input {
            assert!(length <= datagram.len());
        }
    }

    /// Carries what both sides say, 20 ms a round; `change` overlays bytes at a place of what the client says.
    fn exchange(&mut self, rounds: usize, change: Option<(u8, &[u8])>) {
        for _ in 0..rounds {
            for who in [0, 1] {
                for mut datagram in self.said(who) {
                    change.iter().filter(|_| who == 0).for_each(|(at, bytes)| overlay(&mut datagram, *at, bytes));
                    let (to, from) = (address(1 - who), address(who));
                    self.peers[1 - who].handle_datagram(self.now, Proto::Udp, to, from, &mut datagram);
                }
            }
            self.now += Duration::from_millis(20);
            self.rest();
        }
    }

    fn said(&mut self, who: usize) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        let mut datagram = Vec::new();
        while self.peers[who].poll_transmit(&mut datagram).is_some() {
            assert!(datagram.len() <= DTLS_DATAGRAM_BYTES.max(STUN_BYTES_MAX));
            said.push(std::mem::take(&mut datagram));
            assert!(said.len() < ROUNDS_MAX, "no end of packets");
        }
        said
    }

    /// Timeouts that are due, until none is.
    fn rest(&mut self) {
        for peer in &mut self.peers {
            let mut rounds = 0;
            while peer.poll_timeout().is_some_and(|at| at <= self.now) {
                peer.handle_timeout(self.now);
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "no end of timeouts");
            }
            while peer.poll_event().is_some() {}
        }
    }

    fn channel(&mut self, value: u8, body: &[u8]) {
        let (now, peer) = (self.now, &mut self.peers[usize::from(value & 1)]);
        if value & 2 == 0 {
            peer.open_channel(now, &String::from_utf8_lossy(body), value & 4 == 0, None);
        } else {
            let _ = peer.send(now, u16::from(value >> 3), value & 4 == 0, body);
        }
    }

    fn seal(&mut self, value: u8, body: &[u8]) {
        let mut buf = body.to_vec();
        let room = buf.len() + usize::from(value % 32);
        buf.resize(room, 0);
        let sealed = match value & 32 {
            0 => self.peers[1].seal_rtcp(&mut buf, body.len()),
            _ => self.peers[1].seal_rtp(&mut buf, 12, body.len()),
        };
        assert!(sealed.is_none_or(|length| length <= room));
    }
}

fn address(who: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, 1), 1000 + who as u16).into()
}

fn creds(who: usize) -> (String, String) {
    (NAMES[who].to_owned(), format!("password-of-the-{}", NAMES[who]))
}

fn remote(who: usize, dtls_active: bool) -> RemoteParams {
    let (ufrag, pwd) = creds(who);
    let text = CERTIFICATE.fingerprint_sha256();
    let digest = text.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let fingerprints = vec![("sha-256".to_owned(), digest)];
    let sctp = Some(RemoteSctp { port: 5000, max_message_bytes: 0 });
    RemoteParams { ufrag, pwd, ice_lite: false, fingerprints, dtls_active, sctp }
}

fn restarted(value: u8) -> RemoteParams {
    let ufrag = if value & 1 == 0 { creds(0).0 } else { format!("again{value}") };
    RemoteParams { ufrag, ice_lite: value & 2 != 0, ..remote(0, value & 4 != 0) }
}

fn overlay(datagram: &mut [u8], at: u8, bytes: &[u8]) {
    datagram.iter_mut().skip(at.into()).zip(bytes).for_each(|(place, byte)| *place = *byte);
}
