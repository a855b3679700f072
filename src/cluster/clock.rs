//! The wall clock of a node among others: psrpc's expiries and the nodes' statistics carry it. Durations use tokio's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970.
#[allow(clippy::disallowed_methods)] // the one place where the cluster reads the wall clock
fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Nanoseconds since 1970, as psrpc counts.
pub fn unix_ns() -> i64 {
    i64::try_from(unix().as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds since 1970, as nodes count.
pub fn unix_s() -> i64 {
    i64::try_from(unix().as_secs()).unwrap_or(i64::MAX)
}
