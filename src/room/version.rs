//! Versions that grow with time, across sessions and servers, even when several are drawn in one microsecond. Used for
//! TrackInfo.version and Room.version; time is told.

use crate::proto::TimedVersion;

/// Draws versions, each greater than the one before.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    last: TimedVersion,
}

impl Versions {
    /// The next version. A clock that stands still or runs backwards only advances the ticks.
    pub fn next(&mut self, unix_micro: i64) -> TimedVersion {
        self.last = if unix_micro > self.last.unix_micro {
            TimedVersion { unix_micro, ticks: 0 }
        } else {
            TimedVersion { ticks: self.last.ticks.wrapping_add(1), ..self.last }
        };
        self.last
    }
}

/// Whether `a` was drawn after `b`.
pub fn is_newer(a: &TimedVersion, b: &TimedVersion) -> bool {
    (a.unix_micro, a.ticks) > (b.unix_micro, b.ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_newer_than_the_last() {
        let mut versions = Versions::default();
        let mut last = versions.next(0);
        for now in [5, 5, 5, 6, 4, 4, 7] {
            let next = versions.next(now);
            assert!(is_newer(&next, &last), "{last:?} then {next:?}");
            last = next;
        }
    }

    #[test]
    fn ticks_count_within_a_microsecond() {
        let mut versions = Versions::default();
        let drawn: Vec<_> =
            [9, 9, 8, 10].map(|now| versions.next(now)).iter().map(|v| (v.unix_micro, v.ticks)).collect();
        assert_eq!(drawn, [(9, 0), (9, 1), (9, 2), (10, 0)]);
    }
}
