//! What a node may be told to do.

use super::Mode;
use std::time::Duration;
use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take no new rooms, and go when nobody is left. A drain under way gets new terms.
    Drain(Terms),
    /// Undo a drain; a cordon from before it stays.
    Cancel,
    /// Take no new rooms.
    Cordon,
    Uncordon,
    /// Go now, whoever is here.
    End,
}

/// An order from elsewhere, and who waits for what becomes of it.
pub struct Instruction {
    pub order: Order,
    pub reply: oneshot::Sender<Result<Mode, OrderError>>,
}

/// How a node empties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// From now on; who is left then is told to come back elsewhere. Without one the node waits for ever.
    pub deadline: Option<Duration>,
    /// Rooms go to other nodes at once.
    pub moves: bool,
    /// The process stays when it is empty.
    pub stays: bool,
}

/// Why an order has no sense now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("is not draining; there is nothing to cancel")]
    NotDraining,
    #[error("is draining and takes no new rooms anyway; cancel the drain first")]
    Draining,
    #[error("is ending already")]
    Ended,
}
