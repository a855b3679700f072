//! The load tester against the server, both the real binary.

use super::server::{Server, keys};
use lkops::client::api::Keys;
use lkops::proto::CreateRoomRequest;
use serde_json::Value;
use std::process::{Output, Stdio};
use tokio::process::Command;

async fn load_test(server: &Server, args: &[&str]) -> Output {
    load_test_as(server, &keys(), args).await
}

async fn load_test_as(server: &Server, keys: &Keys, args: &[&str]) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_lkops"))
        .args(["load-test", "--url", &server.url, "--api-key", &keys.key, "--api-secret", &keys.secret])
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    tokio::time::timeout(4 * super::server::PATIENCE, child).await.expect("it ends").expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

#[tokio::test]
async fn three_meet_and_every_track_is_accounted_for() {
    let server = Server::start().await;
    let shape = "1x(3av,resolution=low,data=20hz)";
    let args = ["--shape", shape, "--num-per-second", "20", "--duration", "2s", "--room", "meeting", "-o", "json"];
    let output = load_test(&server, &args).await;
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!((&report["joins"]["attempted"], &report["joins"]["failed"]), (&3.into(), &0.into()));
    for stage in ["dns", "connect", "websocket", "signal", "ice", "dtls", "join"] {
        assert_eq!(report["joins"]["stages"][stage]["count"], 3, "{stage}");
    }
    let total = &report["total"];
    assert_eq!(
        (&total["tracks"], &total["tracks_expected"]),
        (&12.into(), &12.into()),
        "three times two others, A and V"
    );
    assert_eq!((&total["lost"], &total["duplicates"], &total["frames_broken"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(report["tracks"].as_array().unwrap().len(), 12);
    // 50 audio packets a second, six times, for two seconds.
    let audio = report["tracks"].as_array().unwrap().iter().filter(|t| t["kind"] == "audio");
    let packets: Vec<u64> = audio.map(|t| t["packets"].as_u64().unwrap()).collect();
    assert!(packets.iter().all(|n| (80..=125).contains(n)), "{packets:?}");
    let window = report["window_s"].as_f64().unwrap();
    assert!((1.9..2.6).contains(&window), "neither ramp nor teardown: {window}");
    assert!(total["latency_ms"]["count"].as_u64().unwrap() > 500 && total["data_received"].as_u64().unwrap() > 100);
    assert!(server.api().list_rooms().await.unwrap().is_empty(), "its rooms are gone");
}

/// A codec whose headers the server did not understand would never get past the wait for a key frame.
#[tokio::test]
async fn every_codec_reaches_its_subscribers() {
    let server = Server::start().await;
    let rooms =
        ["vp8", "h264", "vp9", "av1"].map(|codec| format!("(1vp,1s,resolution=low,key-frames=1s,codec={codec})"));
    let args = ["--shape", &rooms.join("+"), "--num-per-second", "20", "--duration", "2s", "-o", "json"];
    let output = load_test(&server, &args).await;
    let report = json(&output);
    for track in report["tracks"].as_array().unwrap() {
        // How many come in two seconds is the machine's business; past the wait for a key frame they come.
        assert!(track["frames"].as_u64().unwrap() > 10 && track["lost"] == 0, "{track}");
    }
    assert_eq!((report["total"]["tracks"].as_u64(), report["total"]["frames_broken"].as_u64()), (Some(4), Some(0)));
    assert!(report["total"]["key_frames"].as_u64().unwrap() >= 4, "{output:?}");
}

#[tokio::test]
async fn loss_on_the_way_is_told_and_so_is_what_was_made_good() {
    let server = Server::start().await;
    let shape = "(1vp,4s,resolution=low,loss=10%)";
    let args = ["--shape", shape, "--num-per-second", "20", "--duration", "5s", "-o", "json"];
    let report = json(&load_test(&server, &args).await);
    let (loss, residual) = (&report["total"]["loss_percent"], &report["total"]["residual_loss_percent"]);
    // Of some 600 packets; five standard deviations.
    assert!((4.0..16.0).contains(&loss.as_f64().unwrap()), "{loss}");
    assert!(residual.as_f64().unwrap() < 1.0 && report["total"]["recovered"].as_u64().unwrap() > 20, "{report:#}");
}

#[tokio::test]
async fn a_missed_threshold_is_exit_code_4() {
    let server = Server::start().await;
    let args = ["--duration", "500ms", "--fail-if", "tracks<1%", "--fail-if", "join_p50>1us"];
    let output = load_test(&server, &args).await;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text(&output.stderr).contains("error: join_p50>1us: it is "), "{output:?}");
    assert!(text(&output.stdout).contains("kept: not tracks<1%: it is 100 %"), "{output:?}");
}

#[tokio::test]
async fn a_wrong_key_and_a_full_room_are_one_line() {
    let server = Server::start().await;
    let wrong = Keys { secret: "wrong".into(), ..keys() };
    let output = load_test_as(&server, &wrong, &["--duration", "1s"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: the server refuses the API key: "), "{output:?}");

    let room = CreateRoomRequest { name: "small".into(), max_participants: 2, ..CreateRoomRequest::default() };
    server.api().create_room(&room).await.unwrap();
    let args = ["--room", "small", "--participants", "4", "--num-per-second", "20", "--duration", "60s"];
    let output = load_test(&server, &args).await;
    assert_eq!(output.status.code(), Some(1));
    let line = text(&output.stderr).lines().last().unwrap().to_owned();
    let wanted =
        "error: room `small` takes 2 participants and the shape asks for 4; ask for fewer or raise max_participants";
    assert_eq!(line, wanted);
    assert_eq!(server.api().list_rooms().await.unwrap().len(), 1, "a room that was there before stays");
}

#[tokio::test]
async fn ctrl_c_ends_it_with_what_was_measured_so_far() {
    let server = Server::start().await;
    let keys = keys();
    let child = Command::new(env!("CARGO_BIN_EXE_lkops"))
        .args(["load-test", "--url", &server.url, "--api-key", &keys.key, "--api-secret", &keys.secret])
        .args(["--participants", "2", "--num-per-second", "20", "-o", "json"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let joined = |line: &Value| line["fields"]["message"] == "joined" || line.to_string().contains("_pub_0_1");
    assert!(server.logged(joined).await, "{}", server.text());
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let output = tokio::time::timeout(super::server::PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let report = json(&output);
    assert_eq!((&report["interrupted"], &report["joins"]["failed"]), (&true.into(), &0.into()), "{output:?}");
    assert!(server.api().list_rooms().await.unwrap().is_empty(), "its rooms are gone");
}

#[tokio::test]
async fn a_relay_the_server_does_not_name_is_one_line() {
    let server = Server::start().await;
    let output = load_test(&server, &["--shape", "(2a,relay)", "--duration", "1s"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the server names no TURN server over UDP"), "{output:?}");
}

#[tokio::test]
async fn a_run_is_compared_with_an_earlier_one_on_a_page() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (earlier, page) = (dir.path().join("earlier.json"), dir.path().join("page.html"));
    let args = ["--participants", "2", "--num-per-second", "20", "--duration", "1s", "-o"];
    let first = load_test(&server, &[&args[..], &["json"]].concat()).await;
    std::fs::write(&earlier, &first.stdout).unwrap();
    let [earlier, path] = [&earlier, &page].map(|path| path.to_str().unwrap());
    let output = load_test(&server, &[&args[..], &["csv", "--compare", earlier, "--html", path]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 5, "a line of names and one for each of four tracks");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Compared with the earlier run") && page.contains("<td>bitrate<td>"));
}
