//! A whole test: look whether the server is there and this machine can, run, tidy up. Called by `commands`.

use super::crew::Harvest;
use super::report::Report;
use super::run::{Cue, Progress, Run};
use super::schedule::{Names, Schedule};
use super::setup::{LoadError, Setup};
use super::sight;
use super::vitals::open_files_max;
use crate::client::Engine;
use crate::client::api::Api;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long the server may take to answer the first call.
const PREFLIGHT_PATIENCE: Duration = Duration::from_secs(8);
/// How long removing rooms may take.
const TIDY_PATIENCE: Duration = Duration::from_secs(10);
/// While media comes, sockets are looked at so often: it is a twentieth of the CPU of looking at each datagram where the
/// server sends them one by one, and what is told is when the kernel took them in.
const READ_INTERVAL: Duration = Duration::from_millis(5);
/// Sockets, polls, logs and the rest.
const FILES_BESIDES: u64 = 64;

/// Runs it to its end, or until `stop` turns true.
pub async fn run(
    setup: &Setup,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
) -> Result<Report, LoadError> {
    let schedule = schedule(setup)?;
    check_files(&schedule)?;
    sight::check(setup).await?;
    let (api, known) = preflight(setup).await?;
    let engine = Engine::paced(setup.threads, READ_INTERVAL)?;
    let rooms = schedule.rooms.clone();
    let run = Run::start(setup, &api, engine, schedule, Instant::now(), None);
    let result = run.finish(stop, progress).await;
    tidy(&api, rooms.iter().filter(|room| !known.contains(room))).await;
    Ok(result?.report(setup))
}

/// A share of a test that others do the rest of.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub index: usize,
    pub of: usize,
    pub start: Instant,
}

/// Runs a part of a test by somebody's cues, who also removes the rooms.
pub async fn run_part(
    setup: &Setup,
    part: Part,
    cues: watch::Receiver<Cue>,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
) -> Result<Harvest, LoadError> {
    let schedule = schedule(setup)?.part(part.index, part.of);
    check_files(&schedule)?;
    let api = Api::new(&setup.url, setup.keys.clone()).map_err(|error| LoadError::of(error, &setup.url))?;
    let engine = Engine::paced(setup.threads, READ_INTERVAL)?;
    Run::start(setup, &api, engine, schedule, part.start, Some(cues)).finish(stop, progress).await
}

pub fn schedule(setup: &Setup) -> Result<Schedule, LoadError> {
    let names = Names { room: setup.room.clone(), identity_prefix: setup.identity_prefix.clone() };
    Ok(Schedule::new(&setup.shape, setup.per_second, &names)?)
}

/// Whether the server is there and takes the key; answers which rooms are none of ours.
pub async fn preflight(setup: &Setup) -> Result<(Api, Vec<String>), LoadError> {
    let api = Api::new(&setup.url, setup.keys.clone()).map_err(|error| LoadError::of(error, &setup.url))?;
    let known = rooms_before(&api, setup).await?;
    Ok((api, known))
}

/// Two transports and a signal connection for those who publish, one less for the others.
fn check_files(schedule: &Schedule) -> Result<(), LoadError> {
    let each = schedule.arrivals.iter().map(|a| if a.people.publishes() { 3 } else { 2 });
    let needed = each.sum::<u64>() + FILES_BESIDES;
    match open_files_max() {
        Some(limit) if limit < needed => Err(LoadError::Files { needed, limit }),
        _ => Ok(()),
    }
}

/// Names of the rooms that are none of ours.
async fn rooms_before(api: &Api, setup: &Setup) -> Result<Vec<String>, LoadError> {
    let rooms = timeout(PREFLIGHT_PATIENCE, api.list_rooms()).await;
    let rooms = rooms.map_err(|_| LoadError::Silent(setup.url.clone()))?;
    let rooms = rooms.map_err(|error| LoadError::of(error, &setup.url))?;
    Ok(rooms.into_iter().map(|room| room.name).collect())
}

/// Removes the rooms the test made. A server that is gone by now has none.
pub async fn tidy(api: &Api, rooms: impl Iterator<Item = &String>) {
    let removing = async {
        for room in rooms {
            if let Err(error) = api.delete_room(room).await {
                tracing::debug!(%error, room, "the room is not removed");
            }
        }
    };
    let _ = timeout(TIDY_PATIENCE, removing).await;
}
