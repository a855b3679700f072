//! `lkops load-test find-capacity`: runs again and again, larger until a condition is met, then in between.

use super::args::{CapacityArgs, Grow, Output};
use super::table::{bitrate, ms, percent, table};
use crate::exit::Failure;
use crate::print;
use lkops::load::capacity::{Grows, Search, limit};
use lkops::load::report::Report;
use serde_json::json;
use std::time::Duration;

/// Of the measuring window where none is given.
const STEP: Duration = Duration::from_secs(10);

/// One step of the search.
struct Step {
    multiple: u32,
    held: bool,
    report: Report,
}

pub fn run(args: &CapacityArgs) -> Result<(), Failure> {
    if args.run.fail_if.is_empty() {
        return Err(Failure::Usage("nothing says what is too much; give --fail-if 'loss>0.5%' or another".into()));
    }
    let mut setup = args.run.setup()?;
    setup.duration.get_or_insert(STEP);
    let grows = if args.grow == Grow::Rooms { Grows::Rooms } else { Grows::Subscribers };
    let (base, mut search, mut steps) = (setup.shape.clone(), Search::new(args.max.max(1)), Vec::new());
    while let Some(multiple) = search.next() {
        setup.shape = base.times(multiple, grows);
        eprintln!("{multiple} times: {} rooms, {} participants", setup.shape.rooms(), setup.shape.participants());
        let mut report = super::measure(&setup, args.run.crew.coordination().as_ref(), true)?;
        if report.interrupted {
            break;
        }
        report.judge(&args.run.fail_if);
        let held = report.joins.failed == 0 && report.verdicts.iter().all(|verdict| !verdict.failed);
        search.note(multiple, held);
        steps.push(Step { multiple, held, report });
    }
    tell(&search, &steps, &base.times(search.result().0, grows), args.run.output)
}

fn tell(search: &Search, steps: &[Step], shape: &lkops::load::shape::Shape, output: Output) -> Result<(), Failure> {
    let (held, failed) = search.result();
    // The first step beyond the limit tells what was in the way.
    let beyond = steps.iter().filter(|step| !step.held).min_by_key(|step| step.multiple);
    let limit = beyond.map(|step| limit(&step.report));
    if output == Output::Json {
        let each = steps.iter().map(|s| json!({"multiple": s.multiple, "held": s.held, "report": s.report}));
        return print::json(&json!({
            "multiple": held, "limit_reached": failed, "participants": shape.participants(), "rooms": shape.rooms(),
            "limit": limit, "steps": each.collect::<Vec<_>>(),
        }));
    }
    let rows: Vec<Vec<String>> = steps.iter().map(row).collect();
    print::line(table(&["times", "people", "bitrate", "loss", "join p95", "latency p99", "machine", "held"], &rows))?;
    let reached = match &limit {
        Some(limit) => format!("limit: {limit}"),
        None => "no limit was reached".to_owned(),
    };
    print::line(format_args!(
        "\n{held} times holds: {} rooms, {} participants; {reached}",
        shape.rooms(),
        shape.participants()
    ))
}

fn row(step: &Step) -> Vec<String> {
    let report = &step.report;
    let join = report.joins.stages.get("join").map_or(0.0, |join| join.p95);
    let why = report.verdicts.iter().filter(|v| v.failed).map(|v| v.condition.clone()).collect::<Vec<_>>().join(", ");
    vec![
        step.multiple.to_string(),
        report.total.participants.to_string(),
        bitrate(report.total.bitrate_bps),
        percent(report.total.loss_percent),
        format!("{} ms", ms(join)),
        format!("{} ms", ms(report.total.latency_ms.p99)),
        percent(report.tester.machine_percent),
        if step.held { "yes".to_owned() } else { format!("no: {why}") },
    ]
}
