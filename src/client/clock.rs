//! The only place where the client reads clocks: the steady one for deadlines, the wall clock for the times in payloads,
//! which another process may have to compare.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods)] // the client's one steady clock
pub fn now() -> Instant {
    Instant::now()
}

/// Added to the wall clock, in microseconds: on several machines all go by one clock.
static SHIFT_US: AtomicI64 = AtomicI64::new(0);

/// Has the wall clock told from now on be so many microseconds later, for the whole process.
pub fn shift(us: i64) {
    SHIFT_US.store(us, Ordering::Relaxed);
}

/// Microseconds since 1970.
#[allow(clippy::disallowed_methods)] // the client's one wall clock
pub fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    us.saturating_add_signed(SHIFT_US.load(Ordering::Relaxed))
}

/// Seconds since 1970, for tokens.
pub fn unix_s() -> i64 {
    i64::try_from(unix_us() / 1_000_000).unwrap_or(i64::MAX)
}

/// Seconds from the NTP epoch, 1900, to 1970 (RFC 868).
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// A wall-clock time as NTP in 32.32 fixed point.
pub fn ntp(unix_us: u64) -> u64 {
    let (seconds, micros) = (unix_us / 1_000_000, unix_us % 1_000_000);
    ((seconds + NTP_OFFSET_S) << 32) + (micros << 32) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(ntp(0) >> 32, NTP_OFFSET_S);
        assert_eq!(ntp(1_500_000), (NTP_OFFSET_S + 1) << 32 | 1 << 31);
    }
}
