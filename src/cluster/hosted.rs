//! What this node hosts, as far as the others may know it. The server implements it over the rooms; `owner` keeps the store
//! true to it.

use crate::proto::{ParticipantInfo, Room, RoomInternal};
use futures_util::future::BoxFuture;

/// A room as it stands in the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub room: Room,
    pub internal: RoomInternal,
    pub participants: Vec<ParticipantInfo>,
}

pub trait Hosted: Send + Sync {
    fn rooms(&self) -> Vec<String>;

    /// `None` if there is no such room here, any more.
    fn record(&self, room: &str) -> Option<Record>;

    /// Rooms that came, changed or went since the last call.
    fn take_changed(&self) -> Vec<String>;

    /// Returns when there are such.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// The store knows of every change up to the last look at that room.
    fn settled(&self, room: &str);

    /// Another node has the room: its people here are told to go there.
    fn give_up<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()>;
}
