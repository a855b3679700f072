//! What an operator reads: one JSON line for each thing that matters.

use super::server::{PATIENCE, Server, engine};
use lkops::client::media::AudioSource;
use lkops::client::{Mode, Participant};
use lkops::proto::{SignalTarget, TrickleRequest, signal_request};
use serde_json::Value;

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn every_step_of_a_room_is_one_line() {
    let server = Server::start().await;
    let (a, b) = (server.join("r", "a").await, server.join("r", "b").await);
    let sid = a.publish_audio("mic", AudioSource::default()).await.unwrap();
    b.until("the track is told", PATIENCE, |view| view.remote_tracks().any(|(_, t)| t.sid == sid)).await.unwrap();
    a.leave().await.unwrap();
    assert!(server.logged(|line| message(line) == "left").await);
    server.api().delete_room("r").await.unwrap();
    b.until("dismissed", PATIENCE, |view| view.ended.is_some()).await.unwrap();
    assert!(server.logged(|line| message(line) == "room closed").await);

    let lines = server.lines();
    let of = |wanted: &str| -> Vec<&Value> { lines.iter().filter(|line| message(line) == wanted).collect() };
    let people = |wanted: &str| -> Vec<&str> {
        of(wanted).iter().map(|line| line["fields"]["participant"].as_str().unwrap()).collect()
    };
    assert_eq!(of("room opened")[..].iter().map(|l| &l["fields"]["room"]).collect::<Vec<_>>(), ["r"]);
    assert_eq!((people("joined"), people("left")), (vec!["a", "b"], vec!["a", "b"]));
    assert_eq!(of("published")[..].iter().map(|l| &l["fields"]["track"]).collect::<Vec<_>>(), [sid.as_str()]);
    assert_eq!(of("left")[1]["fields"]["reason"], "ROOM_DELETED");
    let closed = of("room closed");
    assert_eq!((closed.len(), &closed[0]["span"]["sid"]), (1, &of("room opened")[0]["fields"]["sid"]));
}

/// A client that joined, told one candidate nobody answers at, and sends no checks.
async fn join_in_vain(server: &Server) -> Participant {
    let mut options = server.options("r", "a");
    (options.ice, options.mode) = (false, Mode::Single);
    let a = Participant::join(engine(), options).await.unwrap();
    let line = "candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host";
    let candidate_init = serde_json::json!({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}).to_string();
    let trickle = TrickleRequest { candidate_init, target: SignalTarget::Publisher as i32, r#final: false };
    a.request(signal_request::Message::Trickle(trickle)).await.unwrap();
    a
}

fn tried(server: &Server, is_wanted: impl Fn(&Value) -> bool) -> String {
    let lines = server.lines();
    lines.iter().find(|line| is_wanted(line)).unwrap()["fields"]["tried"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_hangs_up_before_ice_is_told_with_what_was_tried() {
    let server = Server::start().await;
    let a = join_in_vain(&server).await;
    // That this is answered proves that the candidate was heard.
    a.publish_audio("mic", AudioSource::default()).await.unwrap();
    a.leave().await.unwrap();
    let unfinished = |line: &Value| message(line) == "ICE unfinished" && line["span"]["participant"] == "a";
    assert!(server.logged(unfinished).await, "{}", server.text());
    let tried = tried(&server, unfinished);
    assert!(tried.contains("candidate udp 192.0.2.7:50000"), "{tried}");
}

#[tokio::test]
async fn who_hangs_up_before_the_handshake_is_told_with_its_pair() {
    let server = Server::start().await;
    let mut options = server.options("r", "a");
    (options.dtls, options.mode) = (false, Mode::Dual);
    let a = Participant::join(engine(), options).await.unwrap();
    a.until("ICE is up", PATIENCE, |view| view.timing.ice.is_some()).await.unwrap();
    a.leave().await.unwrap();
    let unfinished = |line: &Value| message(line) == "DTLS unfinished" && line["span"]["participant"] == "a";
    assert!(server.logged(unfinished).await, "{}", server.text());
    let lines = server.lines();
    let line = lines.iter().find(|line| unfinished(line)).unwrap();
    assert_eq!(line["span"]["connection"], "SUBSCRIBER");
    let why = line["fields"]["why"].as_str().unwrap();
    assert!(why.contains("no handshake yet on udp 127.0.0.1:"), "{why}");
}

/// Fifteen seconds pass until the server gives ICE up, so this is the longest test.
#[tokio::test]
async fn failed_ice_is_told_with_what_was_tried() {
    let server = Server::start().await;
    let _a = join_in_vain(&server).await;
    let failed = |line: &Value| message(line) == "ICE failed" && line["fields"]["participant"] == "a";
    assert!(server.logged(failed).await, "{}", server.text());
    let tried = tried(&server, failed);
    assert!(tried.contains("candidate udp 192.0.2.7:50000"), "{tried}");
}
