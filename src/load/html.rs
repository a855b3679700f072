//! A report as one page that needs nothing else: figures, tables and charts drawn as SVG. Called by `commands`.

use super::report::Report;
use super::stages::STAGES;
use super::times::Percentiles;
use super::watch::Second;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}\
    td:first-child,th:first-child{text-align:left}.bad{color:#b00}.good{color:#070}svg{width:100%;height:auto}\
    h2{margin-top:1.6em}.beware{background:#fff3cd;padding:.4em .8em}\
    @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}.beware{background:#443a10}}";

/// Chart size in SVG units.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 160.0;
/// Room for the axis.
const LEFT: f64 = 70.0;

pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(32 * 1024);
    let title = format!("Load test: {}", escape(&report.shape));
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    head(&mut out, report);
    verdicts(&mut out, report);
    charts(&mut out, &report.series);
    times(&mut out, report);
    rooms(&mut out, report);
    sides(&mut out, report);
    out.push_str("</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let joins = &report.joins;
    let _ = write!(
        out,
        "<p>{} &middot; {:.1} s measured after {:.1} s of joining{} &middot; lkops {}</p>",
        escape(&report.url),
        report.window_s,
        report.ramp_s,
        if report.interrupted { ", stopped before its time" } else { "" },
        escape(&report.version)
    );
    let _ = write!(out, "<p>{} of {} joins came about.</p>", joins.succeeded, joins.attempted);
    let reasons = joins.reasons.iter().chain(&report.lost_sessions);
    for (reason, count) in reasons {
        let _ = write!(out, "<p class=bad>{count} &times; {}</p>", escape(reason));
    }
    for warning in &report.tester.warnings {
        let _ = write!(out, "<p class=beware>Beware: {}</p>", escape(warning));
    }
}

fn verdicts(out: &mut String, report: &Report) {
    for verdict in &report.verdicts {
        let (class, word) = if verdict.failed { ("bad", "missed") } else { ("good", "kept") };
        let value = verdict.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3}"));
        let _ = write!(out, "<p class={class}>{word}: {} ({value})</p>", escape(&verdict.condition));
    }
}

type Read = fn(&Second) -> f64;

fn charts(out: &mut String, series: &[Second]) {
    let all: [(&str, Read); 5] = [
        ("Participants", |s| s.participants as f64),
        ("Received, Mbit/s", |s| s.bitrate_bps / 1e6),
        ("Loss, %", |s| s.loss_percent),
        ("Tester CPU, % of a core", |s| s.tester_cpu_percent),
        ("Server CPU, % of a core", |s| s.server_cpu_percent.unwrap_or(0.0)),
    ];
    let has_server = series.iter().any(|s| s.server_cpu_percent.is_some());
    for (name, read) in all.into_iter().take(if has_server { 5 } else { 4 }) {
        let points: Vec<(f64, f64)> = series.iter().map(|second| (second.at_s, read(second))).collect();
        chart(out, name, &points);
    }
}

fn chart(out: &mut String, name: &str, points: &[(f64, f64)]) {
    let Some((end, _)) = points.last() else { return };
    let top = points.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(1e-9);
    let x = |at: f64| LEFT + at / end.max(1e-9) * (WIDTH - LEFT);
    let y = |value: f64| HEIGHT - value / top * (HEIGHT - 20.0);
    let line: Vec<String> = points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    let _ = write!(
        out,
        "<h2>{name}</h2><svg viewBox=\"0 0 {WIDTH} {:.0}\" role=img aria-label=\"{name}\">\
         <g fill=currentColor font-size=12><text x=0 y=24>{top:.2}</text><text x=0 y={HEIGHT}>0</text>\
         <text x={LEFT} y={:.0}>0 s</text><text x={WIDTH} y={:.0} text-anchor=end>{end:.0} s</text></g>\
         <path d=\"M{LEFT} 20V{HEIGHT}H{WIDTH}\" fill=none stroke=#8888 />\
         <polyline points=\"{}\" fill=none stroke=#2a7ade stroke-width=2 /></svg>",
        HEIGHT + 20.0,
        HEIGHT + 16.0,
        HEIGHT + 16.0,
        line.join(" ")
    );
}

fn times(out: &mut String, report: &Report) {
    out.push_str("<h2>Times, ms</h2><table><tr><th><th>p50<th>p90<th>p95<th>p99<th>max<th>count");
    for stage in STAGES {
        if let Some(times) = report.joins.stages.get(stage) {
            time_row(out, &format!("join: {}", stage.replace('_', " ")), times);
        }
    }
    let total = &report.total;
    for (name, times) in [
        ("latency", &total.latency_ms),
        ("track to first frame", &total.start_ms),
        ("longest gap of a track", &total.gap_ms),
        ("data latency", &total.data_latency_ms),
    ] {
        if times.count > 0 {
            time_row(out, name, times);
        }
    }
    out.push_str("</table>");
}

fn time_row(out: &mut String, name: &str, times: &Percentiles) {
    let Percentiles { count, p50, p90, p95, p99, max, .. } = times;
    let _ = write!(out, "<tr><td>{name}<td>{p50:.2}<td>{p90:.2}<td>{p95:.2}<td>{p99:.2}<td>{max:.2}<td>{count}");
}

fn rooms(out: &mut String, report: &Report) {
    out.push_str(
        "<h2>Rooms</h2><table><tr><th>room<th>people<th>tracks<th>Mbit/s<th>packets/s<th>loss %<th>not made good %\
         <th>freezes<th>longest gap, ms<th>latency p99, ms",
    );
    let total = std::iter::once(("total", &report.total));
    for (name, f) in report.rooms.iter().map(|room| (room.name.as_str(), &room.figures)).chain(total) {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}/{}<td>{:.2}<td>{:.0}<td>{:.3}<td>{:.3}<td>{}<td>{:.0}<td>{:.2}",
            escape(name),
            f.participants,
            f.tracks,
            f.tracks_expected,
            f.bitrate_bps / 1e6,
            f.packets_per_s,
            f.loss_percent,
            f.residual_loss_percent,
            f.video_freezes + f.audio_gaps,
            f.longest_gap_ms,
            f.latency_ms.p99
        );
    }
    out.push_str("</table>");
}

fn sides(out: &mut String, report: &Report) {
    let tester = &report.tester;
    let _ = write!(
        out,
        "<h2>Tester and server</h2><p>Tester: {:.0} % of a core, {:.2} us a packet, busiest thread {:.0} %, {} datagrams \
         dropped, timers at most {:.1} ms late.</p>",
        tester.cpu_percent,
        tester.cpu_us_per_packet,
        tester.saturation_percent,
        tester.socket_drops,
        tester.timer_late_max_ms
    );
    if let Some(server) = &report.server {
        let _ = write!(
            out,
            "<p>Server: {:.0} % of a core, {:.2} us a delivered packet, {:.0} MiB, {} datagrams dropped.</p>",
            server.cpu_percent,
            server.cpu_us_per_packet,
            server.rss_bytes as f64 / f64::from(1 << 20),
            server.socket_drops
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::report::Room;
    use super::*;

    fn report() -> Report {
        let mut report = Report { shape: "1x(2av)".into(), url: "ws://<h>".into(), ..Report::default() };
        report.series = (0..10).map(|n| Second { at_s: f64::from(n), bitrate_bps: 1e6, ..Second::default() }).collect();
        report.rooms.push(Room { name: "a&b".into(), ..Room::default() });
        report
    }

    #[test]
    fn the_page_stands_alone_and_escapes_what_it_was_told() {
        let page = page(&report());
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(page.contains("ws://&lt;h&gt;") && page.contains("a&amp;b"));
        assert!(!page.contains("src=") && !page.contains("href="), "nothing is fetched");
    }

    #[test]
    fn charts_are_drawn_from_the_series() {
        let page = page(&report());
        assert_eq!(page.matches("<polyline").count(), 4, "no server was watched");
        assert!(page.contains("70.0,20.0 "), "a constant line at the top");
        assert_eq!(super::page(&Report::default()).matches("<svg").count(), 0);
    }
}
