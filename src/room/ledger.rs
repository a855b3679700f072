//! What a node's rooms are, written down for others to read: the latest state of each, and which changed. Rooms write it,
//! whoever tells other nodes reads it. A node that stands alone keeps none.

use crate::proto::{ParticipantInfo, Room, RoomInternal};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// A room as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub room: Room,
    pub internal: RoomInternal,
    /// By identity.
    pub participants: BTreeMap<String, ParticipantInfo>,
}

#[derive(Default)]
pub struct Ledger {
    is_kept: bool,
    state: Mutex<State>,
    news: Notify,
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<String, Entry>,
    changed: BTreeSet<String>,
}

#[derive(Default)]
struct Entry {
    page: Page,
    /// Counts changes; then up to which of them it was read, and up to which others know.
    version: u64,
    read: u64,
    settled: u64,
}

impl Ledger {
    pub fn kept() -> Ledger {
        Ledger { is_kept: true, ..Ledger::default() }
    }

    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub fn rooms(&self) -> Vec<String> {
        self.lock().rooms.keys().cloned().collect()
    }

    pub fn read(&self, room: &str) -> Option<Page> {
        let mut state = self.lock();
        let entry = state.rooms.get_mut(room)?;
        entry.read = entry.version;
        Some(entry.page.clone())
    }

    /// Who is there, without the rest.
    pub fn identities(&self, room: &str) -> Option<Vec<String>> {
        self.lock().rooms.get(room).map(|e| e.page.participants.keys().cloned().collect())
    }

    /// Published ones, in all rooms.
    pub fn tracks(&self) -> usize {
        let of = |e: &Entry| e.page.participants.values().map(|p| p.tracks.len()).sum::<usize>();
        self.lock().rooms.values().map(of).sum()
    }

    /// Rooms that came, changed or went since the last call.
    pub fn take_changed(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().changed).into_iter().collect()
    }

    /// Returns when there are such.
    pub async fn changed(&self) {
        while self.lock().changed.is_empty() {
            self.news.notified().await;
        }
    }

    /// Others know what was last read of the room.
    pub fn settle(&self, room: &str) {
        if let Some(entry) = self.lock().rooms.get_mut(room) {
            entry.settled = entry.settled.max(entry.read);
        }
        self.settled.send_modify(|n| *n += 1);
    }

    /// Returns when others know all that has happened in the room by now.
    pub async fn settled(&self, room: &str) {
        let wanted = self.lock().rooms.get(room).map_or(0, |e| e.version);
        let is_settled = |_: &u64| self.lock().rooms.get(room).is_none_or(|e| e.settled >= wanted);
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.settled.subscribe().wait_for(is_settled).await;
    }

    pub(super) fn write_room(&self, room: &Room, internal: &RoomInternal) {
        self.write(&room.name, |page| {
            page.room = room.clone();
            page.internal = internal.clone();
        });
    }

    pub(super) fn write_participant(&self, room: &str, info: ParticipantInfo) {
        self.write(room, |page| {
            page.participants.insert(info.identity.clone(), info);
        });
    }

    /// Unless another session has the identity by now.
    pub(super) fn strike_participant(&self, room: &str, identity: &str, sid: &str) {
        self.write(room, |page| {
            page.participants.retain(|i, info| i != identity || info.sid != sid);
        });
    }

    /// The room with that sid is no more.
    pub(super) fn strike_room(&self, room: &str, sid: &str) {
        if !self.is_kept {
            return;
        }
        let mut state = self.lock();
        if state.rooms.get(room).is_some_and(|e| e.page.room.sid == sid) {
            state.rooms.remove(room);
            state.changed.insert(room.to_owned());
            drop(state);
            self.news.notify_one();
        }
    }

    fn write(&self, room: &str, change: impl FnOnce(&mut Page)) {
        if !self.is_kept {
            return;
        }
        let mut state = self.lock();
        let entry = state.rooms.entry(room.to_owned()).or_default();
        change(&mut entry.page);
        entry.version += 1;
        state.changed.insert(room.to_owned());
        drop(state);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn room(name: &str, sid: &str) -> Room {
        Room { name: name.into(), sid: sid.into(), ..Room::default() }
    }

    fn person(identity: &str, sid: &str) -> ParticipantInfo {
        ParticipantInfo { identity: identity.into(), sid: sid.into(), ..ParticipantInfo::default() }
    }

    #[test]
    fn changes_are_told_once() {
        let ledger = Ledger::kept();
        assert!(ledger.changed().now_or_never().is_none());
        ledger.write_room(&room("r", "RM_1"), &RoomInternal::default());
        ledger.write_participant("r", person("a", "PA_1"));
        assert!(ledger.changed().now_or_never().is_some());
        assert_eq!(ledger.take_changed(), ["r"]);
        assert!(ledger.take_changed().is_empty());
        ledger.strike_room("r", "RM_other");
        assert!(ledger.take_changed().is_empty());
        ledger.strike_room("r", "RM_1");
        assert_eq!((ledger.take_changed(), ledger.read("r")), (vec!["r".to_owned()], None));
    }

    #[test]
    fn a_session_that_was_replaced_does_not_take_its_successor_along() {
        let ledger = Ledger::kept();
        ledger.write_room(&room("r", "RM_1"), &RoomInternal::default());
        ledger.write_participant("r", person("a", "PA_2"));
        ledger.strike_participant("r", "a", "PA_1");
        assert_eq!(ledger.identities("r").unwrap(), ["a"]);
        ledger.strike_participant("r", "a", "PA_2");
        assert!(ledger.identities("r").unwrap().is_empty());
    }

    #[test]
    fn settled_is_what_was_read_before_it_was_told() {
        let ledger = Ledger::kept();
        ledger.write_room(&room("r", "RM_1"), &RoomInternal::default());
        ledger.read("r");
        ledger.write_participant("r", person("a", "PA_1"));
        ledger.settle("r");
        assert!(ledger.settled("r").now_or_never().is_none());
        ledger.read("r");
        ledger.settle("r");
        assert!(ledger.settled("r").now_or_never().is_some());
        assert!(ledger.settled("unknown").now_or_never().is_some());
    }

    #[test]
    fn a_node_that_stands_alone_keeps_nothing() {
        let ledger = Ledger::default();
        ledger.write_room(&room("r", "RM_1"), &RoomInternal::default());
        assert!(ledger.rooms().is_empty() && ledger.take_changed().is_empty());
    }
}
