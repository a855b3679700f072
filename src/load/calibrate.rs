//! From measured runs to what things cost: least squares over rates and processor time, and over people, tracks and memory.
//! The runs are `commands`'; pure.

use super::plan::Calibration;
use super::rates::Rates;
use super::report::Report;
use super::shape::Shape;

/// One measured run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub rates: Rates,
    pub participants: f64,
    pub subscriptions: f64,
    /// Of the server, in microseconds of one core a second, and its memory.
    pub cpu_us_per_s: f64,
    pub bytes: f64,
}

/// Shapes that tell the costs apart: bursts of one packet, of many, much coming in, many people.
pub const SHAPES: [&str; 6] = ["(1ap,1s)", "(2ap,30s)", "(2vp,20s,layout=4x4)", "(2vp,15s)", "(15avp,1s)", "3x(4av)"];

impl Sample {
    /// `None` if the server's process was not watched.
    pub fn of(shape: &Shape, report: &Report) -> Option<Sample> {
        let server = report.server.as_ref()?;
        Some(Sample {
            rates: Rates::of(shape),
            participants: shape.participants() as f64,
            subscriptions: shape.tracks().subscribed() as f64,
            cpu_us_per_s: server.cpu_percent * 10_000.0,
            bytes: server.rss_bytes as f64,
        })
    }
}

/// What fits the samples best. Nothing costs less than nothing.
pub fn fit(machine: &str, samples: &[Sample]) -> Calibration {
    let cpu: Vec<([f64; 4], f64)> = samples
        .iter()
        .map(|s| ([s.rates.packets_in, s.rates.packets_out, s.rates.bursts_out, 1.0], s.cpu_us_per_s))
        .collect();
    let memory: Vec<([f64; 4], f64)> =
        samples.iter().map(|s| ([s.participants, s.subscriptions, 1.0, 0.0], s.bytes)).collect();
    let [packet_in_us, packet_out_us, burst_out_us, idle_us_per_s] = least_squares(&cpu);
    let [participant_bytes, subscription_bytes, idle_bytes, _] = least_squares(&memory);
    Calibration {
        machine: machine.to_owned(),
        packet_in_us,
        packet_out_us,
        burst_out_us,
        idle_us_per_s,
        idle_bytes,
        participant_bytes,
        subscription_bytes,
    }
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
    use super::*;

    fn samples(cost: impl Fn(&Rates) -> f64) -> Vec<Sample> {
        let sample = |text: &&str| {
            let shape = parse(text, &Traits::default()).unwrap();
            let rates = Rates::of(&shape);
            let (participants, subscriptions) = (shape.participants() as f64, shape.tracks().subscribed() as f64);
            let bytes = 20e6 + 50e3 * participants + 8e3 * subscriptions;
            Sample { cpu_us_per_s: cost(&rates), rates, participants, subscriptions, bytes }
        };
        SHAPES.iter().map(sample).collect()
    }

    fn is(value: f64, wanted: f64) {
        assert!((value - wanted).abs() <= wanted.abs() * 1e-3 + 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn the_shapes_tell_all_costs_apart() {
        let found = fit("x", &samples(|r| 5.0 * r.packets_in + 0.8 * r.packets_out + 2.5 * r.bursts_out + 3000.0));
        is(found.packet_in_us, 5.0);
        is(found.packet_out_us, 0.8);
        is(found.burst_out_us, 2.5);
        is(found.idle_us_per_s, 3000.0);
        is(found.participant_bytes, 50e3);
        is(found.subscription_bytes, 8e3);
        is(found.idle_bytes, 20e6);
    }

    #[test]
    fn nothing_is_cheaper_than_nothing() {
        let found = fit("x", &samples(|r| 5.0 * r.packets_in + 3.0 * r.packets_out - 0.5 * r.bursts_out));
        assert_eq!(found.burst_out_us, 0.0);
        assert!(found.packet_out_us > 0.0 && found.packet_in_us >= 0.0);
        assert_eq!(fit("x", &[]).packet_in_us, 0.0);
    }
}
