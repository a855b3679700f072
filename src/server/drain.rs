//! From the first request to stop until the node may go (WIRE.md §10): rooms run on and take newcomers, and the node waits
//! for its last participant, however long that takes. A second request ends the wait.

use super::state::{Lifecycle, Phase};
use crate::room::Occupancy;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

/// How often a draining node says who still holds it.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Rooms named in one report; a full node would fill the log.
const ROOMS_REPORTED_MAX: usize = 20;

/// Who is still here.
pub struct Holders<'a> {
    pub occupancy: watch::Receiver<Occupancy>,
    /// Rooms with people in them and how many.
    pub rooms: &'a (dyn Fn() -> Vec<(String, usize)> + Sync),
}

/// Returns when the node is to stop.
pub async fn until_empty(holders: Holders<'_>, stops: &mut mpsc::Receiver<&'static str>, life: &Lifecycle) {
    let Some(signal) = stops.recv().await else { return };
    life.advance(Phase::Draining);
    let Holders { mut occupancy, rooms } = holders;
    let participants = occupancy.borrow().participants;
    tracing::info!(signal, participants, "asked to stop");
    tokio::select! {
        _ = occupancy.wait_for(|o| o.participants == 0) => tracing::info!("no participant is left"),
        Some(signal) = stops.recv() => tracing::warn!(signal, "asked again, stopping with people connected"),
        () = report(rooms) => (),
    }
}

/// Never returns.
async fn report(rooms: &(dyn Fn() -> Vec<(String, usize)> + Sync)) {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (count, names) = summary(rooms());
        tracing::info!(
            rooms = count,
            held_by = names,
            "draining: waiting for the last participants; stop again to end now"
        );
    }
}

/// The fullest rooms first.
fn summary(mut rooms: Vec<(String, usize)>) -> (usize, String) {
    rooms.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown = rooms.iter().take(ROOMS_REPORTED_MAX).map(|(name, people)| format!("{name} ({people})"));
    (rooms.len(), shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::timeout;

    struct Node {
        occupancy: watch::Sender<Occupancy>,
        stop: mpsc::Sender<&'static str>,
        stops: mpsc::Receiver<&'static str>,
        life: Lifecycle,
        reports: AtomicUsize,
    }

    impl Node {
        fn with(participants: usize) -> Node {
            let (stop, stops) = mpsc::channel(2);
            let occupancy = watch::Sender::new(Occupancy { rooms: 1, participants });
            Node { occupancy, stop, stops, life: Lifecycle::new(), reports: AtomicUsize::new(0) }
        }

        /// Whether it is empty within that many seconds.
        async fn empties_in(&mut self, seconds: u64) -> bool {
            let rooms = || {
                self.reports.fetch_add(1, Ordering::Relaxed);
                vec![("r".to_owned(), 1)]
            };
            let holders = Holders { occupancy: self.occupancy.subscribe(), rooms: &rooms };
            let drain = until_empty(holders, &mut self.stops, &self.life);
            timeout(Duration::from_secs(seconds), drain).await.is_ok()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unasked_node_serves() {
        assert!(!Node::with(0).empties_in(3600).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_node_stops_at_once() {
        let mut node = Node::with(0);
        node.stop.send("SIGTERM").await.unwrap();
        assert!(node.empties_in(0).await);
        assert_eq!(node.life.phase(), Phase::Draining);
    }

    #[tokio::test(start_paused = true)]
    async fn people_hold_it_and_are_reported() {
        let mut node = Node::with(2);
        node.stop.send("SIGTERM").await.unwrap();
        assert!(!node.empties_in(61).await);
        assert_eq!(node.reports.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_lets_it_go() {
        let mut node = Node::with(1);
        node.stop.send("SIGTERM").await.unwrap();
        let occupancy = node.occupancy.clone();
        tokio::spawn(async move { occupancy.send_modify(|o| o.participants = 0) });
        assert!(node.empties_in(1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_request_ends_the_wait() {
        let mut node = Node::with(1);
        node.stop.send("SIGTERM").await.unwrap();
        node.stop.send("SIGINT").await.unwrap();
        assert!(node.empties_in(0).await);
    }

    #[test]
    fn the_fullest_rooms_come_first() {
        let rooms = [("a", 1), ("c", 3), ("b", 3)].map(|(n, p)| (n.to_owned(), p));
        assert_eq!(summary(rooms.to_vec()), (3, "b (3), c (3), a (1)".to_owned()));
        let many = (0..100).map(|i| (i.to_string(), 1)).collect();
        assert_eq!(summary(many).1.split(", ").count(), ROOMS_REPORTED_MAX);
    }
}
