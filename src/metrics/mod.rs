//! Counters a shard keeps and a scrape sums. Plain cells, one set per shard, so that counting costs no contention.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number only one thread adds to.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// # Cost
    /// A plain load and store: no locked instruction, for there is a single writer.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets a level rather than a count.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub struct ShardCounters {
    pub packets_in: Cell,
    pub bytes_in: Cell,
    pub packets_out: Cell,
    pub bytes_out: Cell,
    pub nacks_in: Cell,
    pub nacks_out: Cell,
    pub plis_in: Cell,
    pub plis_out: Cell,
    /// Published tracks there are now.
    pub tracks_in: Cell,
    /// Legs there are now.
    pub tracks_out: Cell,
    /// Datagrams no peer took.
    pub datagrams_dropped: Cell,
    /// Datagrams the socket did not take.
    pub sends_lost: Cell,
    /// Data channel messages a slow receiver lost.
    pub data_dropped: Cell,
}
