//! A load test made by several processes that meet over a real redis-server.

use super::redis_server::RedisServer;
use super::server::{PATIENCE, Server, keys};
use serde_json::Value;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SHAPE: &str = "2x(3av,resolution=low,data=5hz)";

fn lkops(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkops"));
    command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn worker(redis: &RedisServer, name: &str) -> Child {
    let redis = format!("127.0.0.1:{}", redis.port);
    let args = ["load-test", "worker", "--redis", &redis, "--name", name, "--threads", "1", "--once"];
    lkops(&args).stderr(Stdio::null()).spawn().unwrap()
}

fn coordinator(redis: &RedisServer, server: &Server, duration: &str) -> Command {
    let (redis, keys) = (format!("127.0.0.1:{}", redis.port), keys());
    let to_server = ["--url", &server.url, "--api-key", &keys.key, "--api-secret", &keys.secret];
    let mut command = lkops(&["load-test", "--workers", "3", "--redis", &redis, "--shape", SHAPE, "-o", "json"]);
    command.args(to_server).args(["--duration", duration, "--num-per-second", "20"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same with tables, which shows progress meanwhile.
fn shown(redis: &RedisServer, server: &Server, duration: &str) -> Command {
    let json = coordinator(redis, server, duration);
    let args = json.as_std().get_args().filter(|arg| *arg != "-o" && *arg != "json");
    let mut command = lkops(&[]);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn output(child: Child) -> (Option<i32>, Value) {
    let output: Output = timeout(6 * PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output.status.code(), report)
}

/// Waits until a line of the coordinator's progress says so.
async fn until_line(coordinator: &mut Child, wanted: &str) {
    let mut lines = BufReader::new(coordinator.stderr.take().unwrap()).lines();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(wanted) {
                // Somebody must go on reading.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return;
            }
        }
        panic!("it ended before `{wanted}`");
    };
    timeout(4 * PATIENCE, reading).await.expect("it comes so far");
}

#[tokio::test]
async fn three_workers_make_one_load_and_one_report() {
    let (redis, server) = (RedisServer::start().await, Server::start().await);
    let workers = ["a", "b", "c"].map(|name| worker(&redis, name));
    let (code, report) = output(coordinator(&redis, &server, "2s").spawn().unwrap()).await;
    assert_eq!(code, Some(0), "{report:#}\n{}", server.text());
    assert_eq!((&report["joins"]["attempted"], &report["joins"]["succeeded"]), (&6.into(), &6.into()));
    assert_eq!((&report["total"]["tracks"], &report["total"]["tracks_expected"]), (&24.into(), &24.into()));
    assert_eq!((&report["total"]["lost"], &report["interrupted"]), (&0.into(), &false.into()));
    let each = report["workers"].as_array().unwrap();
    let packets: u64 = each.iter().map(|worker| worker["packets"].as_u64().unwrap()).sum();
    assert_eq!(report["total"]["packets"], packets);
    assert!(each.iter().all(|worker| worker["participants"] == 2 && worker["packets"].as_u64() > Some(0)), "{each:?}");
    assert!(report["total"]["latency_ms"]["count"].as_u64().unwrap() >= packets);
    assert!(server.api().list_rooms().await.unwrap().is_empty(), "rooms are removed");
    for mut worker in workers {
        assert_eq!(timeout(PATIENCE, worker.wait()).await.expect("it ends").unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn a_worker_that_dies_is_told_and_its_part_failed() {
    let (redis, server) = (RedisServer::start().await, Server::start().await);
    let mut workers = ["a", "b", "c"].map(|name| worker(&redis, name));
    let mut child = shown(&redis, &server, "12s").spawn().unwrap();
    until_line(&mut child, "measuring").await;
    workers[1].kill().await.unwrap();
    let output = timeout(6 * PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("Joins: 4 of 6"), "{text}");
    assert!(text.contains("2 failed: worker b: fell silent"), "{text}");
    assert!(server.api().list_rooms().await.unwrap().is_empty(), "rooms are removed");
}

#[tokio::test]
async fn stopping_the_coordinator_ends_all_of_them_with_figures() {
    let (redis, server) = (RedisServer::start().await, Server::start().await);
    let workers = ["a", "b", "c"].map(|name| worker(&redis, name));
    let mut child = shown(&redis, &server, "10m").spawn().unwrap();
    until_line(&mut child, "measuring").await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let output = timeout(4 * PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("then stopped") && text.contains("Joins: 6 of 6"), "{text}");
    for mut worker in workers {
        assert_eq!(timeout(PATIENCE, worker.wait()).await.expect("it ends").unwrap().code(), Some(0));
    }
    assert!(server.api().list_rooms().await.unwrap().is_empty(), "rooms are removed");
}

/// A coordinator that is slow between choosing a worker and telling it what to do must find it still its own.
#[tokio::test]
async fn a_worker_that_is_claimed_is_nobody_else_s_until_its_claimant_is_gone() {
    let (redis, server) = (RedisServer::start().await, Server::start().await);
    let _one = worker(&redis, "a");
    let claim = redis::Cmd::zpopmin("lkops:load:default:idle", 1);
    let claimed = async { while redis.ask::<Vec<(String, f64)>>(&claim).await.is_empty() {} };
    timeout(PATIENCE, claimed).await.expect("it waits for work");
    let with_one = |wait: &'static str| {
        let mut command = lkops(&["load-test", "--workers", "1", "--wait", wait, "-o", "json"]);
        let (at, keys) = (format!("127.0.0.1:{}", redis.port), keys());
        command.args(["--redis", &at, "--shape", SHAPE, "--duration", "1s", "--num-per-second", "20"]);
        command.args(["--url", &server.url, "--api-key", &keys.key, "--api-secret", &keys.secret]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let output = timeout(PATIENCE, with_one("2s").wait_with_output()).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (code, report) = self::output(with_one("30s")).await;
    assert_eq!((code, &report["joins"]["succeeded"]), (Some(0), &6.into()), "{report:#}");
}

#[tokio::test]
async fn workers_that_never_come_are_told() {
    let (redis, server) = (RedisServer::start().await, Server::start().await);
    let _one = worker(&redis, "a");
    let output = coordinator(&redis, &server, "1s").args(["--wait", "2s"]).output();
    let output = timeout(PATIENCE + Duration::from_secs(2), output).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("of 3 workers came within 2s"), "{error}");
}
