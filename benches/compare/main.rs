//! Ours against a reference server: both in turns under the same load of our own participants, the processor time each
//! takes for a packet it sends, its memory, its delay, and how fast it lets people in.
//!
//! `LKOPS_REFERENCE=/path/to/livekit-server cargo bench --bench compare -- meeting audio`
//!
//! Without the variable only ours is measured; without names all rows are. `LKOPS_COMPARE_ROUNDS` (3) and
//! `LKOPS_COMPARE_SECONDS` (10) say how often and how long, `LKOPS_COMPARE_PORT` (21000) where ports begin,
//! `LKOPS_COMPARE_PACE_MS` (2) how often the load looks at its sockets (0 is whenever something comes),
//! `LKOPS_COMPARE_CONFIG` adds lines to the `rtc` section of both configurations, `LKOPS_COMPARE_ONLY` (ours, reference)
//! leaves the other out, `LKOPS_OURS` is another build of ours.

mod crowd;
mod load;
mod rows;
mod server;
mod table;

use anyhow::{Result, bail};
use lkops::client::Engine;
use server::Kind;
use std::time::Duration;
use table::Table;

/// How to measure.
pub struct Plan {
    pub rounds: usize,
    pub length: Duration,
    pub first_port: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = Plan {
        rounds: number("LKOPS_COMPARE_ROUNDS", 3),
        length: Duration::from_secs(number("LKOPS_COMPARE_SECONDS", 10) as u64),
        first_port: number("LKOPS_COMPARE_PORT", 21_000) as u16,
    };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !rows::NAMES.contains(&name.as_str())) {
        bail!("there is no row `{unknown}`; there are {}", rows::NAMES.join(", "));
    }
    // Receivers that wake for each datagram make the sender pay for it on loopback, whichever server it is.
    let engine = Engine::paced(2, Duration::from_millis(number("LKOPS_COMPARE_PACE_MS", 2) as u64))?;
    let mut table = Table::default();
    for name in rows::NAMES.iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == *name)) {
        for round in 0..plan.rounds {
            for kind in kinds() {
                eprintln!("{name}, round {} of {}, {}", round + 1, plan.rounds, kind.name());
                if let Err(error) = rows::run(name, &engine, &plan, &kind, &mut table).await {
                    eprintln!("  {error:#}");
                }
            }
        }
        println!("{}", table.text());
    }
    Ok(())
}

#[allow(clippy::disallowed_methods)] // A benchmark is told by its environment; there is no `commands` above it.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str, default: usize) -> usize {
    variable(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn kinds() -> Vec<Kind> {
    let ours = variable("LKOPS_OURS").unwrap_or_else(|| env!("CARGO_BIN_EXE_lkops").to_owned());
    let reference = variable("LKOPS_REFERENCE").map(|path| Kind::Reference(path.into()));
    let only = variable("LKOPS_COMPARE_ONLY");
    let wanted = |kind: &Kind| only.as_ref().is_none_or(|only| only == kind.name());
    std::iter::once(Kind::Ours(ours.into())).chain(reference).filter(wanted).collect()
}
