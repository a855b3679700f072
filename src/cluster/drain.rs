//! How a node stops taking rooms, empties and goes, as a value that is told what happens and says what to do. A signal and
//! `lkops drain` give it the same orders. Called by `server`; knows neither rooms nor Redis.

mod order;
mod remote;
#[cfg(test)]
mod tests;

pub use order::{Instruction, Order, OrderError, Terms};
pub use remote::{Operator, OrderFailure, OrderRequest, OrderResponse, serve};

use crate::limits::{DRAIN_CLOSE_GRACE, DRAIN_MOVE_INTERVAL};
use crate::proto::NodeState;
use std::collections::VecDeque;
use tokio::time::Instant;

/// What a node does with rooms and people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes new rooms.
    Serving,
    /// Takes none; its rooms go on and take newcomers.
    Cordoned,
    /// As cordoned, and waits until nobody is left.
    Draining,
    /// Nobody is left, and it was told to stay.
    Drained,
    /// Is to end.
    Ended,
}

impl Mode {
    /// As other nodes see it.
    pub fn node_state(self) -> NodeState {
        match self {
            Mode::Serving => NodeState::Serving,
            Mode::Cordoned => NodeState::Suspended,
            Mode::Draining | Mode::Drained | Mode::Ended => NodeState::ShuttingDown,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Serving => "serving",
            Mode::Cordoned => "cordoned",
            Mode::Draining => "draining",
            Mode::Drained => "drained",
            Mode::Ended => "ended",
        }
    }
}

/// What the caller is to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the others.
    Publish(Mode),
    /// Send every room with people in it to another node; what cannot be moved stays and is asked for again.
    MoveRooms,
    /// Close every room, wherever its people then go.
    CloseRooms,
    /// End the node.
    End,
}

#[derive(Debug)]
pub struct Machine {
    cordoned: bool,
    drain: Option<Drain>,
    ended: bool,
    people: usize,
    effects: VecDeque<Effect>,
    published: Mode,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    stays: bool,
    move_at: Option<Instant>,
    close_at: Option<Instant>,
}

impl Drain {
    /// With a deadline alone, rooms move then, and what cannot move is closed soon after. Told to move they go at once, and
    /// the deadline is for those that cannot.
    fn new(terms: Terms, now: Instant) -> Drain {
        let deadline = terms.deadline.and_then(|wait| now.checked_add(wait));
        let (move_at, close_at) = match (terms.moves, deadline) {
            (true, deadline) => (Some(now), deadline),
            (false, Some(deadline)) => (Some(deadline), deadline.checked_add(DRAIN_CLOSE_GRACE)),
            (false, None) => (None, None),
        };
        Drain { stays: terms.stays, move_at, close_at }
    }
}

impl Default for Machine {
    fn default() -> Machine {
        let effects = VecDeque::from([Effect::Publish(Mode::Serving)]);
        Machine { cordoned: false, drain: None, ended: false, people: 0, effects, published: Mode::Serving }
    }
}

impl Machine {
    pub fn mode(&self) -> Mode {
        match (&self.drain, self.ended) {
            (_, true) => Mode::Ended,
            (Some(drain), _) if drain.stays && self.people == 0 => Mode::Drained,
            (Some(_), _) => Mode::Draining,
            (None, _) if self.cordoned => Mode::Cordoned,
            (None, _) => Mode::Serving,
        }
    }

    /// Refused orders change nothing.
    pub fn handle_order(&mut self, order: Order, now: Instant) -> Result<(), OrderError> {
        if self.ended {
            return Err(OrderError::Ended);
        }
        match (order, self.drain.is_some()) {
            (Order::Drain(terms), _) => self.drain = Some(Drain::new(terms, now)),
            (Order::Cancel, true) => self.drain = None,
            (Order::Cancel, false) => return Err(OrderError::NotDraining),
            (Order::Cordon | Order::Uncordon, true) => return Err(OrderError::Draining),
            (Order::Cordon, false) => self.cordoned = true,
            (Order::Uncordon, false) => self.cordoned = false,
            (Order::End, _) => self.end(),
        }
        self.handle_time(now);
        Ok(())
    }

    /// So many people are in the node's rooms now. Empty rooms hold nothing.
    pub fn handle_people(&mut self, people: usize) {
        self.people = people;
        self.settle();
    }

    pub fn handle_time(&mut self, now: Instant) {
        // Whom nobody holds need not be moved.
        let occupied = self.people > 0;
        if let Some(drain) = &mut self.drain {
            if occupied && drain.move_at.is_some_and(|at| now >= at) {
                drain.move_at = now.checked_add(DRAIN_MOVE_INTERVAL);
                self.effects.push_back(Effect::MoveRooms);
            }
            if occupied && drain.close_at.is_some_and(|at| now >= at) {
                (drain.move_at, drain.close_at) = (None, None);
                self.effects.push_back(Effect::CloseRooms);
            }
        }
        self.settle();
    }

    /// When [`Machine::handle_time`] wants to be called.
    pub fn wake_at(&self) -> Option<Instant> {
        let drain = self.drain.filter(|_| self.people > 0 && !self.ended)?;
        [drain.move_at, drain.close_at].into_iter().flatten().min()
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Ends an empty drained node that is not to stay, and tells of a change.
    fn settle(&mut self) {
        if self.people == 0 && self.drain.is_some_and(|drain| !drain.stays) {
            self.end();
        }
        let mode = self.mode();
        if mode != self.published && !self.ended {
            self.published = mode;
            self.effects.push_back(Effect::Publish(mode));
        }
    }

    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            self.published = Mode::Ended;
            self.effects.extend([Effect::Publish(Mode::Ended), Effect::End]);
        }
    }
}
