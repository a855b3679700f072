//! One participant's wish for one track, and how far it got (WIRE.md §4.12).

use super::negotiate::Kind;
use crate::shard::{Codec, ExtensionIds, Kept, LegKey, PayloadType, TrackKey};
use std::time::Duration;
use tokio::time::Instant;

/// How long a wanted track may be missing.
const MISSING_MAX: Duration = Duration::from_secs(60);
/// How long a leg may wait for the client to accept it.
const UNBOUND_MAX: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub struct Subscription {
    /// False after an explicit unsubscribe: automatic subscription leaves it so.
    pub desired: bool,
    /// Since when it is desired.
    pub since: Instant,
    pub leg: Option<Leg>,
    /// What the client was last told about its permission.
    pub allowed_told: Option<bool>,
}

/// A sending section for the track.
#[derive(Clone, Debug)]
pub struct Leg {
    pub key: LegKey,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub stream_id: String,
    pub since: Instant,
    /// What the client made of it.
    pub accepted: Option<Accepted>,
    /// Which codec of the track it forwards, once it does.
    pub bound: Option<TrackKey>,
    /// What the node's load leaves of it.
    pub kept: Kept,
}

/// A section the client accepted for a leg.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub mid: String,
    /// Never empty, preferred first.
    pub payloads: Vec<PayloadType>,
    pub extensions: ExtensionIds,
}

/// Why a subscription is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    Missing,
    NotBound,
}

impl Subscription {
    pub fn wanted(now: Instant) -> Subscription {
        Subscription { desired: true, since: now, leg: None, allowed_told: None }
    }

    pub fn unwanted(now: Instant) -> Subscription {
        Subscription { desired: false, ..Subscription::wanted(now) }
    }

    pub fn set_desired(&mut self, desired: bool, now: Instant) {
        if desired && !self.desired {
            self.since = now;
        }
        self.desired = desired;
    }

    /// Whether it waited too long. `patient` says that there is nothing to bind to yet: a muted video.
    pub fn given_up(&self, exists: bool, patient: bool, now: Instant) -> Option<GivenUp> {
        if !self.desired {
            return None;
        }
        let unbound = |leg: &Leg| leg.accepted.is_none() && now >= leg.since + UNBOUND_MAX;
        match &self.leg {
            None if !exists && now >= self.since + MISSING_MAX => Some(GivenUp::Missing),
            Some(leg) if unbound(leg) && !patient => Some(GivenUp::NotBound),
            _ => None,
        }
    }
}

impl Leg {
    /// Only video is retransmitted on an SSRC of its own; 0 is none.
    pub fn new(kind: Kind, stream_id: String, now: Instant) -> Leg {
        let ssrc = || rand::random_range(1..u32::MAX);
        let rtx_ssrc = if kind == Kind::Video { ssrc() } else { 0 };
        Leg {
            key: LegKey::fresh(),
            ssrc: ssrc(),
            rtx_ssrc,
            stream_id,
            since: now,
            accepted: None,
            bound: None,
            kept: Kept::All,
        }
    }

    /// Whether the client accepted that codec.
    pub fn takes(&self, codec: Codec) -> bool {
        self.accepted.as_ref().is_some_and(|a| a.payloads.iter().any(|p| p.codec == codec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut subscription = Subscription::wanted(start);
        assert_eq!(subscription.given_up(false, false, at(59)), None);
        assert_eq!(subscription.given_up(false, false, at(60)), Some(GivenUp::Missing));
        assert_eq!(subscription.given_up(true, false, at(60)), None);
        subscription.leg = Some(Leg::new(Kind::Video, "PA_a|TR_b".into(), at(60)));
        assert_eq!(subscription.given_up(true, false, at(74)), None);
        assert_eq!(subscription.given_up(true, false, at(75)), Some(GivenUp::NotBound));
        assert_eq!(subscription.given_up(true, true, at(75)), None);
        let accepted = Accepted { mid: "1".into(), payloads: Vec::new(), extensions: ExtensionIds::default() };
        subscription.leg.as_mut().unwrap().accepted = Some(accepted);
        assert_eq!(subscription.given_up(true, false, at(99)), None);
    }
}
