//! `lkops load-test calibrate`: runs a few shapes against a server on this machine and writes down what things cost it.

use super::args::CalibrateArgs;
use crate::exit::Failure;
use crate::print;
use anyhow::{Context, anyhow};
use lkops::load::calibrate::{SHAPES, Sample, fit};

pub fn run(args: &CalibrateArgs) -> Result<(), Failure> {
    let mut samples = Vec::new();
    for (number, shape) in (1..).zip(SHAPES) {
        eprintln!("run {number} of {}: {shape}", SHAPES.len());
        let setup = args.setup(shape)?;
        let report = super::measure(&setup, None, true)?;
        if !report.steady || report.interrupted {
            return Err(anyhow!("stopped before all was measured").into());
        }
        report.tester.warnings.iter().for_each(|warning| eprintln!("beware: {warning}"));
        let sample = Sample::of(&setup.shape, &report);
        samples.push(sample.ok_or_else(|| anyhow!("the server's process went away"))?);
    }
    let text = fit(&args.machine, &samples).text()?;
    match &args.out {
        Some(path) => Ok(std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?),
        None => print::line(text.trim_end()),
    }
}
