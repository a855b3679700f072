//! How a join went: the stages of one that came about, or why it did not. Written by `member`, summed up by `figures`.

use super::times::{Percentiles, Times};
use crate::client::stats::Stats;
use crate::client::{ClientError, SignalError, Timing, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Stages in their order, and the name of each in reports.
pub const STAGES: [&str; 9] =
    ["dns", "connect", "websocket", "signal", "ice", "dtls", "join", "first_packet", "first_frame"];

/// Durations of one join by stage; absent: it has not come to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages(pub [Option<Duration>; STAGES.len()]);

impl Stages {
    /// `late` is how long after its scheduled time the join began: a join counts from when it was due.
    pub fn new(timing: &Timing, late: Duration) -> Stages {
        let Timing { resolved, reached, upgraded, joined, ice, connected, .. } = *timing;
        let after = |later: Option<Duration>, earlier: Duration| later.map(|later| later.saturating_sub(earlier));
        Stages([
            Some(resolved),
            after(Some(reached), resolved),
            after(Some(upgraded), reached),
            after(Some(joined), upgraded),
            after(ice, joined),
            ice.and_then(|ice| after(connected, ice)),
            connected.map(|connected| connected + late),
            None,
            None,
        ])
    }

    /// Only what [`Stages::note_media`] added.
    pub fn of_media(&self) -> Stages {
        let mut stages = Stages::default();
        stages.0[7..].copy_from_slice(&self.0[7..]);
        stages
    }

    /// Adds when media came, from the tracks that were there to be had when the participant joined.
    pub fn note_media(&mut self, view: &View, stats: &Stats, late: Duration) {
        let Some(begun) = view.timing.begun else { return };
        let tracks = || stats.received.iter().filter(|track| view.at_join.contains(&track.track_sid));
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(begun) + late);
        self.0[7] = since(tracks().filter_map(|t| t.first_packet_at).min());
        self.0[8] = since(tracks().filter_map(|t| t.first_frame_at).min());
    }
}

/// Why a join failed, in words that are the same for all it happened to.
pub fn reason(error: &ClientError, view: Option<&View>) -> String {
    match error {
        ClientError::TimedOut { .. } => format!("timed out: {}", view.map_or("no join response", stuck_at)),
        ClientError::Over => match view.and_then(|v| v.ended.as_ref()) {
            Some(ended) => format!("ended: {ended:?}"),
            None => "ended".to_owned(),
        },
        other => other.to_string(),
    }
}

fn stuck_at(view: &View) -> &'static str {
    if view.timing.ice.is_some() { "DTLS did not complete" } else { "ICE found no path" }
}

/// What a failed join means for those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Another may succeed.
    Open,
    /// The room may be full; servers do not tell that apart from other troubles (WIRE.md §1.7).
    MaybeFull,
    /// Every further one would end the same.
    Closed,
}

pub fn outlook(error: &ClientError) -> Outlook {
    match error {
        ClientError::Signal(SignalError::NoRelay) => Outlook::Closed,
        ClientError::Signal(SignalError::Refused { status: 429, .. }) => Outlook::Open,
        ClientError::Signal(SignalError::Refused { status: 400..500, .. }) => Outlook::Closed,
        ClientError::Signal(SignalError::Refused { status: 500, .. }) => Outlook::MaybeFull,
        _ => Outlook::Open,
    }
}

/// Joins of many by stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Joins {
    times: [Times; STAGES.len()],
    pub attempted: u64,
    pub succeeded: u64,
    failed: BTreeMap<String, u64>,
}

impl Joins {
    pub fn note(&mut self, stages: &Stages) {
        for (times, time) in self.times.iter_mut().zip(stages.0) {
            time.into_iter().for_each(|time| times.note(time));
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Joins) {
        self.times.iter_mut().zip(&other.times).for_each(|(times, more)| times.merge(more));
        self.attempted += other.attempted;
        self.succeeded += other.succeeded;
        other.failed.iter().for_each(|(reason, count)| self.note_failures(reason.clone(), *count));
    }

    pub fn note_failure(&mut self, reason: String) {
        self.note_failures(reason, 1);
    }

    pub fn note_failures(&mut self, reason: String, count: u64) {
        let known = self.failed.len() < crate::limits::LOAD_REASONS_MAX || self.failed.contains_key(&reason);
        *self.failed.entry(if known { reason } else { "other reasons".to_owned() }).or_default() += count;
    }

    pub fn told(&self) -> JoinReport {
        let stages = STAGES.iter().zip(&self.times).filter(|(_, times)| times.count() > 0);
        JoinReport {
            attempted: self.attempted,
            succeeded: self.succeeded,
            failed: self.failed.values().sum(),
            reasons: self.failed.clone(),
            stages: stages.map(|(name, times)| ((*name).to_owned(), times.told())).collect(),
        }
    }
}

/// How joining went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JoinReport {
    pub attempted: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Failed ones by reason.
    pub reasons: BTreeMap<String, u64>,
    /// By name of [`STAGES`]; `join` is from the scheduled time until media can flow.
    pub stages: BTreeMap<String, Percentiles>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stats::TrackStats;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn timing() -> Timing {
        Timing {
            resolved: ms(1),
            reached: ms(3),
            upgraded: ms(6),
            joined: ms(10),
            ice: Some(ms(15)),
            connected: Some(ms(21)),
            ..Timing::default()
        }
    }

    #[test]
    fn stages_follow_each_other_and_lateness_counts() {
        let stages = Stages::new(&timing(), ms(100));
        let told: Vec<_> = stages.0.iter().map(|s| s.map(|d| d.as_millis())).collect();
        assert_eq!(told, [Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(121), None, None]);
    }

    #[test]
    fn first_media_counts_only_tracks_that_were_there() {
        let begun = crate::client::Timing { begun: Some(crate::client::clock::now()), ..timing() };
        let start = begun.begun.unwrap();
        let view = View { timing: begun, at_join: vec!["TR_1".into()], ..View::default() };
        let track = |sid: &str, after| TrackStats {
            track_sid: sid.into(),
            first_packet_at: Some(start + after),
            ..TrackStats::default()
        };
        let stats = Stats { received: vec![track("TR_2", ms(5)), track("TR_1", ms(50))], ..Stats::default() };
        let mut stages = Stages::new(&timing(), Duration::ZERO);
        stages.note_media(&view, &stats, Duration::ZERO);
        assert_eq!((stages.0[7], stages.0[8]), (Some(ms(50)), None));
    }

    #[test]
    fn failures_are_counted_by_reason_and_their_number_is_bounded() {
        let mut joins = Joins::default();
        (0..100).for_each(|n| joins.note_failure(format!("reason {n}")));
        joins.note_failure("reason 0".into());
        let told = joins.told();
        assert_eq!((told.failed, told.reasons.len()), (101, crate::limits::LOAD_REASONS_MAX + 1));
        assert_eq!((told.reasons["reason 0"], told.reasons["other reasons"]), (2, 68));
    }

    #[test]
    fn refusals_that_would_repeat_are_told_apart() {
        let refused = |status| {
            outlook(&ClientError::Signal(SignalError::Refused {
                status,
                text: "connection closed by media".to_owned(),
            }))
        };
        assert_eq!([refused(401), refused(404), refused(500)], [Outlook::Closed, Outlook::Closed, Outlook::MaybeFull]);
        assert_eq!([refused(503), refused(429), outlook(&ClientError::Over)], [Outlook::Open; 3]);
    }
}
