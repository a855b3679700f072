//! The handle by which rooms talk to shards.

use super::{CandidatePolicy, Command, IceCredentials};
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// All shards of the node.
#[derive(Clone)]
pub struct Shards(Arc<Vec<Shard>>);

impl Shards {
    pub fn new(shards: Vec<Shard>) -> Shards {
        Shards(Arc::new(shards))
    }

    /// The shard with the fewest peers: where a new room goes.
    ///
    /// # Panics
    /// On a set of no shards, which `start` never makes.
    pub fn place(&self) -> Shard {
        self.0.iter().min_by_key(|s| s.peers()).cloned().expect("at least one shard")
    }

    pub fn of_index(&self, index: u8) -> Option<&Shard> {
        self.0.iter().find(|shard| shard.index() == index)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Shard> + Clone {
        self.0.iter()
    }
}

/// One shard: its command queue and what rooms must know to describe it to clients.
#[derive(Clone)]
pub struct Shard {
    inner: Arc<Inner>,
}

struct Inner {
    index: u8,
    /// Queues a command; false when the shard has ended.
    queue: Box<dyn Fn(Command) -> bool + Send + Sync>,
    candidates: Vec<LocalCandidate>,
    fingerprint: String,
    peers: Arc<AtomicUsize>,
}

/// A host candidate of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// The SDP text, `candidate:…`, without `a=`.
    pub line: String,
    pub tcp: bool,
}

impl Shard {
    /// `queue` passes a command on and answers whether the shard is there; `peers` is kept by the shard.
    pub fn new(
        index: u8,
        queue: Box<dyn Fn(Command) -> bool + Send + Sync>,
        candidates: Vec<LocalCandidate>,
        fingerprint: String,
        peers: Arc<AtomicUsize>,
    ) -> Shard {
        Shard { inner: Arc::new(Inner { index, queue, candidates, fingerprint, peers }) }
    }

    /// A shard without a thread, for tests of what a room asks for.
    pub fn unstarted() -> (Shard, Receiver<Command>) {
        Shard::unstarted_at(0)
    }

    /// As [`Shard::unstarted`], one of several.
    pub fn unstarted_at(index: u8) -> (Shard, Receiver<Command>) {
        let (tx, rx) = sync_channel(crate::limits::SHARD_COMMANDS_MAX);
        let line = "candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host".to_owned();
        let candidates = vec![LocalCandidate { line, tcp: false }];
        let queue = Box::new(move |command| tx.send(command).is_ok());
        let shard = Shard::new(index, queue, candidates, "00:11".to_owned(), Arc::default());
        (shard, rx)
    }

    /// Queues a command. Waits while the queue is full: the shard never waits for rooms, so this ends.
    pub fn send(&self, command: Command) {
        if !(self.inner.queue)(command) {
            tracing::warn!(shard = self.inner.index, "a command came after the shard's end");
        }
    }

    /// Fresh local ICE credentials. The ufrag's first character names the shard, so that any socket can route a check.
    pub fn credentials(&self) -> IceCredentials {
        let mut rng = rand::rng();
        let mut text = |n: usize| -> String { (0..n).map(|_| rng.sample(rand::distr::Alphanumeric) as char).collect() };
        let tag = char::from(b'A' + self.inner.index % 26);
        IceCredentials { ufrag: format!("{tag}{}", text(11)), pwd: text(24) }
    }

    /// Host candidates to offer under that policy, best first.
    pub fn candidates(&self, policy: CandidatePolicy) -> Vec<String> {
        let wanted = |c: &&LocalCandidate| match policy {
            CandidatePolicy::All => true,
            CandidatePolicy::TcpOnly => c.tcp,
            CandidatePolicy::UdpOnly => !c.tcp,
        };
        self.inner.candidates.iter().filter(wanted).map(|c| c.line.clone()).collect()
    }

    /// SHA-256 fingerprint of the certificate, as `AB:CD:…`.
    pub fn fingerprint(&self) -> &str {
        &self.inner.fingerprint
    }

    pub fn index(&self) -> u8 {
        self.inner.index
    }

    /// Peers it carries now.
    pub fn peers(&self) -> usize {
        self.inner.peers.load(Ordering::Relaxed)
    }
}
