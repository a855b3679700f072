//! The wall clock, told from the monotonic one by their difference at start: RTCP's times must not jump.

use crate::wire::ext::AbsSendTime;
use std::time::{Duration, Instant};

/// Seconds from the NTP epoch (1900) to the Unix one.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

#[derive(Clone, Copy, Debug)]
pub struct Wall {
    started: Instant,
    started_unix: Duration,
}

impl Wall {
    /// `unix` is the time since 1970 at `now`.
    pub fn new(now: Instant, unix: Duration) -> Wall {
        Wall { started: now, started_unix: unix }
    }

    fn unix(&self, now: Instant) -> Duration {
        self.started_unix + now.saturating_duration_since(self.started)
    }

    /// NTP time, 32.32 fixed point (RFC 5905 §6).
    pub fn ntp(&self, now: Instant) -> u64 {
        let unix = self.unix(now);
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        (unix.as_secs() + NTP_TO_UNIX_S) << 32 | fraction
    }

    /// The abs-send-time extension's value.
    pub fn abs_send_time(&self, now: Instant) -> [u8; 3] {
        AbsSendTime::from_duration(self.unix(now)).to_bytes()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any instant will do to count from.
mod tests {
    use super::*;

    #[test]
    fn ntp_time_counts_from_1900() {
        let start = Instant::now();
        let wall = Wall::new(start, Duration::from_secs(1));
        assert_eq!(wall.ntp(start), (NTP_TO_UNIX_S + 1) << 32);
        assert_eq!(wall.ntp(start + Duration::from_millis(1500)), (NTP_TO_UNIX_S + 2) << 32 | 1 << 31);
    }
}
