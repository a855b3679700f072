//! What either side tells the other of how media arrives, and what comes of it.

use super::server::{Server, publish, receives, until_stats};
use lkops::client::media::VideoSource;
use lkops::client::stats::Stats;
use lkops::client::{Loss, Participant};
use lkops::proto::simulate_scenario::Scenario;
use lkops::proto::{SimulateScenario, signal_request};

async fn pair(server: &Server, loss_of_a: Loss, loss_of_b: Loss) -> [Participant; 2] {
    let (mut a, mut b) = (server.options("r", "a"), server.options("r", "b"));
    (a.loss, b.loss) = (loss_of_a, loss_of_b);
    [server.join_with(a).await, server.join_with(b).await]
}

#[tokio::test]
async fn publishers_are_told_how_they_arrive() {
    let server = Server::start().await;
    let [a, _b] = pair(&server, Loss::default(), Loss::default()).await;
    publish(&a).await;
    let told = |s: &Stats| s.sent.len() == 2 && s.sent.iter().all(|s| s.reports > 0);
    let stats = until_stats(&a, "receiver reports and transport-wide feedback", |s| {
        told(s) && s.connections.iter().any(|c| c.feedback_in > 0)
    })
    .await;
    assert!(stats.sent.iter().all(|s| (s.fraction_lost, s.reported_lost) == (0, 0)), "{stats:#?}");
    assert!(stats.sent.iter().all(|s| s.resent == 0), "{stats:#?}");
}

/// A tenth of what the publisher sends is lost; the server asks for it, so that the subscriber misses nothing for long.
#[tokio::test]
async fn the_server_asks_publishers_for_what_was_lost() {
    let server = Server::start().await;
    let [a, b] = pair(&server, Loss { up: 0.1, down: 0.0 }, Loss::default()).await;
    publish(&a).await;
    until_stats(&a, "retransmissions", |s| s.sent.iter().any(|s| s.resent > 5)).await;
    let stats = until_stats(&b, "media", |s| receives(s, 2, 40)).await;
    let video = stats.received.iter().find(|t| t.is_video).unwrap();
    assert!(video.frames_broken < video.frames / 10, "{video:#?}");
}

/// The same on the way down.
#[tokio::test]
async fn the_server_sends_again_what_subscribers_lost() {
    let server = Server::start().await;
    let [a, b] = pair(&server, Loss::default(), Loss { up: 0.0, down: 0.1 }).await;
    publish(&a).await;
    let stats = until_stats(&b, "recovered packets", |s| {
        receives(s, 2, 40) && s.received.iter().any(|t| t.is_video && t.recovered > 5)
    })
    .await;
    let video = stats.received.iter().find(|t| t.is_video).unwrap();
    assert!(video.nacks >= video.recovered && video.frames_broken < video.frames / 10, "{video:#?}");
}

#[tokio::test]
async fn a_simulated_bandwidth_lowers_the_picture_until_it_ends() {
    let server = Server::start().await;
    let [a, b] = pair(&server, Loss::default(), Loss::default()).await;
    a.publish_video("cam", VideoSource::simulcast()).await.unwrap();
    let on = |layer: u8| move |s: &Stats| s.received.iter().any(|t| t.is_video && t.layer == layer);
    until_stats(&b, "the best picture", on(2)).await;
    for (bps, layer) in [(250_000, 0), (0, 2)] {
        let scenario = Some(Scenario::SubscriberBandwidth(bps));
        b.request(signal_request::Message::Simulate(SimulateScenario { scenario })).await.unwrap();
        until_stats(&b, "another picture", on(layer)).await;
    }
}
