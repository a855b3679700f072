//! What failures lead to, and failures clients ask for (WIRE.md §2.6, §2.11, §3.8).

use super::world::*;
use crate::config::{Config, Rtc};
use crate::proto::leave_request::Action;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::simulate_scenario::Scenario;
use crate::proto::{DisconnectReason, Ping, ReconnectReason, SimulateScenario, TrackSource};
use crate::room::session::SessionStart;
use crate::shard::{CandidatePolicy, Channel, Command, Event, PeerFailure};

fn with_rtc(change: impl FnOnce(&mut Rtc)) -> World {
    let mut changed: Config = config();
    change(&mut changed.rtc);
    World::with(changed, |_| ())
}

/// Told to start over, and gone.
fn is_sent_back(world: &World, client: &mut Client) -> bool {
    let told = client.heard().into_iter().any(|m| match m {
        Message::Leave(leave) => {
            (leave.reason(), leave.action()) == (DisconnectReason::StateMismatch, Action::Reconnect)
        }
        _ => false,
    });
    told && world.room.participant_info(&client.identity).is_err()
}

#[tokio::test(start_paused = true)]
async fn a_track_that_never_comes_may_cost_the_session() {
    for (asked, muted, back) in [(false, false, false), (true, false, true), (true, true, false)] {
        let mut world = with_rtc(|rtc| rtc.reconnect_on_publication_error = asked);
        let mut ann = world.join_active(dual("ann"));
        world.publish(&mut ann, TrackSource::Microphone);
        world.pass_ms(1_000).await;
        let track = crate::proto::AddTrackRequest { muted, ..add_track("cam", TrackSource::Camera) };
        world.say(&ann, Ask::AddTrack(track));
        world.pass_ms(29_900).await;
        assert!(!is_sent_back(&world, &mut ann));
        world.pass_ms(200).await;
        assert_eq!(is_sent_back(&world, &mut ann), back, "{asked} {muted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_may_cost_the_session() {
    for asked in [false, true] {
        let mut world = with_rtc(|rtc| rtc.reconnect_on_subscription_error = asked);
        let mut ann = world.join_active(single("ann"));
        let mut bob = world.join_active(dual("bob"));
        world.publish(&mut bob, TrackSource::Microphone);
        world.pass_ms(14_000).await;
        ann.heard();
        world.pass_ms(5_000).await;
        assert_eq!(is_sent_back(&world, &mut ann), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_channel_that_ends_may_cost_the_session() {
    for asked in [false, true] {
        let mut world = with_rtc(|rtc| rtc.reconnect_on_data_channel_error = asked);
        let mut ann = world.join_active(dual("ann"));
        let closed = |peer| Event::ChannelClosed { peer, channel: Channel::Reliable };
        world.room.handle_event(closed(ann.publisher));
        assert!(!is_sent_back(&world, &mut ann), "nothing is sent there");
        world.room.handle_event(closed(ann.subscriber));
        assert_eq!(is_sent_back(&world, &mut ann), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_simulated_bandwidth_is_the_subscribers() {
    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    for (asked, held) in [(300_000, Some(300_000)), (0, None), (-1, None)] {
        world.commands();
        world.say(&ann, Ask::Simulate(SimulateScenario { scenario: Some(Scenario::SubscriberBandwidth(asked)) }));
        let set = |c| if let Command::SetCapacity { peer, bps } = c { Some((peer, bps)) } else { None };
        let set: Vec<_> = world.commands().into_iter().filter_map(set).collect();
        assert_eq!(set, [(ann.subscriber, held)]);
    }
}

fn resuming(start: SessionStart) -> SessionStart {
    SessionStart { reconnect: true, ..start }
}

fn fail(world: &mut World, client: &Client) {
    let why = PeerFailure::Ice { tried: Vec::new() };
    world.room.handle_event(Event::Failed { peer: client.subscriber, why });
}

fn hear(world: &mut World, client: &Client) {
    world.say(client, Ask::PingReq(Ping { timestamp: 1, rtt: 300 }));
}

#[tokio::test(start_paused = true)]
async fn after_a_blocked_path_a_resume_is_offered_tcp_only() {
    let mut world = with_rtc(|rtc| rtc.tcp_port = 7881);
    let ann = world.join_active(dual("ann"));
    assert_eq!(world.room.policy_for("ann"), CandidatePolicy::All);
    fail(&mut world, &ann);
    assert_eq!(world.room.policy_for("ann"), CandidatePolicy::TcpOnly);
    let mut again = world.join(resuming(dual("ann")));
    assert!(!names(&again.heard()).contains(&"trickle"), "the test shard has no TCP candidates");
}

#[tokio::test(start_paused = true)]
async fn fallback_is_the_configurations_to_allow() {
    use CandidatePolicy::{All, TcpOnly};
    type Change = fn(&mut Rtc);
    let cases: [(Change, CandidatePolicy); 5] = [
        (|_| (), TcpOnly),
        (|rtc| rtc.tcp_port = 0, All),
        (|rtc| rtc.allow_tcp_fallback = Some(false), All),
        (|rtc| rtc.tcp_fallback_rtt_threshold = 300, All),
        (|rtc| rtc.tcp_fallback_rtt_threshold = 301, TcpOnly),
    ];
    for (case, (change, expected)) in cases.into_iter().enumerate() {
        let mut world = with_rtc(|rtc| {
            rtc.tcp_port = 7881;
            change(rtc);
        });
        let ann = world.join_active(dual("ann"));
        hear(&mut world, &ann);
        fail(&mut world, &ann);
        assert_eq!(world.room.policy_for("ann"), expected, "case {case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_worked_for_long_must_fail_twice_in_a_minute() {
    for (pause_s, expected) in [(50, CandidatePolicy::TcpOnly), (70, CandidatePolicy::All)] {
        let mut world = with_rtc(|rtc| rtc.tcp_port = 7881);
        let ann = world.join_active(dual("ann"));
        world.pass_ms(91_000).await;
        hear(&mut world, &ann);
        fail(&mut world, &ann);
        assert_eq!(world.room.policy_for("ann"), CandidatePolicy::All);
        let mut again = world.join(resuming(dual("ann")));
        world.settle(&mut again);
        world.pass_ms(pause_s * 1000).await;
        hear(&mut world, &again);
        fail(&mut world, &ann);
        assert_eq!(world.room.policy_for("ann"), expected, "{pause_s} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reports_a_failure_soon_after_connecting_gets_tcp() {
    for (reason, after_s, expected) in [
        (ReconnectReason::RrSubscriberFailed, 1, CandidatePolicy::TcpOnly),
        (ReconnectReason::RrSubscriberFailed, 91, CandidatePolicy::All),
        (ReconnectReason::RrSignalDisconnected, 1, CandidatePolicy::All),
    ] {
        let mut world = with_rtc(|rtc| rtc.tcp_port = 7881);
        let _ann = world.join_active(dual("ann"));
        world.pass_ms(after_s * 1000).await;
        let start = SessionStart { reconnect_reason: reason as i32, ..resuming(dual("ann")) };
        let _again = world.room.open(start).unwrap();
        assert_eq!(world.room.policy_for("ann"), expected, "{reason:?} after {after_s} s");
    }
}

fn over_udp(world: &mut World, client: &Client, tcp: bool) {
    let (local, remote) = ("10.0.0.1:7882".parse().unwrap(), "10.0.0.2:9".parse().unwrap());
    let pair = crate::shard::CandidatePair { local, remote, tcp };
    world.room.handle_event(Event::IceConnected { peer: client.subscriber, pair });
}

#[tokio::test(start_paused = true)]
async fn a_path_that_loses_much_is_left_for_tcp_where_that_is_wanted() {
    type Change = fn(&mut Rtc);
    let cases: [(&str, Change, bool, u64, bool); 6] = [
        ("wanted", |_| (), false, 0, true),
        ("not wanted", |rtc| rtc.allow_udp_unstable_fallback = false, false, 0, false),
        ("no threshold", |rtc| rtc.tcp_fallback_rtt_threshold = 0, false, 0, false),
        ("too far", |rtc| rtc.tcp_fallback_rtt_threshold = 300, false, 0, false),
        ("already TCP", |_| (), true, 0, false),
        ("not heard for long", |_| (), false, 15_000, false),
    ];
    for (name, change, tcp, silent_ms, expected) in cases {
        let mut world = with_rtc(|rtc| {
            rtc.tcp_port = 7881;
            rtc.allow_udp_unstable_fallback = true;
            rtc.tcp_fallback_rtt_threshold = 301;
            change(rtc);
        });
        let mut ann = world.join_active(dual("ann"));
        over_udp(&mut world, &ann, tcp);
        hear(&mut world, &ann);
        world.pass_ms(silent_ms).await;
        ann.heard();
        world.commands();
        world.room.handle_event(Event::Unstable { peer: ann.subscriber });
        let policy = if expected { CandidatePolicy::TcpOnly } else { CandidatePolicy::All };
        assert_eq!(world.room.policy_for("ann"), policy, "{name}");
        let restarts = world.commands().iter().any(|c| matches!(c, Command::RestartIce { .. }));
        assert_eq!((restarts, names(&ann.heard()).contains(&"offer")), (expected, expected), "{name}");
        world.room.handle_event(Event::Unstable { peer: ann.subscriber });
        assert!(world.commands().is_empty() && ann.heard().is_empty(), "{name}: it is asked once");
    }
}

#[tokio::test(start_paused = true)]
async fn tcp_that_does_not_come_up_in_time_has_failed() {
    for (round_trip_ms, until_ms) in [(0, Some(5_000)), (1_000 - 1, Some(7_992)), (1_000, None)] {
        let mut world = with_rtc(|rtc| rtc.tcp_port = 7881);
        let ann = world.join_active(dual("ann"));
        fail(&mut world, &ann);
        let mut again = world.join(dual("ann"));
        world.say(&again, Ask::PingReq(Ping { timestamp: 1, rtt: round_trip_ms }));
        world.settle(&mut again);
        let told = |client: &mut Client| {
            client.heard().iter().any(|m| matches!(m, Message::Leave(l) if l.action() == Action::Resume))
        };
        world.pass_ms(until_ms.map_or(12_100, |ms| ms - 20)).await;
        assert!(!told(&mut again), "{round_trip_ms}");
        world.pass_ms(40).await;
        assert_eq!(told(&mut again), until_ms.is_some(), "{round_trip_ms}");
    }
}
