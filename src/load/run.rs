//! The course of a run: everybody arrives, settles, is measured, hands over, leaves. Called by `test`.

use super::crew::Harvest;
use super::member::{Common, JOIN_PATIENCE, Measured, Phase, Told, live};
use super::report::Tally;
use super::schedule::Schedule;
use super::setup::{LoadError, Setup};
use super::sight::{PAGE_PATIENCE, Sight};
use super::stages::{Joins, Outlook};
use super::watch::{Moment, Second, Server, Tester};
use crate::client::api::Api;
use crate::client::{Engine, clock};
use crate::limits::{LOAD_RESULTS_MAX, LOAD_SERIES_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// What a watcher is shown each second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    pub stage: Stage,
    pub participants: u64,
    pub failed: u64,
    pub total: u64,
    pub second: Second,
    /// How far the present stage is, and what remains of it.
    pub done: f64,
    pub left: Option<Duration>,
    /// Nothing more happens without a cue.
    pub waits: bool,
}

/// What somebody else, who runs other parts of the same test, lets it do. Later ones are larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cue {
    #[default]
    Ramp,
    Measure,
    Collect,
    Leave,
}

/// Where a run stands, for those who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Joining,
    Settling,
    Measuring,
    Ending,
}

/// After the last join, until subscriptions and key frames have come.
const SETTLE: Duration = Duration::from_secs(2);
/// How long figures and goodbyes are waited for in all.
const END_PATIENCE: Duration = Duration::from_secs(12);

/// A run under way: the only writer of what is counted.
pub struct Run<'a> {
    setup: &'a Setup,
    api: &'a Api,
    engine: Engine,
    /// A room whose limit may be exceeded.
    maybe_full: Option<usize>,
    /// Name and wanted size of the rooms not looked at for that yet.
    unchecked: BTreeMap<usize, (String, u32)>,
    rooms: Vec<String>,
    total: u64,
    begun: Instant,
    phase: watch::Sender<Phase>,
    told: mpsc::Receiver<Told>,
    stage: Stage,
    /// When the present stage ends by itself.
    until: Option<Instant>,
    stage_began: Instant,
    /// Arrivals that are neither in nor refused.
    awaited: u64,
    /// Members whose task runs.
    alive: u64,
    present: u64,
    joins: Joins,
    lost: BTreeMap<String, u64>,
    /// Of those present, who has handed over.
    handed_over: u64,
    tally: Tally,
    first: Moment,
    last: Moment,
    ramp: Duration,
    window_from: Option<Moment>,
    window_to: Option<Moment>,
    /// The server at both ends of the window.
    server_from: Option<Sight>,
    server_to: Option<Sight>,
    late_max: Duration,
    series: Vec<Second>,
    interrupted: bool,
    /// Absent: the clock alone says when to go on.
    cues: Option<watch::Receiver<Cue>>,
    may_leave: bool,
}

impl<'a> Run<'a> {
    /// Everybody's task begins, to wait for its time after `begun`.
    pub fn start(
        setup: &'a Setup,
        api: &'a Api,
        engine: Engine,
        schedule: Schedule,
        begun: Instant,
        cues: Option<watch::Receiver<Cue>>,
    ) -> Run<'a> {
        let name = |room: usize| schedule.rooms.get(room).cloned().unwrap_or_default();
        let unchecked = schedule.arrivals.iter().map(|a| (a.room, (name(a.room), a.seats))).collect();
        let (phase, phases) = watch::channel(Phase::default());
        let (told_sender, told) = mpsc::channel(LOAD_RESULTS_MAX);
        let common = Arc::new(Common {
            engine: engine.clone(),
            url: setup.url.clone(),
            keys: setup.keys.clone(),
            rooms: schedule.rooms.clone(),
            storms: setup.shape.storms.clone(),
            begun,
            mode: setup.mode,
            phase: phases,
            told: told_sender,
        });
        let total = schedule.arrivals.len() as u64;
        let (ramp, rooms) = (schedule.ramp(), schedule.rooms);
        for arrival in schedule.arrivals {
            tokio::spawn(live(arrival, common.clone()));
        }
        let first = Moment::now(&engine, setup.server_pid);
        Run {
            last: first.clone(),
            first,
            setup,
            api,
            engine,
            maybe_full: None,
            unchecked,
            tally: Tally::new(rooms.clone()),
            rooms,
            total,
            begun,
            phase,
            told,
            stage: Stage::Joining,
            until: Some(begun + ramp + JOIN_PATIENCE + SETTLE),
            stage_began: begun,
            awaited: total,
            alive: total,
            present: 0,
            joins: Joins::default(),
            lost: BTreeMap::new(),
            handed_over: 0,
            ramp: Duration::ZERO,
            window_from: None,
            window_to: None,
            server_from: None,
            server_to: None,
            late_max: Duration::ZERO,
            series: Vec::new(),
            interrupted: false,
            may_leave: cues.is_none(),
            cues,
        }
    }

    /// Answers when everybody has left.
    pub async fn finish(
        mut self,
        mut stop: watch::Receiver<bool>,
        progress: watch::Sender<Progress>,
    ) -> Result<Harvest, LoadError> {
        let started_unix_s = clock::unix_s();
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.alive > 0 {
            let until = self.until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => {
                        self.take(told)?;
                        self.check_full().await?;
                    }
                    None => break,
                },
                _ = seconds.tick() => {
                    self.tick();
                    progress.send_replace(self.progress());
                }
                Ok(_) = stop.wait_for(|stop| *stop), if self.stage < Stage::Ending => {
                    self.interrupted = self.setup.duration.is_some() || self.stage < Stage::Measuring;
                    self.end().await;
                }
                cue = next(&mut self.cues) => self.follow(cue).await,
                () = sleep_until(until), if self.until.is_some() => {
                    if self.advance().await {
                        break;
                    }
                }
            }
        }
        progress.send_replace(self.progress());
        Ok(self.harvest(started_unix_s))
    }

    fn take(&mut self, told: Told) -> Result<(), LoadError> {
        match told {
            Told::Joined(stages) => {
                self.joins.attempted += 1;
                self.joins.succeeded += 1;
                self.joins.note(&stages);
                self.present += 1;
                self.awaited = self.awaited.saturating_sub(1);
            }
            Told::Failed { reason, outlook: Outlook::Closed, .. } => return Err(LoadError::Refused(reason)),
            Told::Failed { room, reason, outlook } => {
                self.maybe_full = Some(room).filter(|_| outlook == Outlook::MaybeFull);
                self.joins.attempted += 1;
                self.joins.note_failure(reason);
                self.awaited = self.awaited.saturating_sub(1);
            }
            Told::Lost(why) => *self.lost.entry(why).or_default() += 1,
            Told::Measured(measured) => self.take_measured(&measured),
            Told::Done => self.alive -= 1,
        }
        if self.awaited == 0 && self.stage == Stage::Joining {
            self.ramp = self.begun.elapsed();
            self.enter(Stage::Settling, Some(SETTLE));
        }
        Ok(())
    }

    /// Asks whether the room a join was refused in has a limit that the shape exceeds; once for each room.
    async fn check_full(&mut self) -> Result<(), LoadError> {
        let Some((name, wanted)) = self.maybe_full.take().and_then(|room| self.unchecked.remove(&room)) else {
            return Ok(());
        };
        // A server that does not answer is busy, and no reason to stop.
        let rooms = timeout(PAGE_PATIENCE, self.api.list_rooms()).await;
        let rooms = rooms.ok().and_then(Result::ok).unwrap_or_default();
        match rooms.into_iter().find(|room| room.name == name).map(|room| room.max_participants) {
            Some(max) if max > 0 && wanted > max => Err(LoadError::Full { room: name, max, wanted }),
            _ => Ok(()),
        }
    }

    fn take_measured(&mut self, measured: &Measured) {
        self.joins.note(&measured.stages.of_media());
        self.tally.add(measured);
        if measured.stayed {
            self.handed_over += 1;
        } else {
            self.present -= 1;
        }
        self.leave_when_done();
    }

    fn enter(&mut self, stage: Stage, limit: Option<Duration>) {
        (self.stage, self.stage_began) = (stage, Instant::now());
        self.until = limit.map(|limit| self.stage_began + limit);
    }

    /// The present stage is over by the clock. Answers whether everything is.
    async fn advance(&mut self) -> bool {
        match self.stage {
            // Whoever is still not in by now counts as failed when told so.
            Stage::Joining => self.enter(Stage::Settling, Some(SETTLE)),
            Stage::Settling if self.cues.is_some() => self.until = None,
            Stage::Settling => self.measure().await,
            Stage::Measuring => self.end().await,
            Stage::Ending => return true,
        }
        false
    }

    async fn follow(&mut self, cue: Cue) {
        match cue {
            Cue::Measure if self.stage <= Stage::Settling => self.measure().await,
            Cue::Collect if self.stage < Stage::Ending => self.end().await,
            Cue::Leave => {
                self.may_leave = true;
                // Of cues that come together only the last is seen.
                if self.stage < Stage::Ending {
                    self.end().await;
                }
                self.leave_when_done();
            }
            Cue::Ramp | Cue::Measure | Cue::Collect => {}
        }
    }

    async fn measure(&mut self) {
        self.server_from = Some(Sight::now(self.setup).await);
        self.enter(Stage::Measuring, self.setup.duration);
        self.tally = Tally::new(self.rooms.clone());
        self.window_from = Some(Moment::now(&self.engine, self.setup.server_pid));
        self.late_max = Duration::ZERO;
        self.phase.send_replace(Phase::Measure);
    }

    async fn end(&mut self) {
        let moment = Moment::now(&self.engine, self.setup.server_pid);
        self.late_max = self.late_max.max(moment.totals.late_max);
        self.window_to = Some(moment);
        self.phase.send_replace(Phase::Collect);
        self.server_to = Some(Sight::now(self.setup).await);
        self.enter(Stage::Ending, Some(END_PATIENCE));
        self.leave_when_done();
    }

    /// Nobody leaves before all have measured.
    fn leave_when_done(&mut self) {
        if self.may_leave && self.has_handed_over() {
            self.phase.send_replace(Phase::Leave);
        }
    }

    fn has_handed_over(&self) -> bool {
        self.stage == Stage::Ending && self.handed_over >= self.present
    }

    fn moment(&mut self) -> Moment {
        let moment = Moment::glance(&self.engine, self.setup.server_pid);
        self.late_max = self.late_max.max(moment.totals.late_max);
        moment
    }

    fn tick(&mut self) {
        let moment = self.moment();
        // A tick that comes right after the start or the one before tells nothing.
        if moment.at - self.last.at >= Duration::from_millis(500) {
            let second = Second::between(&self.last, &moment, self.begun, self.present);
            if self.series.len() < LOAD_SERIES_MAX {
                self.series.push(second);
            }
            self.last = moment;
        }
    }

    fn progress(&self) -> Progress {
        let joined = (self.total - self.awaited) as f64 / self.total.max(1) as f64;
        let limit = self.until.map(|until| until - self.stage_began);
        let passed = self.stage_began.elapsed();
        let share = limit.map_or(0.0, |limit| passed.as_secs_f64() / limit.as_secs_f64().max(1e-9));
        Progress {
            stage: self.stage,
            participants: self.present,
            failed: self.joins.told().failed,
            total: self.total,
            second: self.series.last().copied().unwrap_or_default(),
            done: if self.stage == Stage::Joining { joined } else { share.min(1.0) },
            left: limit.filter(|_| self.stage != Stage::Joining).map(|limit| limit.saturating_sub(passed)),
            waits: (self.stage == Stage::Settling && self.until.is_none()) || self.has_handed_over(),
        }
    }

    fn harvest(self, started_unix_s: i64) -> Harvest {
        let steady = self.window_from.is_some();
        let now = Moment::now(&self.engine, self.setup.server_pid);
        let to = self.window_to.unwrap_or(now);
        let from = self.window_from.unwrap_or(self.first);
        let packets = to.totals.packets - from.totals.packets;
        let server = self.server_from.zip(self.server_to);
        Harvest {
            started_unix_s,
            ramp_s: self.ramp.as_secs_f64(),
            window_from: from.at - self.begun,
            window: to.at - from.at,
            interrupted: self.interrupted,
            steady,
            joins: self.joins,
            lost: self.lost,
            tally: self.tally,
            tester: Tester::between(&from, &to, self.late_max),
            server: server.and_then(|(from, to)| Server::between(&from, &to, packets)),
            series: self.series,
        }
    }
}

/// The next cue; never, if there are none to come.
async fn next(cues: &mut Option<watch::Receiver<Cue>>) -> Cue {
    if let Some(cues) = cues
        && cues.changed().await.is_ok()
    {
        return *cues.borrow_and_update();
    }
    std::future::pending().await
}
