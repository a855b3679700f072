//! Carries out what `cluster::drain` decides: signals and orders of other nodes go in, rooms are moved or closed, and the
//! node goes when its machine says so (WIRE.md §10). Until then rooms run on and take newcomers.

use crate::cluster::drain::{Effect, Instruction, Machine, Mode, Order, Terms};
use crate::room::Occupancy;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

/// How often a draining node says who still holds it.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Rooms named in one report; a full node would fill the log.
const ROOMS_REPORTED_MAX: usize = 20;

/// What a drain does to the node's rooms.
pub trait Rooms: Sync {
    /// Sends each to another node. What no node takes stays.
    fn move_all(&self) -> BoxFuture<'_, ()>;

    fn close_all(&self) -> BoxFuture<'_, ()>;

    /// Rooms with people in them and how many.
    fn holders(&self) -> Vec<(String, usize)>;
}

/// A node's wait for its end.
pub struct Wait<'a> {
    machine: Machine,
    mode: &'a watch::Sender<Mode>,
    occupancy: watch::Receiver<Occupancy>,
    rooms: &'a dyn Rooms,
    /// What a signal asks for.
    terms: Terms,
    /// Whether a signal asked for the drain under way; the next one ends the node.
    signalled: bool,
    /// Moving or closing under way.
    work: Option<BoxFuture<'a, ()>>,
}

impl<'a> Wait<'a> {
    pub fn new(
        mode: &'a watch::Sender<Mode>,
        occupancy: watch::Receiver<Occupancy>,
        rooms: &'a dyn Rooms,
        terms: Terms,
    ) -> Self {
        let machine = Machine::default();
        Wait { machine, mode, occupancy, rooms, terms, signalled: false, work: None }
    }

    /// Returns when the node is to stop.
    pub async fn until_end(
        mut self,
        stops: &mut mpsc::Receiver<&'static str>,
        orders: &mut mpsc::Receiver<Instruction>,
    ) {
        let mut report = report_ticks();
        self.count();
        while !self.act() {
            let waits = matches!(self.machine.mode(), Mode::Draining);
            tokio::select! {
                Some(signal) = stops.recv() => self.handle_signal(signal),
                Some(instruction) = orders.recv() => self.handle_instruction(instruction),
                Ok(()) = self.occupancy.changed() => self.count(),
                () = due(self.machine.wake_at()) => self.machine.handle_time(Instant::now()),
                () = work(&mut self.work) => self.work = None,
                _ = report.tick(), if waits => tell(self.rooms.holders()),
            }
        }
    }

    fn count(&mut self) {
        let people = self.occupancy.borrow_and_update().participants;
        self.machine.handle_people(people);
    }

    /// The first signal drains, the next ends.
    fn handle_signal(&mut self, signal: &'static str) {
        let order = if self.signalled { Order::End } else { Order::Drain(self.terms) };
        tracing::info!(signal, participants = self.occupancy.borrow().participants, "asked to stop");
        // The only orders a signal stands for are refused by an ended node alone.
        let _ = self.machine.handle_order(order, Instant::now());
        self.signalled = true;
    }

    fn handle_instruction(&mut self, Instruction { order, reply }: Instruction) {
        let result = self.machine.handle_order(order, Instant::now()).map(|()| self.machine.mode());
        tracing::info!(?order, ?result, "asked by an operator");
        if matches!(result, Ok(Mode::Serving | Mode::Cordoned)) {
            self.signalled = false;
            // What has not moved yet stays.
            self.work = None;
        }
        let _ = reply.send(result);
    }

    /// True when the node is to end.
    fn act(&mut self) -> bool {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Publish(mode) => self.publish(mode),
                Effect::MoveRooms if self.work.is_none() => self.work = Some(self.rooms.move_all()),
                // The tries before this one are still under way.
                Effect::MoveRooms => (),
                Effect::CloseRooms => self.work = Some(self.rooms.close_all()),
                Effect::End => return true,
            }
        }
        false
    }

    fn publish(&self, mode: Mode) {
        if self.mode.send_replace(mode) != mode {
            tracing::info!(mode = mode.name(), "node");
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn work(under_way: &mut Option<BoxFuture<'_, ()>>) {
    match under_way {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

fn report_ticks() -> Interval {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn tell(rooms: Vec<(String, usize)>) {
    let (count, names) = summary(rooms);
    tracing::info!(
        rooms = count,
        held_by = names,
        "draining: waiting for the last participants; stop again to end now"
    );
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
    use crate::cluster::drain::OrderError;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    /// Rooms whose people go when they are moved or closed, if they go at all; moving takes a second.
    struct FakeRooms {
        occupancy: watch::Sender<Occupancy>,
        movable: usize,
        moves: AtomicUsize,
        closes: AtomicUsize,
        reports: AtomicUsize,
    }

    impl Rooms for FakeRooms {
        fn move_all(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {
                self.moves.fetch_add(1, Ordering::Relaxed);
                sleep_until(Instant::now() + Duration::from_secs(1)).await;
                self.occupancy.send_modify(|o| o.participants = o.participants.saturating_sub(self.movable));
            })
        }

        fn close_all(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {
                self.closes.fetch_add(1, Ordering::Relaxed);
                self.occupancy.send_modify(|o| o.participants = 0);
            })
        }

        fn holders(&self) -> Vec<(String, usize)> {
            self.reports.fetch_add(1, Ordering::Relaxed);
            vec![("r".to_owned(), 1)]
        }
    }

    struct Node {
        rooms: FakeRooms,
        mode: watch::Sender<Mode>,
        terms: Terms,
        stop: mpsc::Sender<&'static str>,
        stops: mpsc::Receiver<&'static str>,
        order: mpsc::Sender<Instruction>,
        orders: mpsc::Receiver<Instruction>,
    }

    impl Node {
        fn with(participants: usize) -> Node {
            let (stop, stops) = mpsc::channel(2);
            let (order, orders) = mpsc::channel(2);
            let occupancy = watch::Sender::new(Occupancy { rooms: 1, participants });
            let count = AtomicUsize::default;
            let rooms = FakeRooms { occupancy, movable: 0, moves: count(), closes: count(), reports: count() };
            Node { rooms, mode: watch::Sender::new(Mode::Serving), terms: Terms::default(), stop, stops, order, orders }
        }

        /// Whether it is to end within that many seconds.
        async fn ends_in(&mut self, seconds: u64) -> bool {
            let wait = Wait::new(&self.mode, self.rooms.occupancy.subscribe(), &self.rooms, self.terms);
            let end = wait.until_end(&mut self.stops, &mut self.orders);
            timeout(Duration::from_secs(seconds), end).await.is_ok()
        }

        async fn order(&self, order: Order) -> oneshot::Receiver<Result<Mode, OrderError>> {
            let (reply, answer) = oneshot::channel();
            self.order.send(Instruction { order, reply }).await.unwrap_or_else(|_| panic!("the node is there"));
            answer
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unasked_node_serves() {
        assert!(!Node::with(0).ends_in(3600).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_node_stops_at_once() {
        let mut node = Node::with(0);
        node.stop.send("SIGTERM").await.unwrap();
        assert!(node.ends_in(0).await);
        assert_eq!(*node.mode.borrow(), Mode::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn people_hold_it_and_are_reported() {
        let mut node = Node::with(2);
        node.stop.send("SIGTERM").await.unwrap();
        assert!(!node.ends_in(61).await);
        assert_eq!(*node.mode.borrow(), Mode::Draining);
        assert_eq!(node.rooms.reports.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_lets_it_go() {
        let mut node = Node::with(1);
        node.stop.send("SIGTERM").await.unwrap();
        let occupancy = node.rooms.occupancy.clone();
        tokio::spawn(async move { occupancy.send_modify(|o| o.participants = 0) });
        assert!(node.ends_in(1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_wait() {
        let mut node = Node::with(1);
        node.stop.send("SIGTERM").await.unwrap();
        node.stop.send("SIGINT").await.unwrap();
        assert!(node.ends_in(0).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operators_order_is_answered_and_can_be_undone() {
        let mut node = Node::with(1);
        let drained = node.order(Order::Drain(Terms::default())).await;
        let undone = node.order(Order::Cancel).await;
        assert!(!node.ends_in(60).await);
        assert_eq!(drained.await.unwrap(), Ok(Mode::Draining));
        assert_eq!(undone.await.unwrap(), Ok(Mode::Serving));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_cancelled_drain_a_signal_is_the_first_again() {
        let mut node = Node::with(1);
        let end = async {
            node.stop.send("SIGTERM").await.unwrap();
            let mut mode = node.mode.subscribe();
            mode.wait_for(|m| *m == Mode::Draining).await.unwrap();
            let (reply, answer) = oneshot::channel();
            let cancel = Instruction { order: Order::Cancel, reply };
            node.order.send(cancel).await.unwrap_or_else(|_| panic!("the node is there"));
            assert_eq!(answer.await.unwrap(), Ok(Mode::Serving));
            node.stop.send("SIGTERM").await.unwrap();
            mode.wait_for(|m| *m == Mode::Draining).await.unwrap();
        };
        let wait = Wait::new(&node.mode, node.rooms.occupancy.subscribe(), &node.rooms, node.terms);
        tokio::select! {
            () = wait.until_end(&mut node.stops, &mut node.orders) => panic!("people are here"),
            () = end => (),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rooms_move_until_nobody_is_left() {
        let mut node = Node::with(3);
        node.rooms.movable = 1;
        node.terms = Terms { moves: true, ..Terms::default() };
        node.stop.send("SIGTERM").await.unwrap();
        assert!(node.ends_in(12).await);
        assert_eq!((node.rooms.moves.into_inner(), node.rooms.closes.into_inner()), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_drain_moves_nobody_any_more() {
        let mut node = Node::with(3);
        node.rooms.movable = 3;
        let moving = node.order(Order::Drain(Terms { moves: true, ..Terms::default() })).await;
        let undone = node.order(Order::Cancel).await;
        assert!(!node.ends_in(60).await);
        assert_eq!((moving.await.unwrap(), undone.await.unwrap()), (Ok(Mode::Draining), Ok(Mode::Serving)));
        assert_eq!(node.rooms.occupancy.borrow().participants, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_closes_what_no_node_takes() {
        let mut node = Node::with(3);
        node.terms = Terms { deadline: Some(Duration::from_secs(60)), ..Terms::default() };
        node.stop.send("SIGTERM").await.unwrap();
        assert!(node.ends_in(71).await);
        let (moves, closes) = (node.rooms.moves.into_inner(), node.rooms.closes.into_inner());
        assert!(moves >= 1 && closes == 1, "{moves} {closes}");
    }

    #[test]
    fn the_fullest_rooms_come_first() {
        let rooms = [("a", 1), ("c", 3), ("b", 3)].map(|(n, p)| (n.to_owned(), p));
        assert_eq!(summary(rooms.to_vec()), (3, "b (3), c (3), a (1)".to_owned()));
        let many = (0..100).map(|i| (i.to_string(), 1)).collect();
        assert_eq!(summary(many).1.split(", ").count(), ROOMS_REPORTED_MAX);
    }
}
