//! How far this machine's clock is from Redis's, and how sure that is (RFC 5905 §8: half the round trip is the most the
//! answer's time can be wrong by). Called by `worker` and `coordinator`.

use std::time::Duration;

/// One question and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// By our clock, microseconds since 1970.
    pub asked_us: i64,
    pub answered_us: i64,
    /// By Redis's.
    pub theirs_us: i64,
}

/// What to add to our clock to have Redis's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Offset {
    pub us: i64,
    /// It may be so much more or less.
    pub unsure_us: i64,
}

impl Sample {
    fn offset(&self) -> Offset {
        let trip = (self.answered_us - self.asked_us).max(0);
        Offset { us: self.theirs_us - (self.asked_us + trip / 2), unsure_us: (trip + 1) / 2 + CLOCK_STEP_US }
    }
}

/// Redis tells microseconds.
const CLOCK_STEP_US: i64 = 1;

impl Offset {
    /// The surest of many samples; `None` without any.
    pub fn of(samples: &[Sample]) -> Option<Offset> {
        samples.iter().map(Sample::offset).min_by_key(|offset| offset.unsure_us)
    }

    /// The same clock after a while: what it has moved since is not known at any moment between.
    pub fn with_drift(self, later: Offset) -> Offset {
        let moved = (later.us - self.us).abs();
        Offset { us: self.us, unsure_us: self.unsure_us.max(later.unsure_us) + moved }
    }

    /// Our clock's reading when Redis's says that.
    pub fn ours_us(self, theirs_us: i64) -> i64 {
        theirs_us - self.us
    }

    /// How long it is until Redis's clock says that.
    pub fn until(self, theirs_us: i64, now_us: i64) -> Duration {
        Duration::from_micros(u64::try_from(self.ours_us(theirs_us) - now_us).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(asked_us: i64, theirs_us: i64, answered_us: i64) -> Sample {
        Sample { asked_us, answered_us, theirs_us }
    }

    #[test]
    fn the_shortest_trip_is_believed() {
        // Ours is 5000 µs behind; the slow answer was held up on its way back.
        let samples = [sample(0, 5_100, 900), sample(1_000, 6_050, 1_100), sample(2_000, 7_300, 2_400)];
        assert_eq!(Offset::of(&samples), Some(Offset { us: 5_000, unsure_us: 51 }));
        assert_eq!(Offset::of(&[]), None);
    }

    #[test]
    fn the_truth_lies_within_what_is_unsure() {
        for (there, back) in [(0, 800), (800, 0), (300, 500)] {
            let truth = -123_456;
            let offset = sample(0, there + truth, there + back).offset();
            assert!((offset.us - truth).abs() <= offset.unsure_us, "{there} {back} {offset:?}");
        }
    }

    #[test]
    fn drift_makes_unsure() {
        let (first, later) = (Offset { us: 100, unsure_us: 5 }, Offset { us: 70, unsure_us: 9 });
        assert_eq!(first.with_drift(later), Offset { us: 100, unsure_us: 39 });
    }

    #[test]
    fn a_common_time_is_waited_for_by_each_own_clock() {
        let ahead = Offset { us: -2_000, unsure_us: 1 };
        assert_eq!(ahead.until(10_000, 11_000), Duration::from_millis(1));
        assert_eq!(ahead.until(10_000, 13_000), Duration::ZERO);
    }
}
