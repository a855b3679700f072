//! The node's rooms as a drain sees them.

use super::drain::Rooms;
use crate::room::Directory;
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub struct LocalRooms {
    pub directory: Arc<Directory>,
}

impl Rooms for LocalRooms {
    fn move_all(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { tracing::warn!("rooms cannot move: this node stands alone") })
    }

    fn close_all(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.directory.close_all())
    }

    fn holders(&self) -> Vec<(String, usize)> {
        self.directory.holders()
    }
}
