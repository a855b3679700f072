//! A TURN client (RFC 8656) as a value: an allocation over UDP, a channel for each peer, and both kept alive. Called by
//! `socket`, which gives it the server's datagrams and sends what it wants sent.
//!
//! A channel binding is a permission too (§12), so neither CreatePermission nor indications are needed; what is sent to a
//! peer before its channel stands is dropped, and ICE repeats its checks.

use crate::limits::{TURN_PEERS_MAX, TURN_REFRESH, TURN_RETRANSMIT, TURN_TRIES_MAX};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;
use turn_types::attribute::{ChannelNumber, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, REFRESH};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageIntegrityCredentials, MessageWriteVec,
    Method, StunWriteError, TransactionId,
};
use turn_types::stun::prelude::*;

/// Where to allocate, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnServer {
    pub address: SocketAddr,
    pub username: String,
    pub password: String,
}

/// What became of the allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// Peers reach us there.
    Allocated(SocketAddr),
    /// There is none, or no longer.
    Failed(String),
}

/// A datagram of the server's that is none of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    pub peer: SocketAddr,
    /// Where in the datagram the payload is.
    pub payload: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Allocate,
    Refresh(u32),
    Bind(u16),
}

/// A request without an answer yet.
struct Request {
    id: TransactionId,
    kind: Kind,
    bytes: Vec<u8>,
    again_at: Instant,
    tries: u32,
    /// Refused for its nonce or for want of one before.
    challenged: bool,
}

struct Channel {
    peer: SocketAddr,
    number: u16,
    bound: bool,
}

/// Who the server wants us to be.
struct Challenge {
    realm: String,
    nonce: String,
    key: IntegrityKey,
}

pub struct Relay {
    server: TurnServer,
    challenge: Option<Challenge>,
    requests: Vec<Request>,
    channels: Vec<Channel>,
    refresh_at: Option<Instant>,
    allocated: bool,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<RelayEvent>,
}

/// Channel numbers begin here (§12), and channel data has a head of four bytes (§12.4).
const CHANNEL_FIRST: u16 = 0x4000;
pub const HEAD_BYTES: usize = 4;
/// UDP, of the relayed address (§18.7).
const UDP: u8 = 17;
/// Asked for; servers shorten it (§7.1).
const LIFETIME_S: u32 = 600;
const UNAUTHORIZED: u16 = 401;
const STALE_NONCE: u16 = 438;

impl Relay {
    /// Asks for an allocation at once.
    pub fn new(now: Instant, server: TurnServer) -> Relay {
        let mut relay = Relay {
            server,
            challenge: None,
            requests: Vec::new(),
            channels: Vec::new(),
            refresh_at: None,
            allocated: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
        };
        relay.request(now, Kind::Allocate, false);
        relay
    }

    pub fn server(&self) -> SocketAddr {
        self.server.address
    }

    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<RelayEvent> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.requests.iter().map(|request| request.again_at).chain(self.refresh_at).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = Some(now + TURN_REFRESH);
            self.request(now, Kind::Refresh(LIFETIME_S), false);
            let numbers: Vec<u16> = self.channels.iter().map(|channel| channel.number).collect();
            numbers.into_iter().for_each(|number| self.request(now, Kind::Bind(number), false));
        }
        let (due, left) = std::mem::take(&mut self.requests).into_iter().partition(|r: &Request| r.again_at <= now);
        self.requests = left;
        due.into_iter().for_each(|request: Request| self.repeat(now, request));
    }

    fn repeat(&mut self, now: Instant, mut request: Request) {
        if request.tries >= TURN_TRIES_MAX {
            return self.fail(request.kind, "does not answer");
        }
        request.again_at = now + TURN_RETRANSMIT * 2u32.pow(request.tries);
        request.tries += 1;
        self.out.push_back(request.bytes.clone());
        self.requests.push(request);
    }

    /// Gives the allocation back.
    pub fn close(&mut self, now: Instant) {
        if self.allocated {
            self.request(now, Kind::Refresh(0), false);
        }
    }

    /// Writes channel data for the run of datagrams of `segment` bytes. False if there is no channel to that peer yet.
    pub fn wrap(&mut self, now: Instant, to: SocketAddr, contents: &[u8], segment: usize, out: &mut Vec<u8>) -> bool {
        let Some(number) = self.channel_to(now, to) else { return false };
        out.clear();
        for datagram in contents.chunks(segment.max(1)) {
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&u16::try_from(datagram.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(datagram);
        }
        true
    }

    /// The number of a channel that stands. Asks for one otherwise.
    fn channel_to(&mut self, now: Instant, to: SocketAddr) -> Option<u16> {
        if let Some(channel) = self.channels.iter().find(|channel| channel.peer == to) {
            return Some(channel.number).filter(|_| channel.bound);
        }
        if self.allocated && self.channels.len() < TURN_PEERS_MAX {
            let number = CHANNEL_FIRST + self.channels.len() as u16;
            self.channels.push(Channel { peer: to, number, bound: false });
            self.request(now, Kind::Bind(number), false);
        }
        None
    }

    /// Takes a datagram of the server's. Answers what a peer sent.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Option<Relayed> {
        if let [0x40..=0x4F, _, high, low, rest @ ..] = datagram {
            let number = u16::from_be_bytes([datagram[0], datagram[1]]);
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let channel = self.channels.iter().find(|channel| channel.number == number)?;
            return (len <= rest.len()).then(|| Relayed { peer: channel.peer, payload: HEAD_BYTES..HEAD_BYTES + len });
        }
        if let Ok(message) = Message::from_bytes(datagram) {
            self.handle_response(now, &message);
        }
        None
    }

    fn handle_response(&mut self, now: Instant, message: &Message<'_>) {
        let known = |request: &Request| message.is_response() && request.id == message.transaction_id();
        let Some(at) = self.requests.iter().position(known) else { return };
        let Ok(error) = message.attribute::<ErrorCode>() else {
            let proven = self.challenge.as_ref().is_none_or(|c| message.validate_integrity_with_key(&c.key).is_ok());
            if proven {
                let kind = self.requests.swap_remove(at).kind;
                self.handle_success(now, kind, message);
            }
            return;
        };
        let request = self.requests.swap_remove(at);
        let may_repeat = matches!(error.code(), UNAUTHORIZED | STALE_NONCE) && !request.challenged;
        if may_repeat && self.take_challenge(message) {
            self.request(now, request.kind, true);
        } else {
            self.fail(request.kind, &format!("answers {} {}", error.code(), error.reason()));
        }
    }

    fn take_challenge(&mut self, message: &Message<'_>) -> bool {
        let Ok(nonce) = message.attribute::<Nonce>() else { return false };
        let known = self.challenge.as_ref().map(|challenge| challenge.realm.clone());
        let told = message.attribute::<Realm>().ok().map(|realm| realm.realm().to_owned());
        let Some(realm) = told.or(known) else { return false };
        let TurnServer { username, password, .. } = self.server.clone();
        let credentials = LongTermKeyCredentials::new(username, password, realm.clone());
        let key = MessageIntegrityCredentials::from(credentials).make_key(IntegrityAlgorithm::Sha1);
        self.challenge = Some(Challenge { realm, nonce: nonce.nonce().to_owned(), key });
        true
    }

    fn handle_success(&mut self, now: Instant, kind: Kind, message: &Message<'_>) {
        match kind {
            Kind::Allocate => match message.attribute::<XorRelayedAddress>() {
                Ok(relayed) => {
                    self.allocated = true;
                    self.refresh_at = Some(now + TURN_REFRESH);
                    self.events.push_back(RelayEvent::Allocated(relayed.addr(message.transaction_id())));
                }
                Err(_) => self.fail(kind, "names no relayed address"),
            },
            Kind::Refresh(_) => {}
            Kind::Bind(number) => {
                self.channels.iter_mut().filter(|c| c.number == number).for_each(|channel| channel.bound = true);
            }
        }
    }

    fn fail(&mut self, kind: Kind, why: &str) {
        let server = self.server.address;
        match kind {
            Kind::Refresh(0) => {}
            Kind::Allocate | Kind::Refresh(_) => {
                self.allocated = false;
                self.events.push_back(RelayEvent::Failed(format!("the TURN server {server} {why}")));
            }
            Kind::Bind(number) => {
                let peer = self.channels.iter().find(|c| c.number == number).map(|channel| channel.peer);
                tracing::debug!(?peer, %server, why, "the TURN server binds no channel");
            }
        }
    }

    fn request(&mut self, now: Instant, kind: Kind, challenged: bool) {
        // All attributes are short and none occurs twice.
        let Ok((id, bytes)) = self.write(kind) else { return };
        self.out.push_back(bytes.clone());
        self.requests.push(Request { id, kind, bytes, again_at: now + TURN_RETRANSMIT, tries: 1, challenged });
    }

    fn write(&self, kind: Kind) -> Result<(TransactionId, Vec<u8>), StunWriteError> {
        let mut message = Message::builder_request(kind.method(), MessageWriteVec::new());
        let id = message.transaction_id();
        match kind {
            Kind::Allocate => {
                message.add_attribute(&RequestedTransport::new(UDP))?;
                message.add_attribute(&Lifetime::new(LIFETIME_S))?;
            }
            Kind::Refresh(seconds) => message.add_attribute(&Lifetime::new(seconds))?,
            Kind::Bind(number) => {
                message.add_attribute(&ChannelNumber::new(number))?;
                if let Some(channel) = self.channels.iter().find(|c| c.number == number) {
                    message.add_attribute(&XorPeerAddress::new(channel.peer, id))?;
                }
            }
        }
        if let Some(Challenge { realm, nonce, key }) = &self.challenge {
            message.add_attribute(&Username::new(&self.server.username)?)?;
            message.add_attribute(&Realm::new(realm)?)?;
            message.add_attribute(&Nonce::new(nonce)?)?;
            message.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?;
        }
        Ok((id, message.finish()))
    }
}

impl Kind {
    fn method(self) -> Method {
        match self {
            Kind::Allocate => ALLOCATE,
            Kind::Refresh(_) => REFRESH,
            Kind::Bind(_) => CHANNEL_BIND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;

    fn server() -> TurnServer {
        TurnServer { address: "192.0.2.1:3478".parse().unwrap(), username: "u".into(), password: "p".into() }
    }

    fn peer() -> SocketAddr {
        "198.51.100.7:5000".parse().unwrap()
    }

    fn key() -> IntegrityKey {
        let credentials = LongTermKeyCredentials::new("u".into(), "p".into(), "r".into());
        MessageIntegrityCredentials::from(credentials).make_key(IntegrityAlgorithm::Sha1)
    }

    fn refusal(request: &Message<'_>, code: u16, nonce: &str) -> Vec<u8> {
        let mut answer = Message::builder_error(request, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
        answer.add_attribute(&Realm::new("r").unwrap()).unwrap();
        answer.add_attribute(&Nonce::new(nonce).unwrap()).unwrap();
        answer.finish()
    }

    fn success(request: &Message<'_>, relayed: Option<SocketAddr>) -> Vec<u8> {
        let mut answer = Message::builder_success(request, MessageWriteVec::new());
        if let Some(relayed) = relayed {
            answer.add_attribute(&XorRelayedAddress::new(relayed, request.transaction_id())).unwrap();
        }
        answer.add_message_integrity_with_key(&key(), IntegrityAlgorithm::Sha1).unwrap();
        answer.finish()
    }

    /// A relay whose allocation stands, and the moment.
    fn allocated() -> (Relay, Instant) {
        let now = clock::now();
        let mut relay = Relay::new(now, server());
        let first = relay.poll_transmit().unwrap();
        relay.handle(now, &refusal(&Message::from_bytes(&first).unwrap(), 401, "n1"));
        let second = relay.poll_transmit().unwrap();
        let request = Message::from_bytes(&second).unwrap();
        assert!(request.validate_integrity_with_key(&key()).is_ok());
        relay.handle(now, &success(&request, Some("203.0.113.9:40000".parse().unwrap())));
        (relay, now)
    }

    #[test]
    fn an_allocation_is_asked_for_again_with_the_servers_realm() {
        let (mut relay, _) = allocated();
        assert_eq!(relay.poll_event(), Some(RelayEvent::Allocated("203.0.113.9:40000".parse().unwrap())));
    }

    #[test]
    fn a_channel_carries_runs_both_ways() {
        let (mut relay, now) = allocated();
        let mut out = Vec::new();
        assert!(!relay.wrap(now, peer(), b"lost", 4, &mut out));
        let bind = relay.poll_transmit().unwrap();
        relay.handle(now, &success(&Message::from_bytes(&bind).unwrap(), None));
        assert!(relay.wrap(now, peer(), b"aabbc", 2, &mut out));
        assert_eq!(out, *b"\x40\x00\x00\x02aa\x40\x00\x00\x02bb\x40\x00\x00\x01c");
        let relayed = relay.handle(now, b"\x40\x00\x00\x02zz\x00\x00");
        assert_eq!(relayed, Some(Relayed { peer: peer(), payload: 4..6 }));
        assert_eq!(relay.handle(now, b"\x40\x00\x00\x09zz"), None, "longer than it is");
        assert_eq!(relay.handle(now, b"\x40\x01\x00\x01z"), None, "no such channel");
    }

    #[test]
    fn a_stale_nonce_is_replaced_and_wrong_keys_are_told() {
        let (mut relay, now) = allocated();
        relay.poll_event();
        let mut out = Vec::new();
        relay.wrap(now, peer(), b"x", 1, &mut out);
        let bind = relay.poll_transmit().unwrap();
        relay.handle(now, &refusal(&Message::from_bytes(&bind).unwrap(), 438, "n2"));
        let again = relay.poll_transmit().unwrap();
        assert_eq!(Message::from_bytes(&again).unwrap().attribute::<Nonce>().unwrap().nonce(), "n2");
        let mut refused = Relay::new(now, server());
        for nonce in ["n1", "n2"] {
            let request = refused.poll_transmit().unwrap();
            refused.handle(now, &refusal(&Message::from_bytes(&request).unwrap(), 401, nonce));
        }
        assert!(matches!(refused.poll_event(), Some(RelayEvent::Failed(why)) if why.contains("401")));
    }

    #[test]
    fn silence_ends_in_failure_and_what_stands_is_refreshed() {
        let mut silent = Relay::new(clock::now(), server());
        while let Some(at) = silent.poll_timeout() {
            silent.handle_timeout(at);
        }
        assert!(matches!(silent.poll_event(), Some(RelayEvent::Failed(why)) if why.contains("does not answer")));
        let (mut relay, now) = allocated();
        relay.handle_timeout(now + TURN_REFRESH);
        let refresh = relay.poll_transmit().unwrap();
        assert_eq!(Message::from_bytes(&refresh).unwrap().method(), REFRESH);
    }
}
