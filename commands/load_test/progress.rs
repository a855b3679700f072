//! What a run shows while it goes on: bars on a terminal, else a plain line each second; nothing where stdout carries data
//! and stderr is no terminal.

use super::table::{bitrate, percent};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lkops::load::{Progress, Stage};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::sync::watch;

/// Shows each state until the run ends.
pub async fn show(mut progress: watch::Receiver<Progress>, quiet: bool) {
    let bars = std::io::stderr().is_terminal().then(Bars::new);
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        match &bars {
            Some(bars) => bars.set(&now),
            None if !quiet => eprintln!("{}", line(&now)),
            None => {}
        }
    }
    if let Some(bars) = bars {
        bars.clear();
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Joining => "joining",
        Stage::Settling => "settling",
        Stage::Measuring => "measuring",
        Stage::Ending => "ending",
    }
}

fn people(now: &Progress) -> String {
    let failed = if now.failed > 0 { format!(", {} failed", now.failed) } else { String::new() };
    format!("{} of {}{failed}", now.participants, now.total)
}

fn left(now: &Progress) -> String {
    now.left.map_or_else(String::new, |left| format!("{} left", text(left)))
}

/// Whole seconds, or minutes with them.
fn text(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

fn line(now: &Progress) -> String {
    let second = &now.second;
    let parts = [
        format!("{:>4.0} s", second.at_s),
        stage(now.stage).to_owned(),
        people(now),
        bitrate(second.bitrate_bps),
        format!("loss {}", percent(second.loss_percent)),
        format!("tester CPU {:.0} %", second.tester_cpu_percent),
        left(now),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

struct Bars {
    people: ProgressBar,
    time: ProgressBar,
    media: ProgressBar,
}

/// Bars count in thousandths.
const FULL: u64 = 1000;

impl Bars {
    fn new() -> Bars {
        let all = MultiProgress::new();
        let bar = |template: &str| {
            let bar = all.add(ProgressBar::new(FULL));
            // Templates are constants: one that is wrong shows the default bar.
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar
        };
        Bars {
            people: bar("participants [{bar:40}] {msg}"),
            time: bar("{prefix:<12} [{bar:40}] {msg}"),
            media: bar("media        {msg}"),
        }
    }

    fn set(&self, now: &Progress) {
        self.people.set_position(now.participants * FULL / now.total.max(1));
        self.people.set_message(people(now));
        self.time.set_prefix(stage(now.stage));
        self.time.set_position((now.done * FULL as f64) as u64);
        self.time.set_message(left(now));
        let second = &now.second;
        self.media.set_message(format!(
            "{}  {:.0} packets/s  loss {}  tester CPU {:.0} %{}",
            bitrate(second.bitrate_bps),
            second.packets_per_s,
            percent(second.loss_percent),
            second.tester_cpu_percent,
            second.server_cpu_percent.map_or_else(String::new, |cpu| format!("  server CPU {cpu:.0} %"))
        ));
    }

    fn clear(&self) {
        [&self.people, &self.time, &self.media].iter().for_each(|bar| bar.finish_and_clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lkops::load::watch::Second;

    #[test]
    fn a_plain_line_tells_all() {
        let second =
            Second { at_s: 12.2, bitrate_bps: 3.2e6, loss_percent: 0.5, tester_cpu_percent: 7.0, ..Second::default() };
        let now = Progress {
            stage: Stage::Measuring,
            participants: 11,
            failed: 1,
            total: 12,
            second,
            done: 0.4,
            waits: false,
            left: Some(Duration::from_secs(125)),
        };
        assert_eq!(
            line(&now),
            "  12 s  measuring  11 of 12, 1 failed  3.20 Mbit/s  loss 0.50 %  tester CPU 7 %  2 min 5 s left"
        );
    }
}
