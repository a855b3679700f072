//! One run against an earlier one: what changed, by how much, and whether for the worse. Called by `commands`.

use super::report::Report;
use super::threshold::value_of;
use serde::{Deserialize, Serialize};

/// A figure of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub figure: String,
    pub before: f64,
    pub after: f64,
    /// Absent where the earlier figure is zero.
    pub percent: Option<f64>,
    /// By more than a tenth, in the bad direction.
    pub worse: bool,
}

/// Figures compared, and whether more is worse.
const FIGURES: [(&str, bool); 17] = [
    ("failed_joins", true),
    ("lost_sessions", true),
    ("join_p50", true),
    ("join_p95", true),
    ("join_max", true),
    ("first_frame_p95", true),
    ("start_p95", true),
    ("loss", true),
    ("residual_loss", true),
    ("freezes", true),
    ("audio_gaps", true),
    ("longest_gap", true),
    ("latency_p50", true),
    ("latency_p99", true),
    ("broken_frames", true),
    ("bitrate", false),
    ("tracks", false),
];
/// Runs differ by chance; so much is none.
const WORSE_BY: f64 = 0.10;

pub fn compare(before: &Report, after: &Report) -> Vec<Change> {
    let each = FIGURES.iter().filter_map(|(figure, more_is_worse)| {
        let (before, after) = (value_of(figure, before)?, value_of(figure, after)?);
        Some(change(figure, before, after, *more_is_worse))
    });
    each.chain(cpu(before, after)).collect()
}

fn cpu(before: &Report, after: &Report) -> Option<Change> {
    let (before, after) = before.server.as_ref().zip(after.server.as_ref())?;
    Some(change("server_cpu_us_per_packet", before.cpu_us_per_packet, after.cpu_us_per_packet, true))
}

fn change(figure: &str, before: f64, after: f64, more_is_worse: bool) -> Change {
    let (good, bad) = if more_is_worse { (before, after) } else { (after, before) };
    let percent = (before != 0.0).then(|| (after - before) / before * 100.0);
    Change { figure: figure.to_owned(), before, after, percent, worse: bad > good * (1.0 + WORSE_BY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_more_loss_or_less_bitrate() {
        assert!(change("loss", 1.0, 1.2, true).worse && !change("loss", 1.0, 1.05, true).worse);
        assert!(change("bitrate", 100.0, 80.0, false).worse && !change("bitrate", 80.0, 100.0, false).worse);
        assert!(change("loss", 0.0, 0.1, true).worse && change("loss", 0.0, 0.1, true).percent.is_none());
    }

    #[test]
    fn only_what_both_measured_is_compared() {
        let changes = compare(&Report::default(), &Report::default());
        assert!(changes.iter().all(|c| !c.worse && c.figure != "join_p50"), "{changes:?}");
    }
}
