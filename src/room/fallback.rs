//! Clients whose UDP does not get through are offered TCP the next time (WIRE.md §3.8).

use super::participant::ParticipantKey;
use super::state::Room;
use crate::limits::FALLBACKS_MAX;
use crate::shard::CandidatePolicy;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that failed this soon, or never came up, is taken as a sign of a blocked path.
const SHORT_LIVED: Duration = Duration::from_secs(90);
/// A client that was silent this long is gone, its path says nothing.
const SILENT: Duration = Duration::from_secs(15);

impl Room {
    /// What that identity's candidates are limited to after earlier failures.
    pub(super) fn policy_for(&self, identity: &str) -> CandidatePolicy {
        self.fallbacks.get(identity).copied().unwrap_or_default()
    }

    /// Notes a failed transport.
    pub(super) fn note_fallback(&mut self, key: ParticipantKey) {
        let now = Instant::now();
        let Some(p) = self.people.get(&key) else { return };
        let silent = p.signal.is_none() || now >= p.heard_at + SILENT;
        let short = |at: Option<Instant>| at.is_none_or(|at| now < at + SHORT_LIVED);
        let short_lived = p.links.iter().filter(|l| l.failed).any(|l| short(l.described_at));
        let possible = self.ctx.config.rtc.tcp_port > 0 && p.client.may_use_ice_tcp();
        if !silent && short_lived && possible {
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
