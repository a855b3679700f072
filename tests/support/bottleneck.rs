//! One direction of a path with a bottleneck: a queue before a link, then delay and loss by nature. On a virtual clock.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub kbps: u64,
    /// One way.
    pub delay_ms: u64,
    /// More at times, at most this; packets stay in order.
    pub jitter_ms: u64,
    /// What the queue holds, in time.
    pub queue_ms: u64,
    /// 0..=1, after the queue.
    pub loss: f64,
    /// Traffic of others through the same queue.
    pub cross_kbps: u64,
}

impl Path {
    pub const WIDE: Path = Path { kbps: 10_000, delay_ms: 25, jitter_ms: 0, queue_ms: 200, loss: 0.0, cross_kbps: 0 };
}

/// Bytes of UDP and IP around what is sent.
const HEADERS: usize = 28;
const CROSS_BYTES: usize = 1_200;

pub struct Bottleneck {
    pub path: Path,
    rng: StdRng,
    /// Bits waiting, and since when.
    queued_bits: f64,
    at_us: u64,
    cross_due: f64,
    flying: VecDeque<(u64, Vec<u8>)>,
    /// Bytes that passed the link.
    pub passed: u64,
}

impl Bottleneck {
    pub fn new(seed: u64, path: Path) -> Bottleneck {
        let rng = StdRng::seed_from_u64(seed);
        Bottleneck { path, rng, queued_bits: 0.0, at_us: 0, cross_due: 0.0, flying: VecDeque::new(), passed: 0 }
    }

    /// Lets time pass up to `us`; others send what is theirs.
    pub fn advance(&mut self, us: u64) {
        let elapsed = us.saturating_sub(self.at_us);
        self.drain(us);
        self.cross_due += (self.path.cross_kbps * elapsed) as f64 / 1_000.0;
        while self.cross_due >= (CROSS_BYTES * 8) as f64 {
            self.cross_due -= (CROSS_BYTES * 8) as f64;
            self.enqueue(CROSS_BYTES);
        }
    }

    fn drain(&mut self, us: u64) {
        let bits = (self.path.kbps * us.saturating_sub(self.at_us)) as f64 / 1_000.0;
        self.queued_bits = (self.queued_bits - bits).max(0.0);
        self.at_us = self.at_us.max(us);
    }

    /// When the last bit leaves the queue, in us from now; `None` if the queue is full.
    fn enqueue(&mut self, bytes: usize) -> Option<u64> {
        let bits = self.queued_bits + (bytes * 8) as f64;
        if bits > (self.path.kbps * self.path.queue_ms) as f64 {
            return None;
        }
        self.queued_bits = bits;
        Some((bits * 1_000.0 / self.path.kbps as f64) as u64)
    }

    pub fn send(&mut self, us: u64, packet: Vec<u8>) {
        self.advance(us);
        let Some(wait) = self.enqueue(packet.len() + HEADERS) else { return };
        self.passed += (packet.len() + HEADERS) as u64;
        if !self.rng.random_bool(self.path.loss) {
            let jitter = self.rng.random_range(0..=self.path.jitter_ms * 1_000);
            let arrives = us + wait + self.path.delay_ms * 1_000 + jitter;
            let last = self.flying.back().map_or(0, |(at, _)| *at);
            self.flying.push_back((arrives.max(last), packet));
        }
    }

    /// The next packet that has arrived by now, and when.
    pub fn receive(&mut self, us: u64) -> Option<(u64, Vec<u8>)> {
        self.flying.pop_front_if(|(at, _)| *at <= us)
    }
}
