//! From measured runs to what things cost: least squares over what was forwarded and processor time, and over people, tracks
//! and memory. The runs are `commands`'; pure.

use super::plan::{Calibration, Load};
use super::report::Report;
use super::shape::Shape;

/// One measured run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub shape: String,
    /// What really came and went.
    pub load: Load,
    /// Of the server, in microseconds of one core a second, and its memory.
    pub cpu_us_per_s: f64,
    pub bytes: f64,
}

/// Shapes that tell the costs apart: bursts of one packet and of many, much coming in, many people; those that take more
/// memory later, for servers give none back.
pub const SHAPES: [&str; 8] =
    ["(2ap,15s)", "8x(2a)", "(8a)", "(1vp,40s)", "(2vp,15s)", "(6v,layout=4x4)", "3x(4av)", "(15avp,1s)"];

/// Of one core: when others take more, what is measured is them. A hundredth of a core is what watching takes.
const OTHERS_PERCENT_MAX: f64 = 10.0;

/// What other processes took while a run beside a server was measured, in percent of one core, by what the machine was
/// busy with; software interrupts of the run's own packets belong to nobody.
pub fn others_percent(report: &Report, cores: usize) -> f64 {
    let tester = &report.tester;
    let busy = (tester.machine_percent - tester.softirq_percent) * cores as f64;
    let server = report.server.as_ref().map_or(0.0, |server| server.cpu_percent);
    (busy - tester.cpu_percent - server).max(0.0)
}

/// Whether figures measured while others took so much can be believed.
pub fn is_quiet(others_percent: f64) -> bool {
    others_percent <= OTHERS_PERCENT_MAX
}

impl Sample {
    /// `None` if the server's process was not watched.
    pub fn of(shape: &Shape, report: &Report) -> Option<Sample> {
        let server = report.server.as_ref()?;
        let told = Load::of_all(shape);
        let sent_per_s = report.total.sent_packets as f64 / report.window_s.max(1e-9);
        Some(Sample {
            shape: report.shape.clone(),
            load: Load { rates: told.rates.at(sent_per_s, report.total.packets_per_s), ..told },
            cpu_us_per_s: server.cpu_percent * 10_000.0,
            bytes: server.rss_bytes as f64,
        })
    }

    /// Of a server with nobody: only its memory tells anything.
    pub fn idle(bytes: f64) -> Sample {
        Sample { shape: String::new(), load: Load::default(), cpu_us_per_s: 0.0, bytes }
    }
}

/// Of several runs of one shape the one in the middle by CPU a packet.
pub fn median(mut runs: Vec<Sample>) -> Option<Sample> {
    let cost = |s: &Sample| s.cpu_us_per_s / (s.load.rates.packets_in + s.load.rates.packets_out).max(1.0);
    runs.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let middle = runs.len().checked_sub(1)? / 2;
    Some(runs.swap_remove(middle))
}

/// What fits the samples best. Nothing costs less than nothing.
pub fn fit(machine: &str, conditions: &str, samples: &[Sample]) -> Calibration {
    let ran = || samples.iter().filter(|s| s.load.participants > 0.0);
    let cpu: Vec<([f64; 6], f64)> = ran().map(|s| (work(&s.load), s.cpu_us_per_s)).collect();
    let memory: Vec<([f64; 4], f64)> = samples.iter().map(|s| (holdings(&s.load), s.bytes)).collect();
    let [packet_in_us, burst_in_us, packet_out_us, burst_out_us, participant_us_per_s, idle_us_per_s] =
        least_squares(&cpu);
    let [participant_bytes, publication_bytes, subscription_bytes, idle_bytes] = least_squares(&memory);
    let mut calibration = Calibration {
        machine: machine.to_owned(),
        conditions: conditions.to_owned(),
        error_percent: 0.0,
        error_max_percent: 0.0,
        packet_in_us,
        burst_in_us,
        packet_out_us,
        burst_out_us,
        participant_us_per_s,
        idle_us_per_s,
        idle_bytes,
        participant_bytes,
        publication_bytes,
        subscription_bytes,
    };
    let errors: Vec<f64> = ran().map(|s| error_percent(&calibration, s).abs()).collect();
    calibration.error_percent = errors.iter().sum::<f64>() / (errors.len() as f64).max(1.0);
    calibration.error_max_percent = errors.into_iter().fold(0.0, f64::max);
    calibration
}

/// By how much a calibration says more CPU than was measured, in percent of that.
pub fn error_percent(calibration: &Calibration, sample: &Sample) -> f64 {
    let told = calibration.load(&sample.load).cores * 1e6 + calibration.idle_us_per_s;
    (told - sample.cpu_us_per_s) / sample.cpu_us_per_s.max(1e-9) * 100.0
}

fn work(load: &Load) -> [f64; 6] {
    let rates = &load.rates;
    [rates.packets_in, rates.bursts_in, rates.packets_out, rates.bursts_out, load.participants, 1.0]
}

fn holdings(load: &Load) -> [f64; 4] {
    [load.participants, load.publications, load.subscriptions, 1.0]
}

/// Coefficients of no negative sign that fit best, relative errors counting alike: those that come out negative are left
/// out, the worst first, and the rest fitted again.
fn least_squares<const N: usize>(rows: &[([f64; N], f64)]) -> [f64; N] {
    let mut used = [true; N];
    loop {
        let found = solve(rows, &used);
        let worst = (0..N).filter(|i| found[*i] < 0.0).min_by(|a, b| found[*a].total_cmp(&found[*b]));
        match worst {
            Some(index) => used[index] = false,
            None => return found,
        }
    }
}

/// The normal equations by elimination; what does not occur or cannot be told apart gets 0.
fn solve<const N: usize>(rows: &[([f64; N], f64)], used: &[bool; N]) -> [f64; N] {
    let mut matrix = [[0.0; N]; N];
    let mut right = [0.0; N];
    for (row, value) in rows {
        let weight = 1.0 / (value * value).max(1.0);
        for i in (0..N).filter(|i| used[*i]) {
            right[i] += row[i] * value * weight;
            (0..N).filter(|j| used[*j]).for_each(|j| matrix[i][j] += row[i] * row[j] * weight);
        }
    }
    eliminate(&mut matrix, &mut right)
}

fn eliminate<const N: usize>(matrix: &mut [[f64; N]; N], right: &mut [f64; N]) -> [f64; N] {
    // The matrix is symmetric and not negative, so its diagonal serves as pivots.
    for pivot in 0..N {
        let scale = matrix[pivot][pivot];
        if scale <= 1e-18 {
            continue;
        }
        for row in (0..N).filter(|row| *row != pivot) {
            let factor = matrix[row][pivot] / scale;
            let subtracted = matrix[pivot];
            matrix[row].iter_mut().zip(subtracted).for_each(|(cell, above)| *cell -= factor * above);
            right[row] -= factor * right[pivot];
        }
    }
    std::array::from_fn(|i| if matrix[i][i] <= 1e-18 { 0.0 } else { right[i] / matrix[i][i] })
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::super::shape::Traits;
    use super::super::watch::{Server, Tester};
    use super::*;

    fn samples(cost: impl Fn(&Load) -> f64) -> Vec<Sample> {
        let sample = |text: &&str| {
            let load = Load::of_all(&parse(text, &Traits::default()).unwrap());
            let bytes = 20e6 + 50e3 * load.participants + 90e3 * load.publications + 8e3 * load.subscriptions;
            Sample { shape: (*text).to_owned(), cpu_us_per_s: cost(&load), load, bytes }
        };
        SHAPES.iter().map(sample).collect()
    }

    fn is(value: f64, wanted: f64) {
        assert!((value - wanted).abs() <= wanted.abs() * 1e-3 + 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn the_shapes_tell_all_costs_apart() {
        let cost = |load: &Load| {
            let r = &load.rates;
            let packets = 5.0 * r.packets_in + 4.0 * r.bursts_in + 0.8 * r.packets_out + 2.5 * r.bursts_out;
            packets + 150.0 * load.participants + 3000.0
        };
        let found = fit("x", "", &samples(cost));
        is(found.packet_in_us, 5.0);
        is(found.burst_in_us, 4.0);
        is(found.packet_out_us, 0.8);
        is(found.burst_out_us, 2.5);
        is(found.participant_us_per_s, 150.0);
        is(found.idle_us_per_s, 3000.0);
        is(found.participant_bytes, 50e3);
        is(found.publication_bytes, 90e3);
        is(found.subscription_bytes, 8e3);
        is(found.idle_bytes, 20e6);
        assert!(found.error_max_percent < 0.1);
    }

    #[test]
    fn nothing_is_cheaper_than_nothing_and_what_does_not_fit_is_told() {
        let found = fit("x", "", &samples(|l| 5.0 * l.rates.packets_in + 3.0 * l.rates.packets_out - 300.0));
        assert_eq!(found.idle_us_per_s, 0.0);
        assert!(found.packet_out_us > 0.0 && found.packet_in_us >= 0.0);
        assert!(found.error_max_percent >= found.error_percent && found.error_max_percent > 0.0);
        assert_eq!(fit("x", "", &[]).packet_in_us, 0.0);
    }

    #[test]
    fn of_several_runs_the_middle_one_counts() {
        let load = Load { participants: 1.0, ..Load::default() };
        let run = |cpu_us_per_s| Sample { shape: String::new(), load, cpu_us_per_s, bytes: 0.0 };
        assert_eq!(median(vec![run(9.0), run(1.0), run(2.0)]), Some(run(2.0)));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn what_others_took_is_what_is_left() {
        let tester = Tester { machine_percent: 60.0, softirq_percent: 10.0, cpu_percent: 40.0, ..Tester::default() };
        let server = Some(Server { cpu_percent: 30.0, ..Server::default() });
        let report = Report { tester, server, ..Report::default() };
        assert_eq!(others_percent(&report, 2), 30.0);
        assert!(!is_quiet(30.0) && is_quiet(3.0));
    }
}
