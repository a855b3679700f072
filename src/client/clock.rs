//! The only place where the client reads clocks: the steady one for deadlines, the wall clock for the times in payloads,
//! which another process may have to compare.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// When a datagram came: by the steady clock and, in microseconds since 1970, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub at: Instant,
    pub us: u64,
}

/// No datagram lies in a socket for longer; a wall clock that was set must not move the steady one.
const UNREAD_MAX_US: u64 = 1_000_000;

impl Arrival {
    /// Now.
    pub fn now() -> Arrival {
        Arrival { at: now(), us: unix_us() }
    }

    /// Of a datagram read at `self` that the kernel took in at `taken` by the machine's clock, if it says so: what this
    /// process took to get to it is not the network's delay.
    pub fn taken(self, taken: Option<Duration>) -> Arrival {
        let us = taken.and_then(|at| u64::try_from(at.as_micros()).ok()).map_or(self.us, shifted).min(self.us);
        let unread = Duration::from_micros((self.us - us).min(UNREAD_MAX_US));
        Arrival { at: self.at.checked_sub(unread).unwrap_or(self.at), us }
    }
}

fn shifted(us: u64) -> u64 {
    us.saturating_add_signed(SHIFT_US.load(Ordering::Relaxed))
}

/// Microseconds since 1970.
#[allow(clippy::disallowed_methods)] // the client's one wall clock
pub fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    shifted(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
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
    fn a_datagram_is_as_old_as_the_kernel_says() {
        let read = Arrival { at: now(), us: 5_000_000 };
        let taken = read.taken(Some(Duration::from_micros(4_997_000)));
        assert_eq!((read.at - taken.at, taken.us), (Duration::from_millis(3), 4_997_000));
        let later = read.taken(Some(Duration::from_secs(9)));
        assert_eq!((later.at, later.us), (read.at, read.us), "not from times to come");
        assert_eq!(read.taken(None).us, read.us);
    }

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(ntp(0) >> 32, NTP_OFFSET_S);
        assert_eq!(ntp(1_500_000), (NTP_OFFSET_S + 1) << 32 | 1 << 31);
    }
}
