//! Placement under a storm of joins, on a virtual clock: what each policy makes of a cluster whose statistics are up to two
//! seconds old. `examples/placement.rs` prints the same for 300 nodes.

#[path = "support/placement.rs"]
mod placement;

use placement::{Outcome, Size, config, run};

const SMALL: Size = Size { nodes: 40, joins_per_second: 1_400, fronts: 40, seconds: 40 };

fn outcome(sort_by: &str, algorithm: &str, placement: &str) -> Outcome {
    let found = run(SMALL, &config(sort_by, algorithm, placement), 1);
    println!("{sort_by} {algorithm} {placement}: {found:?}");
    found
}

#[test]
fn the_lowest_by_old_statistics_draws_a_herd_and_balanced_placement_does_not() {
    let herd = outcome("clients", "lowest", "selector");
    let balanced = outcome("clients", "lowest", "balanced");
    assert!(herd.herd_worst > 10.0, "{herd:?}");
    assert!(balanced.herd_worst < 4.0, "{balanced:?}");
    assert!(balanced.spread < 1.3 && balanced.spread_worst < herd.spread_worst, "{balanced:?} {herd:?}");
}

#[test]
fn balanced_placement_is_more_even_than_chance_and_than_two_choices() {
    let random = outcome("random", "lowest", "selector");
    let two = outcome("clients", "twochoice", "selector");
    let balanced = outcome("clients", "lowest", "balanced");
    assert!(balanced.spread < random.spread, "{balanced:?} {random:?}");
    assert!(balanced.spread <= two.spread * 1.02, "{balanced:?} {two:?}");
}

#[test]
fn the_fewer_fronts_the_more_of_the_joins_each_counts() {
    let few = Size { fronts: 2, ..SMALL };
    let two = run(few, &config("clients", "twochoice", "selector"), 1);
    let balanced = run(few, &config("clients", "lowest", "balanced"), 1);
    assert!(balanced.spread < two.spread, "{balanced:?} {two:?}");
}
