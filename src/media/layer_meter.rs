//! Bits per second of each layer of a published track, over a sliding window. Kept by `up_track`, read when bandwidth is
//! shared out.

use super::bitrate::Bitrate;
use super::up_track::LAYERS;
use std::time::{Duration, Instant};

/// Temporal layers told apart; none of the codecs uses more.
pub const TEMPORALS: usize = 4;
const CELLS: usize = LAYERS * TEMPORALS;
/// Whole slices of a window; one more is being filled.
const SLICES: usize = 4;
/// Twice that of WIRE.md §4.9: a key frame must not look like a rate. Screens change rarely.
const WINDOW: Duration = Duration::from_secs(2);
const WINDOW_SCREEN: Duration = Duration::from_secs(4);

/// What is left of a peak after a slice: half of it after four seconds or so.
const PEAK_HELD: f64 = 0.92;

/// What arrived lately, by layer.
#[derive(Clone, Debug)]
pub struct LayerMeter {
    slice: Duration,
    epoch: Option<Instant>,
    newest: u64,
    bytes: [[u32; CELLS]; SLICES + 1],
    /// The highest rate of late, slowly forgotten.
    peaks: [Bitrate; CELLS],
}

impl LayerMeter {
    pub fn new(is_screen_share: bool) -> LayerMeter {
        let window = if is_screen_share { WINDOW_SCREEN } else { WINDOW };
        let (bytes, peaks) = ([[0; CELLS]; SLICES + 1], [Bitrate::ZERO; CELLS]);
        LayerMeter { slice: window / SLICES as u32, epoch: None, newest: 0, bytes, peaks }
    }

    /// # Cost
    /// Two additions; once each slice some words are cleared.
    pub fn note(&mut self, now: Instant, spatial: u8, temporal: u8, bytes: usize) {
        let number = self.slice_at(now);
        let passed = number.saturating_sub(self.newest).min(SLICES as u64 + 1);
        (0..passed).for_each(|back| self.bytes[index(number - back)] = [0; CELLS]);
        self.newest = self.newest.max(number);
        if passed > 0 {
            self.note_peaks(now, passed);
        }
        let cell = usize::from(spatial) * TEMPORALS + usize::from(temporal).min(TEMPORALS - 1);
        if let Some(count) = self.bytes[index(self.newest)].get_mut(cell) {
            *count = count.saturating_add(bytes as u32);
        }
    }

    fn note_peaks(&mut self, now: Instant, passed: u64) {
        let held = PEAK_HELD.powi(passed as i32);
        for cell in 0..CELLS {
            let rate = self.rate(now, (cell / TEMPORALS) as u8, (cell % TEMPORALS) as u8);
            self.peaks[cell] = self.peaks[cell].scaled(held).max(rate);
        }
    }

    /// The most the layer took lately. Encoders that run short leave layers out for a while: what such a layer takes now says
    /// little of what it will take.
    pub fn peak(&self, spatial: u8, temporal: u8) -> Bitrate {
        self.peaks.get(usize::from(spatial) * TEMPORALS + usize::from(temporal)).copied().unwrap_or(Bitrate::ZERO)
    }

    fn slice_at(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        self.number_at(now, epoch)
    }

    fn number_at(&self, now: Instant, epoch: Instant) -> u64 {
        (now.saturating_duration_since(epoch).as_nanos() / self.slice.as_nanos()) as u64
    }

    /// Rate of one temporal layer of a spatial one, without those below it.
    pub fn rate(&self, now: Instant, spatial: u8, temporal: u8) -> Bitrate {
        let Some(epoch) = self.epoch else { return Bitrate::ZERO };
        let current = self.number_at(now, epoch);
        let cell = usize::from(spatial) * TEMPORALS + usize::from(temporal);
        // At first there is no whole slice: what there is of the first counts.
        let numbers = if current == 0 { 0..1 } else { current.saturating_sub(SLICES as u64)..current };
        let time = if current == 0 { self.slice } else { self.slice * (numbers.end - numbers.start) as u32 };
        let held = numbers.filter(|n| *n <= self.newest && *n + SLICES as u64 >= self.newest);
        let bytes: u64 = held.filter_map(|n| self.bytes[index(n)].get(cell)).map(|b| u64::from(*b)).sum();
        Bitrate::of(bytes, time)
    }
}

fn index(number: u64) -> usize {
    (number % (SLICES as u64 + 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn layers_are_measured_apart() {
        let mut meter = LayerMeter::new(false);
        assert_eq!(meter.rate(at(0), 0, 0), Bitrate::ZERO);
        for ms in (0..3_000).step_by(10) {
            meter.note(at(ms), 0, 0, 125);
            meter.note(at(ms), 2, 1, 1_250);
        }
        let rates: Vec<u64> =
            [(0, 0), (0, 1), (2, 0), (2, 1)].map(|(s, t)| meter.rate(at(3_000), s, t).0 / 1_000).into();
        assert_eq!(rates, [100, 0, 0, 1_000]);
    }

    #[test]
    fn a_layer_that_stops_fades_within_the_window() {
        for (screen, window) in [(false, 2_000), (true, 4_000)] {
            let mut meter = LayerMeter::new(screen);
            (0..8_000).step_by(10).for_each(|ms| meter.note(at(ms), 1, 0, 125));
            let rate = |ms: u64| meter.rate(at(8_000 + ms), 1, 0).0;
            assert_eq!((rate(0), rate(window / 2), rate(window), rate(60_000)), (100_000, 50_000, 0, 0));
        }
    }

    #[test]
    fn peaks_are_forgotten_slowly() {
        let mut meter = LayerMeter::new(false);
        (0..4_000).step_by(10).for_each(|ms| meter.note(at(ms), 1, 0, 1_250));
        (4_000..8_000).step_by(10).for_each(|ms| meter.note(at(ms), 1, 0, 125));
        assert_eq!(meter.rate(at(8_000), 1, 0).0, 100_000);
        let peak = meter.peak(1, 0).0;
        assert!((500_000..900_000).contains(&peak), "{peak}");
        (8_000..30_000).step_by(10).for_each(|ms| meter.note(at(ms), 1, 0, 125));
        assert_eq!(meter.peak(1, 0).0, 100_000);
    }

    #[test]
    fn layers_beyond_the_last_are_survived() {
        let mut meter = LayerMeter::new(false);
        meter.note(at(0), 7, 0, 100);
        meter.note(at(0), 0, 9, 100);
        assert!(meter.rate(at(0), 0, 3) > Bitrate::ZERO);
        assert_eq!((meter.rate(at(0), 9, 3), meter.peak(9, 3)), (Bitrate::ZERO, Bitrate::ZERO));
    }
}
