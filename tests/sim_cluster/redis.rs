//! A model of a Redis server in this process: pipes for connections, tokio's clock for time, and everything that befalls a
//! Redis or the way to it, by order.

use super::resp::{self, Reply};
use super::store::{Store, text};
use lkops::cluster::{Dialer, Pipe};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader, DuplexStream, ReadHalf, duplex, split};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

/// What time it is there when a simulation begins.
const EPOCH_S: u64 = 1_800_000_000;

/// One way, in the same machine room.
const WAY: Duration = Duration::from_micros(200);

/// How far behind a replica may be: so many copies of a second each are kept.
const COPIES: usize = 8;

#[derive(Clone)]
pub struct Redis {
    pub store: Store,
    began: Instant,
    state: Arc<Mutex<State>>,
    /// Lines nothing passes on, either way; `None`: all.
    frozen: Arc<(Mutex<BTreeSet<Option<usize>>>, Notify)>,
}

struct State {
    is_away: bool,
    /// Lines that are cut.
    cut: BTreeSet<usize>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    scripts: BTreeMap<String, String>,
    listeners: BTreeMap<String, BTreeSet<u64>>,
    copies: VecDeque<Store>,
    /// Parts in a thousand of messages.
    lost: u32,
    doubled: u32,
    rng: StdRng,
    counts: BTreeMap<String, u64>,
    bytes: u64,
}

struct Connection {
    line: usize,
    replies: mpsc::UnboundedSender<Vec<u8>>,
    end: Arc<Notify>,
}

impl Redis {
    pub fn start(seed: u64) -> Redis {
        let state = State {
            is_away: false,
            cut: BTreeSet::new(),
            connections: BTreeMap::new(),
            next: 0,
            scripts: BTreeMap::new(),
            listeners: BTreeMap::new(),
            copies: VecDeque::new(),
            lost: 0,
            doubled: 0,
            rng: StdRng::seed_from_u64(seed),
            counts: BTreeMap::new(),
            bytes: 0,
        };
        Redis {
            store: Store::default(),
            began: Instant::now(),
            state: Arc::new(Mutex::new(state)),
            frozen: Arc::default(),
        }
    }

    /// A replica follows from now on, for `fail_over`.
    pub fn follow(&self) {
        tokio::spawn(self.clone().copy());
    }

    async fn copy(self) {
        loop {
            sleep(Duration::from_secs(1)).await;
            let mut state = self.lock();
            state.copies.push_back(self.store.copy());
            if state.copies.len() > COPIES {
                state.copies.pop_front();
            }
        }
    }

    /// The way of one node.
    pub fn dialer(&self, line: usize) -> Dialer {
        let redis = self.clone();
        Dialer::new(move || {
            let redis = redis.clone();
            Box::pin(async move { redis.accept(line).await })
        })
    }

    #[allow(clippy::disallowed_methods, reason = "the model must not wait for a client that is slow to read")]
    async fn accept(self, line: usize) -> io::Result<Box<dyn Pipe>> {
        self.thawed(line).await;
        let (ours, theirs) = duplex(1 << 20);
        let (reading, writing) = split(ours);
        let (replies, outgoing) = mpsc::unbounded_channel();
        let end = Arc::new(Notify::new());
        let number = {
            let mut state = self.lock();
            if state.is_away || state.cut.contains(&line) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            state.next += 1;
            let number = state.next;
            state.connections.insert(number, Connection { line, replies: replies.clone(), end: end.clone() });
            number
        };
        tokio::spawn(self.clone().write(line, writing, outgoing));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end.notified() => (),
                () = self.read(number, line, reading, replies) => (),
            }
            self.forget(number);
        });
        Ok(Box::new(theirs))
    }

    async fn read(
        &self,
        number: u64,
        line: usize,
        reading: ReadHalf<DuplexStream>,
        replies: mpsc::UnboundedSender<Vec<u8>>,
    ) {
        let mut reader = BufReader::new(reading);
        while let Some(words) = resp::command(&mut reader).await {
            self.thawed(line).await;
            let mut out = Vec::new();
            self.answer(number, &words).iter().for_each(|reply| reply.encode(&mut out));
            self.lock().bytes += (out.len() + words.iter().map(Vec::len).sum::<usize>()) as u64;
            if replies.send(out).is_err() {
                return;
            }
        }
    }

    async fn write(
        self,
        line: usize,
        mut writing: tokio::io::WriteHalf<DuplexStream>,
        mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    ) {
        while let Some(mut bytes) = outgoing.recv().await {
            sleep(2 * WAY).await;
            self.thawed(line).await;
            while let Ok(more) = outgoing.try_recv() {
                bytes.extend(more);
            }
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }

    async fn thawed(&self, line: usize) {
        let (frozen, thaw) = &*self.frozen;
        loop {
            let thawed = thaw.notified();
            let is_frozen = {
                let frozen = frozen.lock().unwrap();
                frozen.contains(&None) || frozen.contains(&Some(line))
            };
            if !is_frozen {
                return;
            }
            thawed.await;
        }
    }

    fn forget(&self, number: u64) {
        let mut state = self.lock();
        state.connections.remove(&number);
        state.listeners.values_mut().for_each(|who| {
            who.remove(&number);
        });
    }

    fn answer(&self, number: u64, words: &[Vec<u8>]) -> Vec<Reply> {
        let name = text(&words[0]).to_ascii_uppercase();
        *self.lock().counts.entry(name.clone()).or_default() += 1;
        match name.as_str() {
            "HELLO" => vec![Reply::Map(vec![(Reply::text("proto"), Reply::Int(3))])],
            "CLIENT" | "SELECT" => vec![Reply::Status("OK")],
            "PING" => vec![Reply::Status("PONG")],
            "TIME" => {
                let now = Duration::from_secs(EPOCH_S) + self.began.elapsed();
                vec![Reply::List(
                    [now.as_secs(), now.subsec_micros().into()].map(|n| Reply::text(&n.to_string())).into(),
                )]
            }
            "SCRIPT" => vec![self.load(text(&words[2]))],
            "EVALSHA" => vec![self.evaluate(words)],
            "SUBSCRIBE" => words[1..].iter().map(|name| self.listen(number, text(name), true)).collect(),
            "UNSUBSCRIBE" => words[1..].iter().map(|name| self.listen(number, text(name), false)).collect(),
            "PUBLISH" => vec![Reply::Int(self.publish(text(&words[1]), &words[2]))],
            "PUBSUB" => {
                let state = self.lock();
                let count = |name: &Vec<u8>| state.listeners.get(text(name)).map_or(0, BTreeSet::len) as i64;
                let pair = |name: &Vec<u8>| [Reply::Bytes(name.clone()), Reply::Int(count(name))];
                vec![Reply::List(words[2..].iter().flat_map(pair).collect())]
            }
            _ => vec![self.store.run(words)],
        }
    }

    fn load(&self, script: &str) -> Reply {
        let sha = ::redis::Script::new(script).get_hash().to_owned();
        self.lock().scripts.insert(sha.clone(), script.to_owned());
        Reply::text(&sha)
    }

    fn evaluate(&self, words: &[Vec<u8>]) -> Reply {
        let Some(script) = self.lock().scripts.get(text(&words[1])).cloned() else {
            return Reply::Error("NOSCRIPT No matching script.".into());
        };
        let keys: usize = text(&words[2]).parse().expect("how many keys");
        let (keys, argv) = words[3..].split_at(keys);
        self.store.eval(&script, keys, argv)
    }

    fn listen(&self, number: u64, channel: &str, listens: bool) -> Reply {
        let mut state = self.lock();
        let who = state.listeners.entry(channel.to_owned()).or_default();
        if listens {
            who.insert(number)
        } else {
            who.remove(&number)
        };
        let what = if listens { "subscribe" } else { "unsubscribe" };
        Reply::Push(vec![Reply::text(what), Reply::text(channel), Reply::Int(1)])
    }

    fn publish(&self, channel: &str, payload: &[u8]) -> i64 {
        let state = &mut *self.lock();
        let mut message = Vec::new();
        Reply::Push(vec![Reply::text("message"), Reply::text(channel), Reply::Bytes(payload.to_vec())])
            .encode(&mut message);
        let listeners = state.listeners.get(channel).into_iter().flatten();
        let mut heard = 0;
        for connection in listeners.filter_map(|number| state.connections.get(number)) {
            heard += 1;
            let times =
                match (state.rng.random_range(0..1000) < state.lost, state.rng.random_range(0..1000) < state.doubled) {
                    (true, _) => 0,
                    (false, true) => 2,
                    (false, false) => 1,
                };
            (0..times).for_each(|_| drop(connection.replies.send(message.clone())));
        }
        heard
    }

    /// Connections end, and none is made.
    pub fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
        if is_away {
            self.end_connections(|_| true);
        }
    }

    pub fn set_cut(&self, line: usize) {
        self.lock().cut.insert(line);
        self.end_connections(|of| of == line);
    }

    /// Nothing comes or goes, and nobody is told why; for one node or all.
    pub fn set_frozen(&self, line: Option<usize>, is_frozen: bool) {
        let (frozen, thaw) = &*self.frozen;
        let mut lines = frozen.lock().unwrap();
        if is_frozen {
            lines.insert(line)
        } else {
            lines.remove(&line)
        };
        thaw.notify_waiters();
    }

    /// Messages lost and doubled, in parts of a thousand.
    pub fn set_noise(&self, lost: u32, doubled: u32) {
        let mut state = self.lock();
        (state.lost, state.doubled) = (lost, doubled);
    }

    /// A replica takes over that is some seconds behind.
    pub fn fail_over(&self, seconds_behind: usize) {
        let copy = {
            let state = self.lock();
            state.copies.len().checked_sub(seconds_behind).and_then(|at| state.copies.get(at).map(Store::copy))
        };
        if let Some(copy) = copy {
            self.store.become_like(&copy);
        }
        self.end_connections(|_| true);
    }

    fn end_connections(&self, which: impl Fn(usize) -> bool) {
        let state = self.lock();
        state.connections.values().filter(|c| which(c.line)).for_each(|c| c.end.notify_one());
    }

    /// Commands so far, by name.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    /// Of commands and answers so far.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
