use super::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A node with people, and what it was to do since the last look.
struct Node {
    machine: Machine,
    now: Instant,
}

impl Node {
    fn with(people: usize) -> Node {
        let mut machine = Machine::default();
        machine.handle_people(people);
        assert_eq!(machine.poll_effect(), Some(Effect::Publish(Mode::Serving)));
        Node { machine, now: Instant::now() }
    }

    fn order(&mut self, order: Order) -> Result<(), OrderError> {
        self.machine.handle_order(order, self.now)
    }

    fn drain(&mut self, terms: Terms) {
        self.order(Order::Drain(terms)).unwrap();
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.machine.poll_effect()).collect()
    }

    /// Passes time, waking the machine only when it asks to be.
    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let end = self.now + time;
        while let Some(at) = self.machine.wake_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.handle_time(self.now);
        }
        self.now = end;
        self.effects()
    }
}

fn by(deadline: Duration) -> Terms {
    Terms { deadline: Some(deadline), ..Terms::default() }
}

#[tokio::test]
async fn a_drain_waits_for_the_last_one_and_ends() {
    let mut node = Node::with(2);
    node.drain(Terms::default());
    assert_eq!(node.effects(), [Effect::Publish(Mode::Draining)]);
    assert_eq!(node.machine.wake_at(), None, "it waits, it does not poll");
    assert_eq!(node.pass(10_000 * MINUTE), []);
    node.machine.handle_people(1);
    assert_eq!(node.effects(), []);
    node.machine.handle_people(0);
    assert_eq!(node.effects(), [Effect::Publish(Mode::Ended), Effect::End]);
    node.machine.handle_people(0);
    assert_eq!(node.effects(), [], "it ends once");
}

#[tokio::test]
async fn an_empty_node_ends_at_once() {
    let mut node = Node::with(0);
    node.drain(Terms::default());
    assert_eq!(node.effects(), [Effect::Publish(Mode::Ended), Effect::End]);
}

#[tokio::test]
async fn told_to_stay_it_stays_and_can_come_back() {
    let mut node = Node::with(1);
    node.drain(Terms { stays: true, ..Terms::default() });
    node.machine.handle_people(0);
    assert_eq!(node.effects(), [Effect::Publish(Mode::Draining), Effect::Publish(Mode::Drained)]);
    node.machine.handle_people(1);
    assert_eq!(node.effects(), [Effect::Publish(Mode::Draining)], "a newcomer to an empty room");
    node.order(Order::Cancel).unwrap();
    assert_eq!(node.effects(), [Effect::Publish(Mode::Serving)]);
}

#[tokio::test]
async fn at_the_deadline_rooms_move_and_what_is_left_is_closed() {
    let mut node = Node::with(3);
    node.drain(by(30 * MINUTE));
    node.effects();
    assert_eq!(node.pass(29 * MINUTE), []);
    assert_eq!(node.pass(MINUTE), [Effect::MoveRooms]);
    let rest = node.pass(DRAIN_CLOSE_GRACE);
    assert_eq!(rest.last(), Some(&Effect::CloseRooms));
    assert_eq!(node.pass(60 * MINUTE), [], "closing is asked for once");
    node.machine.handle_people(0);
    assert_eq!(node.effects(), [Effect::Publish(Mode::Ended), Effect::End]);
}

#[tokio::test]
async fn told_to_move_it_asks_again_until_all_are_gone_or_the_deadline_comes() {
    let mut node = Node::with(3);
    node.drain(Terms { moves: true, ..by(MINUTE) });
    assert_eq!(node.effects(), [Effect::MoveRooms, Effect::Publish(Mode::Draining)]);
    assert_eq!(node.pass(2 * DRAIN_MOVE_INTERVAL), [Effect::MoveRooms, Effect::MoveRooms]);
    assert_eq!(node.pass(MINUTE).last(), Some(&Effect::CloseRooms));
    let mut patient = Node::with(1);
    patient.drain(Terms { moves: true, ..Terms::default() });
    assert!(!patient.pass(60 * MINUTE).contains(&Effect::CloseRooms));
}

#[tokio::test]
async fn a_cancelled_drain_leaves_nothing_behind() {
    let mut node = Node::with(1);
    node.drain(by(MINUTE));
    node.order(Order::Cancel).unwrap();
    assert_eq!(node.effects(), [Effect::Publish(Mode::Draining), Effect::Publish(Mode::Serving)]);
    assert_eq!((node.machine.wake_at(), node.pass(10 * MINUTE)), (None, vec![]));
    node.machine.handle_people(0);
    assert_eq!((node.machine.mode(), node.effects()), (Mode::Serving, vec![]));
}

#[tokio::test]
async fn a_cordon_outlives_a_drain() {
    let mut node = Node::with(1);
    node.order(Order::Cordon).unwrap();
    node.order(Order::Cordon).unwrap();
    node.drain(Terms::default());
    node.order(Order::Cancel).unwrap();
    node.order(Order::Uncordon).unwrap();
    let modes = [Mode::Cordoned, Mode::Draining, Mode::Cordoned, Mode::Serving];
    assert_eq!(node.effects(), modes.map(Effect::Publish));
}

#[tokio::test]
async fn a_cordoned_node_does_not_end_when_it_is_empty() {
    let mut node = Node::with(1);
    node.order(Order::Cordon).unwrap();
    node.machine.handle_people(0);
    assert_eq!(node.effects(), [Effect::Publish(Mode::Cordoned)]);
}

#[tokio::test]
async fn a_new_drain_has_its_own_terms() {
    let mut node = Node::with(1);
    node.drain(by(MINUTE));
    node.drain(Terms { stays: true, ..by(10 * MINUTE) });
    node.effects();
    assert_eq!(node.pass(9 * MINUTE), []);
    assert_eq!(node.pass(MINUTE), [Effect::MoveRooms]);
    // A signal is a drain that does not stay.
    node.drain(Terms::default());
    node.machine.handle_people(0);
    assert_eq!(node.machine.mode(), Mode::Ended);
}

#[tokio::test]
async fn orders_without_sense_are_refused() {
    let mut node = Node::with(1);
    assert_eq!(node.order(Order::Cancel), Err(OrderError::NotDraining));
    node.drain(Terms::default());
    assert_eq!(node.order(Order::Cordon), Err(OrderError::Draining));
    assert_eq!(node.order(Order::Uncordon), Err(OrderError::Draining));
    node.order(Order::End).unwrap();
    assert_eq!(node.order(Order::Cancel), Err(OrderError::Ended));
    let effects = [Effect::Publish(Mode::Draining), Effect::Publish(Mode::Ended), Effect::End];
    assert_eq!(node.effects(), effects);
}

/// Whatever is ordered in whatever order: an ended node stays ended, a node without people and with a drain that does not
/// stay has ended, and what was published last is the mode.
#[tokio::test]
async fn any_orders_keep_the_invariants() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..500 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut node = Node::with(rng.random_range(0..3));
        let mut last = Mode::Serving;
        for _ in 0..30 {
            let deadline = rng.random_bool(0.5).then(|| Duration::from_secs(rng.random_range(0..100)));
            let terms = Terms { deadline, moves: rng.random(), stays: rng.random() };
            let orders = [Order::Drain(terms), Order::Cancel, Order::Cordon, Order::Uncordon];
            let was_ended = node.machine.mode() == Mode::Ended;
            match rng.random_range(0..6) {
                4 => node.machine.handle_people(rng.random_range(0..3)),
                5 => _ = node.order(Order::End),
                at => _ = node.order(orders[at]),
            }
            let effects = node.pass(Duration::from_secs(rng.random_range(0..200)));
            last = effects
                .iter()
                .rev()
                .find_map(|e| if let Effect::Publish(m) = e { Some(*m) } else { None })
                .unwrap_or(last);
            assert_eq!(last, node.machine.mode(), "seed {seed}");
            assert!(!was_ended || effects.is_empty(), "seed {seed}: {effects:?}");
        }
    }
}
