//! What a connection sends before anything is known of it: of each video the lowest layer, while probes ask whether the rest
//! passes. A picture in full size sent into a narrow path with a long queue would stand in its own way for seconds.
//!
//! Pure; the estimator ([`super::Bandwidth::open`]) keeps the state, the shard asks here in the place of `allocate`.

use super::allocate::{Allocation, Ladder, LegAllowance, Request, Rules};
use super::bitrate::Bitrate;

/// Nearly every path takes this much.
const RATE: Bitrate = Bitrate::kbps(300);
/// What the lowest layers may vary by.
const ROOM: f64 = 1.5;
/// More than is wanted by so much is enough: layers vary by the second.
const ENOUGH: f64 = 1.05;
const LOWEST: LegAllowance = LegAllowance { spatial: 0, temporal: u8::MAX, paused: false };

/// What the legs of a connection come to, the reserved rate included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// With the lowest layers.
    least: Bitrate,
    /// With all that is wanted.
    wanted: Bitrate,
}

impl Opening {
    pub fn of(requests: &[Request], reserved: Bitrate) -> Opening {
        let sum = |cost: fn(&Ladder) -> Bitrate| requests.iter().fold(reserved, |sum, r| sum.plus(cost(&r.ladder)));
        Opening { least: sum(lowest_rate), wanted: sum(|ladder| ladder.last().map_or(Bitrate::ZERO, |rung| rung.rate)) }
    }

    /// What to hold the connection to at first; `None` if all that is wanted fits or there is nothing to choose.
    pub fn rate(&self) -> Option<Bitrate> {
        let rate = RATE.max(self.least.scaled(ROOM));
        (self.wanted > rate).then_some(rate)
    }

    pub fn is_enough(&self, estimate: Bitrate) -> bool {
        estimate >= self.wanted.scaled(ENOUGH)
    }

    /// The lowest layers, and what a probe must prove for more.
    pub fn allocation(&self, requests: &[Request], rules: &Rules) -> Allocation {
        Allocation {
            shares: requests.iter().map(|_| Some(LOWEST)).collect(),
            goal: Some(self.wanted.scaled(rules.goal)),
        }
    }
}

fn lowest_rate(ladder: &Ladder) -> Bitrate {
    let spatial = ladder.first().map(|rung| rung.spatial);
    let lowest = ladder.iter().rev().find(|rung| Some(rung.spatial) == spatial);
    lowest.map_or(Bitrate::ZERO, |rung| rung.rate)
}

#[cfg(test)]
mod tests {
    use super::super::allocate::Rung;
    use super::*;

    /// (spatial, temporal, kbit/s)
    fn request(rungs: &[(u8, u8, u64)]) -> Request {
        let rung = |(spatial, temporal, kbps): &(u8, u8, u64)| {
            let rate = Bitrate::kbps(*kbps);
            Rung { spatial: *spatial, temporal: *temporal, rate, peak: rate }
        };
        Request { priority: 1, ladder: rungs.iter().map(rung).collect(), held: None, paused: None }
    }

    #[test]
    fn begins_with_what_the_lowest_layers_take() {
        let camera = || request(&[(0, 0, 80), (0, 2, 160), (1, 2, 500), (2, 2, 1_700)]);
        let cases = [
            (vec![camera()], 0, Some(300)),
            (vec![camera()], 100, Some(390)),
            (vec![camera(), camera(), camera()], 0, Some(720)),
            (vec![request(&[(0, 0, 80), (0, 2, 160)])], 0, None),
            (vec![request(&[(2, 0, 2_000)])], 0, None),
            (vec![request(&[])], 0, None),
        ];
        for (requests, reserved, rate) in cases {
            let opening = Opening::of(&requests, Bitrate::kbps(reserved));
            assert_eq!(opening.rate(), rate.map(Bitrate::kbps), "{requests:?}");
        }
    }

    #[test]
    fn asks_for_all_that_is_wanted_and_ends_with_a_little_more_than_that() {
        let requests = [request(&[(0, 2, 160), (1, 2, 500)]), request(&[(0, 2, 160), (2, 2, 1_500)])];
        let opening = Opening::of(&requests, Bitrate::ZERO);
        let allocation = opening.allocation(&requests, &Rules::default());
        assert_eq!(allocation.goal, Some(Bitrate::kbps(2_400)));
        assert_eq!(allocation.shares[..], [Some(LOWEST); 2]);
        assert!(!opening.is_enough(Bitrate::kbps(2_000)) && opening.is_enough(Bitrate::kbps(2_101)));
    }
}
