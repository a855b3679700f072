//! `lkops plan`: how many packets, cores, gigabytes and nodes a shape needs, and which wall is hit first.

use crate::exit::Failure;
use crate::load_test::{calibration, table};
use crate::print::{self, Format};
use anyhow::Context;
use lkops::load::language;
use lkops::load::plan::{Fit, HEADROOM, Machine, Needs, Wall};
use lkops::load::rates::Rates;
use lkops::load::shape::{Shape, Traits};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rooms and people as `lkops load-test` takes them, such as '25x(4av) + 1x(1v,800s)'
    #[arg(long, value_name = "SHAPE")]
    shape: String,
    /// What things cost, from `lkops load-test calibrate` [default: the shipped one]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Further machines, or others under known names: a list in YAML
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Only that machine
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let usage = |error: String| Failure::Usage(error);
    let shape = language::parse(&args.shape, &Traits::default()).map_err(|error| usage(error.to_string()))?;
    shape.check().map_err(|error| usage(error.to_string()))?;
    let calibration = calibration(args.calibration.as_deref())?;
    let machines = machines(args)?;
    let (rates, needs) = (Rates::of(&shape), calibration.needs(&shape));
    let fits: Vec<Fit> = machines.iter().map(|machine| machine.fit(&shape, &calibration)).collect();
    match args.output {
        Format::Text => print::line(text(&shape, &rates, &needs, &fits, &calibration.machine)),
        Format::Json => print::json(&json!({
            "participants": shape.participants(), "rooms": shape.rooms(), "tracks": tracks(&shape),
            "rates": rates, "needs": needs, "calibration": calibration, "machines": fits,
        })),
    }
}

fn machines(args: &Args) -> Result<Vec<Machine>, Failure> {
    let mut machines = Machine::shipped();
    if let Some(path) = &args.machines {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let own = Machine::list(&text).with_context(|| format!("{} is no list of machines", path.display()))?;
        machines.retain(|machine| own.iter().all(|m| m.name != machine.name));
        machines.extend(own);
    }
    if let Some(name) = &args.machine {
        let names: Vec<String> = machines.iter().map(|m| m.name.clone()).collect();
        machines.retain(|machine| machine.name == *name);
        if machines.is_empty() {
            let known = names.join(", ");
            return Err(Failure::Usage(format!(
                "there is no machine `{name}`; there are {known}; more come from --machines"
            )));
        }
    }
    Ok(machines)
}

fn tracks(shape: &Shape) -> serde_json::Value {
    let tracks = shape.tracks();
    json!({
        "published_audio": tracks.published_audio, "published_video": tracks.published_video,
        "subscribed_audio": tracks.subscribed_audio, "subscribed_video": tracks.subscribed_video,
    })
}

fn text(shape: &Shape, rates: &Rates, needs: &Needs, fits: &[Fit], measured_on: &str) -> String {
    let tracks = shape.tracks();
    let gib = needs.bytes / f64::from(1 << 30);
    let lines = [
        format!("{} participants in {} rooms", shape.participants(), shape.rooms()),
        format!("published:  {} audio and {} video tracks", tracks.published_audio, tracks.published_video),
        format!("subscribed: {} audio and {} video tracks", tracks.subscribed_audio, tracks.subscribed_video),
        format!("packets/s:  {:.0} in, {:.0} out", rates.packets_in, rates.packets_out),
        format!("wire:       {:.3} Gbit/s in, {:.3} Gbit/s out", needs.gbps_in, needs.gbps_out),
        format!("server:     {:.2} cores busy, {gib:.2} GiB (costs measured on: {measured_on})", needs.cores),
        String::new(),
        format!(
            "Nodes, with {:.0} % of CPU and port kept free; a vCPU is taken for a core of the calibration:",
            HEADROOM * 100.0
        ),
    ];
    let rows: Vec<Vec<String>> = fits.iter().map(row).collect();
    let nodes = table::table(&["machine", "nodes", "first wall", "largest room takes", "known for"], &rows);
    lines.join("\n") + "\n" + &nodes
}

fn row(fit: &Fit) -> Vec<String> {
    let wall = match fit.wall {
        Wall::Cpu => "CPU",
        Wall::Port => "port",
        Wall::Memory => "memory",
    };
    let nodes = fit.nodes.map_or_else(|| "too small".to_owned(), |nodes| nodes.to_string());
    let largest = format!("{:.0} % of a node", fit.largest_room_percent);
    vec![fit.machine.clone(), nodes, wall.to_owned(), largest, fit.note.clone()]
}
