//! A report as text: joins by stage, rooms and their sum, how well media came, the tester and the server, verdicts.

use super::table::{bitrate, mib, ms, percent, table};
use lkops::load::compare::Change;
use lkops::load::crew::Worker;
use lkops::load::report::Report;
use lkops::load::threshold::Verdict;
use lkops::load::verify::Predicted;
use lkops::load::{Figures, Percentiles, STAGES};

/// Rooms listed one by one; of more, those with the most loss and the longest gaps.
const ROOMS_LISTED_MAX: usize = 20;

pub fn report(report: &Report) -> String {
    let parts = [
        head(report),
        joins(report),
        rooms(report),
        quality(&report.total),
        data(&report.total),
        workers(report),
        tester(report),
        server(report),
        plan(report),
        comparison(report),
        verdicts(report),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The processes that made the load.
fn workers(report: &Report) -> String {
    if report.workers.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = report.workers.iter().map(worker).collect();
    table(&["worker", "participants", "packets", "clock, ms", "±", "CPU", "busiest thread", "state"], &rows)
}

fn worker(worker: &Worker) -> Vec<String> {
    vec![
        worker.name.clone(),
        worker.participants.to_string(),
        worker.packets.to_string(),
        format!("{:.3}", worker.offset_us as f64 / 1e3),
        format!("{:.3}", worker.offset_unsure_us as f64 / 1e3),
        percent(worker.tester.cpu_percent),
        percent(worker.tester.saturation_percent),
        worker.failed.clone().unwrap_or_else(|| "done".to_owned()),
    ]
}

fn head(report: &Report) -> String {
    let Report { shape, url, ramp_s, window_s, .. } = report;
    let how = match (report.steady, report.interrupted) {
        (false, _) => format!("stopped while joining; these {window_s:.1} s are no steady state"),
        (true, true) => format!("measured {window_s:.1} s, then stopped"),
        (true, false) => format!("measured {window_s:.1} s"),
    };
    format!("{shape} at {url}: {ramp_s:.1} s to join, {how}")
}

fn joins(report: &Report) -> String {
    let joins = &report.joins;
    let mut lines = vec![format!("Joins: {} of {}", joins.succeeded, joins.attempted)];
    lines.extend(joins.reasons.iter().map(|(reason, count)| format!("  {count} failed: {reason}")));
    lines.extend(report.lost_sessions.iter().map(|(reason, count)| format!("  {count} lost later: {reason}")));
    let stages = STAGES.iter().filter_map(|name| Some(times(name, joins.stages.get(*name)?)));
    let rows: Vec<Vec<String>> = stages.collect();
    if !rows.is_empty() {
        lines.push(table(&["stage, ms", "p50", "p90", "p95", "p99", "max", "count"], &rows));
    }
    lines.join("\n")
}

fn times(name: &str, times: &Percentiles) -> Vec<String> {
    let figures = [times.p50, times.p90, times.p95, times.p99, times.max].map(ms);
    [name.replace('_', " ")].into_iter().chain(figures).chain([times.count.to_string()]).collect()
}

fn rooms(report: &Report) -> String {
    let mut listed: Vec<_> = report.rooms.iter().collect();
    let left_out = listed.len().saturating_sub(ROOMS_LISTED_MAX);
    if left_out > 0 {
        let badness = |f: &Figures| (f.loss_percent, f.longest_gap_ms);
        listed
            .sort_by(|a, b| badness(&b.figures).partial_cmp(&badness(&a.figures)).unwrap_or(std::cmp::Ordering::Equal));
        listed.truncate(ROOMS_LISTED_MAX);
    }
    let mut rows: Vec<Vec<String>> = listed.iter().map(|room| row(&room.name, &room.figures)).collect();
    if report.rooms.len() > 1 {
        rows.push(row("total", &report.total));
    }
    let names = [
        "room",
        "people",
        "tracks",
        "bitrate",
        "packets/s",
        "loss",
        "not made good",
        "freezes",
        "longest gap",
        "latency p50",
        "p99",
    ];
    let note = if left_out > 0 { format!("\n{left_out} better rooms are not listed") } else { String::new() };
    table(&names, &rows) + &note
}

fn row(name: &str, figures: &Figures) -> Vec<String> {
    vec![
        name.to_owned(),
        figures.participants.to_string(),
        format!("{}/{}", figures.tracks, figures.tracks_expected),
        bitrate(figures.bitrate_bps),
        format!("{:.0}", figures.packets_per_s),
        percent(figures.loss_percent),
        percent(figures.residual_loss_percent),
        (figures.video_freezes + figures.audio_gaps).to_string(),
        format!("{} ms", ms(figures.longest_gap_ms)),
        format!("{} ms", ms(figures.latency_ms.p50)),
        format!("{} ms", ms(figures.latency_ms.p99)),
    ]
}

fn quality(total: &Figures) -> String {
    let rows = [
        times("latency", &total.latency_ms),
        times("track to first frame", &total.start_ms),
        times("longest gap of a track", &total.gap_ms),
    ];
    let [low, medium, high] = total.layers_percent.map(|p| format!("{p:.0} %"));
    let faults = [
        format!(
            "{} lost, {} recovered, {} late, {} twice, {} left out",
            total.lost, total.recovered, total.reordered, total.duplicates, total.skipped
        ),
        format!(
            "{} frames, {} broken, {} key frames; {} requests, {} answered, longest wait {} ms",
            total.frames,
            total.frames_broken,
            total.key_frames,
            total.key_frame_requests,
            total.key_frame_waits,
            ms(total.key_frame_wait_max_ms)
        ),
        format!(
            "{} freezes, {} audio gaps, {} of the time; {} timestamps that jump",
            total.video_freezes,
            total.audio_gaps,
            percent(total.frozen_percent),
            total.timestamp_jumps
        ),
        format!("video packets by layer: low {low}, medium {medium}, high {high}; {} changes", total.layer_changes),
        format!(
            "published: {} packets, {}, {} sent again",
            total.sent_packets,
            bitrate(total.sent_bitrate_bps),
            total.resent
        ),
    ];
    let head = table(&["media, ms", "p50", "p90", "p95", "p99", "max", "count"], &rows);
    std::iter::once(head).chain(faults).collect::<Vec<_>>().join("\n")
}

fn data(total: &Figures) -> String {
    if total.data_sent + total.data_received == 0 {
        return String::new();
    }
    let Percentiles { p50, p99, max, .. } = total.data_latency_ms;
    format!(
        "Data messages: {} sent, {} received, {} lost; latency p50 {} ms, p99 {} ms, max {} ms",
        total.data_sent,
        total.data_received,
        total.data_lost,
        ms(p50),
        ms(p99),
        ms(max)
    )
}

fn tester(report: &Report) -> String {
    let tester = &report.tester;
    let mut lines = vec![format!(
        "Tester: CPU {:.0} % of a core ({:.2} us a packet), busiest thread {:.0} %, {}; {} datagrams dropped; timers at most {} ms late",
        tester.cpu_percent,
        tester.cpu_us_per_packet,
        tester.saturation_percent,
        mib(tester.rss_bytes),
        tester.socket_drops,
        ms(tester.timer_late_max_ms)
    )];
    lines.extend(tester.warnings.iter().map(|warning| format!("  beware: {warning}")));
    lines.join("\n")
}

fn server(report: &Report) -> String {
    let Some(server) = &report.server else { return String::new() };
    let head = format!(
        "Server: CPU {:.0} % of a core ({:.2} us a delivered packet), {}; {} datagrams dropped",
        server.cpu_percent,
        server.cpu_us_per_packet,
        mib(server.rss_bytes),
        server.socket_drops
    );
    let metrics = server.metrics.iter().map(|(name, value)| format!("  {name} {value}"));
    std::iter::once(head).chain(metrics).collect::<Vec<_>>().join("\n")
}

fn plan(report: &Report) -> String {
    let row =
        |p: &Predicted| vec![p.figure.clone(), ms(p.predicted), ms(p.measured), format!("{:+.1} %", p.error_percent)];
    let rows: Vec<Vec<String>> = report.plan.iter().map(row).collect();
    if rows.is_empty() { String::new() } else { table(&["plan", "predicted", "measured", "error"], &rows) }
}

fn comparison(report: &Report) -> String {
    let row = |change: &Change| {
        let percent = change.percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.0} %"));
        let worse = if change.worse { "worse" } else { "" };
        vec![change.figure.clone(), ms(change.before), ms(change.after), percent, worse.to_owned()]
    };
    let rows: Vec<Vec<String>> = report.comparison.iter().map(row).collect();
    if rows.is_empty() { String::new() } else { table(&["compared", "before", "now", "change", ""], &rows) }
}

fn verdicts(report: &Report) -> String {
    let line = |v: &Verdict| if v.failed { format!("missed: {}", missed(v)) } else { format!("kept: not {}", met(v)) };
    report.verdicts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn met(verdict: &Verdict) -> String {
    let value = verdict
        .value
        .map_or_else(|| "nothing was measured".to_owned(), |v| format!("it is {} {}", ms(v), verdict.unit));
    let value = value.trim_end();
    format!("{}: {value}", verdict.condition)
}

/// What a met condition says.
pub fn missed(verdict: &Verdict) -> String {
    met(verdict)
}
