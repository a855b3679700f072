//! What one process counted in a run, in a form that can be added up exactly, and the report it makes. Made by `run`, sent
//! by `worker`, merged by `coordinator`.

use super::clock::Offset;
use crate::load::report::{Report, Tally};
use crate::load::setup::Setup;
use crate::load::stages::Joins;
use crate::load::watch::{Second, Server, Tester};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Harvest {
    pub started_unix_s: i64,
    pub ramp_s: f64,
    /// From the first arrival to the window, and its length.
    pub window_from: Duration,
    pub window: Duration,
    pub interrupted: bool,
    pub steady: bool,
    pub joins: Joins,
    pub lost: BTreeMap<String, u64>,
    pub tally: Tally,
    pub tester: Tester,
    pub server: Option<Server>,
    pub series: Vec<Second>,
}

/// One of the processes a report was made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    pub name: String,
    /// Arrivals it was given, and packets it received.
    pub participants: u64,
    pub packets: u64,
    /// Its clock against Redis's, in microseconds.
    pub offset_us: i64,
    pub offset_unsure_us: i64,
    /// Why its figures are missing; its part counts as failed.
    pub failed: Option<String>,
    pub tester: Tester,
}

/// Beyond this one-way latencies between machines tell more of the clocks than of the way.
const UNSURE_MAX_US: i64 = 5_000;

impl Harvest {
    pub fn report(self, setup: &Setup) -> Report {
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            url: setup.url.clone(),
            shape: setup.shape_text.clone(),
            started_unix_s: self.started_unix_s,
            ramp_s: self.ramp_s,
            window_from_s: self.window_from.as_secs_f64(),
            window_s: self.window.as_secs_f64(),
            interrupted: self.interrupted,
            steady: self.steady,
            joins: self.joins.told(),
            lost_sessions: self.lost,
            tester: self.tester,
            server: self.server,
            series: self.series,
            ..Report::default()
        };
        self.tally.tell(self.window, &mut report);
        report
    }

    /// Adds another process's.
    pub fn merge(&mut self, other: Harvest) {
        self.started_unix_s = self.started_unix_s.min(other.started_unix_s);
        self.ramp_s = self.ramp_s.max(other.ramp_s);
        self.window_from = self.window_from.max(other.window_from);
        self.window = self.window.max(other.window);
        self.interrupted |= other.interrupted;
        self.steady &= other.steady;
        self.joins.merge(&other.joins);
        for (why, count) in other.lost {
            *self.lost.entry(why).or_default() += count;
        }
        self.tally.merge(other.tally);
        self.tester = together(&self.tester, &other.tester);
        merge_series(&mut self.series, other.series);
    }
}

/// Testers on several machines: what is used is added, of what is scarce the worst counts.
fn together(a: &Tester, b: &Tester) -> Tester {
    let packets = |tester: &Tester| tester.cpu_percent / tester.cpu_us_per_packet.max(1e-9);
    let all = packets(a) + packets(b);
    let cpu_percent = a.cpu_percent + b.cpu_percent;
    Tester {
        cpu_percent,
        saturation_percent: a.saturation_percent.max(b.saturation_percent),
        rss_bytes: a.rss_bytes + b.rss_bytes,
        cpu_us_per_packet: if all > 0.0 { cpu_percent / all } else { 0.0 },
        socket_drops: a.socket_drops + b.socket_drops,
        timers_late_percent: a.timers_late_percent.max(b.timers_late_percent),
        timer_late_max_ms: a.timer_late_max_ms.max(b.timer_late_max_ms),
        machine_percent: a.machine_percent.max(b.machine_percent),
        softirq_percent: a.softirq_percent.max(b.softirq_percent),
        warnings: a.warnings.iter().chain(&b.warnings).cloned().collect(),
    }
}

/// Second by second, by their number since the common start.
fn merge_series(into: &mut Vec<Second>, other: Vec<Second>) {
    for second in other {
        let number = second.at_s.round();
        match into.iter_mut().find(|known| known.at_s.round() == number) {
            Some(known) => add_second(known, &second),
            None => into.push(second),
        }
    }
    into.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
}

/// Adds one process's second to that of others.
pub fn add_second(into: &mut Second, more: &Second) {
    let packets = into.packets_per_s + more.packets_per_s;
    let lost = into.loss_percent * into.packets_per_s + more.loss_percent * more.packets_per_s;
    into.loss_percent = if packets > 0.0 { lost / packets } else { 0.0 };
    into.packets_per_s = packets;
    into.participants += more.participants;
    into.bitrate_bps += more.bitrate_bps;
    into.tester_cpu_percent += more.tester_cpu_percent;
    into.timer_late_max_ms = into.timer_late_max_ms.max(more.timer_late_max_ms);
}

/// What a worker was to do and what it sent, if it did.
pub struct Part {
    pub name: String,
    pub participants: u64,
    pub offset: Offset,
    pub result: Result<Harvest, String>,
}

/// Adds up all parts. Those that failed count as failed joins; latencies between clocks nobody is sure of are left out.
pub fn merged(rooms: &[String], parts: Vec<Part>) -> (Harvest, Vec<Worker>) {
    let mut whole: Option<Harvest> = None;
    let mut failed = Vec::new();
    let mut workers = Vec::new();
    for part in parts {
        let mut worker = Worker {
            name: part.name,
            participants: part.participants,
            offset_us: part.offset.us,
            offset_unsure_us: part.offset.unsure_us,
            ..Worker::default()
        };
        match part.result {
            Ok(mut harvest) => {
                worker.packets = harvest.tally.packets();
                worker.tester = harvest.tester.clone();
                harvest.tester.warnings.iter_mut().for_each(|warning| *warning = format!("{}: {warning}", worker.name));
                match &mut whole {
                    None => whole = Some(harvest),
                    Some(whole) => whole.merge(harvest),
                }
            }
            Err(why) => {
                failed.push((format!("worker {}: {why}", worker.name), part.participants));
                worker.failed = Some(why);
            }
        }
        workers.push(worker);
    }
    let nothing = || Harvest { tally: Tally::new(rooms.to_vec()), ..Harvest::default() };
    let mut whole = whole.unwrap_or_else(nothing);
    for (why, participants) in failed {
        whole.tester.warnings.push(format!("{why}; its {participants} participants count as failed"));
        whole.joins.attempted += participants;
        whole.joins.note_failures(why, participants);
    }
    doubt_latency(&mut whole, &workers);
    (whole, workers)
}

fn doubt_latency(whole: &mut Harvest, workers: &[Worker]) {
    let mut unsure: Vec<i64> = workers.iter().filter(|w| w.failed.is_none()).map(|w| w.offset_unsure_us).collect();
    unsure.sort_unstable_by_key(|unsure| std::cmp::Reverse(*unsure));
    // Between any two of them.
    let worst: i64 = unsure.iter().take(2).sum();
    if unsure.len() > 1 && worst > UNSURE_MAX_US {
        whole.tally.forget_latency();
        let ms = worst as f64 / 1e3;
        let why = format!("one-way latencies are left out: the workers' clocks are only known to within {ms:.1} ms");
        whole.tester.warnings.push(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stats::{Stats, TrackStats};
    use crate::load::member::Measured;

    fn rooms() -> Vec<String> {
        vec!["r".to_owned()]
    }

    fn harvest(packets: u64, latency: Duration) -> Harvest {
        let mut track = TrackStats { packets, bytes: packets * 100, is_video: true, ..TrackStats::default() };
        (0..packets).for_each(|_| track.latency.note(latency));
        let stats = Stats { received: vec![track], ..Stats::default() };
        let mut tally = Tally::new(rooms());
        tally.add(&Measured { stats, expects: 1, stayed: true, ..Measured::default() });
        let mut joins = Joins::default();
        (joins.attempted, joins.succeeded) = (1, 1);
        Harvest { tally, joins, steady: true, window: Duration::from_secs(10), ..Harvest::default() }
    }

    fn part(name: &str, unsure_us: i64, result: Result<Harvest, String>) -> Part {
        Part { name: name.to_owned(), participants: 2, offset: Offset { us: 7, unsure_us }, result }
    }

    fn told(parts: Vec<Part>) -> (Report, Vec<Worker>) {
        let (whole, workers) = merged(&rooms(), parts);
        let mut report = Report { joins: whole.joins.told(), tester: whole.tester.clone(), ..Report::default() };
        whole.tally.tell(whole.window, &mut report);
        (report, workers)
    }

    #[test]
    fn the_whole_is_the_sum_of_its_parts() {
        let (near, far) = (Duration::from_millis(10), Duration::from_millis(90));
        let (report, workers) =
            told(vec![part("a", 100, Ok(harvest(300, near))), part("b", 100, Ok(harvest(100, far)))]);
        assert_eq!(workers.iter().map(|worker| worker.packets).collect::<Vec<_>>(), [300, 100]);
        assert_eq!((report.total.packets, report.rooms[0].figures.packets, report.tracks.len()), (400, 400, 2));
        assert_eq!(report.total.latency_ms.count, 400);
        assert!(
            report.total.latency_ms.p50 < 12.0 && report.total.latency_ms.p90 > 85.0,
            "{:?}",
            report.total.latency_ms
        );
        assert_eq!((report.joins.attempted, report.joins.failed), (2, 0));
    }

    #[test]
    fn a_worker_that_died_failed_for_all_it_had_to_do() {
        let alive = part("a", 100, Ok(harvest(300, Duration::ZERO)));
        let (report, workers) = told(vec![alive, part("b", 0, Err("fell silent".into()))]);
        assert_eq!((report.joins.attempted, report.joins.failed), (3, 2));
        assert_eq!(report.joins.reasons["worker b: fell silent"], 2);
        assert_eq!(workers[1].failed.as_deref(), Some("fell silent"));
        let (report, _) = told(vec![part("b", 0, Err("never came".into()))]);
        assert_eq!((report.joins.failed, report.total.packets), (2, 0));
    }

    #[test]
    fn latencies_between_unsure_clocks_are_left_out() {
        let parts =
            || vec![part("a", 2_000, Ok(harvest(9, Duration::ZERO))), part("b", 4_000, Ok(harvest(9, Duration::ZERO)))];
        let (report, _) = told(parts());
        assert_eq!(report.total.latency_ms.count, 0);
        assert!(report.tester.warnings[0].contains("within 6.0 ms"), "{:?}", report.tester.warnings);
        let (alone, _) = told(parts().into_iter().take(1).collect());
        assert_eq!(alone.total.latency_ms.count, 9, "one clock is itself");
    }

    #[test]
    fn seconds_are_added_by_their_number() {
        let second =
            |at_s, packets_per_s, loss_percent| Second { at_s, packets_per_s, loss_percent, ..Second::default() };
        let mut series = vec![second(1.0, 100.0, 0.0), second(2.0, 100.0, 0.0)];
        merge_series(&mut series, vec![second(1.1, 300.0, 4.0), second(3.0, 5.0, 0.0)]);
        let told: Vec<_> = series.iter().map(|s| (s.at_s, s.packets_per_s, s.loss_percent)).collect();
        assert_eq!(told, [(1.0, 400.0, 3.0), (2.0, 100.0, 0.0), (3.0, 5.0, 0.0)]);
    }
}
