//! ICE of one peer (RFC 8445, RFC 8839): the `is` agent with the rules it leaves to its user. Lite agents only answer
//! checks; full ones also send them.
//!
//! Called by `peer`. The agent proves messages and, when full, paces checks; where we send is decided by `path`.

use super::candidate::{CandidateError, parse_candidate};
use super::path::{Check, Pair, Paths, Proto};
use crate::limits;
use crate::transport::Drop;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// What happened to the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IceEvent {
    Connected(Pair),
    Moved(Pair),
    Lost,
    Failed { tried: Vec<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer's credentials are unknown.
    New,
    Checking {
        since: Instant,
    },
    Connected,
    Lost {
        since: Instant,
    },
    Failed,
}

pub(super) struct Ice {
    agent: IceAgent,
    /// The agent before a restart; answers checks until the new one has a pair.
    previous: Option<Box<IceAgent>>,
    lite: bool,
    locals: Vec<(SocketAddr, Proto)>,
    /// The last credentials the peer told.
    remote: Option<IceCreds>,
    /// They came with a restart by the peer that our side has not followed yet.
    remote_is_fresh: bool,
    candidates: Vec<Candidate>,
    /// Addresses the agent has made candidates of.
    seen: FxHashSet<(Proto, SocketAddr)>,
    /// Checks that came before the peer's credentials.
    held: VecDeque<(Pair, Vec<u8>)>,
    paths: Paths,
    phase: Phase,
    events: VecDeque<IceEvent>,
}

impl Ice {
    pub fn new(
        now: Instant,
        lite: bool,
        controlling: bool,
        creds: IceCreds,
        locals: Vec<(SocketAddr, Proto)>,
    ) -> Result<Ice, is::IceError> {
        Ok(Ice {
            agent: agent(now, lite, controlling, creds, &locals)?,
            previous: None,
            lite,
            locals,
            remote: None,
            remote_is_fresh: false,
            candidates: Vec::new(),
            seen: FxHashSet::default(),
            held: VecDeque::new(),
            paths: Paths::default(),
            phase: Phase::New,
            events: VecDeque::new(),
        })
    }

    /// Where to send.
    pub fn pair(&self) -> Option<Pair> {
        self.paths.chosen()
    }

    pub fn accepts(&self, now: Instant, pair: Pair) -> bool {
        self.paths.accepts(now, pair)
    }

    pub fn poll_event(&mut self) -> Option<IceEvent> {
        self.events.pop_front()
    }

    /// Tells the peer's credentials; other ones than before are its ICE restart.
    pub fn set_remote(&mut self, now: Instant, creds: IceCreds, lite: bool) {
        let known = self.agent.remote_credentials();
        if known == Some(&creds) {
            return;
        }
        if known.is_some() {
            self.renew(now, self.agent.local_credentials().clone());
        }
        if self.remote.replace(creds).is_some_and(|old| Some(&old) != self.remote.as_ref()) {
            self.candidates.clear();
        }
        self.remote_is_fresh = true;
        if lite && !self.lite {
            self.agent.set_controlling(true);
        }
        self.use_remote(now);
    }

    /// Restarts with new local credentials. Traffic goes on where it went until the new ones have a pair.
    pub fn restart(&mut self, now: Instant, creds: IceCreds) {
        self.renew(now, creds);
        if self.remote_is_fresh {
            self.use_remote(now);
        }
    }

    /// Replaces the agent by one that knows only our side.
    fn renew(&mut self, now: Instant, creds: IceCreds) {
        let Ok(agent) = agent(now, self.lite, self.agent.controlling(), creds, &self.locals) else { return };
        self.previous = Some(Box::new(std::mem::replace(&mut self.agent, agent)));
        self.seen.clear();
        self.held.clear();
        self.paths.forget_nominations();
    }

    fn use_remote(&mut self, now: Instant) {
        let Some(creds) = self.remote.clone() else { return };
        self.agent.set_remote_credentials(creds);
        if !self.lite {
            self.candidates.iter().for_each(|c| self.agent.add_remote_candidate(c.clone()));
        }
        if self.phase != Phase::Connected {
            self.phase = Phase::Checking { since: now };
        }
        for (pair, message) in std::mem::take(&mut self.held) {
            let _ = self.handle_stun(now, pair, &message);
        }
        self.run_agent(now);
    }

    /// Takes a candidate line. Host names, active TCP and the empty line that ends candidates are of no use to us and
    /// ignored.
    pub fn add_remote_candidate(&mut self, now: Instant, line: &str) -> Result<(), CandidateError> {
        let Some(candidate) = parse_candidate(line)? else { return Ok(()) };
        if self.candidates.len() >= limits::ICE_REMOTE_CANDIDATES_MAX {
            return Err(CandidateError::TooMany);
        }
        if !self.lite && self.agent.remote_credentials().is_some() {
            self.agent.add_remote_candidate(candidate.clone());
            self.run_agent(now);
        }
        self.candidates.push(candidate);
        Ok(())
    }

    /// Takes a STUN message; what is not authentic is not answered.
    pub fn handle_stun(&mut self, now: Instant, pair: Pair, datagram: &[u8]) -> Result<(), Drop> {
        if self.phase == Phase::Failed {
            return Err(Drop::Ended);
        }
        let message = StunMessage::parse(datagram).map_err(|_| Drop::Malformed)?;
        if self.agent.remote_credentials().is_none() && self.agent.accepts_message(&message) {
            return self.hold(pair, datagram);
        }
        if self.agent.remote_credentials().is_some() && self.agent.accepts_message(&message) {
            return self.handle_message(now, pair, message);
        }
        self.handle_previous(now, pair, message)
    }

    fn hold(&mut self, pair: Pair, datagram: &[u8]) -> Result<(), Drop> {
        if self.held.len() >= limits::ICE_HELD_CHECKS_MAX {
            return Err(Drop::TooMany);
        }
        self.held.push_back((pair, datagram.to_vec()));
        Ok(())
    }

    fn handle_message(&mut self, now: Instant, pair: Pair, message: StunMessage<'_>) -> Result<(), Drop> {
        self.admit(now, pair)?;
        let checks = self.agent.stats().bind_request_recv;
        let answers = self.agent.stats().bind_success_recv;
        self.agent.handle_packet(now, packet(pair, message));
        if self.agent.stats().bind_request_recv > checks {
            self.handle_check(now, pair, &message);
        } else if self.agent.stats().bind_success_recv > answers {
            let controlled = !self.agent.controlling();
            let moved = self.paths.handle_answer(now, pair, controlled);
            self.settle(moved);
        }
        self.drain_agent();
        Ok(())
    }

    /// The controlling side decides by itself; it only learns that the peer may send from there.
    fn handle_check(&mut self, now: Instant, pair: Pair, message: &StunMessage<'_>) {
        if self.agent.controlling() {
            return self.paths.admit(now, pair);
        }
        let validates = self.lite || self.agent.has_viable_remote_candidate(pair.remote);
        let (priority, use_candidate) = (message.prio().unwrap_or(0), message.use_candidate());
        let moved = self.paths.handle_check(now, Check { pair, priority, use_candidate, validates });
        if use_candidate {
            self.end_restart();
        }
        self.settle(moved);
    }

    /// The new credentials have a nominated pair.
    fn end_restart(&mut self) {
        self.previous = None;
        self.remote_is_fresh = false;
    }

    /// An agent keeps every address it ever saw. A lite one may simply begin anew, it has nothing to lose.
    fn admit(&mut self, now: Instant, pair: Pair) -> Result<(), Drop> {
        let address = (pair.proto, pair.remote);
        if self.seen.len() >= limits::ICE_ADDRESSES_MAX && !self.seen.contains(&address) {
            let creds = self.agent.local_credentials().clone();
            match agent(now, self.lite, self.agent.controlling(), creds, &self.locals) {
                Ok(agent) if self.lite => self.agent = agent,
                _ => return Err(Drop::TooMany),
            }
            self.remote.clone().into_iter().for_each(|creds| self.agent.set_remote_credentials(creds));
            self.seen.clear();
        }
        self.seen.insert(address);
        Ok(())
    }

    /// The agent before a restart still answers, which keeps its pair alive, but decides nothing.
    fn handle_previous(&mut self, now: Instant, pair: Pair, message: StunMessage<'_>) -> Result<(), Drop> {
        let known = self.paths.pairs().any(|path| path == pair);
        let previous = self.previous.as_mut().filter(|agent| known && agent.remote_credentials().is_some());
        let accepted = previous.is_some_and(|agent| agent.handle_packet(now, packet(pair, message)));
        if !accepted {
            return Err(Drop::BadAuth);
        }
        self.note_heard(now, pair);
        Ok(())
    }

    /// Notes an authenticated packet from that pair.
    pub fn note_heard(&mut self, now: Instant, pair: Pair) {
        self.paths.heard(now, pair);
        if matches!(self.phase, Phase::Lost { .. }) {
            self.settle(false);
        }
    }

    /// Draws the conclusions of a check: with a pair to send on we are connected.
    fn settle(&mut self, moved: bool) {
        let Some(pair) = self.paths.chosen() else { return };
        if self.phase != Phase::Connected {
            self.phase = Phase::Connected;
            self.events.push_back(IceEvent::Connected(pair));
        } else if moved {
            self.events.push_back(IceEvent::Moved(pair));
        }
    }

    fn drain_agent(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { proto, source, destination } = event
                && self.agent.controlling()
            {
                let pair = Pair { proto: proto_from(proto), local: self.unseat(source), remote: destination };
                let moved = self.paths.choose(pair);
                self.end_restart();
                self.settle(moved);
            }
        }
    }

    /// Lets a full agent pace its checks; a lite one has nothing to do.
    fn run_agent(&mut self, now: Instant) {
        if !self.lite {
            self.agent.handle_timeout(now);
            self.drain_agent();
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Failed {
            return;
        }
        self.run_agent(now);
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.handle_deadline(now);
        }
    }

    fn handle_deadline(&mut self, now: Instant) {
        if self.phase == Phase::Connected {
            self.phase = Phase::Lost { since: now };
            self.events.push_back(IceEvent::Lost);
        } else {
            self.phase = Phase::Failed;
            let tried = self.tried();
            self.events.push_back(IceEvent::Failed { tried });
        }
    }

    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let deadline = self.deadline();
        let checks = if self.lite || self.phase == Phase::Failed { None } else { self.agent.poll_timeout() };
        deadline.into_iter().chain(checks).min()
    }

    /// When the present phase has lasted too long.
    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::New | Phase::Failed => None,
            Phase::Checking { since } => Some(since + limits::ICE_DISCONNECTED + limits::ICE_FAILED),
            Phase::Connected => self.paths.last_heard().map(|heard| heard + limits::ICE_DISCONNECTED),
            Phase::Lost { since } => Some(since + limits::ICE_FAILED),
        }
    }

    /// The next STUN message to send.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Pair> {
        let previous = || self.previous.as_mut().and_then(|agent| agent.poll_transmit());
        let transmit = self.agent.poll_transmit().or_else(previous)?;
        out.clear();
        out.extend_from_slice(&transmit.contents);
        let (proto, local) = (proto_from(transmit.proto), self.unseat(transmit.source));
        Some(Pair { proto, local, remote: transmit.destination })
    }

    /// What was tried of an attempt that has neither come to a pair nor been given up.
    pub fn unfinished(&self) -> Option<Vec<String>> {
        matches!(self.phase, Phase::Checking { .. } | Phase::Lost { .. }).then(|| self.tried())
    }

    /// For an operator to see why nothing worked.
    fn tried(&self) -> Vec<String> {
        let checked = self.paths.pairs().map(|pair| format!("check {pair}"));
        let offered = self.candidates.iter().map(|c| format!("candidate {} {} {}", c.proto(), c.addr(), c.kind()));
        checked.chain(offered).collect()
    }

    /// The local address behind the one an agent was told.
    fn unseat(&self, seated: SocketAddr) -> SocketAddr {
        self.locals.iter().map(|(local, _)| *local).find(|local| seat(*local) == seated).unwrap_or(seated)
    }
}

fn agent(
    now: Instant,
    lite: bool,
    controlling: bool,
    creds: IceCreds,
    locals: &[(SocketAddr, Proto)],
) -> Result<IceAgent, is::IceError> {
    let mut agent = IceAgent::new(creds);
    agent.set_ice_lite(lite);
    agent.set_controlling(controlling);
    agent.set_initial_stun_rto(limits::ICE_RETRANSMIT);
    agent.set_max_stun_rto(limits::ICE_KEEPALIVE);
    agent.set_timing_advance(CHECK_PACE);
    for (address, proto) in locals {
        agent.add_local_candidate(Candidate::host(seat(*address), protocol(*proto))?);
    }
    agent.handle_timeout(now);
    while agent.poll_event().is_some() {}
    Ok(agent)
}

/// Least time between two checks of a full agent; RFC 8445 §14.2 allows 5 ms.
const CHECK_PACE: std::time::Duration = std::time::Duration::from_millis(20);

/// Agents refuse the unspecified address, to which sockets are often bound: they are told a documentation address
/// instead (RFC 5737, RFC 3849).
fn seat(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::new(192, 0, 2, 1), address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), address.port()).into(),
        _ => address,
    }
}

fn packet(pair: Pair, message: StunMessage<'_>) -> StunPacket<'_> {
    StunPacket { proto: protocol(pair.proto), source: pair.remote, destination: seat(pair.local), message }
}

fn protocol(proto: Proto) -> Protocol {
    match proto {
        Proto::Udp => Protocol::Udp,
        Proto::Tcp => Protocol::Tcp,
    }
}

fn proto_from(protocol: Protocol) -> Proto {
    match protocol {
        Protocol::Udp => Proto::Udp,
        Protocol::Tcp | Protocol::SslTcp | Protocol::Tls => Proto::Tcp,
    }
}

#[cfg(test)]
mod tests;
