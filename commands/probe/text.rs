//! A probe's report as people read it.

use crate::table::{self, Column};
use lkops::probe::Report;
use lkops::probe::meter::Measured;
use lkops::probe::report::{Taken, Trouble};

const WELL: &str = "✔";
const BAD: &str = "✘";

/// A table of steps, and the media below it.
pub fn report(report: &Report) -> String {
    let columns =
        [Column::Left(""), Column::Left("STEP"), Column::Left("WHO"), Column::Right("TIME"), Column::Left("DETAIL")];
    let failed = report.trouble.iter().filter(|trouble| trouble.step.is_some()).map(failed);
    let rows: Vec<Vec<String>> = report.steps.iter().map(taken).chain(failed).collect();
    let media = media(report);
    let table = table::format(&columns, &rows);
    [table].into_iter().chain((!media.is_empty()).then(|| format!("\n{media}"))).collect::<Vec<_>>().join("\n")
}

fn taken(taken: &Taken) -> Vec<String> {
    let who = taken.who.unwrap_or_default().to_owned();
    vec![WELL.to_owned(), name(taken.step.name()), who, format!("{:.1} ms", taken.ms), taken.detail.clone()]
}

fn failed(trouble: &Trouble) -> Vec<String> {
    let step = trouble.step.map_or("", |step| step.name());
    vec![BAD.to_owned(), name(step), trouble.who.unwrap_or_default().to_owned(), String::new(), "failed".to_owned()]
}

fn name(step: &str) -> String {
    step.replace('_', " ")
}

fn media(report: &Report) -> String {
    let columns = [
        Column::Left("MEDIA"),
        Column::Right("RECEIVED"),
        Column::Right("LOST"),
        Column::Right("LOSS"),
        Column::Right("JITTER"),
        Column::Right("LATENCY P50"),
        Column::Right("P95"),
        Column::Right("MAX"),
    ];
    let both = [("audio", &report.audio), ("video", &report.video)];
    let rows: Vec<Vec<String>> = both.into_iter().filter_map(|(kind, m)| Some(measured(kind, m.as_ref()?))).collect();
    if rows.is_empty() { String::new() } else { table::format(&columns, &rows) }
}

fn measured(kind: &str, measured: &Measured) -> Vec<String> {
    let ms = |value: f64| format!("{value:.1} ms");
    vec![
        kind.to_owned(),
        measured.received.to_string(),
        measured.lost.to_string(),
        format!("{:.2} %", measured.loss_percent),
        ms(measured.jitter_ms),
        ms(measured.latency_p50_ms),
        ms(measured.latency_p95_ms),
        ms(measured.latency_max_ms),
    ]
}

/// One line.
pub fn trouble(trouble: &Trouble) -> String {
    let step = trouble.step.map(|step| name(step.name()));
    let place: Vec<String> = step.into_iter().chain(trouble.who.map(|who| format!("({who})"))).collect();
    if place.is_empty() { trouble.message.clone() } else { format!("{}: {}", place.join(" "), trouble.message) }
}

/// A whole report in a line.
pub fn line(report: &Report) -> String {
    let join = report.join_ms.map(|ms| format!(" join {ms:.0} ms")).unwrap_or_default();
    match &report.trouble {
        Some(found) => format!("{BAD} {}{join} {}", report.url, trouble(found)),
        None => format!("{WELL} {}{join}{}", report.url, worst(report)),
    }
}

fn worst(report: &Report) -> String {
    let both = || report.audio.iter().chain(&report.video);
    let loss = both().map(|m| m.loss_percent).fold(0.0, f64::max);
    let latency = both().map(|m| m.latency_p95_ms).fold(0.0, f64::max);
    format!(", loss {loss:.2} %, latency p95 {latency:.1} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lkops::probe::Fault;
    use lkops::probe::report::Step;
    use std::time::Duration;

    fn failed_report() -> Report {
        let mut report = Report::new("ws://h", "r");
        report.took(Step::Dns, Duration::from_micros(1_234), "127.0.0.1");
        report.trouble = Some(Trouble::at(Fault::Unreachable, Step::Tcp, "cannot connect"));
        report
    }

    #[test]
    fn the_table_ends_with_the_step_that_failed() {
        let text = report(&failed_report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "✔  dns   -    1.2 ms  127.0.0.1");
        assert_eq!(lines[2], "✘  tcp   -         -  failed");
    }

    #[test]
    fn a_line_tells_what_matters() {
        assert_eq!(line(&failed_report()), "✘ ws://h tcp: cannot connect");
        let audio = Some(Measured { loss_percent: 1.5, latency_p95_ms: 9.0, ..Measured::default() });
        let mut well = Report::new("ws://h", "r");
        (well.join_ms, well.audio) = (Some(80.4), audio);
        assert_eq!(line(&well), "✔ ws://h join 80 ms, loss 1.50 %, latency p95 9.0 ms");
    }
}
