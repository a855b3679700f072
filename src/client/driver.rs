//! The loop of a driver thread: wait, take commands, read sockets, fire timers, send. It owns the transports of many
//! participants. Started by `engine`; what a transport does is in `peer`.

use super::clock;
use super::counters::Counters;
use super::engine::{Act, Command, Event};
use super::peer::Connection;
use super::socket::TOKENS_EACH;
use crate::net::udp::RecvSlots;
use crate::transport::Certificate;
use mio::{Events, Poll, Token};
use rustc_hash::FxHashMap;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The token of the thread's waker.
pub const WAKE: Token = Token(usize::MAX);
/// Longest wait, so that a missed wake-up cannot hang a thread.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Commands taken before the sockets are looked at again.
const COMMANDS_TURN_MAX: usize = 1024;

pub struct Driver {
    poll: Poll,
    commands: Receiver<Command>,
    certificate: Arc<Certificate>,
    slots: RecvSlots,
    counters: Arc<Counters>,
    connections: Slab<Connection>,
    by_id: FxHashMap<u64, usize>,
    /// When to look at which transport; entries whose time is not its `wake_at` are stale.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    touched: Vec<usize>,
    /// Sockets with more to read.
    unread: Vec<usize>,
}

impl Driver {
    pub fn new(
        poll: Poll,
        commands: Receiver<Command>,
        certificate: Arc<Certificate>,
        slots: RecvSlots,
        counters: Arc<Counters>,
    ) -> Driver {
        Driver {
            counters,
            poll,
            commands,
            certificate,
            slots,
            connections: Slab::new(),
            by_id: FxHashMap::default(),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.wait(&mut events) {
                tracing::error!(%error, "a media thread cannot wait for its sockets; its transports end");
                return;
            }
            let now = clock::now();
            if self.take_commands(now) {
                return;
            }
            self.read_sockets(now, &events);
            self.fire_timers(now);
            self.settle(now);
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let next = self.timers.peek().map(|Reverse((at, _))| at.saturating_duration_since(clock::now()));
        let patience = if self.unread.is_empty() { next.unwrap_or(WAIT_MAX).min(WAIT_MAX) } else { Duration::ZERO };
        match self.poll.poll(events, Some(patience)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Answers whether to stop.
    fn take_commands(&mut self, now: Instant) -> bool {
        for _ in 0..COMMANDS_TURN_MAX {
            match self.commands.try_recv() {
                Ok(Command::Add(id, setup)) => self.add(now, id, *setup),
                Ok(Command::Act(id, act)) => self.act(now, id, act),
                Ok(Command::Stop) => return true,
                Err(_) => break,
            }
        }
        false
    }

    fn add(&mut self, now: Instant, id: u64, setup: super::engine::Setup) {
        let events = setup.events.clone();
        let place = self.connections.vacant_entry();
        let index = place.key();
        let made = self.poll.registry().try_clone().map_err(Into::into);
        match made.and_then(|registry| Connection::new(now, index, registry, self.certificate.clone(), setup)) {
            Ok(connection) => {
                place.insert(connection);
                self.by_id.insert(id, index);
                self.touched.push(index);
            }
            // A participant that no longer listens needs no transport.
            Err(error) => drop(events.try_send(Event::Failed(error.to_string()))),
        }
    }

    fn act(&mut self, now: Instant, id: u64, act: Act) {
        let Some(index) = self.by_id.get(&id).copied() else { return };
        let closes = matches!(act, Act::Close);
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.act(now, act);
        if closes {
            // For its goodbye.
            connection.settle(now);
            self.connections.remove(index);
            self.by_id.remove(&id);
        } else {
            self.touched.push(index);
        }
    }

    fn read_sockets(&mut self, now: Instant, events: &Events) {
        for index in std::mem::take(&mut self.unread) {
            self.read_udp(now, index);
        }
        for event in events.iter().filter(|e| e.token() != WAKE) {
            let (index, socket) = (event.token().0 / TOKENS_EACH, event.token().0 % TOKENS_EACH);
            match socket {
                0 => self.read_udp(now, index),
                _ => self.read_tcp(now, index, socket),
            }
        }
    }

    fn read_udp(&mut self, now: Instant, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.read_udp(now, &mut self.slots) {
            self.unread.push(index);
        }
        self.touched.push(index);
    }

    fn read_tcp(&mut self, now: Instant, index: usize, socket: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.read_tcp(now, socket);
        self.touched.push(index);
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            let Some(connection) = self.connections.get_mut(index).filter(|c| c.wake_at == Some(at)) else { continue };
            self.counters.note_timer(now.saturating_duration_since(at));
            connection.handle_timeout(now);
            self.touched.push(index);
        }
    }

    fn settle(&mut self, now: Instant) {
        self.touched.sort_unstable();
        self.touched.dedup();
        for index in std::mem::take(&mut self.touched) {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.count(&self.counters);
            match connection.settle(now) {
                Some(next) => self.schedule(index, next),
                None => self.forget(index),
            }
        }
    }

    fn schedule(&mut self, index: usize, next: Option<Instant>) {
        let Some((at, connection)) = next.zip(self.connections.get_mut(index)) else { return };
        if connection.wake_at.is_none_or(|wake| at < wake) {
            connection.wake_at = Some(at);
            self.timers.push(Reverse((at, index)));
        }
    }

    fn forget(&mut self, index: usize) {
        self.connections.remove(index);
        self.by_id.retain(|_, at| *at != index);
    }
}
