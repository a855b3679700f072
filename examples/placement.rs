//! Prints how evenly each way of placing rooms fills 300 nodes at 10,000 joins a second. Virtual clock, seeded:
//! `cargo run --release --example placement [seed]`.

#[path = "../tests/support/placement.rs"]
mod placement;

use placement::{Size, config, run};

const SIZE: Size = Size { nodes: 300, joins_per_second: 10_000, seconds: 90 };

const POLICIES: [(&str, &str, &str); 10] = [
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

fn main() {
    let seed = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("{} nodes, {} joins/s, {} s, seed {seed}", SIZE.nodes, SIZE.joins_per_second, SIZE.seconds);
    println!("{:<32} {:>12} {:>12} {:>22}", "policy", "max/mean", "worst second", "rooms in 2 s, max/mean");
    for (sort_by, algorithm, placement) in POLICIES {
        let name =
            if placement == "balanced" { format!("balanced by {sort_by}") } else { format!("{sort_by}, {algorithm}") };
        let found = run(SIZE, &config(sort_by, algorithm, placement), seed);
        println!("{name:<32} {:>12.2} {:>12.2} {:>22.1}", found.spread, found.spread_worst, found.herd_worst);
    }
}
