//! The node's statistics (CLUSTER.md §5.2), gathered every `node_stats.stats_update_interval`. That it comes round in time is
//! the health check; who publishes them takes them from the channel.

mod cpu;
mod rates;
mod system;

use crate::api::health::Pulse;
use crate::config;
use crate::metrics::ShardCounters;
use crate::proto::NodeStats;
use crate::room::Occupancy;
use crate::room::clock::unix_ms;
use rates::History;
use std::sync::Arc;
use std::time::Duration;
use system::System;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// A shorter interval would only cost.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What the program itself counts.
#[derive(Clone)]
pub struct Counts {
    pub occupancy: watch::Receiver<Occupancy>,
    pub shards: Vec<Arc<ShardCounters>>,
}

/// Gathers statistics; told the time.
pub struct Vitals {
    counts: Counts,
    system: System,
    history: History,
    started_at: i64,
    own: watch::Sender<f32>,
}

impl Vitals {
    pub fn new(counts: Counts, config: &config::NodeStats, now_ms: i64) -> Vitals {
        let history = History::new(&config.stats_rate_measurement_intervals, config.stats_update_interval);
        let own = watch::Sender::new(0.0);
        Vitals { counts, system: System::of_this_machine(), history, started_at: now_ms / 1_000, own }
    }

    /// What the process itself takes of the CPU, 0 to 1, known just before the statistics of the same look.
    pub fn own_load(&self) -> watch::Receiver<f32> {
        self.own.subscribe()
    }

    /// Counters are since the process began; fields LiveKit deprecated stay 0.
    pub fn measure(&mut self, now_ms: i64) -> NodeStats {
        let mut stats = NodeStats { started_at: self.started_at, updated_at: now_ms / 1_000, ..NodeStats::default() };
        self.counts.write(&mut stats);
        self.system.write(&mut stats);
        self.own.send_replace(self.system.own_load());
        stats.rates = self.history.rates(now_ms, &stats);
        stats
    }

    /// Never returns. The latest statistics are in `latest`.
    pub async fn run(mut self, pulse: Pulse, latest: watch::Sender<NodeStats>, every: Duration) {
        let mut ticks = interval(every.max(INTERVAL_MIN));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now_ms = unix_ms();
            latest.send_replace(self.measure(now_ms));
            pulse.beat(now_ms);
        }
    }
}

impl Counts {
    /// As they are now; the rest of the statistics may be older.
    pub fn write(&self, stats: &mut NodeStats) {
        let Occupancy { rooms, participants } = *self.occupancy.borrow();
        (stats.num_rooms, stats.num_clients) = (whole(rooms as u64), whole(participants as u64));
        let sum = |read: fn(&ShardCounters) -> u64| -> u64 { self.shards.iter().map(|shard| read(shard)).sum() };
        stats.num_tracks_in = whole(sum(|s| s.tracks_in.value()));
        stats.num_tracks_out = whole(sum(|s| s.tracks_out.value()));
        stats.bytes_in = sum(|s| s.bytes_in.value());
        stats.bytes_out = sum(|s| s.bytes_out.value());
        stats.packets_in = sum(|s| s.packets_in.value());
        stats.packets_out = sum(|s| s.packets_out.value());
        stats.nack_total = sum(|s| s.nacks_in.value() + s.nacks_out.value());
    }
}

fn whole(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals() -> (Vitals, Arc<ShardCounters>) {
        let shard = Arc::new(ShardCounters::default());
        let occupancy = watch::Sender::new(Occupancy { rooms: 2, participants: 7 });
        let counts = Counts { occupancy: occupancy.subscribe(), shards: vec![shard.clone(), Arc::default()] };
        (Vitals::new(counts, &config::NodeStats::default(), 1_500), shard)
    }

    #[test]
    fn counts_are_the_servers() {
        let (mut vitals, shard) = vitals();
        shard.tracks_in.set(3);
        shard.tracks_out.set(30);
        shard.bytes_out.add(1_000);
        shard.nacks_in.add(1);
        shard.nacks_out.add(2);
        let stats = vitals.measure(9_999);
        assert_eq!((stats.started_at, stats.updated_at), (1, 9));
        assert_eq!((stats.num_rooms, stats.num_clients), (2, 7));
        assert_eq!((stats.num_tracks_in, stats.num_tracks_out), (3, 30));
        assert_eq!((stats.bytes_out, stats.nack_total), (1_000, 3));
    }

    #[test]
    fn the_machine_is_the_real_one() {
        let (mut vitals, _) = vitals();
        let stats = vitals.measure(10_000);
        assert!(stats.num_cpus >= 1 && stats.memory_used > 0 && stats.memory_used <= stats.memory_total, "{stats:?}");
        assert!((0.0..=1.0).contains(&stats.cpu_load), "{stats:?}");
    }

    #[test]
    fn rates_come_after_their_window() {
        let (mut vitals, shard) = vitals();
        for second in [0, 2, 4, 6, 8, 10] {
            let stats = vitals.measure(second * 1_000);
            assert_eq!(stats.rates.is_empty(), second < 10, "{second}");
            shard.bytes_in.add(1_000);
        }
        let stats = vitals.measure(12_000);
        assert_eq!((stats.rates[0].duration, stats.rates[0].bytes_in), (10, 500.0));
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_gathered_at_every_interval() {
        let (vitals, _) = vitals();
        let latest = watch::Sender::new(NodeStats::default());
        let mut seen = latest.subscribe();
        tokio::spawn(vitals.run(Pulse::new(0), latest, Duration::from_secs(2)));
        for _ in 0..3 {
            seen.changed().await.unwrap();
            assert!(seen.borrow_and_update().num_cpus >= 1);
        }
    }
}
