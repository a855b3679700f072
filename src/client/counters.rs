//! What the transports of a driver thread have done, for whoever watches from another thread: cheap to write, never reset.
//! Written by `driver`, read through `Engine::totals`.

use super::stats::ConnectionStats;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Written by one thread only.
#[derive(Default)]
pub struct Counters {
    datagrams_in: AtomicU64,
    datagrams_out: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicI64,
    timers: AtomicU64,
    timers_late: AtomicU64,
    late_max_us: AtomicU64,
}

/// All that was counted, from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Media packets of known tracks, and their payload bytes.
    pub packets: u64,
    pub bytes: u64,
    /// Numbers missing; less when late packets come.
    pub lost: i64,
    /// Timers fired, and those more than `TIMER_LATE` after their time: this machine is too slow for the load.
    pub timers: u64,
    pub timers_late: u64,
    /// Worst since the totals were last read.
    pub late_max: Duration,
}

/// A timer this late disturbs what is measured: half the time between audio packets.
pub const TIMER_LATE: Duration = Duration::from_millis(10);

impl Counters {
    /// Adds what one transport did since it was last told.
    pub fn add(&self, now: &ConnectionStats, told: &ConnectionStats) {
        let add = |counter: &AtomicU64, now: u64, told: u64| {
            counter.fetch_add(now - told, Ordering::Relaxed);
        };
        add(&self.datagrams_in, now.datagrams_in, told.datagrams_in);
        add(&self.datagrams_out, now.datagrams_out, told.datagrams_out);
        add(&self.packets, now.packets_in, told.packets_in);
        add(&self.bytes, now.bytes_in, told.bytes_in);
        self.lost.fetch_add(now.lost - told.lost, Ordering::Relaxed);
    }

    /// A timer fired that long after its time.
    pub fn note_timer(&self, late: Duration) {
        self.timers.fetch_add(1, Ordering::Relaxed);
        if late > TIMER_LATE {
            self.timers_late.fetch_add(1, Ordering::Relaxed);
        }
        self.late_max_us.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn read(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            datagrams_in: read(&self.datagrams_in),
            datagrams_out: read(&self.datagrams_out),
            packets: read(&self.packets),
            bytes: read(&self.bytes),
            lost: self.lost.load(Ordering::Relaxed),
            timers: read(&self.timers),
            timers_late: read(&self.timers_late),
            late_max: Duration::from_micros(self.late_max_us.swap(0, Ordering::Relaxed)),
        }
    }
}

impl std::ops::Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            datagrams_in: self.datagrams_in + other.datagrams_in,
            datagrams_out: self.datagrams_out + other.datagrams_out,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            lost: self.lost + other.lost,
            timers: self.timers + other.timers,
            timers_late: self.timers_late + other.timers_late,
            late_max: self.late_max.max(other.late_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_the_worst_is_told_once() {
        let counters = Counters::default();
        let told = ConnectionStats { packets_in: 3, lost: 2, ..ConnectionStats::default() };
        counters.add(&ConnectionStats { packets_in: 5, lost: 1, ..ConnectionStats::default() }, &told);
        counters.note_timer(Duration::from_millis(30));
        counters.note_timer(Duration::from_millis(1));
        let totals = counters.read() + Totals { packets: 1, ..Totals::default() };
        assert_eq!((totals.packets, totals.lost, totals.timers, totals.timers_late), (3, -1, 2, 1));
        assert_eq!((totals.late_max, counters.read().late_max), (Duration::from_millis(30), Duration::ZERO));
    }
}
