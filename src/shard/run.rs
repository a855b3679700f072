//! The loop of a shard's thread: wait, take commands, read sockets, fire timers, send. Only order lives here.

use super::cadence::Cadence;
use super::handover::{Batch, Handed, Sibling};
use super::route::Owner;
use super::sockets::{Path, Ready, Sockets};
use super::state::State;
use super::{Command, HandedTcp};
use crate::limits::SHARD_TURN_MAX;
use crate::net::udp::RecvSlots;
use crate::wire::{self, Datagram, stun};
use mio::{Events, Poll, Token};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The token of the thread's waker.
pub const WAKE: Token = Token(usize::MAX);
/// Longest wait, so that a missed wake-up cannot hang a shard.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Batches of datagrams read of one socket before they are forwarded.
const BATCHES_MAX: usize = 8;
/// How soon a room with a full queue is tried again.
const RETELL_EVERY: Duration = Duration::from_millis(10);

/// What other threads put into a shard's queue.
pub enum Input {
    Command(Command),
    /// What a sibling has for this shard.
    Handed(Batch),
    /// A TCP connection whose first check names this shard.
    Tcp(HandedTcp),
    Stop,
}

/// How far the inputs were taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// More may wait.
    Some,
    Stop,
}

/// A shard, to be run by a thread of its own.
pub struct Runner {
    pub(super) poll: Poll,
    pub(super) inputs: Receiver<Input>,
    pub(super) slots: RecvSlots,
    pub(super) state: State,
    /// Sockets or inputs may hold more than was taken.
    pub(super) more: bool,
    pub(super) cadence: Cadence,
    /// This turn has brought datagrams.
    pub(super) brought: bool,
    /// Timers that are due, emptied at each turn.
    pub(super) due: Vec<usize>,
}

impl Runner {
    /// Runs until told to stop.
    pub fn run(mut self, clock: impl Fn() -> Instant) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while self.turn(&mut events, &clock)? {}
        Ok(())
    }

    /// Does what there is to do now without waiting for more. False when told to stop.
    pub fn turn_once(&mut self, events: &mut Events, clock: impl Fn() -> Instant) -> io::Result<bool> {
        self.more = true;
        self.turn(events, clock)
    }

    /// Waits for something to do and does it. False when told to stop.
    fn turn(&mut self, events: &mut Events, clock: impl Fn() -> Instant) -> io::Result<bool> {
        self.wait(events, clock())?;
        let now = clock();
        self.brought = false;
        let taken = self.take_inputs(now);
        if taken == Taken::Stop {
            return Ok(false);
        }
        self.more = self.read_sockets(now, events) || taken == Taken::Some;
        self.flush_siblings();
        let patience = self.state.forward(now);
        self.fire_timers(now);
        self.settle(now);
        self.flush_siblings();
        self.cadence.note_turn(now, self.brought);
        self.rest(patience, clock);
        Ok(true)
    }

    /// Gives the rest of a picture its time, and in a busy time what else is coming. Whoever is behind with reading gathers
    /// enough without.
    fn rest(&mut self, patience: Option<Duration>, clock: impl Fn() -> Instant) {
        if self.more {
            return;
        }
        let Some(rest) = patience.or_else(|| self.cadence.rest(clock())) else { return };
        self.more = true;
        if !rest.is_zero() {
            std::thread::park_timeout(rest);
        }
    }

    fn wait(&mut self, events: &mut Events, now: Instant) -> io::Result<()> {
        let state = &self.state;
        // Then UDP sockets and inputs are looked at anyway, and there is nothing else.
        if self.more && !state.sockets.has_tcp() {
            events.clear();
            return Ok(());
        }
        let patience = if self.more || !state.gather.is_empty() {
            Duration::ZERO
        } else if state.behind.is_empty() {
            WAIT_MAX
        } else {
            RETELL_EVERY
        };
        let timeout = state.wheel.until_next(now).map_or(patience, |t| t.min(patience));
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn take_inputs(&mut self, now: Instant) -> Taken {
        for _ in 0..SHARD_TURN_MAX {
            if self.state.gather.is_full() {
                return Taken::Some;
            }
            match self.inputs.try_recv() {
                Ok(Input::Command(command)) => self.apply(now, command),
                Ok(Input::Handed(mut batch)) => {
                    self.brought = true;
                    batch.for_each(|handed, bytes| self.accept_handed(now, handed, bytes));
                }
                Ok(Input::Tcp(handed)) => self.adopt(now, handed),
                Ok(Input::Stop) => return Taken::Stop,
                Err(_) => return Taken::All,
            }
        }
        Taken::Some
    }

    /// A command that fails by a fault of ours is lost alone.
    fn apply(&mut self, now: Instant, command: Command) {
        let state = &mut self.state;
        if catch_unwind(AssertUnwindSafe(|| state.apply(now, command))).is_err() {
            tracing::error!("a fault of the server lost a command");
        }
    }

    fn adopt(&mut self, now: Instant, handed: HandedTcp) {
        if let Ok(id) = self.state.sockets.adopt(handed.stream, handed.already_read) {
            self.read_tcp(now, id);
        }
    }

    /// Reads each ready socket once. Answers whether one has more.
    fn read_sockets(&mut self, now: Instant, events: &Events) -> bool {
        let (more, mut again) = (self.more, false);
        if more {
            again |= self.read_all_udp(now);
        }
        for event in events.iter().filter(|e| e.token() != WAKE) {
            match Sockets::ready(event.token()) {
                Ready::Udp(_) if more => {}
                Ready::Udp(index) => again |= self.read_udp(now, index),
                Ready::Tcp(id) => self.tcp_ready(now, id, event.is_writable()),
            }
        }
        again
    }

    fn read_all_udp(&mut self, now: Instant) -> bool {
        (0..self.state.sockets.udp_count()).fold(false, |more, index| self.read_udp(now, index) | more)
    }

    /// Reads until the socket is empty or there is enough for one turn; true in the latter case. The slots are out of
    /// `self` while their datagrams are handled.
    fn read_udp(&mut self, now: Instant, index: usize) -> bool {
        let mut slots = std::mem::take(&mut self.slots);
        let mut batches = 0..BATCHES_MAX;
        let mut more = true;
        while more && !self.state.gather.is_full() && batches.next().is_some() {
            more = self.read_batch(now, index, &mut slots);
        }
        self.slots = slots;
        more
    }

    /// Answers whether there may be more.
    fn read_batch(&mut self, now: Instant, index: usize, slots: &mut RecvSlots) -> bool {
        let Some(bound) = self.state.sockets.recv_udp(index, slots) else { return false };
        self.brought = true;
        slots.for_each(|datagram, remote, to| {
            let local = SocketAddr::new(to.unwrap_or(bound.ip()), bound.port());
            self.accept(now, datagram, Path { local, remote, connection: None }, false);
        });
        slots.are_full()
    }

    fn tcp_ready(&mut self, now: Instant, id: usize, writable: bool) {
        if writable && !self.state.sockets.flush_tcp(id) {
            return self.state.close_connection(id);
        }
        self.read_tcp(now, id);
    }

    fn read_tcp(&mut self, now: Instant, id: usize) {
        let mut frames = Vec::new();
        let open = self.state.sockets.recv_tcp(id, |frame, path| frames.push((frame.to_vec(), path)));
        for (mut frame, path) in frames {
            self.accept(now, &mut frame, path, false);
        }
        if !open {
            self.state.close_connection(id);
        }
    }

    fn accept_handed(&mut self, now: Instant, handed: Handed, bytes: &mut [u8]) {
        match handed {
            Handed::Datagram { path } => self.accept(now, bytes, path, true),
            passed => self.state.accept_handed(now, passed, bytes),
        }
    }

    /// Finds who a datagram is for. `handed` ones came from a sibling and go no further.
    fn accept(&mut self, now: Instant, datagram: &mut [u8], path: Path, handed: bool) {
        let check =
            (wire::classify(datagram) == Datagram::Stun).then(|| stun::binding_request_ufrag(datagram)).flatten();
        if let Some(index) = check.and_then(|ufrag| self.state.routes.peer_of_ufrag(ufrag)) {
            if self.handle(now, index, datagram, path) {
                self.learn(index, path);
            }
            return;
        }
        let foreign = check.and_then(shard_of_ufrag);
        match self.owner(path) {
            Some(Owner::Peer(index)) => drop(self.handle(now, index, datagram, path)),
            Some(Owner::Shard(shard)) if !handed => self.hand_over(shard, datagram, path),
            _ => match foreign {
                Some(shard) if !handed => {
                    self.state.routes.learn_foreign(path.remote, shard);
                    self.hand_over(shard, datagram, path);
                }
                _ => self.state.counters.datagrams_dropped.add(1),
            },
        }
    }

    fn handle(&mut self, now: Instant, index: usize, datagram: &mut [u8], path: Path) -> bool {
        self.state.contain(index, |state| state.handle_datagram(now, index, datagram, path)).unwrap_or(false)
    }

    fn owner(&mut self, path: Path) -> Option<Owner> {
        match path.connection {
            Some(id) => self.state.sockets.connection_mut(id)?.peer.map(Owner::Peer),
            None => self.state.routes.owner(path.remote),
        }
    }

    fn learn(&mut self, index: usize, path: Path) {
        match path.connection {
            Some(id) => self.state.bind_connection(index, id),
            None => {
                let Some(entry) = self.state.peers.get_mut(index) else { return };
                self.state.routes.learn(path.remote, index, &mut entry.addresses);
            }
        }
    }

    /// Only UDP on a shared port is handed over.
    fn hand_over(&mut self, shard: u8, datagram: &[u8], path: Path) {
        let sibling = self.state.siblings.iter_mut().find(|s| s.index == shard);
        if !sibling.is_some_and(|sibling| sibling.push(Handed::Datagram { path }, datagram)) {
            self.state.counters.datagrams_dropped.add(1);
        }
    }

    fn flush_siblings(&mut self) {
        let lost: usize = self.state.siblings.iter_mut().map(Sibling::flush).sum();
        self.state.counters.datagrams_dropped.add(lost as u64);
    }

    fn fire_timers(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.state.wheel.expire(now, &mut due);
        for index in due.drain(..) {
            self.state.contain(index, |state| state.handle_timer(now, index));
        }
        self.due = due;
    }

    /// Lets touched transports speak and sends what is staged.
    fn settle(&mut self, now: Instant) {
        self.state.flush_staged();
        while let Some(index) = self.state.touched.pop() {
            self.state.contain(index, |state| {
                state.drain(now, index);
                state.report(now, index);
            });
        }
        self.state.flush_staged();
        self.state.bury(now);
        let behind = std::mem::take(&mut self.state.behind);
        self.state.behind =
            behind.into_iter().filter(|i| self.state.peers.get_mut(*i).is_some_and(|p| !p.retell())).collect();
    }
}

/// The shard that [`super::Shard::credentials`] wrote into a local username fragment.
pub fn shard_of_ufrag(ufrag: &str) -> Option<u8> {
    let tag = *ufrag.as_bytes().first()?;
    tag.is_ascii_uppercase().then(|| tag - b'A')
}
