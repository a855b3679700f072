//! The probe, a stranger to our own stack, against the server, both the real binary.

use super::server::{PATIENCE, Server, Setup, keys};
use serde_json::Value;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

fn command(server: &Server, secret: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkops"));
    command.args(["probe", &server.url, "--api-key", &keys().key, "--api-secret", secret]);
    command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn probe(server: &Server, args: &[&str]) -> Output {
    let args = [&["--duration", "1s", "-o", "json"], args].concat();
    let output = command(server, &keys().secret, &args).output();
    tokio::time::timeout(6 * PATIENCE, output).await.expect("it ends").expect("it runs")
}

fn report(output: &Output, code: i32, server: &Server) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}\n{}", server.text());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

/// The detail of a step that was taken.
fn detail<'a>(report: &'a Value, step: &str, who: &str) -> &'a str {
    let steps = report["steps"].as_array().unwrap();
    let found = steps.iter().find(|taken| taken["step"] == step && (who.is_empty() || taken["who"] == who));
    found.unwrap_or_else(|| panic!("no {step} of {who}: {report:#}"))["detail"].as_str().unwrap()
}

#[tokio::test]
async fn a_stranger_joins_and_hears_and_sees_and_talks() {
    let server = Server::start().await;
    let report = report(&probe(&server, &[]).await, 0, &server);
    for step in ["dns", "tcp", "http", "websocket", "join", "publish", "first_packet", "first_frame", "data", "media"] {
        detail(&report, step, "");
    }
    for who in ["sender", "receiver"] {
        assert!(detail(&report, "ice", who).contains(&server.udp_port.to_string()), "{report:#}");
        detail(&report, "dtls", who);
    }
    assert_eq!(report["data"]["returned"], report["data"]["sent"]);
    for kind in ["audio", "video"] {
        assert!(report[kind]["received"].as_u64().unwrap() > 25, "{report:#}");
        assert_eq!((&report[kind]["lost"], &report[kind]["duplicates"]), (&0.into(), &0.into()), "{report:#}");
    }
}

#[tokio::test]
async fn tcp_alone_will_do() {
    let server = Server::start().await;
    let report = report(&probe(&server, &["--tcp-only"]).await, 0, &server);
    for who in ["sender", "receiver"] {
        let pair = detail(&report, "ice", who);
        assert!(pair.matches(" tcp ").count() == 2 && !pair.contains("udp"), "{pair}");
    }
    assert_eq!(report["audio"]["lost"], 0, "{report:#}");
}

#[tokio::test]
async fn a_server_without_turn_is_told() {
    let server = Server::start().await;
    let report = report(&probe(&server, &["--relay-only"]).await, 13, &server);
    let message = report["trouble"]["message"].as_str().unwrap();
    assert!(message.starts_with("the server offers no TURN server"), "{message}");
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_told_by_server_and_reason() {
    let rtc = "  turn_servers:\n    - {host: 127.0.0.1, port: 1, protocol: tcp, username: u, credential: c}\n";
    let server = Server::with(Setup { rtc, ..Setup::default() }).await;
    let report = report(&probe(&server, &["--relay-only"]).await, 13, &server);
    let message = report["trouble"]["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1:1/TCP: cannot connect to 127.0.0.1:1/TCP: "), "{message}");
}

#[tokio::test]
async fn a_wrong_secret_is_a_refusal() {
    let server = Server::start().await;
    let secret = "another-secret-another-secret-another";
    let output = command(&server, secret, &["-o", "json"]).output().await.unwrap();
    let report = report(&output, 11, &server);
    assert_eq!(report["trouble"]["step"], "websocket");
    assert!(report["trouble"]["message"].as_str().unwrap().contains("401"), "{report:#}");
}

#[tokio::test]
async fn a_threshold_that_is_missed_is_4() {
    let server = Server::start().await;
    let report = report(&probe(&server, &["--fail-if", "join>1ms", "--fail-if", "loss>50%"]).await, 4, &server);
    assert_eq!(report["trouble"]["fault"], "threshold");
    let failed: Vec<&Value> = report["verdicts"].as_array().unwrap().iter().map(|v| &v["failed"]).collect();
    assert_eq!(failed, [&Value::from(true), &Value::from(false)]);
}

#[tokio::test]
async fn a_service_shows_its_results() {
    let server = Server::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = port.to_string();
    let args = ["--duration", "1s", "--every", "1m", "--metrics-port", &text];
    let mut child = command(&server, &keys().secret, &args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(6 * PATIENCE, lines.next_line()).await.expect("a line").unwrap().unwrap();
    assert!(line.starts_with("✔ ws://"), "{line}");
    let mut page = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    stream.read_to_string(&mut page).await.unwrap();
    let has = |line: &str| page.lines().any(|l| l.starts_with(line) && l.ends_with(" 1"));
    assert!(has("lkops_probe_success{") && has("lkops_probe_join_duration_seconds_count{"), "{page}");
    assert!(page.contains("step=\"ice\",who=\"receiver\""), "{page}");
}
