//! Connection quality of a track or leg as a score 0..=100 (WIRE.md §4.18). Pure; called by `up_track` and `down_track`
//! at the end of each window.

use crate::wire::codec::Codec;
use std::time::Duration;

const MAX: f64 = 100.0;
const FLOOR: f64 = 30.0;
/// Below every level a client calls usable: LOST.
const LOST: f64 = 20.0;
/// The score of POOR.
const POOR: f64 = 30.0;
const PER_MISSED_LAYER: f64 = 35.0;
const WEIGHT_DOWN: f64 = 0.8;
const WEIGHT_UP: f64 = 0.4;

/// What was measured over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Packets that should have come.
    pub expected: u64,
    pub lost: u64,
    pub rtt: Duration,
    pub jitter: Duration,
    /// Bits expected and seen, if an expectation exists.
    pub bits: Option<(u64, u64)>,
    pub layers_missed: u8,
    /// Reports still come although packets do not.
    pub rtcp_alive: bool,
    /// Muted, or disabled by the subscriber: nothing is expected.
    pub silent_on_purpose: bool,
}

/// How much a percent of loss costs.
fn loss_weight(codec: Codec, fec: bool) -> f64 {
    let weight = match codec {
        Codec::Red => 4.0,
        codec if codec.is_audio() => 8.0,
        _ => return 10.0,
    };
    if fec { weight / 1.5 } else { weight }
}

fn delay_cost(rtt: Duration, jitter: Duration) -> f64 {
    let ms = (rtt.as_secs_f64() / 2.0 + 2.0 * jitter.as_secs_f64()) * 1_000.0;
    if ms < 160.0 { ms / 40.0 } else { (ms - 120.0) / 10.0 }
}

fn packet_score(window: &Window, weight: f64) -> f64 {
    let loss_percent = window.lost as f64 * 100.0 / window.expected.max(1) as f64;
    MAX - delay_cost(window.rtt, window.jitter) - loss_percent * weight
}

fn bitrate_score(window: &Window) -> f64 {
    match window.bits {
        Some((expected, actual)) if actual > 0 && expected > actual => {
            MAX - 20.0 * (expected as f64 / actual as f64).ln()
        }
        _ => MAX,
    }
}

fn layer_score(window: &Window) -> f64 {
    MAX - PER_MISSED_LAYER * f64::from(window.layers_missed)
}

/// The score of one window by itself.
pub fn score(window: &Window, codec: Codec, fec: bool) -> f64 {
    if window.silent_on_purpose {
        return MAX;
    }
    if window.expected == 0 {
        return if window.rtcp_alive { POOR } else { LOST };
    }
    let worst = packet_score(window, loss_weight(codec, fec)).min(bitrate_score(window)).min(layer_score(window));
    worst.clamp(FLOOR, MAX)
}

/// The score smoothed over windows: quick to fall, slow to rise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality(f64);

impl Default for Quality {
    fn default() -> Quality {
        Quality(MAX)
    }
}

impl Quality {
    /// The smoothed score so far.
    pub fn current(&self) -> f32 {
        self.0 as f32
    }

    /// Takes a window in and returns the smoothed score, 0..=100.
    pub fn observe(&mut self, window: &Window, codec: Codec, fec: bool) -> f32 {
        let score = score(window, codec, fec);
        let weight = if score < self.0 { WEIGHT_DOWN } else { WEIGHT_UP };
        let at_once = window.expected == 0 || window.silent_on_purpose;
        self.0 = if at_once { score } else { self.0 + (score - self.0) * weight };
        self.0 as f32
    }
}

/// Mean opinion score 1..=4.5 of a quality score (ITU-T G.107).
pub fn mos(score: f32) -> f32 {
    1.0 + 0.035 * score + 7e-6 * score * (score - 60.0) * (100.0 - score)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Window {
        Window { expected: 1_000, rtcp_alive: true, ..Window::default() }
    }

    #[test]
    fn scores() {
        let ms = Duration::from_millis;
        let cases = [
            ("clean", clean(), Codec::Opus, 100.0),
            ("opus loses 1 %", Window { lost: 10, ..clean() }, Codec::Opus, 92.0),
            ("red loses 1 %", Window { lost: 10, ..clean() }, Codec::Red, 96.0),
            ("video loses 1 %", Window { lost: 10, ..clean() }, Codec::Vp8, 90.0),
            ("short delay", Window { rtt: ms(80), jitter: ms(20), ..clean() }, Codec::Vp8, 98.0),
            ("long delay", Window { rtt: ms(400), ..clean() }, Codec::Vp8, 92.0),
            ("two layers missed", Window { layers_missed: 2, ..clean() }, Codec::Vp8, 30.0),
            ("one layer missed", Window { layers_missed: 1, ..clean() }, Codec::Vp8, 65.0),
            ("ruin", Window { lost: 900, ..clean() }, Codec::Vp8, 30.0),
            ("packets stop", Window { expected: 0, ..clean() }, Codec::Vp8, 30.0),
            ("all stops", Window::default(), Codec::Vp8, 20.0),
            ("muted", Window { silent_on_purpose: true, ..Window::default() }, Codec::Vp8, 100.0),
        ];
        for (name, window, codec, expected) in cases {
            assert!((score(&window, codec, false) - expected).abs() < 1e-9, "{name}");
        }
        let half = Window { bits: Some((200, 100)), ..clean() };
        assert!((score(&half, Codec::Vp8, false) - (100.0 - 20.0 * 2f64.ln())).abs() < 1e-9);
        let fec = score(&Window { lost: 15, ..clean() }, Codec::Opus, true);
        assert!((fec - 92.0).abs() < 1e-9, "FEC divides the weight by 1.5: {fec}");
    }

    #[test]
    fn falls_quickly_and_rises_slowly() {
        let mut quality = Quality::default();
        let bad = Window { lost: 50, ..clean() };
        assert!((quality.observe(&bad, Codec::Vp8, false) - 60.0).abs() < 1e-4);
        assert!((quality.observe(&clean(), Codec::Vp8, false) - 76.0).abs() < 1e-4);
    }

    #[test]
    fn mos_spans_one_to_four_and_a_half() {
        assert_eq!(mos(0.0), 1.0);
        assert!((mos(100.0) - 4.5).abs() < 1e-6);
    }
}
