//! Prints how evenly each way of placing rooms fills 300 nodes at 10,000 joins a second. Virtual clock, seeded:
//! `cargo run --release --example placement [seed]`.

#[path = "../tests/support/placement.rs"]
mod placement;

use placement::{Size, config, run};

const SIZE: Size = Size { nodes: 300, joins_per_second: 10_000, fronts: 300, seconds: 90 };

/// Clients behind a balancer that knows few of the nodes.
const FEW_FRONTS: usize = 4;

type Policy = (&'static str, &'static str, &'static str);

const POLICIES: [Policy; 10] = [
    ("random", "lowest", "selector"),
    ("clients", "lowest", "selector"),
    ("rooms", "lowest", "selector"),
    ("cpuload", "lowest", "selector"),
    ("sysload", "lowest", "selector"),
    ("clients", "twochoice", "selector"),
    ("cpuload", "twochoice", "selector"),
    ("sysload", "twochoice", "selector"),
    ("clients", "lowest", "balanced"),
    ("cpuload", "lowest", "balanced"),
];

const OF_FEW_FRONTS: [Policy; 3] =
    [("clients", "lowest", "selector"), ("clients", "twochoice", "selector"), ("clients", "lowest", "balanced")];

fn main() {
    let seed = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    print(SIZE, &POLICIES, seed);
    print(Size { fronts: FEW_FRONTS, ..SIZE }, &OF_FEW_FRONTS, seed);
}

fn print(size: Size, policies: &[Policy], seed: u64) {
    let Size { nodes, joins_per_second, fronts, seconds } = size;
    println!("{nodes} nodes, {fronts} fronts, {joins_per_second} joins/s, {seconds} s, seed {seed}");
    println!("{:<24} {:>10} {:>14} {:>24}", "policy", "max/mean", "worst second", "rooms in 2 s, max/mean");
    for (sort_by, algorithm, placement) in policies {
        let balanced = format!("balanced by {sort_by}");
        let name = if *placement == "balanced" { balanced } else { format!("{sort_by}, {algorithm}") };
        let found = run(size, &config(sort_by, algorithm, placement), seed);
        println!("{name:<24} {:>10.2} {:>14.2} {:>24.1}", found.spread, found.spread_worst, found.herd_worst);
    }
}
