//! The phases of a server's life, in order. Everybody who must act on one waits for it here.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Starting,
    /// Whether it takes new rooms is its mode (`cluster::drain`).
    Serving,
    /// Nothing new is taken, rooms are closed.
    Stopping,
    Stopped,
}

/// The current phase. It only moves forward.
#[derive(Clone)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    pub fn new() -> Lifecycle {
        Lifecycle(watch::Sender::new(Phase::Starting))
    }

    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    pub fn advance(&self, next: Phase) {
        let moved = self.0.send_if_modified(|phase| {
            let later = next > *phase;
            *phase = next.max(*phase);
            later
        });
        if moved {
            tracing::info!(phase = ?next, "server");
        }
    }

    /// Returns at once if that phase was reached before.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_move_forward() {
        let life = Lifecycle::new();
        life.advance(Phase::Serving);
        life.advance(Phase::Starting);
        assert_eq!(life.phase(), Phase::Serving);
        life.reached(Phase::Serving).await;
        let waiting = life.reached(Phase::Stopping);
        life.advance(Phase::Stopping);
        waiting.await;
    }
}
