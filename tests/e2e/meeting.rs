//! People meet: everybody hears and sees everybody, in every way to connect.

use super::server::{Server, Setup, assert_flawless, publish, receives, until_stats};
use lkops::client::media::{AudioSource, Layer, VideoSource};
use lkops::client::stats::Stats;
use lkops::client::{Mode, Options, Participant};
use lkops::proto::{UpdateTrackSettings, VideoQuality, signal_request};
use lkops::transport::Proto;

/// Two of them exchange audio and video.
async fn talk(a: &Participant, b: &Participant) {
    publish(a).await;
    publish(b).await;
    for (who, participant) in [("a", a), ("b", b)] {
        let pictures = |s: &Stats| s.received.iter().all(|t| !t.is_video || t.key_frames > 0);
        let stats = until_stats(participant, "both tracks of the other", |s| receives(s, 2, 25) && pictures(s)).await;
        stats.received.iter().for_each(|track| assert_flawless(who, track));
        assert!(stats.sent.iter().all(|s| s.packets > 0 && s.resent == 0), "{stats:#?}");
    }
}

async fn two_talk(setup: Setup, adapt: impl Fn(&mut Options)) -> (Server, [Participant; 2]) {
    let server = Server::with(setup).await;
    let options = |identity| {
        let mut options = server.options("r", identity);
        adapt(&mut options);
        options
    };
    let (a, b) = (server.join_with(options("a")).await, server.join_with(options("b")).await);
    talk(&a, &b).await;
    (server, [a, b])
}

#[tokio::test]
async fn two_talk_over_dual_connections() {
    two_talk(Setup::default(), |_| {}).await;
}

#[tokio::test]
async fn two_talk_over_single_connections() {
    two_talk(Setup::default(), |options| options.mode = Mode::Single).await;
}

#[tokio::test]
async fn two_talk_to_a_server_with_ice_lite() {
    let setup = Setup { rtc: "  use_ice_lite: true", ..Setup::default() };
    two_talk(setup, |_| {}).await;
}

#[tokio::test]
async fn two_talk_where_only_tcp_is_allowed() {
    for mode in [Mode::Dual, Mode::Single] {
        let setup = Setup { rtc: "  force_tcp: true", ..Setup::default() };
        let (_server, people) = two_talk(setup, |options| {
            (options.mode, options.proto) = (mode, Proto::Tcp);
        })
        .await;
        for pair in people.iter().map(|p| p.view().publisher.pair.clone()) {
            assert!(pair.starts_with("Tcp "), "{pair}");
        }
    }
}

#[tokio::test]
async fn two_talk_over_ipv6() {
    let (_server, people) = two_talk(Setup { ip: "::1".parse().unwrap(), ..Setup::default() }, |_| {}).await;
    for view in people.iter().map(|p| p.view()) {
        assert!(view.subscriber.pair.starts_with("Udp [::1]:"), "{}", view.subscriber.pair);
    }
}

/// Three have two connections each, three have one.
async fn six_meet(setup: Setup) -> Server {
    let server = Server::with(setup).await;
    let mut people = Vec::new();
    for n in 0..6 {
        let mut options = server.options("r", &format!("p{n}"));
        options.mode = if n % 2 == 0 { Mode::Dual } else { Mode::Single };
        people.push(server.join_with(options).await);
    }
    for participant in &people {
        publish(participant).await;
    }
    for (n, participant) in people.iter().enumerate() {
        let stats = until_stats(participant, "ten tracks", |s| receives(s, 10, 25)).await;
        stats.received.iter().for_each(|track| assert_flawless(&format!("p{n}"), track));
        let told: Vec<String> = participant.view().remote_tracks().map(|(_, t)| t.sid.clone()).collect();
        assert!(told.len() == 10 && told.iter().all(|sid| stats.track(sid).is_some()), "p{n}: {told:?}");
    }
    server
}

#[tokio::test]
async fn all_six_of_a_meeting_hear_and_see_each_other() {
    six_meet(Setup::default()).await;
}

#[tokio::test]
async fn a_meeting_larger_than_one_media_thread_goes_on_the_others() {
    let server = six_meet(Setup { more: "lkops:\n  shards: 2\n  spread_rooms_at: 4\n", ..Setup::default() }).await;
    let joined = |line: &serde_json::Value| line["fields"]["message"] == "joined";
    let mut seats: Vec<u64> =
        server.lines().iter().filter(|l| joined(l)).filter_map(|l| l["fields"]["shard"].as_u64()).collect();
    assert_eq!(seats.len(), 6, "{}", server.text());
    seats.sort_unstable();
    seats.dedup();
    assert_eq!(seats, [0, 1], "both are used");
}

/// Small enough for a debug build to forward three layers without hurry.
fn simulcast() -> VideoSource {
    let layer = |width, height, bitrate_bps| Layer { width, height, bitrate_bps };
    let layers = vec![layer(320, 180, 100_000), layer(640, 360, 300_000), layer(1280, 720, 900_000)];
    VideoSource { fps: 15, temporal_layers: 3, layers }
}

#[tokio::test]
async fn a_subscriber_gets_the_simulcast_layer_it_asks_for() {
    for mode in [Mode::Dual, Mode::Single] {
        let server = Server::start().await;
        let mut options = server.options("r", "a");
        options.mode = mode;
        let (a, b) = (server.join_with(options).await, server.join("r", "b").await);
        let sid = a.publish_video("cam", simulcast()).await.unwrap();
        until_stats(&b, "the highest layer", |s| s.track(&sid).is_some_and(|t| t.layer == 2 && t.frames > 0)).await;
        for (quality, layer) in [(VideoQuality::Low, 0), (VideoQuality::Medium, 1), (VideoQuality::High, 2)] {
            let setting = UpdateTrackSettings {
                track_sids: vec![sid.clone()],
                quality: quality as i32,
                ..UpdateTrackSettings::default()
            };
            b.request(signal_request::Message::TrackSetting(setting)).await.unwrap();
            let there = |t: &lkops::client::stats::TrackStats| t.layer == layer;
            let stats = until_stats(&b, "the layer asked for", |s| s.track(&sid).is_some_and(there)).await;
            assert_eq!(stats.track(&sid).unwrap().lost, 0, "{mode:?}: numbers go on without a gap");
        }
    }
}

#[tokio::test]
async fn what_is_unpublished_or_left_behind_ends_for_the_others() {
    let server = Server::start().await;
    let (a, b) = (server.join("r", "a").await, server.join("r", "b").await);
    let sid = a.publish_audio("mic", AudioSource::default()).await.unwrap();
    a.publish_video("cam", VideoSource::p360(200_000)).await.unwrap();
    until_stats(&b, "two tracks", |s| receives(s, 2, 5)).await;
    a.unpublish("mic").await.unwrap();
    until_stats(&b, "one track", |s| s.received.len() == 1 && s.track(&sid).is_none()).await;
    a.leave().await.unwrap();
    until_stats(&b, "no track", |s| s.received.is_empty()).await;
    assert!(b.view().others.is_empty());
}
