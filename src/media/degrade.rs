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

    /// What a leg of a camera may have of the ways to forward its track, cheapest first. `is_least_watched` is whether the
    /// track is among the half fewest watch. `None` is no limit.
    pub fn allowance(self, ladder: &[Rung], is_least_watched: bool) -> Option<LegAllowance> {
        let is_paused = self == Degradation::Video || (self == Degradation::LeastWatched && is_least_watched);
        if is_paused {
            return Some(LegAllowance { spatial: 0, temporal: 0, paused: true });
        }
        let top = ladder.last().filter(|_| self >= Degradation::TopLayers)?;
        let below = ladder.iter().rev().find(|rung| rung.spatial < top.spatial);
        let spatial = below.unwrap_or(top).spatial;
        let temporal = if self >= Degradation::FrameRate { slower(ladder, spatial) } else { u8::MAX };
        Some(LegAllowance { spatial, temporal, paused: false })
    }
}

/// The temporal layer below the highest of that spatial layer.
fn slower(ladder: &[Rung], spatial: u8) -> u8 {
    let of_layer = ladder.iter().filter(|rung| rung.spatial == spatial).map(|rung| rung.temporal);
    of_layer.max().unwrap_or(0).saturating_sub(1)
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
            assert_eq!(step.allowance(&three, least), expected, "{step:?}");
        }
    }

    #[test]
    fn a_single_layer_is_kept() {
        assert_eq!(Degradation::TopLayers.allowance(&ladder(&[(0, 2)]), false), allowed(0, u8::MAX));
        assert_eq!(Degradation::FrameRate.allowance(&ladder(&[(0, 0)]), false), allowed(0, 0));
        assert_eq!(Degradation::FrameRate.allowance(&[], false), None, "nothing flows yet");
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
