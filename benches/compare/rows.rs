//! The rows of the table: each a load and what is read from it.

use crate::Plan;
use crate::crowd;
use crate::load::{Room, Scenario, Window};
use crate::server::{Kind, Server};
use crate::table::Table;
use anyhow::Result;
use lkops::client::Engine;
use lkops::client::media::VideoSource;
use std::time::Duration;
use tokio::time::sleep;

pub const NAMES: [&str; 8] = ["meeting", "broadcast", "audio", "memory", "most", "delay", "storm", "idle"];

const SETTLE: Duration = Duration::from_secs(5);
/// Memory is looked at after this long, when buffers have grown to their size.
const GROWN: Duration = Duration::from_secs(15);

const SUBSCRIBERS_STEP: usize = 100;
const SUBSCRIBERS_MAX: usize = 3_000;
const LOST_MAX: f64 = 0.001;
const LATE: Duration = Duration::from_secs(1);

pub async fn run(name: &str, engine: &Engine, plan: &Plan, kind: &Kind, table: &mut Table) -> Result<()> {
    let server = Server::start(kind, plan.first_port).await?;
    let result = match name {
        "memory" => memory(engine, plan, kind, &server, table).await,
        "most" => most(engine, plan, kind, &server, table).await,
        "storm" => crowd::storm(engine, plan, kind, &server, table).await,
        "idle" => crowd::idle(engine, plan, kind, &server, table).await,
        _ => steady(name, engine, plan, kind, &server, table).await,
    };
    server.stop().await?;
    result
}

fn scenario(name: &str) -> Scenario {
    let base = Scenario {
        publishers: 1,
        subscribers: 0,
        mutual: true,
        camera: Some(VideoSource::simulcast()),
        microphone: true,
        lowest: false,
    };
    match name {
        "meeting" => Scenario { publishers: 12, ..base },
        "broadcast" => Scenario { subscribers: 160, microphone: false, ..base },
        "most" => Scenario { microphone: false, ..base },
        "delay" => Scenario { publishers: 4, ..base },
        "audio" => Scenario { publishers: 10, subscribers: 100, camera: None, ..base },
        _ => Scenario { publishers: 50, microphone: false, lowest: true, camera: Some(slow_camera()), ..base },
    }
}

/// Fifty cameras with fifty watchers each at few frames a second, so that two cores can carry it on any server.
fn slow_camera() -> VideoSource {
    VideoSource { fps: 8, ..VideoSource::simulcast() }
}

/// Processor time for a packet under steady load.
async fn steady(
    name: &str,
    engine: &Engine,
    plan: &Plan,
    kind: &Kind,
    server: &Server,
    table: &mut Table,
) -> Result<()> {
    let room = Room::fill(engine, server, name, &scenario(name)).await?;
    let window = room.measure(server, SETTLE, plan.length).await?;
    note(name, kind, &window, table);
    Ok(())
}

fn note(name: &str, kind: &Kind, window: &Window, table: &mut Table) {
    let is_ours = kind.is_ours();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    table.note(&format!("{name}: CPU per packet sent, ns"), is_ours, window.cpu_per_packet.as_nanos() as f64);
    table.note(&format!("{name}: packets/s out"), is_ours, window.packets_per_s);
    table.note(&format!("{name}: share of a core, %"), is_ours, window.cpu_share * 100.0);
    table.note(&format!("{name}: lost, %"), is_ours, window.lost * 100.0);
    table.note(&format!("{name}: publisher to subscriber p50, us"), is_ours, micros(window.latency_p50));
    table.note(&format!("{name}: publisher to subscriber p99, us"), is_ours, micros(window.latency_p99));
    eprintln!("  {window:?}");
}

/// Resident memory a participant takes beyond what the empty server has.
async fn memory(engine: &Engine, plan: &Plan, kind: &Kind, server: &Server, table: &mut Table) -> Result<()> {
    sleep(Duration::from_secs(1)).await;
    let empty = server.usage()?.rss_bytes / 1024;
    let scenario = scenario("memory");
    let room = Room::fill(engine, server, "memory", &scenario).await?;
    let window = room.measure(server, GROWN, plan.length).await?;
    let each = window.rss_kib.saturating_sub(empty) as f64 / scenario.publishers as f64;
    table.note("memory: KiB resident per participant", kind.is_ours(), each);
    note("memory", kind, &window, table);
    Ok(())
}

/// Subscribers of one camera, a hundred more each time, until more than a thousandth of the packets is lost or late by
/// more than a second.
async fn most(engine: &Engine, plan: &Plan, kind: &Kind, server: &Server, table: &mut Table) -> Result<()> {
    let mut room = Room::fill(engine, server, "most", &scenario("most")).await?;
    let mut carried = 0;
    while carried < SUBSCRIBERS_MAX {
        let grown = room.grow(engine, server, SUBSCRIBERS_STEP).await;
        let window = match grown {
            Ok(()) => room.measure(server, SETTLE, plan.length.min(SETTLE)).await?,
            Err(error) => {
                eprintln!("  {error:#}");
                break;
            }
        };
        eprintln!("  {} subscribers: {window:?}", carried + SUBSCRIBERS_STEP);
        if window.lost > LOST_MAX || window.latency_p99 > LATE {
            break;
        }
        carried += SUBSCRIBERS_STEP;
    }
    table.note("most: subscribers with less than 0.1 % loss", kind.is_ours(), carried as f64);
    Ok(())
}
