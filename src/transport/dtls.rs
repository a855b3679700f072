//! DTLS of one peer (RFC 6347, RFC 9147, RFC 5764): the handshake, the proof that the certificate is the one the
//! description named, the SRTP keys, and SCTP's datagrams afterwards.
//!
//! Called by `peer`, which lets in only what comes from addresses ICE has validated.

use super::certificate::Certificate;
use super::engine::{Dimpl, Engine, Output};
use super::srtp::Profile;
use crate::limits;
use aws_lc_rs::digest;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// A hash function as SDP names it, and a certificate's digest.
pub(super) type Fingerprint = (String, Vec<u8>);

#[derive(Debug)]
pub(super) enum DtlsEvent {
    /// Verified; the keys are missing if the peer did not ask for SRTP.
    Connected {
        keys: Option<(Profile, Vec<u8>)>,
    },
    Data(Bytes),
    /// The peer's close_notify: no more data, but media may go on (WIRE.md §3.8).
    Closed,
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Open,
    /// The peer closed its side.
    Closed,
    Dead,
}

pub(super) struct Dtls {
    engine: Box<dyn Engine>,
    active: bool,
    fingerprints: Vec<Fingerprint>,
    verified: bool,
    announced: bool,
    /// The peer showed an RSA key, which explains a failure.
    peer_is_rsa: bool,
    keys: Option<(Profile, Vec<u8>)>,
    stage: Stage,
    wake: Option<Instant>,
    out: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    events: VecDeque<DtlsEvent>,
}

/// Room for any record that fits a datagram; certificates may need more.
const SCRATCH_BYTES: usize = 2048;

impl Dtls {
    pub fn new(now: Instant, certificate: &Certificate, active: bool, fingerprints: Vec<Fingerprint>) -> Dtls {
        Dtls::with_engine(Box::new(Dimpl::new(now, certificate, active)), active, fingerprints)
    }

    fn with_engine(engine: Box<dyn Engine>, active: bool, fingerprints: Vec<Fingerprint>) -> Dtls {
        Dtls {
            engine,
            active,
            fingerprints,
            verified: false,
            announced: false,
            peer_is_rsa: false,
            keys: None,
            stage: Stage::Handshake,
            wake: None,
            out: VecDeque::new(),
            spare: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// We are the DTLS client.
    pub fn is_active(&self) -> bool {
        self.active
    }

    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub fn is_handshaking(&self) -> bool {
        self.stage == Stage::Handshake
    }

    /// Has room for another datagram of data.
    pub fn has_room(&self) -> bool {
        self.is_open() && self.out.len() < limits::DTLS_OUT_MAX
    }

    /// The fingerprints of a repeated description; they count until the certificate was verified.
    pub fn set_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) {
        self.fingerprints = fingerprints;
    }

    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(packet) = self.out.pop_front() else { return false };
        out.clear();
        out.extend_from_slice(&packet);
        self.spare.push(packet);
        self.spare.truncate(4);
        true
    }

    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.step(now, |engine| engine.handle_packet(packet));
    }

    /// Also begins the handshake of the active side.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.step(now, |_| Ok(()));
    }

    pub fn send(&mut self, now: Instant, data: &[u8]) {
        if self.is_open() {
            self.step(now, |engine| engine.send(data));
        }
    }

    pub fn close(&mut self, now: Instant) {
        if self.stage != Stage::Dead {
            self.step(now, |engine| {
                engine.close();
                Ok(())
            });
            self.stage = Stage::Dead;
            self.wake = None;
        }
    }

    /// Brings the engine up to date, does one thing and takes what comes of it.
    fn step(&mut self, now: Instant, act: impl FnOnce(&mut dyn Engine) -> Result<(), String>) {
        if self.stage == Stage::Dead {
            return;
        }
        let result = self.engine.handle_timeout(now).and_then(|()| act(&mut *self.engine));
        self.drain();
        // An idle engine names a time years away.
        self.wake = self.wake.filter(|at| *at < now + 2 * limits::DTLS_HANDSHAKE);
        if let Err(why) = result {
            self.fail(why);
        }
    }

    fn drain(&mut self) {
        let mut scratch = [0; SCRATCH_BYTES];
        let mut large = Vec::new();
        while self.stage != Stage::Dead {
            let buf = if large.is_empty() { &mut scratch[..] } else { &mut large[..] };
            let room = buf.len();
            match self.engine.poll(buf) {
                Output::Wait(until) => {
                    self.wake = Some(until);
                    return self.announce();
                }
                Output::NeedsRoom(bytes) if (room..limits::DTLS_OUTPUT_BYTES_MAX).contains(&bytes) => {
                    large = vec![0; bytes];
                }
                Output::NeedsRoom(bytes) => self.fail(format!("the peer's certificate or record takes {bytes} bytes")),
                Output::Packet(packet) => self.queue(packet),
                Output::Certificate(der) => self.verify(der),
                Output::Keys(profile, material) => self.keys = Some((profile, material)),
                Output::Connected => self.stage = Stage::Open,
                Output::Data(data) => self.handle_data(data),
                Output::Closed => self.handle_closed(),
                Output::Other => {}
            }
        }
    }

    fn queue(&mut self, packet: &[u8]) {
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(packet);
        self.out.push_back(kept);
    }

    /// The certificate must be one the description named, by any of the hashes it gave (RFC 8122 §6.2).
    fn verify(&mut self, der: &[u8]) {
        self.peer_is_rsa = is_rsa(der);
        self.verified = self.fingerprints.iter().any(|(hash, expected)| matches(hash, expected, der));
        if !self.verified {
            self.fail("the peer's certificate has none of the fingerprints of its description".to_owned());
        }
    }

    /// Tells once that the handshake is done; without a verified certificate nothing of it may be used.
    fn announce(&mut self) {
        if self.stage != Stage::Open || self.announced {
            return;
        }
        if !self.verified {
            return self.fail("the peer showed no certificate".to_owned());
        }
        self.announced = true;
        self.events.push_back(DtlsEvent::Connected { keys: self.keys.take() });
    }

    fn handle_data(&mut self, data: &[u8]) {
        self.announce();
        if self.announced {
            self.events.push_back(DtlsEvent::Data(Bytes::copy_from_slice(data)));
        }
    }

    fn handle_closed(&mut self) {
        self.announce();
        if self.stage == Stage::Open {
            self.stage = Stage::Closed;
            self.events.push_back(DtlsEvent::Closed);
        }
    }

    /// An open association that breaks only loses its data channels: media has its keys (WIRE.md §3.8). Of a handshake
    /// that fails nothing more is sent, so that the other side does not take it for done.
    fn fail(&mut self, why: String) {
        let open = self.announced;
        self.stage = Stage::Dead;
        self.wake = None;
        self.keys = None;
        self.out.clear();
        self.events.push_back(if open { DtlsEvent::Closed } else { DtlsEvent::Failed(self.explain(why)) });
    }

    fn explain(&self, why: String) -> String {
        if self.peer_is_rsa {
            return format!(
                "{why}; the peer's certificate is RSA and only ECDSA is supported: give it an ECDSA certificate"
            );
        }
        why
    }
}

/// Whether the certificate has that digest. Unknown hash functions match nothing.
fn matches(hash: &str, expected: &[u8], der: &[u8]) -> bool {
    let algorithm = match hash.to_ascii_lowercase().as_str() {
        "sha-256" => &digest::SHA256,
        "sha-384" => &digest::SHA384,
        "sha-512" => &digest::SHA512,
        "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        _ => return false,
    };
    digest::digest(algorithm, der).as_ref() == expected
}

/// Whether the certificate's key is RSA: its algorithm identifier stands in the DER (RFC 8017 appendix C).
fn is_rsa(der: &[u8]) -> bool {
    const RSA_ENCRYPTION: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    der.windows(RSA_ENCRYPTION.len()).any(|window| window == RSA_ENCRYPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a scripted engine does at each poll.
    enum Turn {
        Certificate(&'static [u8]),
        Keys,
        Connected,
        Data,
        Closed,
        Packet,
        NeedsRoom(usize),
    }

    struct Scripted {
        turns: VecDeque<Turn>,
        error: Option<String>,
        until: Instant,
    }

    impl Engine for Scripted {
        fn handle_timeout(&mut self, _: Instant) -> Result<(), String> {
            Ok(())
        }

        fn handle_packet(&mut self, _: &[u8]) -> Result<(), String> {
            self.error.take().map_or(Ok(()), Err)
        }

        fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a> {
            match self.turns.pop_front() {
                None => Output::Wait(self.until),
                Some(Turn::Certificate(der)) => Output::Certificate(der),
                Some(Turn::Keys) => Output::Keys(Profile::AeadAes128Gcm, vec![1; 56]),
                Some(Turn::Connected) => Output::Connected,
                Some(Turn::Data) => Output::Data(&buf[..3]),
                Some(Turn::Closed) => Output::Closed,
                Some(Turn::Packet) => Output::Packet(&buf[..5]),
                Some(Turn::NeedsRoom(bytes)) if buf.len() < bytes => {
                    self.turns.push_front(Turn::NeedsRoom(bytes));
                    Output::NeedsRoom(bytes)
                }
                Some(Turn::NeedsRoom(_)) => Output::Other,
            }
        }

        fn send(&mut self, _: &[u8]) -> Result<(), String> {
            Ok(())
        }

        fn close(&mut self) {}
    }

    const LEAF: &[u8] = b"leaf";

    #[allow(clippy::disallowed_methods)] // where the virtual clock begins
    fn epoch() -> Instant {
        Instant::now()
    }

    /// Runs a script against the fingerprint of `LEAF`; the events in short.
    fn run(turns: Vec<Turn>, error: Option<&str>) -> (Dtls, Vec<String>) {
        let now = epoch();
        let until = now + 100_000 * limits::DTLS_HANDSHAKE;
        let engine = Scripted { turns: turns.into(), error: error.map(str::to_owned), until };
        let fingerprint = digest::digest(&digest::SHA256, LEAF).as_ref().to_vec();
        let mut dtls = Dtls::with_engine(Box::new(engine), false, vec![("SHA-256".to_owned(), fingerprint)]);
        dtls.handle_packet(now, &[]);
        let events = std::iter::from_fn(|| dtls.poll_event()).map(|event| match event {
            DtlsEvent::Connected { keys } => format!("connected {}", keys.is_some()),
            DtlsEvent::Data(data) => format!("data {}", data.len()),
            DtlsEvent::Closed => "closed".to_owned(),
            DtlsEvent::Failed(why) => format!("failed: {why}"),
        });
        let events = events.collect();
        (dtls, events)
    }

    #[test]
    fn keys_come_out_only_behind_a_verified_certificate() {
        use Turn::*;
        let (dtls, events) = run(vec![Certificate(LEAF), Connected, Keys, Data, Closed], None);
        assert_eq!(events, ["connected true", "data 3", "closed"]);
        assert_eq!(dtls.poll_timeout(), None, "idle for years");
        let (_, events) = run(vec![Certificate(LEAF), Connected], None);
        assert_eq!(events, ["connected false"], "without SRTP");
        for script in [vec![Connected, Keys], vec![Connected, Data], vec![Connected, Closed]] {
            assert_eq!(run(script, None).1, ["failed: the peer showed no certificate"]);
        }
        let (mut dtls, events) = run(vec![Packet, Certificate(b"other"), Keys, Connected, Data], None);
        assert!(matches!(&events[..], [why] if why.contains("fingerprint")), "{events:?}");
        assert!(!dtls.poll_transmit(&mut Vec::new()), "nothing more is said");
    }

    #[test]
    fn an_error_fails_the_handshake_but_only_closes_what_is_open() {
        use Turn::*;
        assert_eq!(run(vec![], Some("bad")).1, ["failed: bad"]);
        assert_eq!(run(vec![Certificate(LEAF), Keys, Connected], Some("bad")).1, ["connected true", "closed"]);
    }

    #[test]
    fn large_outputs_are_taken_to_a_limit() {
        let max = limits::DTLS_OUTPUT_BYTES_MAX;
        assert_eq!(run(vec![Turn::NeedsRoom(10_000), Turn::NeedsRoom(max - 1)], None).1, Vec::<String>::new());
        assert!(matches!(&run(vec![Turn::NeedsRoom(max)], None).1[..], [why] if why.contains("takes 65536 bytes")));
    }

    #[test]
    fn rsa_peers_are_named() {
        const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
        let (_, events) = run(vec![Turn::Certificate(RSA)], None);
        assert!(matches!(&events[..], [why] if why.contains("only ECDSA")), "{events:?}");
        assert!(!is_rsa(&Certificate::generate().unwrap().dtls.certificate));
    }

    #[test]
    fn hash_functions() {
        let sum = |algorithm| digest::digest(algorithm, LEAF).as_ref().to_vec();
        let cases = [
            ("sha-1", sum(&digest::SHA1_FOR_LEGACY_USE_ONLY), true),
            ("sha-256", sum(&digest::SHA256), true),
            ("SHA-384", sum(&digest::SHA384), true),
            ("sha-512", sum(&digest::SHA512), true),
            ("sha-512", sum(&digest::SHA256), false),
            ("md5", sum(&digest::SHA256), false),
            ("sha-256", sum(&digest::SHA256)[..31].to_vec(), false),
            ("sha-256", Vec::new(), false),
        ];
        for (hash, expected, matching) in cases {
            assert_eq!(matches(hash, &expected, LEAF), matching, "{hash} {}", expected.len());
        }
    }
}
