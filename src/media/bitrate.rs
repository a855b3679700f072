//! A bit rate as a type. Used by everything in `media` that measures or shares out bandwidth.

use std::fmt;
use std::time::Duration;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(pub u64);

impl Bitrate {
    pub const ZERO: Bitrate = Bitrate(0);
    /// Nothing is known of a limit.
    pub const UNLIMITED: Bitrate = Bitrate(u64::MAX);

    pub const fn kbps(kbps: u64) -> Bitrate {
        Bitrate(kbps * 1_000)
    }

    pub fn is_unlimited(self) -> bool {
        self == Bitrate::UNLIMITED
    }

    /// `bytes` in a time; zero for no time.
    pub fn of(bytes: u64, time: Duration) -> Bitrate {
        let us = time.as_micros().max(1);
        Bitrate((u128::from(bytes) * 8_000_000 / us) as u64)
    }

    pub fn bytes_in(self, time: Duration) -> usize {
        let bits = u128::from(self.0) * time.as_micros() / 1_000_000;
        usize::try_from(bits / 8).unwrap_or(usize::MAX)
    }

    /// Unlimited stays unlimited.
    pub fn scaled(self, factor: f64) -> Bitrate {
        if self.is_unlimited() { self } else { Bitrate((self.0 as f64 * factor) as u64) }
    }

    pub fn plus(self, other: Bitrate) -> Bitrate {
        Bitrate(self.0.saturating_add(other.0))
    }

    /// Unlimited stays unlimited.
    pub fn minus(self, other: Bitrate) -> Bitrate {
        if self.is_unlimited() { self } else { Bitrate(self.0.saturating_sub(other.0)) }
    }

    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Negative and absurd rates become the nearest sensible one.
    pub(super) fn from_f64(bps: f64) -> Bitrate {
        Bitrate(bps.max(0.0) as u64)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() { f.write_str("unlimited") } else { write!(f, "{} kbit/s", self.0 / 1_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_time_make_rates() {
        let second = Duration::from_secs(1);
        assert_eq!(Bitrate::of(125_000, second), Bitrate::kbps(1_000));
        assert_eq!(Bitrate::kbps(1_000).bytes_in(second / 10), 12_500);
        assert_eq!(Bitrate::of(5, Duration::ZERO).0, 40_000_000);
    }

    #[test]
    fn unlimited_is_not_diminished() {
        assert!(Bitrate::UNLIMITED.scaled(0.5).minus(Bitrate(7)).is_unlimited());
        assert_eq!(Bitrate(5).minus(Bitrate(7)), Bitrate::ZERO);
        assert_eq!(
            (Bitrate::UNLIMITED.to_string(), Bitrate(1_500).to_string()),
            ("unlimited".into(), "1 kbit/s".into())
        );
    }
}
