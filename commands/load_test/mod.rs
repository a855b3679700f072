//! `lkops load-test`: runs a load test and tells what came of it.

mod args;
mod calibrate;
mod capacity;
mod crew;
mod progress;
mod suite;
pub mod table;
mod text;

pub use args::Args;

use crate::exit::Failure;
use crate::print;
use anyhow::Context;
use args::{Command, Output, RunArgs};
use lkops::load::crew::{Coordination, coordinate};
use lkops::load::plan::Calibration;
use lkops::load::report::Report;
use lkops::load::{Progress, Setup, test};
use lkops::load::{compare, html, verify};
use std::path::Path;
use tokio::sync::watch;

pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        None if args.run.run_all => suite::run(&args.run),
        None => run_once(&args.run),
        Some(Command::FindCapacity(args)) => capacity::run(args),
        Some(Command::Calibrate(args)) => calibrate::run(args),
        Some(Command::Worker(args)) => crew::run(args),
    }
}

fn run_once(args: &RunArgs) -> Result<(), Failure> {
    let setup = args.setup()?;
    let earlier = args.compare.as_deref().map(read).transpose()?;
    let calibration = calibration(args.calibration.as_deref())?;
    let mut report = measure(&setup, args.crew.coordination().as_ref(), args.output != Output::Text)?;
    report.judge(&args.fail_if);
    report.comparison = earlier.map(|earlier| compare::compare(&earlier, &report)).unwrap_or_default();
    if args.verify_plan {
        report.plan = verify::verify(&setup.shape, &calibration, &report);
    }
    if let Some(path) = &args.html {
        std::fs::write(path, html::page(&report)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print_report(&report, args.output)?;
    verdict(&report)
}

/// One whole run.
fn measure(setup: &Setup, crew: Option<&Coordination>, quiet: bool) -> Result<Report, Failure> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(setup.threads).enable_all().build()?;
    let report = runtime.block_on(run_watched(setup, crew, quiet));
    // Tasks that still say goodbye need not be waited for.
    runtime.shutdown_background();
    report
}

/// A calibration from a file, or the shipped one.
pub fn calibration(path: Option<&Path>) -> Result<Calibration, Failure> {
    let Some(path) = path else { return Ok(Calibration::shipped()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let read = Calibration::parse(&text);
    Ok(read.with_context(|| format!("{} is no calibration", path.display()))?)
}

/// An earlier run.
fn read(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report = serde_json::from_str(&text);
    Ok(report.with_context(|| format!("{} is no report of `load-test -o json`", path.display()))?)
}

async fn run_watched(setup: &Setup, crew: Option<&Coordination>, quiet: bool) -> Result<Report, Failure> {
    let (progress_sender, progress) = watch::channel(Progress::default());
    let (stop_sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop_sender.send_replace(true) {
                // Asked twice: at once.
                std::process::exit(130);
            }
            eprintln!("stopping; figures so far follow");
        }
    });
    let shown = tokio::spawn(progress::show(progress, quiet));
    let report = match crew {
        None => test::run(setup, stop, progress_sender).await.map_err(Failure::from),
        Some(crew) => coordinate(setup, crew, stop, progress_sender).await.map_err(Failure::from),
    };
    // It ends with the run.
    let _ = shown.await;
    report
}

fn print_report(report: &Report, output: Output) -> Result<(), Failure> {
    match output {
        Output::Text => print::line(text::report(report)),
        Output::Json => print::json(&serde_json::to_value(report)?),
        Output::Csv => print::line(report.csv()),
    }
}

/// What the exit code says: thresholds first, then failed joins and lost sessions.
fn verdict(report: &Report) -> Result<(), Failure> {
    let missed: Vec<String> = report.verdicts.iter().filter(|v| v.failed).map(text::missed).collect();
    if !missed.is_empty() {
        return Err(Failure::Missed(missed));
    }
    let lost: u64 = report.lost_sessions.values().sum();
    if report.joins.failed + lost > 0 {
        let (failed, all) = (report.joins.failed, report.joins.attempted);
        return Err(Failure::Partial(format!(
            "{failed} of {all} joins failed and {lost} sessions were lost; see above"
        )));
    }
    Ok(())
}
