//! The loop of a driver thread: wait, take commands, read sockets, fire timers, send. It owns the transports of many
//! participants. Started by `engine`; what a transport does is in `peer`.

use super::clock;
use super::counters::Counters;
use super::engine::{Act, Command, Event};
use super::peer::Connection;
use super::rhythm::Rhythm;
use super::socket::TOKENS_EACH;
use crate::net::udp::RecvSlots;
use crate::transport::Certificate;
use mio::{Events, Poll, Token};
use rustc_hash::{FxHashMap, FxHashSet};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
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
    rhythm: Rhythm,
    /// Transports for which each datagram is one they wait for.
    connecting: FxHashSet<usize>,
}

impl Driver {
    pub fn new(
        poll: Poll,
        commands: Receiver<Command>,
        certificate: Arc<Certificate>,
        slots: RecvSlots,
        counters: Arc<Counters>,
        rhythm: Rhythm,
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
            rhythm,
            connecting: FxHashSet::default(),
        }
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let begun = clock::now();
            let rest = self.rhythm.rest(begun).filter(|_| self.unread.is_empty());
            let stops = match rest {
                Some(rest) if !rest.is_zero() => self.rest(begun, rest),
                // What came meanwhile is read without waiting for more.
                rest => match self.look(begun, rest.is_some(), &mut events) {
                    Ok(stops) => stops,
                    Err(error) => {
                        tracing::error!(%error, "a media thread cannot wait for its sockets; its transports end");
                        return;
                    }
                },
            };
            if stops {
                return;
            }
            let now = clock::now();
            self.fire_timers(now);
            self.settle(now);
        }
    }

    /// Leaves the sockets alone for that time, or until a timer is due or a command comes. Answers whether to stop.
    fn rest(&mut self, begun: Instant, rest: Duration) -> bool {
        match self.commands.recv_timeout(rest.min(self.until_timer(begun))) {
            Ok(command) => {
                let now = clock::now();
                self.take(now, command) || self.take_commands(now)
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    /// Waits for sockets, commands and timers, or with `at_once` for nothing, and reads. Answers whether to stop.
    fn look(&mut self, begun: Instant, at_once: bool, events: &mut Events) -> io::Result<bool> {
        let at_once = at_once || !self.unread.is_empty();
        let patience = if at_once { Duration::ZERO } else { self.until_timer(begun) };
        match self.poll.poll(events, Some(patience)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result?,
        }
        let now = clock::now();
        if self.take_commands(now) {
            return Ok(true);
        }
        let brought = self.read_sockets(now, events);
        self.rhythm.note_look(now, brought, !self.connecting.is_empty());
        Ok(false)
    }

    fn until_timer(&self, now: Instant) -> Duration {
        let next = self.timers.peek().map(|Reverse((at, _))| at.saturating_duration_since(now));
        next.unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    /// Answers whether to stop.
    fn take_commands(&mut self, now: Instant) -> bool {
        for _ in 0..COMMANDS_TURN_MAX {
            let Ok(command) = self.commands.try_recv() else { return false };
            if self.take(now, command) {
                return true;
            }
        }
        false
    }

    /// Answers whether to stop.
    fn take(&mut self, now: Instant, command: Command) -> bool {
        match command {
            Command::Add(id, setup) => self.add(now, id, *setup),
            Command::Act(id, act) => self.act(now, id, act),
            Command::Stop => return true,
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
            self.connecting.remove(&index);
            self.by_id.remove(&id);
        } else {
            self.touched.push(index);
        }
    }

    /// Answers whether anything was ready.
    fn read_sockets(&mut self, now: Instant, events: &Events) -> bool {
        let mut ready = !self.unread.is_empty();
        for index in std::mem::take(&mut self.unread) {
            self.read_udp(now, index);
        }
        for event in events.iter().filter(|e| e.token() != WAKE) {
            let (index, socket) = (event.token().0 / TOKENS_EACH, event.token().0 % TOKENS_EACH);
            match socket {
                0 => self.read_udp(now, index),
                _ => self.read_tcp(now, index, socket),
            }
            ready = true;
        }
        ready
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
            let next = connection.settle(now);
            if connection.is_connecting() {
                self.rhythm.hurry();
                self.connecting.insert(index);
            } else {
                self.connecting.remove(&index);
            }
            match next {
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
        self.connecting.remove(&index);
        self.by_id.retain(|_, at| *at != index);
    }
}
