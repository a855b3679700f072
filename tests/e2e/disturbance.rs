//! A call goes on: through ICE restarts, other addresses and what strangers throw at it.

use super::server::{PATIENCE, Server, assert_flawless, goes_on, publish, receives, until_stats};
use futures_util::future::join_all;
use lkops::client::{Mode, Participant};
use lkops::proto::{CandidateProtocol, SimulateScenario, signal_request, simulate_scenario::Scenario};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::net::{SocketAddr, UdpSocket};

/// Two who have talked for a while.
async fn call(server: &Server, mode: Mode) -> [Participant; 2] {
    let options = |identity| {
        let mut options = server.options("r", identity);
        options.mode = mode;
        options
    };
    let people = [server.join_with(options("a")).await, server.join_with(options("b")).await];
    for participant in &people {
        publish(participant).await;
    }
    for participant in &people {
        until_stats(participant, "both tracks of the other", |s| receives(s, 2, 10)).await;
    }
    people
}

async fn assert_goes_on_flawlessly(people: &[Participant]) {
    let all = join_all(people.iter().map(|participant| goes_on(participant, 20))).await;
    for (participant, stats) in people.iter().zip(all) {
        stats.received.iter().for_each(|track| assert_flawless(&participant.view().me.identity, track));
        assert_eq!(participant.view().ended, None);
    }
}

async fn restarts_lose_nothing(mode: Mode) {
    let server = Server::start().await;
    let people = call(&server, mode).await;
    for round in 1..=2 {
        people[0].restart_ice().await.unwrap();
        people[0].until("restarted", PATIENCE, |v| v.publisher.ice_restarts == round).await.unwrap();
        assert_goes_on_flawlessly(&people).await;
    }
}

#[tokio::test]
async fn ice_restarts_by_a_publisher_lose_nothing() {
    restarts_lose_nothing(Mode::Dual).await;
}

#[tokio::test]
async fn ice_restarts_of_a_single_connection_lose_nothing() {
    restarts_lose_nothing(Mode::Single).await;
}

#[tokio::test]
async fn ice_restarts_by_the_server_lose_nothing() {
    let server = Server::start().await;
    let people = call(&server, Mode::Dual).await;
    let scenario = Some(Scenario::SwitchCandidateProtocol(CandidateProtocol::Udp as i32));
    people[0].request(signal_request::Message::Simulate(SimulateScenario { scenario })).await.unwrap();
    people[0].until("restarted", PATIENCE, |v| v.subscriber.ice_restarts == 1).await.unwrap();
    assert_goes_on_flawlessly(&people).await;
}

/// The server learns the new address from the next connectivity check; until then both ways lose.
async fn is_followed(mode: Mode) {
    let server = Server::start().await;
    let people = call(&server, mode).await;
    people[0].rebind().await.unwrap();
    join_all(people.iter().map(|participant| goes_on(participant, 40))).await;
    for view in people.iter().map(Participant::view) {
        assert!(view.ended.is_none() && !view.publisher.ice_lost && !view.subscriber.ice_lost, "{:?}", *view);
    }
}

#[tokio::test]
async fn a_client_that_moves_is_followed_with_both_connections() {
    is_followed(Mode::Dual).await;
}

#[tokio::test]
async fn a_client_that_moves_is_followed_with_its_only_connection() {
    is_followed(Mode::Single).await;
}

/// Datagrams of every sort, none of them authentic.
fn garbage(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    const FIRST: [u8; 14] = [0, 1, 20, 22, 23, 25, 31, 63, 64, 127, 128, 144, 191, 255];
    let mut rng = StdRng::seed_from_u64(seed);
    std::iter::repeat_with(move || {
        let mut bytes = vec![0; rng.random_range(1..300)];
        rng.fill_bytes(&mut bytes);
        bytes[0] = FIRST[rng.random_range(0..FIRST.len())];
        bytes
    })
}

/// The start of a DTLS 1.2 handshake, as far as a server reads it before it knows better.
fn client_hello() -> Vec<u8> {
    let mut record =
        vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 1, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 100, 254, 253];
    record.resize(125, 7);
    record
}

#[tokio::test]
async fn strangers_cannot_disturb_a_call() {
    let server = Server::start().await;
    let people = call(&server, Mode::Dual).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target: SocketAddr = ([127, 0, 0, 1], server.udp_port).into();
    for datagram in garbage(1).take(500).chain(std::iter::repeat_n(client_hello(), 50)) {
        stranger.send_to(&datagram, target).unwrap();
    }
    assert_goes_on_flawlessly(&people).await;
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 2000]).is_err(), "a stranger is not answered");
}

/// The same from the client's own address, where only cryptography stands in the way.
#[tokio::test]
async fn forged_datagrams_from_the_right_address_are_ignored() {
    let server = Server::start().await;
    let people = call(&server, Mode::Dual).await;
    for datagram in garbage(2).take(500).chain(std::iter::repeat_n(client_hello(), 20)) {
        people[0].inject(datagram).await.unwrap();
    }
    assert_goes_on_flawlessly(&people).await;
}
