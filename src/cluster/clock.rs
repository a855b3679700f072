//! The one clock of a cluster: Redis's. psrpc's expiries and the nodes' statistics carry wall-clock times that others compare
//! with theirs, so nodes whose own clocks differ by seconds would not hear each other. Each node learns how far its clock is
//! from Redis's and speaks in Redis's time. Durations use tokio's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A longer round trip says too little of what time it was when Redis answered.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);

/// Nanoseconds of this machine since 1970.
#[allow(clippy::disallowed_methods)] // the one place where the cluster reads the wall clock
fn local_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Clones tell the same time. Between two answers of Redis it runs with tokio's clock, which nobody sets.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Instant,
    /// What time it was then.
    began_ns: Arc<AtomicI64>,
    /// Nanoseconds that Redis was ahead of this machine when it was asked last.
    ahead: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { began: Instant::now(), began_ns: Arc::new(local_ns().into()), ahead: Arc::default() }
    }
}

impl Clock {
    /// Nanoseconds since 1970, as psrpc counts.
    pub fn unix_ns(&self) -> i64 {
        self.began_ns.load(Ordering::Relaxed).saturating_add(self.elapsed_ns())
    }

    fn elapsed_ns(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    /// Seconds since 1970, as nodes count.
    pub fn unix_s(&self) -> i64 {
        self.unix_ns() / 1_000_000_000
    }

    /// Redis said `redis_ns`; asking it took `round_trip` until now.
    pub fn learn(&self, redis_ns: i64, round_trip: Duration) {
        if round_trip <= ROUND_TRIP_MAX {
            let half = i64::try_from(round_trip.as_nanos() / 2).unwrap_or_default();
            let now_ns = redis_ns.saturating_add(half);
            self.began_ns.store(now_ns.saturating_sub(self.elapsed_ns()), Ordering::Relaxed);
            self.ahead.store(now_ns.saturating_sub(local_ns()), Ordering::Relaxed);
        }
    }

    /// How far this machine is from Redis, in milliseconds; positive if Redis is ahead.
    pub fn offset_ms(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed) / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_agree_once_they_asked_redis() {
        let (here, hour) = (Clock::default(), 3_600_000_000_000);
        let redis_ns = local_ns() + hour;
        here.learn(redis_ns, Duration::from_millis(2));
        assert!((here.unix_ns() - redis_ns - 1_000_000).abs() < 1_000_000_000);
        assert!((3_599_000..3_601_000).contains(&here.offset_ms()));
        here.learn(0, Duration::from_secs(1));
        assert!(here.unix_ns() > redis_ns, "a slow answer teaches nothing");
    }
}
