//! Shares by table, and how they change over time.

use super::*;

fn at(ms: u64) -> Instant {
    super::super::test_epoch() + Duration::from_millis(ms)
}

fn ladder(rates: &[u64]) -> Ladder {
    let rung = |(spatial, rate): (u8, &u64)| Rung {
        spatial,
        temporal: 3,
        rate: Bitrate::kbps(*rate),
        peak: Bitrate::kbps(*rate),
    };
    (0..).zip(rates).map(rung).collect()
}

fn request(priority: u8, rates: &[u64]) -> Request {
    Request { priority, ladder: ladder(rates), held: None, paused: None }
}

fn rules(allow_pause: bool) -> Rules {
    Rules { allow_pause, ..Rules::default() }
}

const CAMERA: [u64; 3] = [150, 500, 1_700];

/// What each leg forwards: its spatial layer, `None` if paused, 9 without a limit.
fn levels(allocation: &Allocation) -> Vec<Option<u8>> {
    let level = |share: &Option<LegAllowance>| match share {
        None => Some(9),
        Some(share) => (!share.paused).then_some(share.spatial),
    };
    allocation.shares.iter().map(level).collect()
}

#[test]
fn shares() {
    const P: Option<u8> = None;
    const LOW: Option<u8> = Some(0);
    const MID: Option<u8> = Some(1);
    const HIGH: Option<u8> = Some(2);
    let held = Some(LegAllowance { spatial: 0, temporal: 3, paused: false });
    let camera = || Request { held, ..request(1, &CAMERA) };
    let screen = || Request { held, ..request(255, &[400, 1_000]) };
    let pinned = Request { priority: 9, ..camera() };
    type Case<'a> = (&'a str, Vec<Request>, u64, bool, &'a [Option<u8>]);
    let cases: Vec<Case<'_>> = vec![
        ("one with plenty", vec![camera()], 3_000, false, &[HIGH]),
        ("one in the middle", vec![camera()], 550, false, &[MID]),
        ("an upgrade needs head-room", vec![camera()], 540, false, &[LOW]),
        ("the lowest always", vec![camera()], 10, false, &[LOW]),
        ("unless it may pause", vec![camera()], 10, true, &[P]),
        ("what is held may cost a little more", vec![camera()], 135, true, &[LOW]),
        ("equals are raised together", vec![camera(), camera(), camera()], 1_700, false, &[MID, MID, MID]),
        ("one more step for the first", vec![camera(), camera()], 2_500, false, &[HIGH, MID]),
        ("screen before camera", vec![camera(), screen()], 1_300, false, &[LOW, MID]),
        ("but not before the camera's lowest", vec![camera(), screen()], 600, false, &[LOW, LOW]),
        ("screen alone if it may pause", vec![camera(), screen()], 400, true, &[P, LOW]),
        ("a pinned one first", vec![camera(), pinned, camera()], 2_200, false, &[LOW, HIGH, LOW]),
        ("nothing flows", vec![request(1, &[])], 10, true, &[LOW]),
        ("nobody", vec![], 10, true, &[]),
    ];
    for (name, requests, room, allow_pause, expected) in cases {
        let mut allocator = Allocator::new(rules(allow_pause));
        assert_eq!(levels(&allocator.plan(at(0), Bitrate::kbps(room), &requests)), expected, "{name}");
    }
}

#[test]
fn without_a_limit_nothing_is_limited() {
    let allocation = Allocator::new(rules(true)).plan(at(0), Bitrate::UNLIMITED, &[request(1, &CAMERA)]);
    assert_eq!((levels(&allocation), allocation.goal), (vec![Some(9)], None));
}

#[test]
fn the_goal_is_all_that_is_wanted() {
    let requests = [request(1, &CAMERA), request(7, &CAMERA)];
    let plan = |room| Allocator::new(rules(false)).plan(at(0), Bitrate::kbps(room), &requests);
    assert_eq!(plan(700).goal, Some(Bitrate::kbps(3_400).scaled(1.2)));
    assert_eq!(plan(9_000).goal, None);
}

/// Follows one leg over (ms, room in kbit/s); answers the times at which its level changed.
fn follow(steps: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, Option<u8>)> {
    let (mut allocator, mut leg, mut changes) = (Allocator::new(rules(true)), request(1, &CAMERA), Vec::new());
    for (ms, room) in steps {
        let allocation = allocator.plan(at(ms), Bitrate::kbps(room), std::slice::from_ref(&leg));
        leg.held = allocation.shares[0];
        let level = levels(&allocation)[0];
        if changes.last().is_none_or(|(_, last)| *last != level) {
            changes.push((ms, level));
        }
    }
    changes
}

#[test]
fn down_at_once_and_up_with_headroom_after_a_while() {
    let room = |ms: u64| match ms {
        0..3_000 => 3_000,
        3_000..10_000 => 520,
        10_000..20_000 => 540,
        20_000..30_000 => 1_800,
        _ => 1_900,
    };
    let changes = follow((0..40_000).step_by(100).map(|ms| (ms, room(ms))));
    assert_eq!(changes, [(0, Some(2)), (3_000, Some(0)), (20_000, Some(1)), (30_000, Some(2))]);
    let dip = |ms: u64| if (3_000..3_200).contains(&ms) { 200 } else { 3_000 };
    let changes = follow((0..9_000).step_by(100).map(|ms| (ms, dip(ms))));
    assert_eq!(changes, [(0, Some(2)), (3_000, Some(0)), (5_000, Some(2))]);
}

#[test]
fn a_pause_ends_like_any_upgrade() {
    let room = |ms: u64| if ms < 1_000 { 100 } else { 170 };
    let changes = follow((0..9_000).step_by(100).map(|ms| (ms, room(ms))));
    assert_eq!(changes, [(0, None), (2_000, Some(0))]);
}

/// The path passes less than 500 kbit/s but always looks like more: each attempt fails two seconds later.
#[test]
fn failed_upgrades_are_tried_ever_more_rarely() {
    let (mut allocator, mut leg) = (Allocator::new(rules(false)), request(1, &CAMERA));
    let (mut tried, mut since) = (Vec::new(), 0);
    for ms in (0..120_000).step_by(100) {
        let high = leg.held.is_none_or(|held| held.spatial > 0);
        let room = if high && ms >= since + 2_000 { 300 } else { 600 };
        let allocation = allocator.plan(at(ms), Bitrate::kbps(room), std::slice::from_ref(&leg));
        let rises = levels(&allocation)[0] > Some(0);
        if rises && !high {
            since = ms;
            tried.push(ms);
        }
        leg.held = allocation.shares[0];
    }
    let gaps: Vec<u64> = tried.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(gaps, [7_000, 12_000, 22_000, 42_000]);
}

#[test]
fn plenty_overrules_a_failure() {
    let room = |ms: u64| match ms {
        0..2_000 => 200,
        2_000..4_000 => 600,
        4_000..6_000 => 200,
        _ => 800,
    };
    let changes = follow((0..9_000).step_by(100).map(|ms| (ms, room(ms))));
    assert_eq!(changes, [(0, Some(0)), (2_000, Some(1)), (4_000, Some(0)), (6_000, Some(1))]);
}

#[test]
fn a_paused_track_rests() {
    let mut allocator = Allocator::new(rules(true));
    let held = Some(LegAllowance { spatial: 0, temporal: 0, paused: true });
    let paused = Request { held, paused: Some(at(0)), ..request(1, &CAMERA) };
    let requests = [paused];
    let plan = |allocator: &mut Allocator, ms| levels(&allocator.plan(at(ms), Bitrate::kbps(1_000), &requests));
    assert_eq!(plan(&mut allocator, 4_999), [None]);
    assert_eq!(plan(&mut allocator, 5_000), [Some(1)]);
}

#[test]
fn a_probe_goes_a_good_way_beyond_what_is_known() {
    let held = Some(LegAllowance { spatial: 0, temporal: 3, paused: false });
    let small = Request { held, ..request(1, &[100, 150]) };
    let goal = Allocator::new(rules(false)).plan(at(0), Bitrate::kbps(120), &[small]).goal;
    assert_eq!(goal, Some(Bitrate::kbps(320)), "more than a fifth beyond 150");
}

#[test]
fn what_a_layer_may_come_to_must_fit_before_it_is_added() {
    let plan = |peak, held| {
        let mut leg = Request { held, ..request(1, &CAMERA) };
        leg.ladder[1].peak = Bitrate::kbps(peak);
        levels(&Allocator::new(rules(false)).plan(at(0), Bitrate::kbps(600), &[leg]))
    };
    let on = |spatial| Some(LegAllowance { spatial, temporal: 3, paused: false });
    assert_eq!((plan(500, on(0)), plan(700, on(0))), (vec![Some(1)], vec![Some(0)]));
    assert_eq!(plan(700, on(1)), [Some(1)], "what is held is judged by what it takes");
}

#[test]
fn a_long_queue_takes_a_rung_at_a_time_but_never_the_lowest() {
    let mut allocator = Allocator::new(rules(true));
    let mut held = Some(LegAllowance { spatial: 2, temporal: 3, paused: false });
    let mut steps = Vec::new();
    for ms in (0..4_000).step_by(100) {
        let requests = [Request { held, ..request(1, &CAMERA) }];
        let room = allocator.relieved(at(ms), Bitrate::kbps(5_000), &requests);
        let allocation = allocator.plan(at(ms), room, &requests);
        steps.extend((allocation.shares[0] != held).then(|| (ms, levels(&allocation)[0])));
        held = allocation.shares[0];
    }
    assert_eq!(steps[..2], [(0, Some(1)), (1_000, Some(0))]);
    assert!(steps.iter().all(|(_, level)| level.is_some()), "{steps:?}");
    assert_eq!(allocator.relieved(at(9_000), Bitrate::UNLIMITED, &[request(1, &CAMERA)]), Bitrate::UNLIMITED);
}
