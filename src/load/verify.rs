//! What the plan says of a shape beside what a run of it measured. Called by `commands` for `--verify-plan`.

use super::plan::Calibration;
use super::rates::Rates;
use super::report::Report;
use super::shape::Shape;
use serde::{Deserialize, Serialize};

/// A prediction and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    pub figure: String,
    pub predicted: f64,
    pub measured: f64,
    /// By how much the prediction is too high, in percent of what was measured.
    pub error_percent: f64,
}

/// CPU and memory only where the server's process was watched.
pub fn verify(shape: &Shape, calibration: &Calibration, report: &Report) -> Vec<Predicted> {
    let (rates, needs) = (Rates::of(shape), calibration.needs(shape));
    let total = &report.total;
    let sent_per_s = total.sent_packets as f64 / report.window_s.max(1e-9);
    let mut all = vec![
        predicted("packets in /s", rates.packets_in, sent_per_s),
        predicted("packets out /s", rates.packets_out, total.packets_per_s),
        predicted("payload in, bit/s", rates.payload_bps_in, total.sent_bitrate_bps),
        predicted("payload out, bit/s", rates.payload_bps_out, total.bitrate_bps),
    ];
    if let Some(server) = &report.server {
        all.push(predicted("CPU, % of a core", needs.cores * 100.0, server.cpu_percent));
        let mib = f64::from(1 << 20);
        all.push(predicted("memory, MiB", needs.bytes / mib, server.rss_bytes as f64 / mib));
    }
    all
}

fn predicted(figure: &str, predicted: f64, measured: f64) -> Predicted {
    let error_percent = if measured == 0.0 { 0.0 } else { (predicted - measured) / measured * 100.0 };
    Predicted { figure: figure.to_owned(), predicted, measured, error_percent }
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::super::shape::Traits;
    use super::*;

    #[test]
    fn errors_are_relative_to_what_was_measured() {
        let mut report = Report { window_s: 2.0, ..Report::default() };
        report.total.sent_packets = 500;
        report.total.packets_per_s = 2000.0;
        let shape = parse("(1vp,10s)", &Traits::default()).unwrap();
        let all = verify(&shape, &Calibration::shipped(), &report);
        let error = |name: &str| all.iter().find(|p| p.figure == name).unwrap().error_percent;
        assert_eq!((error("packets in /s"), error("packets out /s")), (20.0, 5.0));
        assert_eq!(all.len(), 4, "no server was watched");
    }
}
