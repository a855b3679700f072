//! `lkops load-test calibrate`: runs a few shapes against a server on this machine and writes down what things cost it.

use super::args::{CalibrateArgs, cores};
use super::table::{percent, table};
use crate::exit::Failure;
use crate::print;
use anyhow::{Context, anyhow};
use lkops::load::calibrate::{SHAPES, Sample, error_percent, fit, is_quiet, median, others_percent};
use lkops::load::plan::Calibration;
use lkops::load::vitals::Usage;

/// A run others disturbed is repeated so often.
const TRIES: usize = 3;

/// What was measured, and how much others took at most.
#[derive(Default)]
struct Measured {
    runs: Vec<Vec<Sample>>,
    others_percent: f64,
}

pub fn run(args: &CalibrateArgs) -> Result<(), Failure> {
    let server = Usage::of(&args.server_pid.to_string());
    let idle = server.map_err(|_| anyhow!("there is no process {} to watch; check --server-pid", args.server_pid))?;
    let mut measured = Measured { runs: vec![Vec::new(); SHAPES.len()], ..Measured::default() };
    for round in 1..=args.rounds.max(1) {
        for (number, shape) in (1..).zip(SHAPES) {
            eprintln!("round {round} of {}, run {number} of {}: {shape}", args.rounds, SHAPES.len());
            let sample = measured.run(args, shape)?;
            measured.runs[number - 1].push(sample);
        }
    }
    let conditions = format!(
        "{} cores, shared with the tester; the median of {} runs of {:?} a shape; others took at most {:.0} % of a core",
        cores(),
        args.rounds,
        args.duration,
        measured.others_percent
    );
    let idle = Sample::idle(idle.rss_bytes as f64);
    let samples: Vec<Sample> = measured.runs.into_iter().filter_map(median).chain([idle]).collect();
    let calibration = fit(&args.machine, &conditions, &samples);
    eprintln!("{}", told(&calibration, &samples));
    let text = calibration.text()?;
    match &args.out {
        Some(path) => Ok(std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?),
        None => print::line(text.trim_end()),
    }
}

impl Measured {
    /// One run; again if others were busy meanwhile.
    fn run(&mut self, args: &CalibrateArgs, shape: &str) -> Result<Sample, Failure> {
        let mut others = 0.0;
        for _ in 0..TRIES {
            let setup = args.setup(shape)?;
            let report = super::measure(&setup, None, true)?;
            if !report.steady || report.interrupted {
                return Err(anyhow!("stopped before all was measured").into());
            }
            report.tester.warnings.iter().for_each(|warning| eprintln!("beware: {warning}"));
            others = others_percent(&report, cores());
            if is_quiet(others) || args.busy {
                self.others_percent = self.others_percent.max(others);
                let sample = Sample::of(&setup.shape, &report);
                return Ok(sample.ok_or_else(|| anyhow!("the server's process went away"))?);
            }
            eprintln!("others took {others:.0} % of a core; again");
        }
        Err(anyhow!(
            "others took {others:.0} % of a core while {shape} ran, {TRIES} times: what is measured so is them; stop them, or give --busy"
        )
        .into())
    }
}

/// How well it fits what it was measured by.
fn told(calibration: &Calibration, samples: &[Sample]) -> String {
    let ran = samples.iter().filter(|sample| !sample.shape.is_empty());
    let row = |sample: &Sample| {
        let measured = percent(sample.cpu_us_per_s / 10_000.0);
        vec![sample.shape.clone(), measured, format!("{:+.1} %", error_percent(calibration, sample))]
    };
    let rows: Vec<Vec<String>> = ran.map(row).collect();
    let Calibration { error_percent: mean, error_max_percent: worst, .. } = calibration;
    table(&["shape", "CPU of the server", "what the fit says"], &rows)
        + &format!("\nthe fit is off by {mean:.1} % in the mean, {worst:.1} % at most")
}
