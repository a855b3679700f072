//! A subscriber behind a bottleneck, on a virtual clock: what it sees and hears when the path is narrow, lossy, slow to
//! drop, or changes. The track, the leg, the estimator and the allocator are the real ones; every failure prints its seed.
//! `cargo test --test sim_congestion -- --nocapture` prints the figures.

#[path = "support/bottleneck.rs"]
mod bottleneck;
#[path = "support/viewer.rs"]
mod viewer;
#[path = "support/watched.rs"]
mod watched;

use bottleneck::Path;
use watched::{Report, Source, World};

const SECOND: u64 = 1_000;

/// A path that is the same all the time.
fn steady(kbps: u64) -> Path {
    Path { kbps, ..Path::WIDE }
}

fn print(name: &str, report: &Report) {
    println!("{name:<34} {report}");
}

#[test]
fn a_wide_path_is_left_alone() {
    for seed in 0..3 {
        let mut world = World::new(seed, steady(10_000));
        let report = world.run(20 * SECOND);
        print("wide 10 Mbit/s", &report);
        assert_eq!(report.layer, Some(2), "seed {seed}");
        assert_eq!(report.changes, 0, "seed {seed}");
        assert!(!world.is_limited() && report.longest_freeze_ms < 150, "seed {seed}: {report}");
        assert_eq!(report.padding_bytes, 0, "seed {seed}");
    }
}

#[test]
fn narrow_paths_are_used_and_audio_is_not_hurt() {
    // (capacity in kbit/s, the layer that fits, least utilisation)
    for (kbps, layer, least) in [(250, 0, 0.55), (700, 1, 0.55), (1_200, 1, 0.45), (2_200, 2, 0.65), (3_000, 2, 0.55)] {
        for seed in 0..3 {
            let mut world = World::new(seed, steady(kbps));
            world.run(5 * SECOND);
            let report = world.run(40 * SECOND);
            print(&format!("steady {kbps} kbit/s"), &report);
            assert!(report.typical_layer >= layer, "{kbps}, seed {seed}: {report}");
            assert!(report.utilisation > least, "{kbps}, seed {seed}: {report}");
            assert!(report.audio_loss < 0.01, "{kbps}, seed {seed}: {report}");
            assert!(report.longest_freeze_ms <= 1_000, "{kbps}, seed {seed}: {report}");
        }
    }
}

#[test]
fn losses_by_nature_do_not_take_the_picture_away() {
    for (loss, least) in [(0.01, 2), (0.05, 2), (0.10, 2), (0.20, 1)] {
        for seed in 0..3 {
            let mut world = World::new(seed, Path { loss, ..steady(4_000) });
            world.run(10 * SECOND);
            let report = world.run(30 * SECOND);
            print(&format!("loss {:.0} %", loss * 100.0), &report);
            assert!(report.typical_layer >= least, "loss {loss}, seed {seed}: {report}");
            assert!(report.audio_loss < loss * 1.3 + 0.005, "loss {loss}, seed {seed}: {report}");
            assert!(report.longest_freeze_ms <= 1_000, "loss {loss}, seed {seed}: {report}");
        }
    }
}

/// What a run showed that it should not have.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn check(&mut self, holds: bool, what: String) {
        self.0.extend((!holds).then_some(what));
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "{}", self.0.join("\n"));
    }
}

/// 3 Mbit/s, then 600 kbit/s for half a minute, then 3 Mbit/s.
fn step(name: &str, source: Source, seeds: u64, wide: Path) {
    let mut complaints = Complaints::default();
    for seed in 0..seeds {
        step_once(&mut complaints, &format!("{name}, seed {seed}"), World::of(source, seed, wide), wide);
    }
}

fn step_once(complaints: &mut Complaints, name: &str, mut world: World, wide: Path) {
    let before = world.run(10 * SECOND);
    complaints.check(before.layer == Some(2), format!("{name}: {before}"));
    world.set_path(Path { kbps: 600, ..wide });
    let first = world.run(SECOND);
    let after = world.run(29 * SECOND);
    world.set_path(wide);
    let back = world.run_until(15 * SECOND, |world| world.layer() == Some(2));
    let later = world.run(5 * SECOND);
    print(&format!("{name}: first second"), &first);
    print(&format!("{name}: then at 600 kbit/s"), &after);
    println!("{:<34} top layer back after {back:?} ms", format!("{name}: back at 3 Mbit/s"));
    complaints.check(after.audio_loss < 0.01, format!("{name}: {after}"));
    complaints.check(after.longest_freeze_ms <= 1_000, format!("{name}: {after}"));
    complaints.check(first.longest_freeze_ms <= 1_000, format!("{name}, first second: {first}"));
    complaints.check(back.is_some_and(|ms| ms <= 10_000), format!("{name}: back after {back:?}"));
    complaints.check(later.layer == Some(2), format!("{name}: {later}"));
}

#[test]
fn a_step_down_and_up() {
    step("step", Source::CAMERA, 4, steady(3_000));
}

#[test]
fn a_step_to_a_rate_a_layer_just_fills() {
    step("15 fps", Source::SLOW_CAMERA, 8, Path { delay_ms: 1, ..steady(3_000) });
}

#[test]
fn a_step_to_a_rate_a_layer_just_does_not_fit() {
    step("no temporal layers", Source::CHROMIUM, 8, Path { delay_ms: 1, ..steady(3_000) });
}

#[test]
fn a_step_with_layers_in_one_stream() {
    step("SVC", Source::SVC, 4, steady(3_000));
}

#[test]
fn a_step_on_a_slow_path() {
    step("100 ms delay", Source::CAMERA, 4, Path { delay_ms: 100, ..steady(3_000) });
}

#[test]
fn a_step_into_a_bloated_buffer() {
    step("500 ms queue", Source::CAMERA, 4, Path { queue_ms: 500, ..steady(3_000) });
}

#[test]
fn a_step_on_a_lossy_path() {
    for seed in 0..4 {
        let mut world = World::new(seed, Path { loss: 0.03, ..steady(3_000) });
        world.run(10 * SECOND);
        world.set_path(Path { loss: 0.03, ..steady(600) });
        let first = world.run(SECOND);
        let after = world.run(29 * SECOND);
        print("3 % loss: first second", &first);
        print("3 % loss: then at 600 kbit/s", &after);
        assert!(after.audio_loss < 0.045, "seed {seed}: {after}");
        assert!(after.longest_freeze_ms <= 1_500, "seed {seed}: {after}");
    }
}

#[test]
fn cross_traffic_comes_and_goes() {
    for seed in 0..3 {
        let mut world = World::new(seed, steady(3_000));
        world.run(10 * SECOND);
        world.set_path(Path { cross_kbps: 2_200, ..steady(3_000) });
        world.run(2 * SECOND);
        let beside = world.run(28 * SECOND);
        print("2.2 of 3 Mbit/s cross traffic", &beside);
        assert!(beside.audio_loss < 0.01, "seed {seed}: {beside}");
        assert!(beside.longest_freeze_ms <= 1_000, "seed {seed}: {beside}");
        world.set_path(steady(3_000));
        let back = world.run_until(15 * SECOND, |world| world.layer() == Some(2));
        println!("{:<34} top layer back after {back:?} ms", "cross traffic gone");
        assert!(back.is_some_and(|ms| ms <= 10_000), "seed {seed}: {back:?}");
    }
}

/// What else is wrong with a path.
type Trouble = fn(Path) -> Path;

/// Every rate with every trouble: how much is used, how soon the picture settles, how long it freezes, what sound is lost.
#[test]
fn a_table_of_paths() {
    let troubles: [(&str, Trouble); 6] = [
        ("", |path| path),
        ("2 % loss", |path| Path { loss: 0.02, ..path }),
        ("150 ms delay", |path| Path { delay_ms: 150, ..path }),
        ("30 ms jitter", |path| Path { jitter_ms: 30, ..path }),
        ("1 s queue", |path| Path { queue_ms: 1_000, ..path }),
        ("1/4 is others'", |path| Path { cross_kbps: path.kbps / 4, ..path }),
    ];
    let mut complaints = Complaints::default();
    println!("path                       settled    used  audio loss  freeze: settling  after   fps  layer");
    for kbps in [250, 400, 600, 1_000, 1_500, 3_000] {
        for (trouble, with) in troubles {
            table_row(&mut complaints, &format!("{kbps} kbit/s {trouble}"), with(steady(kbps)));
        }
    }
}

fn table_row(complaints: &mut Complaints, name: &str, path: Path) {
    let mut world = World::joined(7, path);
    let (settling, after) = (world.run(15 * SECOND), world.run(30 * SECOND));
    println!(
        "{name:<26} {:>5.1} s  {:>5.0} %  {:>8.2} %  {:>13} ms  {:>4} ms  {:>4.1}  {:>5}",
        settling.settled_ms as f64 / 1_000.0,
        after.utilisation * 100.0,
        after.audio_loss * 100.0,
        settling.longest_freeze_ms,
        after.longest_freeze_ms,
        after.pictures_per_s,
        after.typical_layer,
    );
    complaints.check(settling.longest_freeze_ms <= 1_000, format!("{name}, first 15 s: {settling}"));
    complaints.check(settling.audio_loss < 0.01 + path.loss * 1.5, format!("{name}, first 15 s: {settling}"));
    complaints.check(after.audio_loss < 0.01 + path.loss * 1.5, format!("{name}: {after}"));
    complaints.check(after.longest_freeze_ms <= 1_000, format!("{name}: {after}"));
    complaints.check(after.utilisation > 0.3, format!("{name}: {after}"));
}
