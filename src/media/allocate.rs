//! Shares the estimate of a connection out to its video tracks (WIRE.md §4.8): who may forward which layers. Audio is not
//! its business: what audio takes is gone from the room before.
//!
//! Pure; called by the shard each 100 ms while a connection is limited. Every track first gets its lowest layer, then
//! those of higher priority are raised first, equals together. Going down happens at once, going up only with head-room,
//! some time after the last change, and ever later where it failed before.

use super::bitrate::Bitrate;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// What is kept free above the cost of a layer that is to be added.
const HEADROOM: f64 = 1.10;
/// A layer that is held may cost a little more than there is: layers vary by the second.
const TOLERANCE: f64 = 0.90;
/// What is lowered goes below what fits, so that the queue drains and one step is enough.
const DRAIN: f64 = 0.4;
/// Quiet before an upgrade, after one and after a downgrade.
const SETTLE_UP: Duration = Duration::from_millis(1_000);
const SETTLE_DOWN: Duration = Duration::from_millis(2_000);
/// An upgrade taken back within this time has failed…
const TRIAL: Duration = Duration::from_secs(5);
/// …and is not repeated for this long, doubled each time.
const PENALTY_MIN: Duration = Duration::from_secs(5);
const PENALTY_MAX: Duration = Duration::from_secs(60);
/// Unless there is so much more than what failed.
const PLENTY: f64 = 1.4;
/// Close to what failed is what failed.
const ALIKE: f64 = 0.9;

/// Where packets wait for long, so much of what is held is given…
const RELIEVED: f64 = 0.8;
/// …and again no sooner than the effect is known.
const RELIEF: Duration = Duration::from_secs(1);

/// The highest layers a leg may forward for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegAllowance {
    pub spatial: u8,
    pub temporal: u8,
    /// There is no room even for the lowest.
    pub paused: bool,
}

/// Layers a track can be forwarded in, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    pub spatial: u8,
    pub temporal: u8,
    pub rate: Bitrate,
    /// What it may come to, at least its rate.
    pub peak: Bitrate,
}

/// A track's rungs from the cheapest to what is wanted of it; empty while none of its layers flows.
pub type Ladder = SmallVec<[Rung; 12]>;

/// One leg that wants a share.
#[derive(Clone, Debug)]
pub struct Request {
    /// 1..=255, the highest first.
    pub priority: u8,
    pub ladder: Ladder,
    /// What it was given last; `None` was no limit.
    pub held: Option<LegAllowance>,
    /// Since when it is paused, if it is.
    pub paused: Option<Instant>,
}

/// The shares, in the order of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// `None` is no limit.
    pub shares: SmallVec<[Option<LegAllowance>; 8]>,
    /// What the connection would have to take for all that is wanted; `None` if all have it.
    pub goal: Option<Bitrate>,
}

/// What is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Otherwise every track keeps its lowest layer.
    pub allow_pause: bool,
    /// A track that was paused stays so for at least this long.
    pub paused_wait: Duration,
    /// What a probe must prove before everything wanted is given, in terms of that.
    pub goal: f64,
    /// A probe goes at least this far beyond what is known.
    pub goal_min: Bitrate,
}

impl Default for Rules {
    /// LiveKit's.
    fn default() -> Rules {
        Rules { allow_pause: false, paused_wait: Duration::from_secs(5), goal: 1.2, goal_min: Bitrate::kbps(200) }
    }
}

/// The memory of one connection's shares.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    rules: Rules,
    raised: Option<Instant>,
    lowered: Option<Instant>,
    /// Cost of the upgrade on trial.
    trial: Option<Bitrate>,
    failed: Option<Failed>,
    penalty: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    cost: Bitrate,
    until: Instant,
}

/// A request being worked on: the rung reached, `None` is paused.
struct Claim<'a> {
    request: &'a Request,
    held: Option<usize>,
    level: Option<usize>,
}

impl Claim<'_> {
    fn new(request: &Request) -> Claim<'_> {
        Claim { request, held: held_level(request), level: None }
    }

    fn rung(&self, level: Option<usize>) -> Option<&Rung> {
        self.request.ladder.get(level?)
    }

    fn next(&self) -> Option<usize> {
        let next = self.level.map_or(0, |level| level + 1);
        (next < self.request.ladder.len()).then_some(next)
    }

    /// Whether a level is more than the leg has now.
    fn is_upgrade(&self, level: usize) -> bool {
        self.held.is_none_or(|held| level > held)
    }

    fn cost(&self) -> Bitrate {
        self.rung(self.level).map_or(Bitrate::ZERO, |rung| rung.rate)
    }

    /// What a level takes of the room.
    fn weight(&self, level: Option<usize>) -> Bitrate {
        let Some((level, rung)) = level.zip(self.rung(level)) else { return Bitrate::ZERO };
        if self.is_upgrade(level) { rung.rate.scaled(HEADROOM).max(rung.peak) } else { rung.rate.scaled(TOLERANCE) }
    }

    fn share(&self) -> LegAllowance {
        match self.rung(self.level) {
            Some(rung) => LegAllowance { spatial: rung.spatial, temporal: rung.temporal, paused: false },
            // Nothing is known of what it costs: the least.
            None if self.request.ladder.is_empty() => LegAllowance { spatial: 0, temporal: 3, paused: false },
            None => LegAllowance { spatial: 0, temporal: 0, paused: true },
        }
    }
}

fn held_level(request: &Request) -> Option<usize> {
    let last = request.ladder.len().checked_sub(1)?;
    let Some(held) = request.held else { return Some(last) };
    let reached = |rung: &Rung| (rung.spatial, rung.temporal) <= (held.spatial, held.temporal);
    if held.paused { None } else { Some(request.ladder.iter().rposition(reached).unwrap_or(0)) }
}

impl Allocator {
    pub fn new(rules: Rules) -> Allocator {
        Allocator { rules, raised: None, lowered: None, trial: None, failed: None, penalty: PENALTY_MIN }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What of `room` to give out where packets have waited for long: less than what is held, but the lowest layers.
    pub fn relieved(&self, now: Instant, room: Bitrate, requests: &[Request]) -> Bitrate {
        let sum = |level: fn(&Request) -> Option<usize>| {
            let rungs = requests.iter().filter_map(|request| request.ladder.get(level(request)?));
            rungs.fold(Bitrate::ZERO, |sum, rung| sum.plus(rung.rate))
        };
        if room.is_unlimited() || self.lowered.is_some_and(|at| now < at + RELIEF) {
            return room;
        }
        room.min(sum(held_level).scaled(RELIEVED).max(sum(|_| Some(0))))
    }

    /// Decides what each leg gets of `room`.
    ///
    /// # Cost
    /// No allocation for up to eight legs; steps in the number of legs times their rungs.
    pub fn plan(&mut self, now: Instant, room: Bitrate, requests: &[Request]) -> Allocation {
        if room.is_unlimited() {
            *self = Allocator::new(self.rules);
            return Allocation { shares: requests.iter().map(|_| None).collect(), goal: None };
        }
        let mut claims: SmallVec<[Claim<'_>; 8]> = requests.iter().map(Claim::new).collect();
        let may_rise = self.may_rise(now);
        self.give(now, room, Bitrate::ZERO, may_rise, &mut claims);
        if may_rise && self.has_failed(now, room, &claims) {
            self.give(now, room, Bitrate::ZERO, false, &mut claims);
        }
        if claims.iter().any(|claim| claim.level < claim.held) {
            self.give(now, room, room.scaled(1.0 - DRAIN), false, &mut claims);
        }
        self.note(now, &claims);
        Allocation {
            shares: claims.iter().map(|claim| Some(claim.share())).collect(),
            goal: self.goal(now, room, &claims),
        }
    }

    /// What everything wanted takes, if not all is given; where that failed, so much that it would be tried again.
    fn goal(&self, now: Instant, room: Bitrate, claims: &[Claim<'_>]) -> Option<Bitrate> {
        let plenty =
            self.failed.filter(|failed| now < failed.until).map(|failed| failed.cost.scaled(PLENTY * HEADROOM));
        let least = room.plus(self.rules.goal_min).max(plenty.unwrap_or_default());
        lacking(claims).map(|wanted| wanted.scaled(self.rules.goal).max(least))
    }

    fn may_rise(&self, now: Instant) -> bool {
        let quiet = |at: Option<Instant>, time| at.is_none_or(|at| now >= at + time);
        quiet(self.raised, SETTLE_UP) && quiet(self.lowered, SETTLE_DOWN)
    }

    /// Gives out the room, `spare` only to lowest layers.
    fn give(&self, now: Instant, room: Bitrate, spare: Bitrate, may_rise: bool, claims: &mut [Claim<'_>]) {
        claims.iter_mut().for_each(|claim| claim.level = None);
        let mut order: SmallVec<[usize; 8]> = (0..claims.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(claims[*index].request.priority));
        let mut left = room;
        for index in &order {
            self.give_least(now, &mut left, may_rise, &mut claims[*index]);
        }
        left = left.minus(spare);
        let mut from = 0;
        while let Some(first) = order.get(from) {
            let priority = claims[*first].request.priority;
            let equals = order[from..].iter().take_while(|i| claims[**i].request.priority == priority).count();
            raise(&mut left, may_rise, claims, &order[from..from + equals]);
            from += equals;
        }
    }

    fn give_least(&self, now: Instant, left: &mut Bitrate, may_rise: bool, claim: &mut Claim<'_>) {
        let Some(least) = claim.next() else { return };
        let weight = claim.weight(Some(least));
        let resumes = claim.held.is_none();
        let rested = claim.request.paused.is_none_or(|at| now >= at + self.rules.paused_wait);
        let fits = weight <= *left && ((may_rise && rested) || !resumes);
        if fits || !self.rules.allow_pause {
            claim.level = Some(least);
            *left = left.minus(weight);
        }
    }

    /// Whether these claims would repeat an upgrade that failed.
    fn has_failed(&self, now: Instant, room: Bitrate, claims: &[Claim<'_>]) -> bool {
        let Some(failed) = self.failed.filter(|failed| now < failed.until) else { return false };
        let rises = claims.iter().any(|claim| claim.level > claim.held);
        rises && total(claims) >= failed.cost.scaled(ALIKE) && room < failed.cost.scaled(PLENTY)
    }

    /// Remembers what went up or down.
    fn note(&mut self, now: Instant, claims: &[Claim<'_>]) {
        let on_trial = self.raised.is_some_and(|at| now < at + TRIAL);
        if claims.iter().any(|claim| claim.level < claim.held) {
            self.lowered = Some(now);
            if let Some(cost) = self.trial.take().filter(|_| on_trial) {
                self.failed = Some(Failed { cost, until: now + self.penalty });
                self.penalty = (self.penalty * 2).min(PENALTY_MAX);
            }
        } else if claims.iter().any(|claim| claim.level > claim.held) {
            self.raised = Some(now);
            self.trial = Some(total(claims));
        } else if !on_trial && self.trial.take().is_some() {
            self.penalty = PENALTY_MIN;
        }
    }
}

/// Raises claims of equal priority rung by rung, always the lowest that can be raised.
fn raise(left: &mut Bitrate, may_rise: bool, claims: &mut [Claim<'_>], equals: &[usize]) {
    loop {
        let extra = |claim: &Claim<'_>, next| claim.weight(Some(next)).minus(claim.weight(claim.level));
        let fitting = |index: &&usize| {
            let claim = &claims[**index];
            let next = claim.next().filter(|next| claim.level.is_some() && (may_rise || !claim.is_upgrade(*next)));
            next.is_some_and(|next| extra(claim, next) <= *left)
        };
        let height = |index: &&usize| {
            let claim = &claims[**index];
            claim.rung(claim.level).map(|rung| (rung.spatial, rung.temporal))
        };
        let Some(&lowest) = equals.iter().filter(fitting).min_by_key(height) else { return };
        let claim = &mut claims[lowest];
        let Some(next) = claim.next() else { return };
        *left = left.minus(extra(claim, next));
        claim.level = Some(next);
    }
}

fn total(claims: &[Claim<'_>]) -> Bitrate {
    claims.iter().fold(Bitrate::ZERO, |sum, claim| sum.plus(claim.cost()))
}

/// What everything wanted takes, if not all is given.
fn lacking(claims: &[Claim<'_>]) -> Option<Bitrate> {
    let wanted = claims.iter().filter_map(|claim| claim.request.ladder.last());
    let sum = wanted.fold(Bitrate::ZERO, |sum, rung| sum.plus(rung.rate));
    let lacking = claims.iter().any(|claim| claim.next().is_some());
    lacking.then_some(sum)
}

#[cfg(test)]
mod tests;
