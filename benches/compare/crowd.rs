//! Rows about many people rather than many packets: a storm of joins, and a thousand who do nothing.

use crate::Plan;
use crate::load::{PATIENCE, Room, Scenario};
use crate::server::{Kind, Server, keys};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use lkops::client::media::VideoSource;
use lkops::client::{Engine, Options, Participant};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const STORM: usize = 500;
const STORM_LENGTH: Duration = Duration::from_secs(5);
/// Rooms of the storm, each with a camera and a microphone.
const STORM_ROOMS: usize = 10;
const CROWD: usize = 1_000;
const CROWD_PER_ROOM: usize = 10;
const JOINS_AT_ONCE: usize = 16;
const SETTLE: Duration = Duration::from_secs(10);

/// Joins spread evenly over the time; from opening the WebSocket to the first packet of media.
pub async fn storm(engine: &Engine, _: &Plan, kind: &Kind, server: &Server, table: &mut Table) -> Result<()> {
    let mut rooms = Vec::new();
    for n in 0..STORM_ROOMS {
        rooms.push(Room::fill(engine, server, &format!("storm-{n}"), &publisher()).await?);
    }
    let begun = Instant::now();
    let joiners = (0..STORM).map(|n| joiner(engine, server, begun, n));
    let mut took: Vec<Result<Duration>> = stream::iter(joiners).buffer_unordered(STORM).collect().await;
    let failed = took.extract_if(.., |t| t.is_err()).count();
    let mut took: Vec<Duration> = took.into_iter().collect::<Result<_>>()?;
    took.sort_unstable();
    let at = |q: usize| took.get(took.len() * q / 100).map_or(f64::NAN, |t| t.as_secs_f64() * 1e3);
    eprintln!("  {failed} failed, p50 {:.0} ms, p95 {:.0} ms", at(50), at(95));
    table.note("storm: 500 joins in 5 s, first media p50, ms", kind.is_ours(), at(50));
    table.note("storm: 500 joins in 5 s, first media p95, ms", kind.is_ours(), at(95));
    table.note("storm: joins that failed", kind.is_ours(), failed as f64);
    Ok(())
}

fn publisher() -> Scenario {
    Scenario {
        publishers: 1,
        subscribers: 0,
        mutual: false,
        camera: Some(VideoSource::simulcast()),
        microphone: true,
        lowest: false,
    }
}

/// Joins at its time; how long until media came. The participant lasts until all have been through.
async fn joiner(engine: &Engine, server: &Server, begun: Instant, n: usize) -> Result<Duration> {
    sleep_until(begun + STORM_LENGTH.mul_f64(n as f64 / STORM as f64)).await;
    let options = Options::new(&server.url, keys().join(&format!("storm-{}", n % STORM_ROOMS), &format!("j{n}")));
    let dialled = Instant::now();
    let participant = Participant::join(engine, options).await?;
    participant.connected(PATIENCE).await?;
    let first = loop {
        let stats = participant.stats().await?;
        if let Some(first) = stats.connections.iter().filter_map(|c| c.first_media).min() {
            break first;
        }
        if dialled.elapsed() > PATIENCE {
            bail!("no media came");
        }
        sleep(Duration::from_millis(50)).await;
    };
    let took = first.saturating_duration_since(dialled.into_std());
    sleep_until(begun + STORM_LENGTH + Duration::from_secs(1)).await;
    Ok(took)
}

/// Processor time and memory that people take who only are there.
pub async fn idle(engine: &Engine, plan: &Plan, kind: &Kind, server: &Server, table: &mut Table) -> Result<()> {
    sleep(Duration::from_secs(1)).await;
    let empty = server.usage()?;
    let joins = stream::iter(0..CROWD).map(|n| bystander(engine, server, n)).buffer_unordered(JOINS_AT_ONCE);
    let people: Vec<Participant> = joins.try_collect().await.context("a bystander could not join")?;
    sleep(SETTLE).await;
    let (before, begun) = (server.usage()?, Instant::now());
    sleep(plan.length).await;
    let (after, took) = (server.usage()?, begun.elapsed());
    let share = (after.cpu - before.cpu).as_secs_f64() / took.as_secs_f64() * 100.0;
    let each = after.rss_bytes.saturating_sub(empty.rss_bytes) as f64 / 1024.0 / people.len() as f64;
    eprintln!("  {share:.2} % of a core, {each:.0} KiB each");
    table.note("idle: 1,000 participants, share of a core, %", kind.is_ours(), share);
    table.note("idle: KiB resident per participant", kind.is_ours(), each);
    Ok(())
}

async fn bystander(engine: &Engine, server: &Server, n: usize) -> Result<Participant> {
    let room = format!("idle-{}", n / CROWD_PER_ROOM);
    let participant =
        Participant::join(engine, Options::new(&server.url, keys().join(&room, &format!("p{n}")))).await?;
    participant.connected(PATIENCE).await?;
    Ok(participant)
}
