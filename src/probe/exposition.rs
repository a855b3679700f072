//! A probe's results over time in the Prometheus text format. Fed by `service`, shown by `page`.
//! https://prometheus.io/docs/instrumenting/exposition_formats/

use super::meter::Measured;
use super::report::{Fault, Report, Step};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Upper bounds of the histograms' buckets in seconds: from a loopback round trip to what nobody waits for.
const BOUNDS_S: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

#[derive(Clone, Debug, Default)]
struct Histogram {
    /// Each counts what is within its bound and no lower one.
    buckets: [u64; BOUNDS_S.len()],
    count: u64,
    sum_s: f64,
}

impl Histogram {
    fn record(&mut self, seconds: f64) {
        let bucket = BOUNDS_S.iter().position(|bound| seconds <= *bound);
        if let Some(bucket) = bucket.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_s += seconds;
    }

    fn write(&self, name: &str, labels: &str, into: &mut String) {
        let mut within = 0;
        for (bound, count) in BOUNDS_S.iter().zip(self.buckets) {
            within += count;
            line(into, format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {within}"));
        }
        line(into, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {}", self.count));
        line(into, format_args!("{name}_sum{{{labels}}} {}", self.sum_s));
        line(into, format_args!("{name}_count{{{labels}}} {}", self.count));
    }
}

/// All results so far.
#[derive(Clone, Debug)]
pub struct Exposition {
    url: String,
    steps: BTreeMap<(Step, &'static str), Histogram>,
    join: Histogram,
    latency: BTreeMap<&'static str, Histogram>,
    data: Histogram,
    /// Runs by what became of them; success is `ok`.
    runs: BTreeMap<&'static str, u64>,
    last: Option<Report>,
}

impl Exposition {
    pub fn new(url: &str) -> Exposition {
        let runs = Fault::ALL.map(|fault| (fault.name(), 0)).into_iter().chain([("ok", 0)]).collect();
        Exposition {
            url: url.to_owned(),
            steps: BTreeMap::new(),
            join: Histogram::default(),
            latency: BTreeMap::new(),
            data: Histogram::default(),
            runs,
            last: None,
        }
    }

    pub fn take(&mut self, report: Report) {
        *self.runs.entry(report.fault().map_or("ok", Fault::name)).or_default() += 1;
        for taken in report.steps.iter().filter(|taken| taken.step != Step::Media) {
            let histogram = self.steps.entry((taken.step, taken.who.unwrap_or(""))).or_default();
            histogram.record(taken.ms / 1e3);
        }
        if let Some(join_ms) = report.join_ms {
            self.join.record(join_ms / 1e3);
        }
        for (kind, measured) in [("audio", &report.audio), ("video", &report.video)] {
            if let Some(measured) = measured {
                self.latency.entry(kind).or_default().record(measured.latency_p50_ms / 1e3);
            }
        }
        if let Some(data) = report.data.filter(|data| data.returned > 0) {
            self.data.record(data.median_ms / 1e3);
        }
        self.last = Some(report);
    }

    /// The page.
    pub fn text(&self) -> String {
        let mut into = String::new();
        let url = format!("url=\"{}\"", quoted(&self.url));
        self.write_last(&url, &mut into);
        head(&mut into, "lkops_probe_runs_total", "counter", "Probes by result");
        for (result, count) in &self.runs {
            line(&mut into, format_args!("lkops_probe_runs_total{{{url},result=\"{result}\"}} {count}"));
        }
        head(&mut into, "lkops_probe_step_duration_seconds", "histogram", "Time each step of joining took");
        for ((step, who), histogram) in &self.steps {
            let labels = format!("{url},step=\"{}\",who=\"{who}\"", step.name());
            histogram.write("lkops_probe_step_duration_seconds", &labels, &mut into);
        }
        head(&mut into, "lkops_probe_join_duration_seconds", "histogram", "From the first look-up to the first packet");
        self.join.write("lkops_probe_join_duration_seconds", &url, &mut into);
        head(&mut into, "lkops_probe_latency_seconds", "histogram", "Median age of received packets, each probe's");
        for (kind, histogram) in &self.latency {
            histogram.write("lkops_probe_latency_seconds", &format!("{url},kind=\"{kind}\""), &mut into);
        }
        head(&mut into, "lkops_probe_data_round_trip_seconds", "histogram", "Median round trip of data, each probe's");
        self.data.write("lkops_probe_data_round_trip_seconds", &url, &mut into);
        into
    }

    fn write_last(&self, url: &str, into: &mut String) {
        let Some(last) = &self.last else { return };
        head(into, "lkops_probe_success", "gauge", "Whether the last probe went well");
        line(into, format_args!("lkops_probe_success{{{url}}} {}", u8::from(last.ok)));
        head(into, "lkops_probe_last_run_timestamp_seconds", "gauge", "When the last probe began");
        line(into, format_args!("lkops_probe_last_run_timestamp_seconds{{{url}}} {}", last.at_s));
        if let Some(trouble) = &last.trouble {
            head(into, "lkops_probe_last_error", "gauge", "Why the last probe failed");
            let (fault, step) = (trouble.fault.name(), trouble.step.map_or("", Step::name));
            let message = quoted(&trouble.message);
            let labels = format!("{url},fault=\"{fault}\",step=\"{step}\",message=\"{message}\"");
            line(into, format_args!("lkops_probe_last_error{{{labels}}} 1"));
        }
        let media: Vec<(&str, &Measured)> = [("audio", &last.audio), ("video", &last.video)]
            .into_iter()
            .filter_map(|(k, m)| Some((k, m.as_ref()?)))
            .collect();
        head(into, "lkops_probe_loss_ratio", "gauge", "Packets lost after retransmission, of the last probe");
        for (kind, measured) in &media {
            line(
                into,
                format_args!("lkops_probe_loss_ratio{{{url},kind=\"{kind}\"}} {}", measured.loss_percent / 100.0),
            );
        }
        head(into, "lkops_probe_jitter_seconds", "gauge", "Jitter of the last probe");
        for (kind, measured) in &media {
            line(
                into,
                format_args!("lkops_probe_jitter_seconds{{{url},kind=\"{kind}\"}} {}", measured.jitter_ms / 1e3),
            );
        }
    }
}

fn head(into: &mut String, name: &str, kind: &str, help: &str) {
    line(into, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(into: &mut String, text: std::fmt::Arguments<'_>) {
    // Strings take whatever is written.
    let _ = writeln!(into, "{text}");
}

/// A label's value.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::report::Trouble;
    use super::*;
    use std::time::Duration;

    fn failed() -> Report {
        let mut report = Report::new("ws://h", "r");
        report.took(Step::Dns, Duration::from_millis(3), "");
        report.trouble = Some(Trouble::at(Fault::Ice, Step::Ice, "say \"no\"\n\\"));
        report
    }

    #[test]
    fn a_failed_probe_is_no_success_and_tells_why() {
        let mut all = Exposition::new("ws://h");
        all.take(failed());
        let text = all.text();
        for wanted in [
            "lkops_probe_success{url=\"ws://h\"} 0\n",
            "lkops_probe_runs_total{url=\"ws://h\",result=\"ice\"} 1\n",
            "lkops_probe_runs_total{url=\"ws://h\",result=\"ok\"} 0\n",
            "step=\"dns\",who=\"\",le=\"0.002\"} 0\n",
            "step=\"dns\",who=\"\",le=\"0.005\"} 1\n",
            "step=\"dns\",who=\"\",le=\"+Inf\"} 1\n",
            "fault=\"ice\",step=\"ice\",message=\"say \\\"no\\\"\\n\\\\\"} 1\n",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }

    #[test]
    fn a_success_takes_the_error_away() {
        let mut all = Exposition::new("ws://h");
        all.take(failed());
        let measured = Some(Measured { loss_percent: 2.0, latency_p50_ms: 7.0, ..Measured::default() });
        all.take(Report { ok: true, join_ms: Some(80.0), audio: measured, ..Report::new("ws://h", "r") });
        let text = all.text();
        assert!(!text.contains("lkops_probe_last_error"));
        assert!(text.contains("lkops_probe_success{url=\"ws://h\"} 1\n"));
        assert!(text.contains("lkops_probe_loss_ratio{url=\"ws://h\",kind=\"audio\"} 0.02\n"));
        assert!(text.contains("lkops_probe_join_duration_seconds_bucket{url=\"ws://h\",le=\"0.1\"} 1\n"));
        assert!(text.contains("kind=\"audio\",le=\"0.01\"} 1\n"));
    }

    #[test]
    fn every_sample_has_a_head_and_a_number() {
        let mut all = Exposition::new("ws://h");
        all.take(failed());
        let text = all.text();
        let names: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(names.iter().any(|name| sample.starts_with(name)), "{sample}");
            assert!(sample.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{sample}");
        }
    }
}
