//! A network on a virtual clock: seeded loss, delay and reordering, and a NAT that can change its mind.

use lkops::transport::Proto;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How a path treats datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// One way.
    pub delay: Duration,
    /// Added at random up to so much: datagrams closer together than this may overtake one another.
    pub jitter: Duration,
    /// 0..=1.
    pub loss: f64,
}

impl Conditions {
    pub const PERFECT: Conditions = Conditions { delay: Duration::from_millis(5), jitter: Duration::ZERO, loss: 0.0 };
    pub const BAD: Conditions =
        Conditions { delay: Duration::from_millis(100), jitter: Duration::from_millis(20), loss: 0.05 };
    pub const DEAD: Conditions = Conditions { delay: Duration::ZERO, jitter: Duration::ZERO, loss: 1.0 };
}

#[derive(Clone, Debug)]
pub struct Datagram {
    pub proto: Proto,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct Network {
    pub conditions: Conditions,
    rng: StdRng,
    /// By arrival and order of sending.
    flying: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    /// Inside to outside address.
    nat: HashMap<SocketAddr, SocketAddr>,
}

impl Network {
    pub fn new(seed: u64, conditions: Conditions) -> Network {
        let rng = StdRng::seed_from_u64(seed);
        Network { conditions, rng, flying: BTreeMap::new(), sent: 0, nat: HashMap::new() }
    }

    /// Shows `inside` to the world as `outside`; what goes to its former address is lost.
    pub fn translate(&mut self, inside: SocketAddr, outside: SocketAddr) {
        self.nat.insert(inside, outside);
    }

    pub fn send(&mut self, now: Instant, mut datagram: Datagram) {
        if self.rng.random_bool(self.conditions.loss) {
            return;
        }
        datagram.from = self.nat.get(&datagram.from).copied().unwrap_or(datagram.from);
        let jitter = self.conditions.jitter.mul_f64(self.rng.random());
        self.sent += 1;
        self.flying.insert((now + self.conditions.delay + jitter, self.sent), datagram);
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.flying.keys().next().map(|(at, _)| *at)
    }

    /// The next datagram that has arrived by now, with the inside address as its destination.
    pub fn receive(&mut self, now: Instant) -> Option<Datagram> {
        let first = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        let mut datagram = first.remove();
        if let Some((inside, _)) = self.nat.iter().find(|(_, outside)| **outside == datagram.to) {
            datagram.to = *inside;
        }
        Some(datagram)
    }
}
