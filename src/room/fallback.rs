//! Clients whose UDP does not get through are offered TCP the next time (WIRE.md §3.8).

use super::link::Link;
use super::participant::ParticipantKey;
use super::state::Room;
use crate::limits::FALLBACKS_MAX;
use crate::proto::{ReconnectReason, SignalTarget};
use crate::shard::CandidatePolicy;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that failed this soon, or never came up, is taken as a sign of a blocked path.
const SHORT_LIVED: Duration = Duration::from_secs(90);
/// Two failures within this time are a sign of it too.
const AGAIN: Duration = Duration::from_secs(60);
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

    /// From UDP to TCP, where both sides can.
    fn fall_back(&mut self, key: ParticipantKey) {
        let rtc = &self.ctx.config.rtc;
        let Some(p) = self.people.get(&key) else { return };
        let threshold = Duration::from_millis(rtc.tcp_fallback_rtt_threshold.into());
        let is_near = threshold.is_zero() || p.round_trip < threshold;
        let may = rtc.allow_tcp_fallback.unwrap_or(true) && rtc.tcp_port > 0 && p.client.may_use_ice_tcp();
        if may && is_near {
            let identity = p.identity().to_owned();
            self.prefer(identity, CandidatePolicy::TcpOnly);
        }
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

/// Never described is never connected.
fn is_short_lived(link: &Link, now: Instant) -> bool {
    link.described_at.is_none_or(|at| now < at + SHORT_LIVED)
}
