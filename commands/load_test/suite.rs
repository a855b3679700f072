//! `lkops load-test --run-all`: the cases of LiveKit's own suite, one after the other, a line each.

use super::args::{Output, RunArgs};
use super::table::{bitrate, ms, percent, table};
use crate::exit::Failure;
use crate::print;
use lkops::load::report::Report;
use lkops::load::shape::{Group, People, Shape};
use std::time::Duration;

/// Publishers, subscribers, and whether there is video.
const CASES: [(u32, u32, bool); 11] = [
    (10, 10, false),
    (10, 100, false),
    (10, 500, false),
    (10, 1000, false),
    (50, 50, false),
    (100, 50, false),
    (10, 10, true),
    (10, 100, true),
    (10, 500, true),
    (1, 100, true),
    (1, 1000, true),
];
/// Of each case where no duration is given.
const CASE: Duration = Duration::from_secs(15);

pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut setup = args.setup()?;
    setup.duration.get_or_insert(CASE);
    let traits = setup.shape.groups.first().map(|group| group.traits.clone()).unwrap_or_default();
    let mut reports = Vec::new();
    for (publishers, subscribers, video) in CASES {
        eprintln!("{publishers} publishers, {subscribers} subscribers, {}", if video { "video" } else { "audio" });
        let publishers = People { count: publishers, audio: !video, video, ..People::default() };
        let people = vec![publishers, People { count: subscribers, subscribes: true, ..People::default() }];
        let group = Group { rooms: 1, people, traits: traits.clone(), ..Group::default() };
        setup.shape = Shape { groups: vec![group], ..Shape::default() };
        let report = super::measure(&setup, args.crew.coordination().as_ref(), true)?;
        let stopped = report.interrupted;
        reports.push(report);
        if stopped {
            break;
        }
    }
    match args.output {
        Output::Json => print::json(&serde_json::to_value(&reports)?),
        Output::Csv => reports.iter().try_for_each(|report| print::line(report.csv())),
        Output::Text => print::line(text(&reports)),
    }
}

fn text(reports: &[Report]) -> String {
    let rows: Vec<Vec<String>> = CASES.iter().zip(reports).map(row).collect();
    table(&["publishers", "subscribers", "media", "tracks", "bitrate", "loss", "latency p99", "failed joins"], &rows)
}

fn row(((publishers, subscribers, video), report): (&(u32, u32, bool), &Report)) -> Vec<String> {
    vec![
        publishers.to_string(),
        subscribers.to_string(),
        if *video { "video" } else { "audio" }.to_owned(),
        format!("{}/{}", report.total.tracks, report.total.tracks_expected),
        bitrate(report.total.bitrate_bps),
        percent(report.total.loss_percent),
        format!("{} ms", ms(report.total.latency_ms.p99)),
        report.joins.failed.to_string(),
    ]
}
