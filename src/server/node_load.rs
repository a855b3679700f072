//! Whether the node is over `limit.num_tracks` or `limit.bytes_per_sec` and so takes nobody in (WIRE.md §1.7).

use crate::config::Limit;
use crate::metrics::ShardCounters;
use crate::room::clock::unix_ms;
use crate::signal::NodeLoad;
use std::sync::{Arc, Mutex, PoisonError};

/// A rate over less than this is noise.
const WINDOW_MS: i64 = 1_000;

/// Bytes forwarded so far at some time, and the rate since the sample before.
#[derive(Clone, Copy, Default)]
struct Sample {
    at_ms: i64,
    bytes: u64,
    per_second: f64,
}

/// Answers from the shards' counters; a limit of 0 is none.
pub fn over_limits(limit: &Limit, counters: Vec<Arc<ShardCounters>>) -> NodeLoad {
    let (tracks_max, bytes_max) = (u64::from(limit.num_tracks), f64::from(limit.bytes_per_sec));
    let last = Mutex::new(Sample { at_ms: unix_ms(), ..Sample::default() });
    Arc::new(move || {
        let tracks: u64 = counters.iter().map(|c| c.tracks_in.value() + c.tracks_out.value()).sum();
        let bytes: u64 = counters.iter().map(|c| c.bytes_in.value() + c.bytes_out.value()).sum();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = next(*last, unix_ms(), bytes);
        (tracks_max > 0 && tracks >= tracks_max) || (bytes_max > 0.0 && last.per_second >= bytes_max)
    })
}

fn next(last: Sample, at_ms: i64, bytes: u64) -> Sample {
    let elapsed = at_ms - last.at_ms;
    if elapsed < WINDOW_MS {
        return last;
    }
    let per_second = bytes.saturating_sub(last.bytes) as f64 * 1_000.0 / elapsed as f64;
    Sample { at_ms, bytes, per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_tracks_fill_the_node() {
        let counters = Arc::new(ShardCounters::default());
        let full = over_limits(&Limit { num_tracks: 3, ..Limit::default() }, vec![counters.clone()]);
        assert!(!full());
        counters.tracks_in.set(1);
        counters.tracks_out.set(2);
        assert!(full());
        let unlimited = over_limits(&Limit { num_tracks: 0, ..Limit::default() }, vec![counters]);
        assert!(!unlimited());
    }

    #[test]
    fn rates_are_taken_over_a_second_or_more() {
        let first = next(Sample::default(), 2_000, 5_000);
        assert_eq!(first.per_second, 2_500.0);
        let soon = next(first, 2_500, 9_000);
        assert_eq!((soon.at_ms, soon.per_second), (2_000, 2_500.0));
        assert_eq!(next(first, 3_000, 5_100).per_second, 100.0);
    }
}
