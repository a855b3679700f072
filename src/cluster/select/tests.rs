use super::*;
use crate::config::{Config, Region};
use crate::proto::{NodeState, NodeStats, NodeStatsRate};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

const NOW: i64 = 1_000;

fn node(id: &str, change: impl FnOnce(&mut Node, &mut NodeStats)) -> Node {
    let mut stats = NodeStats { updated_at: NOW, num_cpus: 4, ..NodeStats::default() };
    let mut node = Node { id: id.to_owned(), state: NodeState::Serving as i32, ..Node::default() };
    change(&mut node, &mut stats);
    node.stats = node.stats.or(Some(stats));
    node
}

fn config(kind: &str, sort_by: &str, algorithm: &str) -> Config {
    let mut config = Config { region: "paris".into(), ..Config::default() };
    let selector = &mut config.node_selector;
    (selector.kind, selector.sort_by, selector.algorithm) = (kind.into(), sort_by.into(), algorithm.into());
    selector.cpu_load_limit = 0.5;
    selector.sysload_limit = 0.5;
    config
}

fn rules(kind: &str, sort_by: &str, algorithm: &str) -> Rules {
    Rules::new(&config(kind, sort_by, algorithm)).unwrap()
}

/// How often each node is chosen in a thousand tries.
fn chosen(rules: &Rules, nodes: &[Node]) -> BTreeMap<String, usize> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut counts = BTreeMap::new();
    for _ in 0..1_000 {
        let node = select(rules, nodes, &Debits::default(), NOW, &mut rng).unwrap();
        *counts.entry(node.id.clone()).or_default() += 1;
    }
    counts
}

fn ids(rules: &Rules, nodes: &[Node]) -> Vec<String> {
    chosen(rules, nodes).into_keys().collect()
}

#[test]
fn only_serving_nodes_heard_of_lately_are_available() {
    let nodes = [
        node("fresh", |_, s| s.updated_at = NOW - 4),
        node("stale", |_, s| s.updated_at = NOW - 5),
        node("ahead", |_, s| s.updated_at = NOW + 60),
        node("draining", |n, _| n.set_state(NodeState::ShuttingDown)),
        node("starting", |n, _| n.set_state(NodeState::StartingUp)),
        node("cordoned", |n, _| n.set_state(NodeState::Suspended)),
        Node { id: "silent".into(), state: NodeState::Serving as i32, ..Node::default() },
    ];
    for kind in ["", "any", "random"] {
        assert_eq!(ids(&rules(kind, "random", "lowest"), &nodes), ["ahead", "fresh", "silent"]);
    }
}

#[test]
fn a_load_limit_counts_as_long_as_a_node_keeps_it() {
    let cpu = |load| move |_: &mut Node, s: &mut NodeStats| s.cpu_load = load;
    let sys = |load| move |_: &mut Node, s: &mut NodeStats| s.load_avg_last1min = load;
    let by_cpu = [node("a", cpu(0.4)), node("b", cpu(0.5)), node("c", cpu(0.9))];
    assert_eq!(ids(&rules("cpuload", "random", "lowest"), &by_cpu), ["a"]);
    assert_eq!(ids(&rules("cpuload", "random", "lowest"), &by_cpu[1..]), ["b", "c"]);
    // Four cores: the limit of 0.5 is a load of 2.
    let by_load = [node("a", sys(1.9)), node("b", sys(2.0))];
    assert_eq!(ids(&rules("sysload", "random", "lowest"), &by_load), ["a"]);
    assert_eq!(ids(&rules("sysload", "random", "lowest"), &by_load[1..]), ["b"]);
}

#[test]
fn a_node_without_cores_counts_as_one() {
    let nodes = [node("a", |_, s| (s.num_cpus, s.load_avg_last1min) = (0, 0.6)), node("b", |_, _| ())];
    assert_eq!(ids(&rules("sysload", "random", "lowest"), &nodes), ["b"]);
}

#[test]
fn each_measure_finds_its_lowest() {
    let rate = |bytes_in, bytes_out| vec![NodeStatsRate { bytes_in, bytes_out, ..NodeStatsRate::default() }];
    let loaded = |n: i32| {
        node("high", move |_, s| {
            (s.num_rooms, s.num_clients, s.num_tracks_in, s.num_tracks_out) = (n, n, n, n);
            (s.cpu_load, s.load_avg_last1min, s.rates) = (0.9, 9.0, rate(9.0, 9.0));
        })
    };
    let low = node("low", |_, s| {
        (s.num_rooms, s.num_clients, s.num_tracks_in, s.num_tracks_out) = (1, 1, 2, 1);
        (s.cpu_load, s.load_avg_last1min, s.rates) = (0.8, 8.0, rate(10.0, 0.0));
    });
    let nodes = [loaded(2), low, loaded(2)];
    for sort_by in ["sysload", "cpuload", "rooms", "clients", "tracks", "bytespersec"] {
        assert_eq!(ids(&rules("any", sort_by, "lowest"), &nodes), ["low"], "{sort_by}");
    }
}

#[test]
fn random_is_uniform() {
    let nodes: Vec<Node> = ["a", "b", "c", "d"].map(|id| node(id, |_, _| ())).into();
    for algorithm in ["lowest", "twochoice"] {
        let counts = chosen(&rules("any", "random", algorithm), &nodes);
        assert!(counts.len() == 4 && counts.values().all(|n| (200..300).contains(n)), "{counts:?}");
    }
}

#[test]
fn of_two_choices_the_lower_wins() {
    let clients = |n| move |_: &mut Node, s: &mut NodeStats| s.num_clients = n;
    let nodes = [node("a", clients(0)), node("b", clients(1)), node("c", clients(2))];
    let counts = chosen(&rules("any", "clients", "twochoice"), &nodes);
    // Three pairs, each as likely: a wins two of them, b one, c none.
    assert_eq!(counts.len(), 2);
    assert!((600..730).contains(&counts["a"]), "{counts:?}");
    assert_eq!(ids(&rules("any", "clients", "twochoice"), &nodes[..2]), ["a"], "of two nodes the lowest");
}

#[test]
fn a_node_without_statistics_sorts_last_and_keeps_no_limit() {
    let silent = Node { id: "silent".into(), state: NodeState::Serving as i32, ..Node::default() };
    let nodes = [silent, node("busy", |_, s| s.num_clients = 1_000)];
    assert_eq!(ids(&rules("any", "clients", "lowest"), &nodes), ["busy"]);
    assert_eq!(ids(&rules("cpuload", "random", "lowest"), &nodes), ["busy"]);
    assert_eq!(ids(&rules("any", "clients", "lowest"), &nodes[..1]), ["silent"]);
}

fn regional(regions: &[(&str, f64, f64)]) -> Rules {
    let mut config = config("regionaware", "random", "lowest");
    config.node_selector.regions =
        regions.iter().map(|(name, lat, lon)| Region { name: (*name).into(), lat: *lat, lon: *lon }).collect();
    Rules::new(&config).unwrap()
}

const EUROPE: [(&str, f64, f64); 3] = [("paris", 48.9, 2.4), ("frankfurt", 50.1, 8.7), ("singapore", 1.35, 103.8)];

fn within(region: &str, id: &str) -> Node {
    node(id, |n, _| n.region = region.to_owned())
}

#[test]
fn the_nearest_region_that_has_a_node_is_chosen() {
    let nodes = [within("singapore", "s"), within("frankfurt", "f1"), within("frankfurt", "f2"), within("paris", "p")];
    assert_eq!(ids(&regional(&EUROPE), &nodes), ["p"]);
    assert_eq!(ids(&regional(&EUROPE), &nodes[..3]), ["f1", "f2"]);
    assert_eq!(ids(&regional(&EUROPE), &nodes[..1]), ["s"]);
}

#[test]
fn a_full_region_sends_rooms_to_the_next() {
    let full = node("p", |n, s| (n.region, s.load_avg_last1min) = ("paris".into(), 4.0));
    assert_eq!(ids(&regional(&EUROPE), &[full, within("singapore", "s")]), ["s"]);
}

#[test]
fn unknown_regions_are_as_good_as_each_other_and_none_is_better_than_unknown() {
    let unknown = [within("mars", "m"), within("venus", "v")];
    assert_eq!(ids(&regional(&EUROPE), &unknown), ["m", "v"]);
    let nameless = [within("mars", "m"), within("", "n")];
    assert_eq!(ids(&regional(&EUROPE), &nameless), ["n"], "LiveKit's quirk");
    let known = [within("", "n"), within("singapore", "s")];
    assert_eq!(ids(&regional(&EUROPE), &known), ["s"]);
    assert_eq!(ids(&regional(&[]), &known), ["n"], "without a list no region is known");
}

#[test]
fn of_two_regions_as_near_the_first_met_wins() {
    let twins = [("paris", 0.0, 0.0), ("east", 0.0, 10.0), ("west", 0.0, -10.0)];
    assert_eq!(ids(&regional(&twins), &[within("west", "w"), within("east", "e")]), ["w"]);
    assert_eq!(ids(&regional(&twins), &[within("east", "e"), within("west", "w")]), ["e"]);
}

#[test]
fn rules_without_meaning_are_refused() {
    let refused = |kind, sort_by, algorithm| Rules::new(&config(kind, sort_by, algorithm)).unwrap_err();
    assert_eq!(refused("near", "random", "lowest"), RuleError::Kind("near".into()));
    assert_eq!(refused("any", "", "lowest"), RuleError::SortBy(String::new()));
    assert_eq!(refused("any", "rooms", "best"), RuleError::Algorithm("best".into()));
    let mut elsewhere = config("regionaware", "random", "lowest");
    elsewhere.node_selector.regions = vec![Region { name: "rome".into(), lat: 41.9, lon: 12.5 }];
    assert_eq!(Rules::new(&elsewhere).unwrap_err(), RuleError::OwnRegion("paris".into()));
}

#[test]
fn when_none_is_left_each_says_why() {
    let nodes =
        [node("ND_a", |n, _| n.set_state(NodeState::ShuttingDown)), node("ND_b", |_, s| s.updated_at = NOW - 90)];
    let mut rng = StdRng::seed_from_u64(1);
    let mut fail = |nodes: &[Node]| {
        let rules = rules("any", "random", "lowest");
        select(&rules, nodes, &Debits::default(), NOW, &mut rng).unwrap_err().to_string()
    };
    assert_eq!(fail(&nodes), "could not find any available nodes: ND_a: SHUTTING_DOWN; ND_b: last heard of 90 s ago");
    assert_eq!(fail(&[]), "could not find any available nodes: none is registered");
    let many: Vec<Node> = (0..100).map(|_| nodes[0].clone()).collect();
    assert!(fail(&many).ends_with("; and 92 more"));
}

#[test]
fn refusals_say_why_not_this_one() {
    let nodes = [
        node("hot", |n, s| (n.region, s.load_avg_last1min) = ("paris".into(), 8.0)),
        within("frankfurt", "near"),
        within("singapore", "far"),
        within("", "nowhere"),
    ];
    let told = refusals(&regional(&EUROPE), &nodes, NOW);
    let told: Vec<String> =
        told.iter().map(|why| why.as_ref().map_or("taken".to_owned(), ToString::to_string)).collect();
    assert_eq!(
        told,
        [
            "load per core 2.00 is not below 0.50",
            "taken",
            "singapore is farther than others",
            "has no region, others do"
        ]
    );
}

#[test]
fn balanced_placement_counts_what_no_statistics_show() {
    let nodes = [node("a", |_, s| s.num_clients = 10), node("b", |_, s| s.num_clients = 12)];
    let mut config = config("any", "clients", "lowest");
    config.lkops.placement = "balanced".into();
    let rules = Rules::new(&config).unwrap();
    let (mut debits, mut rng) = (Debits::default(), StdRng::seed_from_u64(3));
    let mut sent = Vec::new();
    for _ in 0..8 {
        let id = select(&rules, &nodes, &debits, NOW, &mut rng).unwrap().id.clone();
        debits.joined(&id, 1, NOW + 1);
        sent.push(id);
    }
    // Two to `a` make them even; from then on they take turns.
    assert_eq!(sent.iter().filter(|id| *id == "a").count(), 5, "{sent:?}");
}

#[test]
fn balanced_placement_weighs_a_join_by_what_the_cluster_pays_for_one() {
    let busy = |n, cpu_load, num_cpus| {
        node(n, move |_, s| (s.num_clients, s.cpu_load, s.num_cpus) = (100, cpu_load, num_cpus))
    };
    // 4 and 16 cores with 100 people each: 0.05 of a core for each of them.
    let nodes = [busy("small", 0.50, 4), busy("large", 0.50, 16)];
    let mut config = config("any", "cpuload", "lowest");
    config.lkops.placement = "balanced".into();
    let rules = Rules::new(&config).unwrap();
    let (mut debits, mut rng) = (Debits::default(), StdRng::seed_from_u64(3));
    for _ in 0..100 {
        let id = select(&rules, &nodes, &debits, NOW, &mut rng).unwrap().id.clone();
        debits.joined(&id, 1, NOW + 1);
    }
    let large = debits.pending(&nodes[1], Measure::CpuLoad);
    assert!((78.0..=82.0).contains(&large), "four times the cores take four times the people: {large}");
}
