//! Which rooms are live, and how many people they hold. Rooms enter here when they start and leave when they close.

use super::run::Mailbox;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Load of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    pub rooms: usize,
    /// Agents, egress and hidden ones included.
    pub participants: usize,
}

#[derive(Default)]
pub struct Registry {
    rooms: Mutex<HashMap<String, Entry>>,
    occupancy: watch::Sender<Occupancy>,
    serial: AtomicU64,
}

struct Entry {
    serial: u64,
    mailbox: Mailbox,
    participants: Arc<AtomicUsize>,
}

/// A room's own place in the registry; dropping it gives the name up and takes the room's people off the count.
pub struct Seat {
    registry: Arc<Registry>,
    name: String,
    serial: u64,
    participants: Arc<AtomicUsize>,
}

impl Registry {
    pub fn find(&self, name: &str) -> Option<Mailbox> {
        self.lock().get(name).filter(|e| !e.mailbox.is_closed()).map(|e| e.mailbox.clone())
    }

    /// `start` runs under the lock: it may spawn, not wait.
    pub fn find_or_insert(self: &Arc<Self>, name: &str, start: impl FnOnce(Seat) -> Mailbox) -> Mailbox {
        let mut rooms = self.lock();
        if let Some(entry) = rooms.get(name).filter(|e| !e.mailbox.is_closed()) {
            return entry.mailbox.clone();
        }
        let seat = self.seat(name);
        let (serial, participants) = (seat.serial, seat.participants.clone());
        let mailbox = start(seat);
        rooms.insert(name.to_owned(), Entry { serial, mailbox: mailbox.clone(), participants });
        mailbox
    }

    /// A place under that name; who finds the room by it is the caller's business.
    pub(super) fn seat(self: &Arc<Self>, name: &str) -> Seat {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.occupancy.send_modify(|o| o.rooms += 1);
        Seat { registry: self.clone(), name: name.to_owned(), serial, participants: Arc::default() }
    }

    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    pub fn holders(&self) -> Vec<(String, usize)> {
        let count = |e: &Entry| e.participants.load(Ordering::Relaxed);
        self.lock().iter().map(|(name, e)| (name.clone(), count(e))).filter(|(_, n)| *n > 0).collect()
    }

    pub fn occupancy(&self) -> watch::Receiver<Occupancy> {
        self.occupancy.subscribe()
    }

    fn forget(&self, name: &str, serial: u64) {
        let mut rooms = self.lock();
        if rooms.get(name).is_some_and(|e| e.serial == serial) {
            rooms.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The room's people now.
    pub fn set_participants(&self, now: usize) {
        let before = self.participants.swap(now, Ordering::Relaxed);
        if before != now {
            self.registry.occupancy.send_modify(|o| o.participants = o.participants + now - before);
        }
    }

    /// Frees the name for a new room, while this one still winds up.
    pub fn vacate(&self) {
        self.registry.forget(&self.name, self.serial);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.vacate();
        self.set_participants(0);
        self.registry.occupancy.send_modify(|o| o.rooms -= 1);
    }
}
