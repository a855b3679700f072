//! The node's rooms as a drain sees them.

use super::drain::Rooms;
use crate::cluster::{Cluster, Member, PlaceError};
use crate::limits::MOVES_PARALLEL_MAX;
use crate::room::Directory;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use std::future::ready;
use std::sync::Arc;

pub struct LocalRooms {
    pub directory: Arc<Directory>,
    pub cluster: Cluster,
}

impl Rooms for LocalRooms {
    fn move_all(&self) -> BoxFuture<'_, ()> {
        match self.cluster.member() {
            Some(member) => Box::pin(self.move_to_others(member)),
            None => Box::pin(async { tracing::warn!("rooms cannot move: this node stands alone") }),
        }
    }

    fn close_all(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.directory.close_all())
    }

    fn holders(&self) -> Vec<(String, usize)> {
        self.directory.holders()
    }
}

impl LocalRooms {
    /// Rooms of one person and of a hundred alike; those that stay are told of together, for there may be thousands.
    async fn move_to_others(&self, member: &Arc<Member>) {
        let moves = stream::iter(self.directory.holders()).map(|(room, people)| move_one(member, room, people));
        let stay: Vec<PlaceError> = moves.buffer_unordered(MOVES_PARALLEL_MAX).filter_map(ready).collect().await;
        if let Some(error) = stay.first() {
            tracing::warn!(rooms = stay.len(), %error, "rooms cannot move");
        }
    }
}

/// Why it stays.
async fn move_one(member: &Member, room: String, people: usize) -> Option<PlaceError> {
    let moved = member.hand_over(&room, u32::try_from(people).unwrap_or(u32::MAX)).await;
    moved.inspect(|node| tracing::info!(room, people, node, "room moved")).err()
}
