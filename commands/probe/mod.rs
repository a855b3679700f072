//! `lkops probe`: joins a server as a stranger would, once or at intervals, and tells each step.

mod args;
mod text;

pub use args::Args;

use crate::exit::Failure;
use crate::print::{self, Format};
use anyhow::Context;
use lkops::probe::{Report, Settings, probe, service};
use std::time::Duration;
use tokio::runtime::Runtime;

pub fn run(args: &Args) -> Result<(), Failure> {
    let settings = args.settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = match args.every {
        None => once(&runtime, &settings, args.output),
        Some(every) => serve(&runtime, &settings, every, args),
    };
    // What still says goodbye need not be waited for.
    runtime.shutdown_background();
    result
}

fn once(runtime: &Runtime, settings: &Settings, output: Format) -> Result<(), Failure> {
    let stopped = || Failure::Found(INTERRUPTED, "stopped".to_owned());
    let probing = async {
        tokio::select! {
            report = probe(settings) => Some(report),
            _ = tokio::signal::ctrl_c() => None,
        }
    };
    let report = runtime.block_on(probing).ok_or_else(stopped)?;
    match output {
        Format::Text => print::line(text::report(&report))?,
        Format::Json => print::json(&serde_json::to_value(&report)?)?,
    }
    verdict(&report)
}

/// As shells tell of SIGINT.
const INTERRUPTED: u8 = 130;

fn verdict(report: &Report) -> Result<(), Failure> {
    let Some(trouble) = &report.trouble else { return Ok(()) };
    for hint in &trouble.hints {
        eprintln!("hint: {hint}");
    }
    Err(Failure::Found(trouble.fault.exit_code(), text::trouble(trouble)))
}

/// Until stopped; failed probes are told, not a reason to end.
fn serve(runtime: &Runtime, settings: &Settings, every: Duration, args: &Args) -> Result<(), Failure> {
    let output = args.output;
    let tell = |report: &Report| {
        let line = match output {
            Format::Text => text::line(report),
            Format::Json => serde_json::to_string(report).unwrap_or_default(),
        };
        // A reader that has gone away is no reason to stop probing.
        let _ = print::line(line);
    };
    runtime.block_on(async {
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = service::run(settings, every, args.metrics_port, tell) => {
                let port = args.metrics_port.unwrap_or_default();
                Ok(result.with_context(|| format!("cannot serve metrics on port {port}"))?)
            }
            _ = tokio::signal::ctrl_c() => Ok(()),
            _ = ended.recv() => Ok(()),
        }
    })
}
