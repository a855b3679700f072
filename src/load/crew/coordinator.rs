//! The coordinator: gathers workers, splits the load, gives the cues and adds up what comes back. Called by `commands`.

use super::bus::{Bus, CrewError, Letters};
use super::clock::Offset;
use super::harvest::{Part, add_second, merged};
use super::letter::{Order, Reply, Said, Task, What};
use crate::client::api::Api;
use crate::load::report::Report;
use crate::load::run::{Progress, Stage};
use crate::load::schedule::Schedule;
use crate::load::setup::Setup;
use crate::load::sight::{self, Sight};
use crate::load::test;
use crate::load::watch::Server;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Whom to work with.
#[derive(Clone, Debug)]
pub struct Coordination {
    pub redis: String,
    pub crew: String,
    pub workers: usize,
    /// How long workers are waited for.
    pub wait: Duration,
}

/// From the order to begin to the beginning: two round trips and forty questions about the time.
const HEAD_START_US: i64 = 2_000_000;
/// A cue is for then, so that it is there before.
const CUE_US: i64 = 300_000;
/// A worker that has said nothing for so long is dead; it says something each second, but on a full machine late.
const WORKER_PATIENCE: Duration = Duration::from_secs(8);
/// For the results, which may be long.
const HARVEST_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// A worker that was claimed.
struct Hand {
    /// Where orders reach it: its name, a slash and something nobody else has.
    place: String,
    participants: u64,
    offset: Offset,
    progress: Progress,
    heard: Instant,
    result: Option<Result<super::harvest::Harvest, String>>,
}

impl Hand {
    fn works(&self) -> bool {
        self.result.is_none()
    }

    /// Has come as far as it can without the next cue.
    fn waits(&self, stage: Stage) -> bool {
        !self.works() || (self.progress.stage >= stage && self.progress.waits)
    }
}

/// Runs a whole test on workers, or until `stop` turns true.
pub async fn coordinate(
    setup: &Setup,
    with: &Coordination,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
) -> Result<Report, CrewError> {
    let schedule = test::schedule(setup)?;
    let participants = schedule.arrivals.len() as u64;
    if with.workers as u64 > participants {
        return Err(CrewError::TooMany { workers: with.workers, participants });
    }
    sight::check(setup).await?;
    let mut bus = Bus::open(&with.redis, &with.crew).await?;
    let (api, known) = test::preflight(setup).await?;
    let places = gather(&mut bus, with, stop.clone()).await?;
    let mut crew = Crew::begin(bus, setup, &schedule, places, stop, progress).await?;
    let result = crew.run(setup).await;
    crew.dismiss().await;
    remove_rooms(&api, &schedule, &known).await;
    result?;
    let parts = crew.hands.into_iter().map(|hand| Part {
        name: hand.place.split('/').next().unwrap_or_default().to_owned(),
        participants: hand.participants,
        offset: hand.offset,
        result: hand.result.unwrap_or_else(|| Err("did not hand over its figures".to_owned())),
    });
    let (mut whole, workers) = merged(&schedule.rooms, parts.collect());
    whole.interrupted |= crew.interrupted;
    let seen = crew.server_from.zip(crew.server_to);
    whole.server = seen.and_then(|(from, to)| Server::between(&from, &to, whole.tally.packets()));
    let mut report = whole.report(setup);
    report.workers = workers;
    Ok(report)
}

async fn remove_rooms(api: &Api, schedule: &Schedule, known: &[String]) {
    test::tidy(api, schedule.rooms.iter().filter(|room| !known.contains(room))).await;
}

/// Claims as many workers as are wanted, once so many wait.
async fn gather(bus: &mut Bus, with: &Coordination, stop: watch::Receiver<bool>) -> Result<Vec<String>, CrewError> {
    let limit = Instant::now() + with.wait;
    loop {
        let idle = bus.idle().await?;
        if idle.len() >= with.workers {
            let mut claimed = Vec::new();
            for name in idle {
                if claimed.len() < with.workers && bus.claim(&name).await? {
                    claimed.push(name);
                }
            }
            if claimed.len() == with.workers {
                return Ok(claimed);
            }
            // Another coordinator was quicker; what it left is for whoever can make use of it.
            for name in claimed {
                bus.wait_for_work(&name).await?;
            }
        }
        if *stop.borrow() {
            return Err(CrewError::Stopped);
        }
        if Instant::now() >= limit {
            return Err(CrewError::TooFew { found: bus.idle().await?.len(), wanted: with.workers, limit: with.wait });
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Workers at work.
struct Crew {
    bus: Bus,
    /// Names this run among others of the same workers.
    run: String,
    hands: Vec<Hand>,
    replies: Letters<Reply>,
    /// The server at both ends of the window.
    server_from: Option<Sight>,
    server_to: Option<Sight>,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
    interrupted: bool,
    alive_told: Instant,
}

impl Crew {
    async fn begin(
        mut bus: Bus,
        setup: &Setup,
        schedule: &Schedule,
        places: Vec<String>,
        stop: watch::Receiver<bool>,
        progress: watch::Sender<Progress>,
    ) -> Result<Crew, CrewError> {
        let start_us = bus.now_us().await? + HEAD_START_US;
        let (of, run) = (places.len(), crate::proto::id::random("run-"));
        let task = Task::of(setup);
        let mut hands = Vec::new();
        for (index, place) in places.into_iter().enumerate() {
            let task = Box::new(task.clone());
            let what = What::Begin { task, index, of, start_us };
            bus.order(&place, &Order { run: run.clone(), what }).await?;
            let participants = schedule.part(index, of).arrivals.len() as u64;
            let (offset, progress) = (Offset::default(), Progress { total: participants, ..Progress::default() });
            hands.push(Hand { place, participants, offset, progress, heard: Instant::now(), result: None });
        }
        let (alive_told, replies) = (Instant::now(), bus.replies(&run));
        let (server_from, server_to) = (None, None);
        Ok(Crew { bus, run, hands, replies, server_from, server_to, stop, progress, interrupted: false, alive_told })
    }

    /// The course of the test.
    async fn run(&mut self, setup: &Setup) -> Result<(), CrewError> {
        self.until(|crew| crew.hands.iter().all(|hand| hand.waits(Stage::Settling)), None).await?;
        if !self.is_stopped() {
            let at_us = self.bus.now_us().await? + CUE_US;
            self.order_all(What::Measure { at_us }).await?;
            self.server_from = Some(self.sight(setup).await);
            // The cue to end takes its time as well.
            let cue = Duration::from_micros(CUE_US.unsigned_abs());
            let window = setup.duration.map(|duration| Instant::now() + duration.saturating_sub(cue));
            self.until(|crew| !crew.hands.iter().any(Hand::works), window).await?;
        }
        self.interrupted = self.is_stopped() && setup.duration.is_some();
        let at_us = self.bus.now_us().await? + CUE_US;
        self.order_all(What::Collect { at_us }).await?;
        self.server_to = Some(self.sight(setup).await);
        let limit = Instant::now() + HARVEST_PATIENCE;
        self.patiently(|crew| crew.hands.iter().all(|hand| hand.waits(Stage::Ending)), limit).await?;
        self.order_all(What::Leave).await?;
        self.patiently(|crew| !crew.hands.iter().any(Hand::works), limit).await
    }

    /// The server at the time of the cue that was just given.
    async fn sight(&self, setup: &Setup) -> Sight {
        sleep(Duration::from_micros(CUE_US.unsigned_abs())).await;
        Sight::now(setup).await
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Listens until that holds, the time has come, or the test is stopped.
    async fn until(&mut self, holds: impl Fn(&Crew) -> bool, limit: Option<Instant>) -> Result<(), CrewError> {
        while !holds(self) && !self.is_stopped() && limit.is_none_or(|limit| Instant::now() < limit) {
            self.listen(limit).await?;
        }
        Ok(())
    }

    /// The same, whether or not it is stopped.
    async fn patiently(&mut self, holds: impl Fn(&Crew) -> bool, limit: Instant) -> Result<(), CrewError> {
        while !holds(self) && Instant::now() < limit {
            self.listen(Some(limit)).await?;
        }
        Ok(())
    }

    /// One letter, or a moment without any.
    async fn listen(&mut self, limit: Option<Instant>) -> Result<(), CrewError> {
        let mut stop = self.stop.clone();
        let stopped = self.is_stopped();
        let limit = limit.unwrap_or_else(|| Instant::now() + HARVEST_PATIENCE);
        let reply = tokio::select! {
            // What lies there was said in time, however late we get to it.
            biased;
            reply = self.replies.recv() => Some(reply.ok_or(CrewError::Stopped)??),
            () = sleep_until(limit.min(Instant::now() + LOOK_INTERVAL)) => None,
            _ = stop.wait_for(|stop| *stop), if !stopped => None,
        };
        if let Some(reply) = reply
            && let Some(hand) = self.hands.iter_mut().find(|hand| hand.place == reply.worker)
        {
            hand.heard = Instant::now();
            match reply.said {
                Said::Ready { offset } => hand.offset = offset,
                Said::Progress(progress) => hand.progress = *progress,
                Said::Done { harvest, offset } => (hand.offset, hand.result) = (offset, Some(Ok(*harvest))),
                Said::Failed(why) => hand.result = Some(Err(why)),
            }
        }
        self.look_after().await
    }

    /// Notices the dead, tells the living that we live, and those who watch how it stands.
    async fn look_after(&mut self) -> Result<(), CrewError> {
        let silent = |hand: &Hand| hand.works() && hand.heard.elapsed() > WORKER_PATIENCE;
        if self.hands.iter().any(silent) && self.has_read_all().await? {
            for hand in self.hands.iter_mut().filter(|hand| silent(hand)) {
                hand.result = Some(Err("fell silent".to_owned()));
            }
        }
        if self.alive_told.elapsed() >= Duration::from_secs(1) {
            self.alive_told = Instant::now();
            self.order_all(What::Alive).await?;
            self.progress.send_replace(self.told());
        }
        Ok(())
    }

    fn told(&self) -> Progress {
        let mut all = Progress { stage: Stage::Ending, ..Progress::default() };
        for hand in &self.hands {
            let of = &hand.progress;
            all.participants += of.participants;
            all.failed += if matches!(hand.result, Some(Err(_))) { hand.participants } else { of.failed };
            all.total += hand.participants;
            if hand.works() {
                all.stage = all.stage.min(of.stage);
                all.second.at_s = all.second.at_s.max(of.second.at_s);
                add_second(&mut all.second, &of.second);
            }
        }
        all
    }

    async fn has_read_all(&mut self) -> Result<bool, CrewError> {
        Ok(self.bus.unread_replies(&self.run).await? == 0 && self.replies.is_empty())
    }

    async fn order_all(&mut self, what: What) -> Result<(), CrewError> {
        let order = Order { run: self.run.clone(), what };
        let places: Vec<String> =
            self.hands.iter().filter(|hand| hand.works()).map(|hand| hand.place.clone()).collect();
        for place in places {
            self.bus.order(&place, &order).await?;
        }
        Ok(())
    }

    /// Whoever still works need not any more.
    async fn dismiss(&mut self) {
        for what in [What::Collect { at_us: 0 }, What::Leave] {
            // They end by themselves when nothing is heard of us.
            let _ = self.order_all(what).await;
        }
    }
}
