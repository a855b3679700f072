//! Whole clusters on a virtual clock: the project's own nodes, scripts and drain machine on a model of Redis, with people who
//! come and go. One seed is one run, and a run that fails tells its seed:
//!
//!     SIM_SEED=17 cargo test --test sim_cluster -- --nocapture one_seed

mod sim_cluster {
    pub mod fault;
    pub mod node;
    pub mod redis;
    pub mod registry;
    pub mod resp;
    pub mod rooms;
    pub mod store;
    pub mod world;
}

use rand::seq::IndexedRandom;
use sim_cluster::fault::{self, Fault};
use sim_cluster::registry;
use sim_cluster::world::{Size, World};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::sleep;

const SMALL: Size = Size { nodes: 4, rooms: 10, people: 24 };

/// After the trouble is over all must be well within this: who stalled is found out within 5 s, media that ends without a word
/// counts as gone after 15 s, and the sweep looks twice.
const SETTLES: Duration = Duration::from_secs(40);

/// Rooms that nobody holds are swept in two turns; and a person may be on the way.
const BREATHER: Duration = Duration::from_secs(3);

struct Run {
    story: Vec<String>,
    /// How long after each fault nothing was wrong any more.
    settled: Vec<(Fault, Duration)>,
    longest_absence: Duration,
}

fn run(seed: u64, faults: &[Fault]) -> Run {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let world = World::new(SMALL, seed).await;
        let fail = |what: String| -> ! {
            let story = world.story.borrow();
            let end = story.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n");
            panic!("SIM_SEED={seed}: {what}\n{end}")
        };
        let mut settled = Vec::new();
        sleep(Duration::from_secs(5)).await;
        if let Err(wrongs) = world.settle(SMALL.people, SETTLES).await {
            fail(format!("before any fault: {wrongs:?}"));
        }
        for fault in faults {
            sleep(BREATHER).await;
            world.tell(format!("{fault:?}"));
            if let Err(what) = fault.strike(&world).await {
                fail(format!("{fault:?}: {what}"));
            }
            world.tell(format!("{fault:?} is over"));
            match world.settle(SMALL.people, SETTLES).await {
                Ok(elapsed) => settled.push((*fault, elapsed)),
                Err(wrongs) => fail(format!("{SETTLES:?} after {fault:?}: {wrongs:?}")),
            }
        }
        let longest_absence = *world.longest_absence.borrow();
        let mut story = world.story.take();
        // What happens in the same instant has no order.
        story.sort();
        Run { story, settled, longest_absence }
    })
}

/// So many of all that may happen, as the seed has it.
fn faults(seed: u64, count: usize) -> Vec<Fault> {
    use rand::SeedableRng;
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed ^ 0xfa17);
    (0..count).map(|_| *fault::ALL.choose(&mut rng).expect("there are some")).collect()
}

fn tell(seed: u64, run: &Run) {
    let times =
        run.settled.iter().map(|(fault, time)| format!("{fault:?} {:.1}", time.as_secs_f64())).collect::<Vec<_>>();
    println!("seed {seed}: longest absence {:.1} s; {}", run.longest_absence.as_secs_f64(), times.join(", "));
}

#[test]
fn each_fault_by_itself_heals() {
    for (seed, fault) in fault::ALL.into_iter().enumerate() {
        tell(seed as u64, &run(seed as u64, &[fault, fault]));
    }
}

#[test]
fn whatever_happens_one_node_has_a_room_nobody_is_lost_and_drains_end() {
    for seed in 100..106 {
        tell(seed, &run(seed, &faults(seed, 5)));
    }
}

#[test]
fn a_seed_runs_the_same_again() {
    let (first, second) = (run(7, &faults(7, 4)), run(7, &faults(7, 4)));
    let differs = first.story.iter().zip(&second.story).find(|(a, b)| a != b);
    assert_eq!(differs, None);
    assert_eq!(first.story.len(), second.story.len());
}

/// What a cluster in peace costs its Redis, in commands a second: as much a node, however many nodes there are.
#[test]
fn the_registry_costs_each_node_the_same() {
    let (ten, thirty) = (registry::measure(10, 30), registry::measure(30, 30));
    println!("10 nodes, 300 rooms: {ten}\n30 nodes, 900 rooms: {thirty}");
    assert!((thirty.commands_of_node / ten.commands_of_node - 1.0).abs() < 0.1);
    assert!(thirty.commands_of_node < 12.0, "{thirty}");
}

#[test]
#[ignore = "takes minutes: 1,000 nodes and 100,000 rooms"]
fn the_registry_of_a_thousand_nodes() {
    println!("{}", registry::measure(1000, 100));
}

/// The seed in SIM_SEED, or a new one each time, with its whole story.
#[test]
#[ignore = "for a look at one run, or for a night of them: SIM_SEED, SIM_RUNS"]
#[allow(clippy::disallowed_methods, reason = "whoever runs it says what")]
fn one_seed() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let runs = number("SIM_RUNS").unwrap_or(1);
    let first = number("SIM_SEED").unwrap_or_else(rand::random);
    for seed in first..first + runs {
        let run = run(seed, &faults(seed, 5));
        if runs == 1 {
            println!("{}", run.story.join("\n"));
        }
        tell(seed, &run);
    }
}
