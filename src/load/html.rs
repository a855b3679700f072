//! A report as one page that needs nothing else: what matters at the top, charts, tables. Called by `commands`.

use super::chart::Chart;
use super::compare::Change;
use super::figures::Figures;
use super::report::Report;
use super::stages::STAGES;
use super::times::Percentiles;
use super::verify::Predicted;
use super::watch::Second;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222;\
    font-variant-numeric:tabular-nums}h1{margin-bottom:0}h2{margin:1.8em 0 .4em;font-size:1.15em}.sub{color:#777;margin:0}\
    .cards,.charts{display:grid;gap:.8em;margin:1.2em 0}.cards{grid-template-columns:repeat(auto-fill,minmax(8.6em,1fr))}\
    .charts{grid-template-columns:repeat(auto-fill,minmax(24em,1fr))}.card{background:#f4f5f7;border-radius:.5em;\
    padding:.6em .9em}.card b{display:block;font-size:1.35em;line-height:1.3}.card span{color:#777;font-size:.85em}\
    figure{margin:0}figcaption{font-weight:600;font-size:.9em}svg{width:100%;height:auto;font-size:11px}\
    svg text{fill:#777}svg .grid{stroke:#8884}svg .window{fill:#2a7ade12}svg polyline{fill:none;stroke:#2a7ade;\
    stroke-width:1.8}svg polygon{fill:#2a7ade22}th{vertical-align:bottom}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}\
    td,th{padding:.25em .7em;text-align:right;border-bottom:1px solid #8883;}td{white-space:nowrap}th{color:#777;\
    font-weight:600}td:first-child,th:first-child{text-align:left;padding-left:0}.note{border-left:.3em solid;\
    padding:.3em .8em;margin:.4em 0}.bad{color:#b3261e}.good{color:#1a7f37}.beware{color:#9a6700}\
    @media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}.card{background:#24272d}.bad{color:#ff8a80}\
    .good{color:#7ee2a0}.beware{color:#f0c36d}}";

pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(32 * 1024);
    let title = format!("Load test: {}", escape(&report.shape));
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    head(&mut out, report);
    cards(&mut out, report);
    notes(&mut out, report);
    charts(&mut out, report);
    times(&mut out, report);
    rooms(&mut out, report);
    media(&mut out, &report.total);
    sides(&mut out, report);
    plan(&mut out, &report.plan);
    comparison(&mut out, &report.comparison);
    out.push_str("</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let _ = write!(
        out,
        "<p class=sub>{} &middot; {} &middot; {:.1} s to join, {:.1} s measured{} &middot; lkops {}</p>",
        escape(&report.url),
        utc(report.started_unix_s),
        report.ramp_s,
        report.window_s,
        if report.interrupted { ", stopped before its time" } else { "" },
        escape(&report.version)
    );
}

/// `2026-11-21 17:40 UTC` (the civil calendar from days, Hinnant 2013).
fn utc(unix_s: i64) -> String {
    let (days, second) = (unix_s.div_euclid(86_400) + 719_468, unix_s.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}

fn cards(out: &mut String, report: &Report) {
    let (joins, total) = (&report.joins, &report.total);
    let join = joins.stages.get("join").map_or_else(|| "-".to_owned(), |join| ms(join.p95));
    let latency = if total.latency_ms.count > 0 { ms(total.latency_ms.p99) } else { "-".to_owned() };
    let mut all = vec![
        ("joins", format!("{} of {}", joins.succeeded, joins.attempted)),
        ("join p95", join),
        ("tracks received", format!("{} of {}", total.tracks, total.tracks_expected)),
        ("received", format!("{:.1} Mbit/s", total.bitrate_bps / 1e6)),
        ("packets a second", format!("{:.0}", total.packets_per_s)),
        ("loss", format!("{:.2} %", total.loss_percent)),
        ("latency p99", latency),
        ("freezes", total.video_freezes.to_string()),
        ("audio gaps", total.audio_gaps.to_string()),
    ];
    if let Some(server) = &report.server {
        all.push(("server CPU a packet", format!("{:.1} us", server.cpu_us_per_packet)));
    }
    out.push_str("<div class=cards>");
    for (name, value) in all {
        let _ = write!(out, "<div class=card><b>{value}</b><span>{name}</span></div>");
    }
    out.push_str("</div>");
}

fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

fn notes(out: &mut String, report: &Report) {
    let mut note = |class: &str, text: String| {
        let _ = write!(out, "<p class=\"note {class}\">{text}</p>");
    };
    for verdict in &report.verdicts {
        let value = verdict.value.map_or_else(|| "not measured".to_owned(), |v| format!("{v:.3} {}", verdict.unit));
        let (class, word) = if verdict.failed { ("bad", "missed") } else { ("good", "kept: not") };
        note(class, format!("{word} {} (it is {})", escape(&verdict.condition), value.trim_end()));
    }
    for (reason, count) in &report.joins.reasons {
        note("bad", format!("{count} joins failed: {}", escape(reason)));
    }
    for (reason, count) in &report.lost_sessions {
        note("bad", format!("{count} sessions lost: {}", escape(reason)));
    }
    for warning in &report.tester.warnings {
        note("beware", format!("Beware: {}", escape(warning)));
    }
}

type Read = fn(&Second) -> f64;

fn charts(out: &mut String, report: &Report) {
    let all: [(&str, Read); 6] = [
        ("Received, Mbit/s", |s| s.bitrate_bps / 1e6),
        ("Packets a second", |s| s.packets_per_s),
        ("Participants", |s| s.participants as f64),
        ("Loss, %", |s| s.loss_percent),
        ("Tester CPU, % of a core", |s| s.tester_cpu_percent),
        ("Server CPU, % of a core", |s| s.server_cpu_percent.unwrap_or(0.0)),
    ];
    let has_server = report.series.iter().any(|s| s.server_cpu_percent.is_some());
    let window = (report.window_from_s, report.window_from_s + report.window_s);
    out.push_str("<div class=charts>");
    for (name, read) in all.into_iter().take(if has_server { 6 } else { 5 }) {
        let points: Vec<(f64, f64)> = report.series.iter().map(|second| (second.at_s, read(second))).collect();
        Chart { name, points: &points, window }.write(out);
    }
    out.push_str("</div><p class=sub>Shaded: what was measured; before it participants arrive.</p>");
}

fn table(out: &mut String, title: &str, names: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = write!(out, "<h2>{title}</h2><div class=scroll><table><tr><th>{}", names.join("<th>"));
    for row in rows {
        let _ = write!(out, "<tr><td>{}", row.join("<td>"));
    }
    out.push_str("</table></div>");
}

fn times(out: &mut String, report: &Report) {
    let joins = STAGES.iter().filter_map(|stage| Some((join_name(stage), report.joins.stages.get(*stage)?)));
    let total = &report.total;
    let media = [
        ("media: latency", &total.latency_ms),
        ("media: track to first frame", &total.start_ms),
        ("media: longest gap of a track", &total.gap_ms),
        ("data: latency", &total.data_latency_ms),
    ];
    let all = joins.chain(media.into_iter().map(|(name, times)| (name.to_owned(), times)));
    let rows = all.filter(|(_, times)| times.count > 0).map(|(name, times)| time_row(name, times));
    table(out, "Times, ms", &["", "p50", "p90", "p95", "p99", "max", "count"], rows);
}

fn join_name(stage: &str) -> String {
    if stage == "join" { "join: in all".to_owned() } else { format!("join: {}", stage.replace('_', " ")) }
}

fn time_row(name: String, times: &Percentiles) -> Vec<String> {
    let Percentiles { count, p50, p90, p95, p99, max, .. } = times;
    let figures = [p50, p90, p95, p99, max].map(|figure| format!("{figure:.2}"));
    [name].into_iter().chain(figures).chain([count.to_string()]).collect()
}

fn rooms(out: &mut String, report: &Report) {
    let names = [
        "room",
        "people",
        "tracks",
        "Mbit/s",
        "packets/s",
        "loss %",
        "not made good %",
        "freezes",
        "longest gap, ms",
        "latency p99, ms",
    ];
    let total = (report.rooms.len() > 1).then_some(("total", &report.total));
    let all = report.rooms.iter().map(|room| (room.name.as_str(), &room.figures)).chain(total);
    table(out, "Rooms", &names, all.map(|(name, figures)| room_row(name, figures)));
}

fn room_row(name: &str, f: &Figures) -> Vec<String> {
    vec![
        escape(name),
        f.participants.to_string(),
        format!("{}/{}", f.tracks, f.tracks_expected),
        format!("{:.2}", f.bitrate_bps / 1e6),
        format!("{:.0}", f.packets_per_s),
        format!("{:.3}", f.loss_percent),
        format!("{:.3}", f.residual_loss_percent),
        (f.video_freezes + f.audio_gaps).to_string(),
        format!("{:.0}", f.longest_gap_ms),
        format!("{:.2}", f.latency_ms.p99),
    ]
}

fn media(out: &mut String, total: &Figures) {
    let [low, medium, high] = total.layers_percent;
    let rows = [
        (
            "packets lost, recovered, late, twice",
            format!("{}, {}, {}, {}", total.lost, total.recovered, total.reordered, total.duplicates),
        ),
        (
            "frames, of these broken, key frames",
            format!("{}, {}, {}", total.frames, total.frames_broken, total.key_frames),
        ),
        (
            "key frame requests, longest wait",
            format!("{}, {}", total.key_frame_requests, ms(total.key_frame_wait_max_ms)),
        ),
        ("standing still, of all tracks' time", format!("{:.2} %", total.frozen_percent)),
        ("video packets by layer: low, medium, high", format!("{low:.0} %, {medium:.0} %, {high:.0} %")),
        (
            "published",
            format!(
                "{:.1} Mbit/s, {} packets, {} sent again",
                total.sent_bitrate_bps / 1e6,
                total.sent_packets,
                total.resent
            ),
        ),
        (
            "data messages sent, received, lost",
            format!("{}, {}, {}", total.data_sent, total.data_received, total.data_lost),
        ),
    ];
    table(out, "Media", &["", ""], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
}

fn sides(out: &mut String, report: &Report) {
    let mib = |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20));
    let tester = &report.tester;
    let side = |name: &str, cpu: f64, each: f64, rss, drops: u64| {
        vec![name.to_owned(), format!("{cpu:.0}"), format!("{each:.2}"), mib(rss), drops.to_string()]
    };
    let own = side("tester", tester.cpu_percent, tester.cpu_us_per_packet, tester.rss_bytes, tester.socket_drops);
    let server = report.server.as_ref();
    let server = server.map(|s| side("server", s.cpu_percent, s.cpu_us_per_packet, s.rss_bytes, s.socket_drops));
    let names = ["", "CPU, % of a core", "us a packet", "memory, MiB", "datagrams dropped"];
    table(out, "Tester and server", &names, [own].into_iter().chain(server));
    let _ = write!(
        out,
        "<p class=sub>Tester: busiest thread {:.0} %, timers at most {:.1} ms late; machine {:.0} % busy, {:.0} % in \
         software interrupts.</p>",
        tester.saturation_percent, tester.timer_late_max_ms, tester.machine_percent, tester.softirq_percent
    );
    let metrics = report.server.iter().flat_map(|server| &server.metrics);
    let rows: Vec<_> = metrics.map(|(name, value)| vec![escape(name), value.to_string()]).collect();
    if !rows.is_empty() {
        table(out, "The server's own figures", &["", ""], rows.into_iter());
    }
}

fn plan(out: &mut String, plan: &[Predicted]) {
    let row = |p: &Predicted| {
        let figures = [p.predicted, p.measured].map(|figure| format!("{figure:.1}"));
        [p.figure.clone()].into_iter().chain(figures).chain([format!("{:+.1} %", p.error_percent)]).collect()
    };
    if !plan.is_empty() {
        table(out, "Plan", &["", "predicted", "measured", "error"], plan.iter().map(row));
    }
}

fn comparison(out: &mut String, changes: &[Change]) {
    let row = |change: &Change| {
        let percent = change.percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.0} %"));
        let percent = if change.worse { format!("<span class=bad>{percent} worse</span>") } else { percent };
        vec![change.figure.clone(), format!("{:.2}", change.before), format!("{:.2}", change.after), percent]
    };
    if !changes.is_empty() {
        table(out, "Compared with the earlier run", &["", "before", "now", "change"], changes.iter().map(row));
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
        assert_eq!(page(&report()).matches("<polyline").count(), 5, "no server was watched");
        assert_eq!(page(&Report::default()).matches("<svg").count(), 0);
    }

    #[test]
    fn what_was_compared_is_on_the_page() {
        let mut report = report();
        let change = Change { figure: "loss".into(), before: 1.0, after: 2.0, percent: Some(100.0), worse: true };
        report.comparison.push(change);
        assert!(page(&report).contains("+100 % worse"));
    }

    #[test]
    fn dates_are_civil() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(1_709_210_096), "2024-02-29 12:34 UTC");
        assert_eq!(utc(1_795_282_846), "2026-11-21 17:40 UTC");
    }
}
