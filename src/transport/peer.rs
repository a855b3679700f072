//! One WebRTC transport (RFC 8835): ICE, DTLS, SRTP and SCTP of one peer connection as a value without I/O.
//!
//! Called by `shard` and `client`. The contract: hand in datagrams and, when [`Peer::poll_timeout`] says so, the time;
//! after each call on `&mut self` that takes `now`, or sends, take everything out of [`Peer::poll_transmit`] and
//! [`Peer::poll_event`], then ask [`Peer::poll_timeout`] again. Media is sealed and opened in the caller's buffers.
//!
//! DTLS cannot come before the description that tells its fingerprints: no address is validated without the credentials
//! that stand in the same description.

use super::association::Start;
use super::candidate::CandidateError;
use super::certificate::Certificate;
use super::datachannel::Reliability;
use super::dtls::{Dtls, DtlsEvent};
use super::ice::{Ice, IceEvent};
use super::input::{Drop, Input};
use super::path::{Pair, Proto};
use super::sctp::{Sctp, SctpEvent, SendError};
use super::srtp::Srtp;
use crate::wire::{Datagram, classify};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a peer is made of.
pub struct PeerConfig {
    pub ice_lite: bool,
    /// We nominate. False for servers; it turns true by itself if we are full and the other side is lite.
    pub controlling: bool,
    /// Local user name fragment and password.
    pub creds: (String, String),
    pub certificate: Arc<Certificate>,
    /// Host candidates: the addresses datagrams are received on and sent from.
    pub local_candidates: Vec<(SocketAddr, Proto)>,
}

/// The other side of the transport, read from its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParams {
    pub ufrag: String,
    pub pwd: String,
    pub ice_lite: bool,
    /// Hash function as SDP names it, and digest.
    pub fingerprints: Vec<(String, Vec<u8>)>,
    /// We send the ClientHello. Counts once; later descriptions cannot change it.
    pub dtls_active: bool,
    /// Present if there is an application section.
    pub sctp: Option<RemoteSctp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteSctp {
    pub port: u16,
    /// 0 is no limit.
    pub max_message_bytes: u32,
}

/// Why there is no peer; our own fault.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("a local candidate cannot be used: {0}; check the configured addresses")]
    Candidate(is::IceError),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub proto: Proto,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

#[derive(Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// ICE has a pair for the first time, or again after `IceLost`.
    IceConnected {
        pair: Pair,
    },
    /// Everything is sent over another pair now.
    PairChanged {
        pair: Pair,
    },
    /// Nothing authentic was heard for the disconnect time; may come back.
    IceLost,
    /// ICE and DTLS are up and the keys are there.
    Connected,
    /// Beyond repair, except that an ICE restart may revive what ICE lost.
    Failed(Failure),
    /// The channel can be written.
    ChannelOpen {
        id: u16,
        label: String,
        ordered: bool,
        reliable: bool,
    },
    ChannelClosed {
        id: u16,
    },
    Message {
        id: u16,
        binary: bool,
        data: Bytes,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The addresses checks came from, and the candidates the peer offered.
    Ice {
        tried: Vec<String>,
    },
    Dtls(String),
}

/// A transport. See the module for the contract.
pub struct Peer {
    ice: Ice,
    certificate: Arc<Certificate>,
    controlling: bool,
    dtls: Option<Dtls>,
    srtp: Option<Box<Srtp>>,
    sctp: Sctp,
    remote_sctp: Option<RemoteSctp>,
    /// The last time told, for SCTP packets taken out later.
    now: Instant,
    ended: bool,
    events: VecDeque<PeerEvent>,
}

/// How long the side that is not controlling leaves the SCTP INIT to the other. All WebRTC clients send one, and one
/// association is enough.
const INIT_PATIENCE: Duration = Duration::from_secs(1);

impl Peer {
    pub fn new(now: Instant, config: PeerConfig) -> Result<Peer, PeerError> {
        let creds = ice_creds(config.creds);
        let ice = Ice::new(now, config.ice_lite, config.controlling, creds, config.local_candidates)
            .map_err(PeerError::Candidate)?;
        Ok(Peer {
            ice,
            certificate: config.certificate,
            controlling: config.controlling,
            dtls: None,
            srtp: None,
            sctp: Sctp::default(),
            remote_sctp: None,
            now,
            ended: false,
            events: VecDeque::new(),
        })
    }

    /// Tells the other side's parameters. Repeating them is harmless; another ufrag is its ICE restart.
    pub fn set_remote(&mut self, now: Instant, remote: RemoteParams) {
        match &mut self.dtls {
            Some(dtls) => dtls.set_fingerprints(remote.fingerprints),
            None => self.dtls = Some(Dtls::new(now, &self.certificate, remote.dtls_active, remote.fingerprints)),
        }
        self.controlling |= remote.ice_lite;
        self.remote_sctp = self.remote_sctp.or(remote.sctp);
        self.ice.set_remote(now, ice_creds((remote.ufrag, remote.pwd)), remote.ice_lite);
        self.advance(now);
    }

    /// Takes a candidate line, with or without `candidate:`.
    pub fn add_remote_candidate(&mut self, now: Instant, line: &str) -> Result<(), CandidateError> {
        self.ice.add_remote_candidate(now, line)?;
        self.advance(now);
        Ok(())
    }

    /// Restarts ICE with new local credentials; DTLS and everything above go on.
    pub fn restart_ice(&mut self, now: Instant, creds: (String, String)) {
        self.ice.restart(now, ice_creds(creds));
        self.advance(now);
    }

    /// Takes one datagram, without its framing if it came by TCP. Media is decrypted in place.
    ///
    /// # Cost
    /// For media: no allocation, one pass of the cipher.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        proto: Proto,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) -> Input {
        let pair = Pair { proto, local, remote };
        let result = match classify(datagram) {
            _ if self.ended => Err(Drop::Ended),
            Datagram::Stun => self.handle_stun(now, pair, datagram),
            Datagram::Unknown => Err(Drop::Malformed),
            _ if !self.ice.accepts(now, pair) => Err(Drop::NotValidated),
            Datagram::Dtls => self.handle_dtls(now, datagram),
            Datagram::Rtp => self.open(now, pair, |srtp| srtp.open_rtp(datagram).map(Input::Rtp)),
            Datagram::Rtcp => self.open(now, pair, |srtp| srtp.open_rtcp(datagram).map(Input::Rtcp)),
        };
        result.unwrap_or_else(Input::Dropped)
    }

    fn handle_stun(&mut self, now: Instant, pair: Pair, datagram: &[u8]) -> Result<Input, Drop> {
        self.ice.handle_stun(now, pair, datagram)?;
        self.advance(now);
        Ok(Input::Consumed)
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) -> Result<Input, Drop> {
        self.dtls.as_mut().ok_or(Drop::NoKeys)?.handle_packet(now, datagram);
        self.advance(now);
        Ok(Input::Consumed)
    }

    fn open(
        &mut self,
        now: Instant,
        pair: Pair,
        open: impl FnOnce(&mut Srtp) -> Result<Input, Drop>,
    ) -> Result<Input, Drop> {
        let input = open(self.srtp.as_mut().ok_or(Drop::NoKeys)?)?;
        self.ice.note_heard(now, pair);
        self.take_ice_events(now);
        Ok(input)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        self.ice.handle_timeout(now);
        if let Some(dtls) = self.dtls.as_mut().filter(|dtls| dtls.poll_timeout().is_some_and(|at| now >= at)) {
            dtls.handle_timeout(now);
        }
        self.sctp.handle_timeout(now);
        self.advance(now);
    }

    /// When to call [`Peer::handle_timeout`] next, if nothing else happens before.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        [self.ice.poll_timeout(), dtls, self.sctp.poll_timeout()].into_iter().flatten().min()
    }

    /// Fills `out` with the next datagram to send: STUN, DTLS, or SCTP within DTLS.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let checked = self.ice.poll_transmit(out);
        let pair = checked.or_else(|| self.poll_dtls(out))?;
        Some(Transmit { proto: pair.proto, local: pair.local, remote: pair.remote })
    }

    fn poll_dtls(&mut self, out: &mut Vec<u8>) -> Option<Pair> {
        let pair = self.ice.pair()?;
        self.pump_sctp(self.now);
        self.dtls.as_mut()?.poll_transmit(out).then_some(pair)
    }

    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// What of a transport that is about to be ended was still being tried.
    pub fn unfinished(&self) -> Option<Failure> {
        if let Some(tried) = self.ice.unfinished() {
            return Some(Failure::Ice { tried });
        }
        let pair = self.ice.pair()?;
        let handshaking = !self.ended && self.dtls.as_ref().is_some_and(Dtls::is_handshaking);
        handshaking.then(|| Failure::Dtls(format!("no handshake yet on {pair}")))
    }

    /// Where media goes now.
    pub fn send_pair(&self) -> Option<Pair> {
        self.ice.pair()
    }

    /// Encrypts in place the first `len` bytes of `buf`, whose RTP header with CSRCs and extensions takes `header_len`;
    /// the answer is the length to send. There must be [`super::srtp::OVERHEAD_BYTES_MAX`] bytes of room behind. `None` without
    /// keys, and for a packet number that was used for another packet.
    ///
    /// # Cost
    /// No allocation but for an SSRC's first packet; one pass of the cipher.
    pub fn seal_rtp(&mut self, buf: &mut [u8], header_len: usize, len: usize) -> Option<usize> {
        self.srtp.as_mut()?.seal_rtp(buf, header_len, len)
    }

    /// Encrypts in place the first `len` bytes of `buf`, a compound RTCP packet.
    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Option<usize> {
        self.srtp.as_mut()?.seal_rtcp(buf, len)
    }

    /// Frees most of what an SSRC takes that will not be sent on any more.
    pub fn retire_ssrc(&mut self, ssrc: u32) {
        self.srtp.iter_mut().for_each(|srtp| srtp.retire_ssrc(ssrc));
    }

    /// Opens a data channel in-band as soon as SCTP is up; the number names it in events and [`Peer::send`].
    pub fn open_channel(&mut self, now: Instant, label: &str, ordered: bool, max_retransmits: Option<u16>) -> u16 {
        self.now = now;
        let reliability = max_retransmits.map_or(Reliability::Reliable, |n| Reliability::Retransmits(n.into()));
        self.sctp.open_channel(label.to_owned(), ordered, reliability)
    }

    /// Queues one message.
    pub fn send(&mut self, now: Instant, id: u16, binary: bool, data: &[u8]) -> Result<(), SendError> {
        self.now = now;
        self.sctp.send(id, binary, data)
    }

    /// Bytes of a channel that are neither acknowledged nor given up.
    pub fn buffered(&mut self, id: u16) -> usize {
        self.sctp.buffered(id)
    }

    /// Says goodbye by close_notify and ends; take what is left out of [`Peer::poll_transmit`].
    pub fn close(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.sctp.stop();
        self.ended = true;
    }

    /// Carries what one layer gave out to the next.
    fn advance(&mut self, now: Instant) {
        self.now = now;
        self.take_ice_events(now);
        self.take_dtls_events(now);
        self.take_sctp_events();
        self.pump_sctp(now);
    }

    fn take_ice_events(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            if matches!(event, IceEvent::Connected(_)) {
                self.begin_dtls(now);
            }
            self.events.push_back(match event {
                IceEvent::Connected(pair) => PeerEvent::IceConnected { pair },
                IceEvent::Moved(pair) => PeerEvent::PairChanged { pair },
                IceEvent::Lost => PeerEvent::IceLost,
                IceEvent::Failed { tried } => PeerEvent::Failed(Failure::Ice { tried }),
            });
        }
    }

    /// With a pair to send on the active side may speak.
    fn begin_dtls(&mut self, now: Instant) {
        if let Some(dtls) = self.dtls.as_mut().filter(|dtls| dtls.is_active()) {
            dtls.handle_timeout(now);
        }
    }

    fn take_dtls_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.as_mut().and_then(Dtls::poll_event) {
            match event {
                DtlsEvent::Connected { keys } => {
                    let active = self.dtls.as_ref().is_some_and(Dtls::is_active);
                    self.srtp = keys.and_then(|(profile, keys)| Srtp::new(profile, &keys, active)).map(Box::new);
                    self.events.push_back(PeerEvent::Connected);
                }
                DtlsEvent::Data(packet) => {
                    self.begin_sctp(now);
                    self.sctp.handle_packet(now, packet);
                }
                DtlsEvent::Closed => self.sctp.stop(),
                DtlsEvent::Failed(why) => self.fail(why),
            }
        }
        self.begin_sctp(now);
    }

    fn fail(&mut self, why: String) {
        self.ended = true;
        self.events.push_back(PeerEvent::Failed(Failure::Dtls(why)));
    }

    /// SCTP begins when DTLS is up and the description has a place for it.
    fn begin_sctp(&mut self, now: Instant) {
        let (Some(remote), Some(dtls)) = (self.remote_sctp, &self.dtls) else { return };
        if self.sctp.is_started() || !dtls.is_open() {
            return;
        }
        let patience = if self.controlling { Duration::ZERO } else { INIT_PATIENCE };
        self.sctp.start(Start {
            remote_port: remote.port,
            max_message_bytes: remote.max_message_bytes,
            dtls_active: dtls.is_active(),
            initiate_at: now + patience,
        });
        self.sctp.handle_timeout(now);
    }

    fn take_sctp_events(&mut self) {
        while let Some(event) = self.sctp.poll_event() {
            self.events.push_back(match event {
                SctpEvent::Open { id, label, ordered, reliable } => {
                    PeerEvent::ChannelOpen { id, label, ordered, reliable }
                }
                SctpEvent::Closed { id } => PeerEvent::ChannelClosed { id },
                SctpEvent::Message { id, binary, data } => PeerEvent::Message { id, binary, data },
            });
        }
    }

    /// Hands SCTP's packets to DTLS as long as it has room.
    fn pump_sctp(&mut self, now: Instant) {
        let Some(dtls) = &mut self.dtls else { return };
        while dtls.has_room() {
            let Some(packet) = self.sctp.poll_transmit(now) else { return };
            dtls.send(now, &packet);
        }
    }
}

fn ice_creds((ufrag, pass): (String, String)) -> is::IceCreds {
    is::IceCreds { ufrag, pass }
}
