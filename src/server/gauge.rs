//! What the node says of itself to other nodes and to those who choose among them (CLUSTER.md §5.2): people, tracks, traffic,
//! the machine.

use super::machine::Machine;
use crate::cluster::Gauge;
use crate::metrics::ShardCounters;
use crate::proto::{NodeStats, NodeStatsRate};
use crate::room::Directory;
use crate::room::clock::unix_ms;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Rates are taken over this; the reference's default.
const RATE_WINDOW_MS: i64 = 10_000;

pub fn of(directory: Arc<Directory>, counters: Vec<Arc<ShardCounters>>) -> Gauge {
    let memory = Mutex::new(Memory { machine: Machine::default(), rates: Rates::default() });
    Arc::new(move || {
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats = traffic(&counters);
        people(&directory, &counters, &mut stats);
        memory.machine.measure(&mut stats);
        stats.rates = memory.rates.note(unix_ms(), &stats).into_iter().collect();
        stats
    })
}

struct Memory {
    machine: Machine,
    rates: Rates,
}

fn traffic(counters: &[Arc<ShardCounters>]) -> NodeStats {
    let sum = |cell: fn(&ShardCounters) -> u64| counters.iter().map(|c| cell(c)).sum();
    NodeStats {
        bytes_in: sum(|c| c.bytes_in.value()),
        bytes_out: sum(|c| c.bytes_out.value()),
        packets_in: sum(|c| c.packets_in.value()),
        packets_out: sum(|c| c.packets_out.value()),
        nack_total: sum(|c| c.nacks_in.value()),
        ..NodeStats::default()
    }
}

fn people(directory: &Directory, counters: &[Arc<ShardCounters>], stats: &mut NodeStats) {
    let occupancy = *directory.occupancy().borrow();
    let tracks: u64 = counters.iter().map(|c| c.tracks.value()).sum();
    let published = directory.ledger().tracks();
    stats.num_rooms = int(occupancy.rooms);
    stats.num_clients = int(occupancy.participants);
    stats.num_tracks_in = int(published);
    stats.num_tracks_out = int((tracks as usize).saturating_sub(published));
}

fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Differences to what was ten seconds ago.
#[derive(Default)]
struct Rates {
    past: VecDeque<(i64, NodeStats)>,
}

impl Rates {
    /// `None` until there is enough of a past.
    fn note(&mut self, now_ms: i64, stats: &NodeStats) -> Option<NodeStatsRate> {
        self.past.push_back((now_ms, stats.clone()));
        // Keeps one that is old enough.
        while self.past.get(1).is_some_and(|(at, _)| now_ms - at >= RATE_WINDOW_MS) {
            self.past.pop_front();
        }
        let (then_ms, then) = self.past.front().filter(|(at, _)| now_ms - at >= RATE_WINDOW_MS)?;
        Some(rate(*then_ms, then, now_ms, stats))
    }
}

fn rate(then_ms: i64, then: &NodeStats, now_ms: i64, now: &NodeStats) -> NodeStatsRate {
    let seconds = (now_ms - then_ms) as f32 / 1000.0;
    let per_second = |then: u64, now: u64| now.saturating_sub(then) as f32 / seconds;
    let used = now.memory_used as f32;
    let total = now.memory_total as f32;
    NodeStatsRate {
        started_at: then_ms / 1000,
        ended_at: now_ms / 1000,
        duration: (now_ms - then_ms) / 1000,
        bytes_in: per_second(then.bytes_in, now.bytes_in),
        bytes_out: per_second(then.bytes_out, now.bytes_out),
        packets_in: per_second(then.packets_in, now.packets_in),
        packets_out: per_second(then.packets_out, now.packets_out),
        nack_total: per_second(then.nack_total, now.nack_total),
        cpu_load: f32::midpoint(then.cpu_load, now.cpu_load),
        memory_used: used,
        memory_total: total,
        memory_load: if total > 0.0 { used / total } else { 0.0 },
        ..NodeStatsRate::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_appear_after_ten_seconds_and_speak_of_the_last_ten() {
        let mut rates = Rates::default();
        let stats = |bytes_in| NodeStats { bytes_in, ..NodeStats::default() };
        for second in 0..5 {
            assert_eq!(rates.note(second * 2_000, &stats(0)), None);
        }
        assert_eq!(rates.note(10_000, &stats(5_000)).unwrap().bytes_in, 500.0);
        let later = rates.note(12_000, &stats(5_000)).unwrap();
        assert_eq!((later.bytes_in, later.started_at, later.duration), (500.0, 2, 10));
        for second in 7..20 {
            rates.note(second * 2_000, &stats(5_000));
        }
        assert!(rates.past.len() <= 7);
    }
}
