//! Clients whose UDP does not get through are offered TCP the next time (WIRE.md §3.8).

use super::link::Link;
use super::participant::ParticipantKey;
use super::state::Room;
use crate::limits::FALLBACKS_MAX;
use crate::proto::leave_request::Action;
use crate::proto::{DisconnectReason, ReconnectReason, SignalTarget};
use crate::shard::{CandidatePolicy, PeerKey};
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// A connection that failed this soon, or never came up, is taken as a sign of a blocked path.
const SHORT_LIVED: Duration = Duration::from_secs(90);
/// Two failures within this time are a sign of it too.
const AGAIN: Duration = Duration::from_secs(60);
/// Bounds of the time TCP may take.
const TCP_CONNECT_MIN: Duration = Duration::from_secs(5);
const TCP_CONNECT_MAX: Duration = Duration::from_secs(12);
const SLOW_SIGNAL: Duration = Duration::from_secs(1);
/// A client that was silent this long is gone, its path says nothing.
const SILENT: Duration = Duration::from_secs(15);

impl Room {
    /// What that identity's candidates are limited to after earlier failures.
    pub(super) fn policy_for(&self, identity: &str) -> CandidatePolicy {
        self.fallbacks.get(identity).copied().unwrap_or_default()
    }

    /// Notes a failed transport. One that lived long counts only when another failed shortly before.
    pub(super) fn note_fallback(&mut self, key: ParticipantKey) {
        let now = Instant::now();
        let Some(p) = self.people.get_mut(&key) else { return };
        if p.signal.is_none() || now >= p.heard_at + SILENT {
            p.transport_failed_at = None;
            return;
        }
        let before = p.transport_failed_at.replace(now);
        let again = before.is_some_and(|at| now < at + AGAIN);
        if again || p.links.iter().any(|l| l.failed && is_short_lived(l, now)) {
            self.fall_back(key);
        }
    }

    /// The client says on its resume that one of its connections failed.
    pub(super) fn note_reported_failure(&mut self, key: ParticipantKey, reason: i32) {
        let target = match ReconnectReason::try_from(reason) {
            Ok(ReconnectReason::RrPublisherFailed) => SignalTarget::Publisher,
            Ok(ReconnectReason::RrSubscriberFailed) => SignalTarget::Subscriber,
            _ => return,
        };
        let now = Instant::now();
        let link = self.people.get_mut(&key).and_then(|p| p.links.by_target(target));
        if link.is_some_and(|l| is_short_lived(l, now)) {
            self.fall_back(key);
        }
    }

    /// A subscriber loses much of what it is sent over UDP: where the configuration has it so, its connections restart over
    /// TCP.
    pub(super) fn path_unstable(&mut self, peer: PeerKey) {
        let rtc = &self.ctx.config.rtc;
        let is_asked = rtc.allow_udp_unstable_fallback && rtc.tcp_fallback_rtt_threshold > 0;
        let Some(key) = self.peers.get(&peer).copied().filter(|_| is_asked) else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        let over_udp = p.links.by_peer(peer).is_some_and(|l| l.pair.is_some_and(|pair| !pair.tcp));
        let is_there = p.signal.is_some() && Instant::now() < p.heard_at + SILENT;
        // Reports go on coming while the client is at it.
        let is_asked_already = self.fallbacks.get(p.identity()) == Some(&CandidatePolicy::TcpOnly);
        if over_udp && is_there && !is_asked_already && self.fall_back(key) {
            self.restart_over_tcp(key);
        }
    }

    fn restart_over_tcp(&mut self, key: ParticipantKey) {
        self.apply_fallback(key);
        let Some(p) = self.people.get_mut(&key) else { return };
        info!(participant = p.info.identity, "UDP loses too much; the client is asked to use TCP");
        match p.links.is_single() {
            // Only the client can restart it, and does so when it resumes.
            true => p.say_leave(DisconnectReason::ConnectionTimeout, Action::Resume),
            false => self.restart_subscriber(key),
        }
    }

    /// From UDP to TCP, where both sides can. Answers whether they can.
    fn fall_back(&mut self, key: ParticipantKey) -> bool {
        let rtc = &self.ctx.config.rtc;
        let Some(p) = self.people.get(&key) else { return false };
        let threshold = Duration::from_millis(rtc.tcp_fallback_rtt_threshold.into());
        let is_near = threshold.is_zero() || p.round_trip < threshold;
        let may = rtc.allow_tcp_fallback.unwrap_or(true) && rtc.tcp_port > 0 && p.client.may_use_ice_tcp();
        if may && is_near {
            let identity = p.identity().to_owned();
            self.prefer(identity, CandidatePolicy::TcpOnly);
        }
        may && is_near
    }

    pub(super) fn prefer(&mut self, identity: String, policy: CandidatePolicy) {
        if self.fallbacks.len() < FALLBACKS_MAX || self.fallbacks.contains_key(&identity) {
            self.fallbacks.insert(identity, policy);
        }
    }

    /// Puts the remembered preference into use before an ICE restart.
    pub(super) fn apply_fallback(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let policy = self.policy_for(p.identity());
        if let Some(p) = self.people.get_mut(&key) {
            p.links.iter_mut().for_each(|l| l.policy = policy);
        }
    }
}

/// How long a connection over TCP may take to come up: some round trips. `None` where signalling is so slow that the time
/// tells nothing.
pub(super) fn tcp_connect_time(round_trip: Duration) -> Option<Duration> {
    let time = (8 * round_trip).clamp(TCP_CONNECT_MIN, TCP_CONNECT_MAX);
    (round_trip < SLOW_SIGNAL).then_some(time)
}

/// Never described is never connected.
fn is_short_lived(link: &Link, now: Instant) -> bool {
    link.described_at.is_none_or(|at| now < at + SHORT_LIVED)
}
