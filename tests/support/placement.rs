//! A cluster that places joins, on a virtual clock: nodes publish statistics every two seconds, fronts choose by them.

use lkops::cluster::select::{Debits, Rules, select};
use lkops::config::Config;
use lkops::proto::{Node, NodeState, NodeStats};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;

/// Length of one step.
const STEP_MS: usize = 100;
const STEPS_PER_SECOND: usize = 1_000 / STEP_MS;

/// Between two publications of a node's statistics.
const PUBLISH_STEPS: usize = 2 * STEPS_PER_SECOND;

/// One join in so many starts a room.
const ROOM_SIZE: u32 = 4;

/// Rooms that still take people in.
const OPEN_ROOMS: usize = 4_000;

/// Mean stay of a participant, in seconds; short, so that a minute shows the steady state.
const STAY_S: f64 = 20.0;

const CORES: u32 = 16;

#[derive(Clone, Copy)]
pub struct Size {
    pub nodes: usize,
    pub joins_per_second: usize,
    /// Nodes that clients are sent to first; the others only host.
    pub fronts: usize,
    pub seconds: usize,
}

#[derive(Debug)]
pub struct Outcome {
    /// Participants on the fullest node over the mean, at each second of the second half: the mean of it, and the worst.
    pub spread: f64,
    pub spread_worst: f64,
    /// New rooms one node got within two seconds over what each gets on average; the worst.
    pub herd_worst: f64,
}

struct Room {
    node: usize,
}

struct Cluster {
    size: Size,
    rng: StdRng,
    rules: Rules,
    published: Vec<Node>,
    people: Vec<i32>,
    rooms: Vec<i32>,
    load: Vec<f32>,
    /// Of each front.
    debits: Vec<Debits>,
    open: VecDeque<Room>,
    /// Participants that leave in a step, by node; and rooms that end with the last of them.
    leaving: VecDeque<Vec<(usize, bool)>>,
    placed: Vec<u32>,
}

pub fn config(sort_by: &str, algorithm: &str, placement: &str) -> Config {
    let mut config = Config::default();
    config.node_selector.sort_by = sort_by.to_owned();
    config.node_selector.algorithm = algorithm.to_owned();
    config.lkops.placement = placement.to_owned();
    config
}

pub fn run(size: Size, config: &Config, seed: u64) -> Outcome {
    let mut cluster = Cluster::new(size, config, seed);
    let (mut spreads, mut herd_worst) = (Vec::new(), 0.0_f64);
    for step in 0..size.seconds * STEPS_PER_SECOND {
        cluster.step(step);
        if step % PUBLISH_STEPS == PUBLISH_STEPS - 1 {
            herd_worst = herd_worst.max(cluster.take_herd());
        }
        if step % STEPS_PER_SECOND == 0 && step > size.seconds * STEPS_PER_SECOND / 2 {
            spreads.push(over_mean(&cluster.people));
        }
    }
    let worst = spreads.iter().copied().fold(0.0, f64::max);
    Outcome { spread: spreads.iter().sum::<f64>() / spreads.len() as f64, spread_worst: worst, herd_worst }
}

fn over_mean(values: &[i32]) -> f64 {
    let total: i32 = values.iter().sum();
    f64::from(values.iter().copied().max().unwrap_or(0)) * values.len() as f64 / f64::from(total.max(1))
}

impl Cluster {
    fn new(size: Size, config: &Config, seed: u64) -> Cluster {
        let node = |at: usize| Node {
            id: format!("ND_{at:04}"),
            state: NodeState::Serving as i32,
            stats: Some(NodeStats { num_cpus: CORES, ..NodeStats::default() }),
            ..Node::default()
        };
        Cluster {
            size,
            rng: StdRng::seed_from_u64(seed),
            rules: Rules::new(config).expect("rules with a meaning"),
            published: (0..size.nodes).map(node).collect(),
            people: vec![0; size.nodes],
            rooms: vec![0; size.nodes],
            load: vec![0.0; size.nodes],
            debits: (0..size.fronts).map(|_| Debits::default()).collect(),
            open: VecDeque::new(),
            leaving: VecDeque::new(),
            placed: vec![0; size.nodes],
        }
    }

    fn step(&mut self, step: usize) {
        for (node, ends_room) in self.leaving.pop_front().unwrap_or_default() {
            self.people[node] -= 1;
            self.rooms[node] -= i32::from(ends_room);
        }
        for at in (0..self.size.nodes).filter(|at| at % PUBLISH_STEPS == step % PUBLISH_STEPS) {
            self.publish(at, step);
        }
        for _ in 0..self.size.joins_per_second / STEPS_PER_SECOND {
            self.join(step);
        }
    }

    /// CPU in proportion to people, the mean cluster at 0.6; the load average follows over a minute.
    fn publish(&mut self, at: usize, step: usize) {
        let mean = self.size.joins_per_second as f64 * STAY_S / self.size.nodes as f64;
        let cpu = (f64::from(self.people[at]) / mean * 0.6) as f32;
        self.load[at] += (cpu * CORES as f32 - self.load[at]) * (1.0 - (-2.0_f32 / 60.0).exp());
        let stats = self.published[at].stats.get_or_insert_default();
        stats.updated_at = second(step);
        (stats.num_clients, stats.num_rooms) = (self.people[at], self.rooms[at]);
        (stats.cpu_load, stats.load_avg_last1min) = (cpu.min(1.0), self.load[at]);
        if let Some(debits) = self.debits.get_mut(at) {
            debits.settle(second(step));
        }
    }

    /// Somebody comes to a random front, to start a room or to join one.
    fn join(&mut self, step: usize) {
        let front = self.rng.random_range(0..self.size.fronts);
        let starts = self.open.is_empty() || self.rng.random_ratio(1, ROOM_SIZE);
        let node = if starts { self.start(front, step) } else { self.known() };
        self.debits[front].joined(&self.published[node].id, 1, second(step));
        self.people[node] += 1;
        let stay = -STAY_S * (1.0 - self.rng.random::<f64>()).ln();
        let steps = (stay * STEPS_PER_SECOND as f64) as usize;
        if self.leaving.len() <= steps {
            self.leaving.resize_with(steps + 1, Vec::new);
        }
        self.leaving[steps].push((node, starts));
    }

    fn start(&mut self, front: usize, step: usize) -> usize {
        let chosen = select(&self.rules, &self.published, &self.debits[front], second(step), &mut self.rng);
        let id = chosen.expect("all nodes serve").id.clone();
        let node = self.published.iter().position(|n| n.id == id).expect("one of ours");
        self.debits[front].placed(&id, second(step));
        self.rooms[node] += 1;
        self.placed[node] += 1;
        self.open.push_back(Room { node });
        if self.open.len() > OPEN_ROOMS {
            self.open.pop_front();
        }
        node
    }

    fn known(&mut self) -> usize {
        let at = self.rng.random_range(0..self.open.len());
        self.open[at].node
    }

    fn take_herd(&mut self) -> f64 {
        let counts: Vec<i32> = self.placed.iter().map(|n| *n as i32).collect();
        self.placed.fill(0);
        over_mean(&counts)
    }
}

/// The nodes' clock.
fn second(step: usize) -> i64 {
    (step / STEPS_PER_SECOND) as i64
}
