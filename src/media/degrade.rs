//! What an overloaded node takes from its subscribers, in the order they miss it least: top layers, frame rate, the video
//! of the least watched, all video of cameras. Audio and shared screens are never touched.
//!
//! Pure; the server decides how far to go, the shard applies it beside the limits of each connection.

use super::allocate::{LegAllowance, Rung};

/// How far it has come; each step keeps what those before took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degradation {
    #[default]
    None,
    /// The highest spatial layer of each video goes where there is a lower one.
    TopLayers,
    /// So does its highest temporal layer.
    FrameRate,
    /// The half of the videos fewest watch is paused.
    LeastWatched,
    /// All video of cameras is paused.
    Video,
}

const ORDER: [Degradation; 5] =
    [Degradation::None, Degradation::TopLayers, Degradation::FrameRate, Degradation::LeastWatched, Degradation::Video];

impl Degradation {
    /// One step further; the last stays.
    pub fn further(self) -> Degradation {
        ORDER.into_iter().find(|step| *step > self).unwrap_or(self)
    }

    /// One step back; the first stays.
    pub fn back(self) -> Degradation {
        ORDER.into_iter().rev().find(|step| *step < self).unwrap_or(self)
    }

    /// What a leg of a camera may have. `known` are the layers the track has, whether its publisher sends them now or not
    /// (bit 0 is layer 0): it stops those nobody takes, and they must not count as gone. `ladder` are the ways to forward it,
    /// `is_least_watched` whether it is among the half fewest watch. `None` is no limit.
    pub fn allowance(self, known: u8, wanted: u8, ladder: &[Rung], is_least_watched: bool) -> Option<LegAllowance> {
        let is_paused = self == Degradation::Video || (self == Degradation::LeastWatched && is_least_watched);
        if is_paused {
            return Some(LegAllowance { spatial: 0, temporal: 0, paused: true });
        }
        let top = highest(known, wanted).filter(|_| self >= Degradation::TopLayers)?;
        let spatial = top.checked_sub(1).and_then(|below| highest(known, below)).unwrap_or(top);
        let temporal = if self >= Degradation::FrameRate { slower(ladder, spatial) } else { u8::MAX };
        Some(LegAllowance { spatial, temporal, paused: false })
    }
}

/// The highest of those layers up to one.
fn highest(known: u8, up_to: u8) -> Option<u8> {
    (0..=up_to.min(7)).rev().find(|layer| known & (1 << layer) != 0)
}

/// The temporal layer below the highest of that spatial layer, or of any while it does not flow.
fn slower(ladder: &[Rung], spatial: u8) -> u8 {
    let flows = ladder.iter().any(|rung| rung.spatial == spatial);
    let of_layer = ladder.iter().filter(|rung| rung.spatial == spatial || !flows).map(|rung| rung.temporal);
    of_layer.max().unwrap_or(u8::MAX).saturating_sub(1)
}

/// Which of these videos, given by how many watch each, are the half fewest watch: of equals those that come first.
pub fn least_watched(watchers: &[usize]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..watchers.len()).collect();
    order.sort_by_key(|index| watchers[*index]);
    let mut least = vec![false; watchers.len()];
    order.iter().take(watchers.len() / 2).for_each(|index| least[*index] = true);
    least
}

/// What both limits leave.
pub fn lesser(a: Option<LegAllowance>, b: Option<LegAllowance>) -> Option<LegAllowance> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    Some(LegAllowance {
        spatial: a.spatial.min(b.spatial),
        temporal: a.temporal.min(b.temporal),
        paused: a.paused || b.paused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bitrate::Bitrate;

    fn ladder(layers: &[(u8, u8)]) -> Vec<Rung> {
        let rung = |(n, (spatial, temporal)): (usize, &(u8, u8))| {
            let rate = Bitrate(100_000 * (n as u64 + 1));
            Rung { spatial: *spatial, temporal: *temporal, rate, peak: rate }
        };
        layers.iter().enumerate().map(rung).collect()
    }

    fn allowed(spatial: u8, temporal: u8) -> Option<LegAllowance> {
        Some(LegAllowance { spatial, temporal, paused: false })
    }

    #[test]
    fn steps_follow_each_other_and_end() {
        let walk = |step: fn(Degradation) -> Degradation, from| {
            let mut steps = vec![from];
            (0..5).for_each(|_| steps.push(step(*steps.last().unwrap())));
            steps
        };
        let there = walk(Degradation::further, Degradation::None);
        assert_eq!((&there[..5], there[5]), (&ORDER[..], Degradation::Video));
        let back: Vec<_> = walk(Degradation::back, Degradation::Video).into_iter().take(5).rev().collect();
        assert_eq!(back, ORDER);
    }

    #[test]
    fn each_step_takes_what_is_missed_least() {
        let three = ladder(&[(0, 0), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]);
        let paused = Some(LegAllowance { spatial: 0, temporal: 0, paused: true });
        let cases = [
            (Degradation::None, false, None),
            (Degradation::TopLayers, true, allowed(1, u8::MAX)),
            (Degradation::FrameRate, true, allowed(1, 1)),
            (Degradation::LeastWatched, false, allowed(1, 1)),
            (Degradation::LeastWatched, true, paused),
            (Degradation::Video, false, paused),
        ];
        for (step, least, expected) in cases {
            assert_eq!(step.allowance(0b111, 2, &three, least), expected, "{step:?}");
        }
    }

    #[test]
    fn a_single_layer_is_kept() {
        let single = ladder(&[(0, 2)]);
        assert_eq!(Degradation::TopLayers.allowance(1, 2, &single, false), allowed(0, u8::MAX));
        assert_eq!(Degradation::FrameRate.allowance(1, 2, &ladder(&[(0, 0)]), false), allowed(0, 0));
        assert_eq!(Degradation::FrameRate.allowance(0, 2, &[], false), None, "nothing is known yet");
    }

    #[test]
    fn a_layer_its_publisher_stopped_does_not_take_the_next_one_along() {
        let stopped = ladder(&[(0, 0), (0, 2), (1, 1), (1, 2)]);
        assert_eq!(Degradation::TopLayers.allowance(0b111, 2, &stopped, false), allowed(1, u8::MAX));
        assert_eq!(Degradation::TopLayers.allowance(0b111, 1, &stopped, false), allowed(0, u8::MAX), "less was wanted");
        assert_eq!(Degradation::FrameRate.allowance(0b111, 2, &ladder(&[(0, 0), (0, 2)]), false), allowed(1, 1));
    }

    #[test]
    fn the_least_watched_half_is_found() {
        assert_eq!(least_watched(&[9, 1, 5, 3]), [false, true, false, true]);
        assert_eq!(least_watched(&[2, 2, 2]), [true, false, false]);
        assert_eq!(least_watched(&[7]), [false], "the only one stays until all go");
    }

    #[test]
    fn of_two_limits_the_lesser_counts() {
        assert_eq!(lesser(None, None), None);
        assert_eq!(lesser(allowed(1, 3), None), allowed(1, 3));
        assert_eq!(lesser(allowed(1, 3), allowed(2, 1)), allowed(1, 1));
    }
}
