//! A client and a server transport joined by a network on a virtual clock.

use crate::network::{Conditions, Datagram, Network};
use lkops::transport::{Certificate, Drop, Input, Pair, Peer, PeerConfig, PeerEvent, Proto, RemoteParams, RemoteSctp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Room behind a packet for sealing it.
const OVERHEAD: usize = lkops::transport::srtp::OVERHEAD_BYTES_MAX;

/// One side of the call and all that came out of it.
pub struct End {
    pub peer: Peer,
    pub address: SocketAddr,
    pub lite: bool,
    pub proto: Proto,
    pub creds: (String, String),
    pub certificate: Arc<Certificate>,
    pub dtls_active: bool,
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    pub drops: Vec<Drop>,
    pub events: Vec<PeerEvent>,
}

pub struct Call {
    pub seed: u64,
    pub now: Instant,
    pub network: Network,
    pub client: End,
    pub server: End,
}

/// What may differ from call to call.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub server_is_lite: bool,
    /// The server is the DTLS client.
    pub server_is_active: bool,
    pub proto: Proto,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { server_is_lite: true, server_is_active: false, proto: Proto::Udp }
    }
}

/// Where the virtual clock begins.
#[allow(clippy::disallowed_methods)]
fn epoch() -> Instant {
    Instant::now()
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Call {
    /// A full client that is told the server's candidate but does not tell its own, as behind a NAT.
    pub fn new(seed: u64, conditions: Conditions, setup: Setup) -> Call {
        let now = epoch();
        let client = End::new(now, "192.168.1.7:50000", "client", false, !setup.server_is_active, setup.proto);
        let server =
            End::new(now, "10.0.0.1:7882", "server", setup.server_is_lite, setup.server_is_active, setup.proto);
        Call { seed, now, network: Network::new(seed, conditions), client, server }
    }

    /// Exchanges descriptions.
    pub fn describe(&mut self) {
        let (client, server) = (self.client.params(), self.server.params());
        self.client.peer.set_remote(self.now, RemoteParams { dtls_active: self.client.dtls_active, ..server });
        self.server.peer.set_remote(self.now, RemoteParams { dtls_active: self.server.dtls_active, ..client });
        self.trickle();
    }

    /// Tells the client the server's candidate.
    pub fn trickle(&mut self) {
        self.client.peer.add_remote_candidate(self.now, &self.server.candidate()).unwrap();
        self.flush();
    }

    /// A call that is up.
    pub fn connected(seed: u64, conditions: Conditions) -> Call {
        let mut call = Call::new(seed, conditions, Setup::default());
        call.connect();
        call
    }

    pub fn connect(&mut self) {
        self.describe();
        self.run_until(Duration::from_secs(20), "both sides connect", |call| {
            [&call.client, &call.server].iter().all(|end| end.has(&PeerEvent::Connected))
        });
    }

    /// Steps until the condition holds; fails with seed and time if it takes longer.
    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&Call) -> bool) {
        let deadline = self.now + limit;
        while !done(self) {
            assert!(self.step(deadline), "seed {}: not within {limit:?}: {what}\n{}", self.seed, self.summary());
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let deadline = self.now + time;
        while self.step(deadline) {}
        self.now = deadline;
    }

    /// Goes to the next thing that happens; false if that is after the deadline.
    fn step(&mut self, deadline: Instant) -> bool {
        let timers = [self.client.peer.poll_timeout(), self.server.peer.poll_timeout(), self.network.next_arrival()];
        let Some(next) = timers.into_iter().flatten().min().filter(|next| *next <= deadline) else { return false };
        self.now = self.now.max(next);
        while let Some(datagram) = self.network.receive(self.now) {
            self.deliver(datagram);
        }
        for end in [&mut self.client, &mut self.server] {
            if end.peer.poll_timeout().is_some_and(|at| at <= self.now) {
                end.peer.handle_timeout(self.now);
            }
        }
        self.flush();
        true
    }

    pub fn deliver(&mut self, datagram: Datagram) {
        for end in [&mut self.client, &mut self.server] {
            if end.address == datagram.to {
                end.receive(self.now, datagram.clone());
            }
        }
        self.flush();
    }

    /// Takes everything out of both sides.
    pub fn flush(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.flush(self.now, &mut self.network);
        }
    }

    fn summary(&self) -> String {
        format!(
            "client: {:?} {:?}\nserver: {:?} {:?}",
            self.client.events, self.client.drops, self.server.events, self.server.drops
        )
    }
}

impl End {
    fn new(now: Instant, at: &str, name: &str, lite: bool, dtls_active: bool, proto: Proto) -> End {
        let certificate = Arc::new(Certificate::generate().unwrap());
        let creds = creds(name);
        let config = PeerConfig {
            ice_lite: lite,
            controlling: name == "client",
            creds: creds.clone(),
            certificate: certificate.clone(),
            local_candidates: vec![(address(at), proto)],
        };
        End {
            peer: Peer::new(now, config).unwrap(),
            address: address(at),
            lite,
            proto,
            creds,
            certificate,
            dtls_active,
            rtp: Vec::new(),
            rtcp: Vec::new(),
            drops: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What the other side is told of this one; the DTLS role is the other side's to fill in.
    pub fn params(&self) -> RemoteParams {
        RemoteParams {
            ufrag: self.creds.0.clone(),
            pwd: self.creds.1.clone(),
            ice_lite: self.lite,
            fingerprints: vec![("sha-256".to_owned(), digest(&self.certificate.fingerprint_sha256()))],
            dtls_active: false,
            sctp: Some(RemoteSctp { port: 5000, max_message_bytes: 65_535 }),
        }
    }

    /// Its host candidate.
    pub fn candidate(&self) -> String {
        let (ip, port) = (self.address.ip(), self.address.port());
        match self.proto {
            Proto::Udp => format!("candidate:1 1 udp 2130706431 {ip} {port} typ host"),
            Proto::Tcp => format!("candidate:1 1 tcp 1671430143 {ip} {port} typ host tcptype passive"),
        }
    }

    pub fn has(&self, event: &PeerEvent) -> bool {
        self.events.contains(event)
    }

    pub fn count(&self, wanted: impl Fn(&PeerEvent) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }

    fn receive(&mut self, now: Instant, mut datagram: Datagram) {
        let input = self.peer.handle_datagram(now, datagram.proto, datagram.to, datagram.from, &mut datagram.bytes);
        match input {
            Input::Rtp(len) => self.rtp.push(datagram.bytes[..len].to_vec()),
            Input::Rtcp(len) => self.rtcp.push(datagram.bytes[..len].to_vec()),
            Input::Consumed => {}
            Input::Dropped(why) => self.drops.push(why),
        }
    }

    fn flush(&mut self, now: Instant, network: &mut Network) {
        let mut bytes = Vec::new();
        while let Some(transmit) = self.peer.poll_transmit(&mut bytes) {
            let (proto, from, to) = (transmit.proto, transmit.local, transmit.remote);
            network.send(now, Datagram { proto, from, to, bytes: bytes.clone() });
        }
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()));
    }

    /// Seals a packet and the pair it goes to.
    pub fn seal(&mut self, packet: &[u8]) -> Option<(Pair, Vec<u8>)> {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + OVERHEAD, 0);
        let rtcp = (192..=223).contains(&packet[1]);
        let sealed = if rtcp {
            self.peer.seal_rtcp(&mut buf, packet.len())
        } else {
            self.peer.seal_rtp(&mut buf, 12, packet.len())
        }?;
        buf.truncate(sealed);
        Some((self.peer.send_pair()?, buf))
    }

    pub fn send_media(&mut self, now: Instant, network: &mut Network, packet: &[u8]) {
        let (pair, bytes) = self.seal(packet).expect("keys and a pair");
        network.send(now, Datagram { proto: pair.proto, from: pair.local, to: pair.remote, bytes });
    }
}

pub fn creds(name: &str) -> (String, String) {
    (format!("{name}Ufrag"), format!("{name}-password-of-some-length"))
}

/// Bytes of a fingerprint as SDP writes it.
fn digest(text: &str) -> Vec<u8> {
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// An RTP packet of that number.
pub fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 3000).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}
