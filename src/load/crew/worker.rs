//! A worker: waits for a coordinator, does its part of the load by the coordinator's cues, and hands over what it counted.
//! Called by `commands`.

use super::bus::{Bus, CrewError, Letters};
use super::clock::Offset;
use super::letter::{Order, Reply, Said, Task, What};
use crate::client::clock;
use crate::load::run::Progress;
use crate::load::test::{Part, run_part};
use crate::load::{Cue, LoadError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

/// How one task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worked {
    /// All was handed over.
    Done,
    /// The worker was stopped before anything came.
    Stopped,
}

/// A coordinator that has said nothing for so long is gone.
const COORDINATOR_PATIENCE: Duration = Duration::from_secs(10);
/// A worker says so often that it waits.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);
/// Whoever claimed it and orders nothing for so long is gone.
const CLAIM_PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a task and does it. Progress and idleness are told by `say`.
pub async fn work(
    address: &str,
    crew: &str,
    name: &str,
    threads: usize,
    mut stop: watch::Receiver<bool>,
    say: impl Fn(String),
) -> Result<Worked, CrewError> {
    let mut bus = Bus::open(address, crew).await?;
    say(format!("worker {name} waits for a coordinator of crew `{crew}`"));
    let (begin, orders) = loop {
        // Of its own each time: what was meant for one who was here before never comes.
        let place = format!("{name}/{}", crate::proto::id::random(""));
        let mut orders = bus.orders(&place);
        tokio::select! {
            begin = wait(&mut bus, &place, threads, &mut orders) => if let Some(begin) = begin? {
                break (begin, orders);
            },
            _ = stop.wait_for(|stop| *stop) => {
                bus.stop_waiting(&place).await?;
                return Ok(Worked::Stopped);
            }
        }
    };
    let result = carry_out(&mut bus, &begin, orders, stop, &say).await;
    if let Err(error) = &result {
        // Redis may be what failed.
        let _ = bus.reply(&begin.run, &begin.reply(Said::Failed(error.to_string()))).await;
    }
    result.map(|()| Worked::Done)
}

/// Waits to be claimed and told what to do; `None` if whoever claimed it is gone.
async fn wait(
    bus: &mut Bus,
    place: &str,
    threads: usize,
    orders: &mut Letters<Order>,
) -> Result<Option<Begin>, CrewError> {
    bus.wait_for_work(place).await?;
    let (mut again, mut claimed) = (interval(WAIT_INTERVAL), None);
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Order { run, what } = order.ok_or(CrewError::Stopped)??;
                if let What::Begin { task, index, of, start_us } = what {
                    return Ok(Some(Begin { task: *task, index, of, start_us, run, place: place.to_owned(), threads }));
                }
            }
            _ = again.tick() => {
                let since = claimed.get_or_insert_with(Instant::now);
                if bus.still_waits(place).await? {
                    claimed = None;
                } else if since.elapsed() > CLAIM_PATIENCE {
                    return Ok(None);
                }
            }
        }
    }
}

struct Begin {
    task: Task,
    index: usize,
    of: usize,
    start_us: i64,
    /// Whose orders count, and where replies go.
    run: String,
    /// Where orders reach it.
    place: String,
    threads: usize,
}

impl Begin {
    fn reply(&self, said: Said) -> Reply {
        Reply { worker: self.place.clone(), said }
    }
}

async fn carry_out(
    bus: &mut Bus,
    begin: &Begin,
    orders: Letters<Order>,
    mut stop: watch::Receiver<bool>,
    say: &impl Fn(String),
) -> Result<(), CrewError> {
    let offset = bus.offset().await?;
    // What is sent is stamped by Redis's clock, so that whoever receives it knows its age.
    clock::shift(offset.us);
    bus.reply(&begin.run, &begin.reply(Said::Ready { offset })).await?;
    say(format!(
        "part {} of {}; clock {} ± {} µs from redis's",
        begin.index + 1,
        begin.of,
        offset.us,
        offset.unsure_us
    ));
    let setup = begin.task.clone().setup(begin.threads);
    let (cue_sender, cues) = watch::channel(Cue::Ramp);
    let (progress_sender, mut progress) = watch::channel(Progress::default());
    let part = Part { index: begin.index, of: begin.of, start: at(begin.start_us) };
    // A part that is stopped is no part: the coordinator counts it as failed.
    let (_goes_on, never) = watch::channel(false);
    let running = run_part(&setup, part, cues, never, progress_sender);
    let following = follow(orders, &begin.run, cue_sender);
    let mut telling = bus.clone();
    let telling = async {
        while progress.changed().await.is_ok() {
            let now = progress.borrow_and_update().clone();
            telling.reply(&begin.run, &begin.reply(Said::Progress(Box::new(now)))).await?;
        }
        std::future::pending::<Result<(), CrewError>>().await
    };
    let harvest = tokio::select! {
        harvest = running => harvest?,
        result = following => return result,
        result = telling => return result,
        _ = stop.wait_for(|stop| *stop) => return Err(CrewError::Stopped),
    };
    // The clock that is shifted is the one that is compared, so its offset now is what it has drifted.
    let drifted = bus.offset().await?;
    let drift = Offset { us: offset.us + drifted.us, ..drifted };
    let done = Said::Done { harvest: Box::new(harvest), offset: offset.with_drift(drift) };
    bus.reply(&begin.run, &begin.reply(done)).await
}

/// The moment at which the shifted clock says that.
fn at(theirs_us: i64) -> Instant {
    let now_us = i64::try_from(clock::unix_us()).unwrap_or(i64::MAX);
    Instant::now() + Offset::default().until(theirs_us, now_us)
}

/// Turns orders into cues at their times; ends only when the coordinator is gone.
async fn follow(mut orders: Letters<Order>, run: &str, cues: watch::Sender<Cue>) -> Result<(), CrewError> {
    let mut heard = Instant::now();
    loop {
        let order = tokio::select! {
            biased;
            order = orders.recv() => order.ok_or(CrewError::Stopped)??,
            () = sleep_until(heard + COORDINATOR_PATIENCE) => return Err(LoadError::Abandoned.into()),
        };
        // Somebody else's would move our window.
        if order.run != run {
            continue;
        }
        heard = Instant::now();
        match order.what {
            What::Measure { at_us } => {
                sleep_until(at(at_us)).await;
                cues.send_replace(Cue::Measure);
            }
            What::Collect { at_us } => {
                sleep_until(at(at_us)).await;
                cues.send_replace(Cue::Collect);
            }
            What::Leave => drop(cues.send_replace(Cue::Leave)),
            What::Begin { .. } | What::Alive => {}
        }
    }
}
