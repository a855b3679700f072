//! Nodes whose clocks are 20 s apart, ten from Redis's each: they see, hear and outlive each other as any.

use super::server::{PATIENCE, Server, Setup, publish, receives, until_stats};
use super::world::{World, ended, rejoin};
use lkops::client::Ended;
use lkops::proto::leave_request::Action;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Builds what, preloaded, moves a process's wall clock.
async fn shim(folder: &Path) -> String {
    let library = folder.join("skew.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/skew.c");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().await;
    assert!(status.expect("there is a C compiler, as Rust wants it").success());
    library.display().to_string()
}

async fn node(world: &World, shim: &str, skew_s: i32) -> Server {
    let env = vec![("LD_PRELOAD", shim.to_owned()), ("SKEW_S", skew_s.to_string())];
    Server::with(Setup { env, ..world.setup(world.redis.port) }).await
}

/// How far the node's log is ahead of this machine's clock.
#[allow(clippy::disallowed_methods)]
fn seconds_ahead(node: &Server) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let stamp = node.lines()[0]["timestamp"].as_str().unwrap().to_owned();
    let part = |from: usize| stamp[from..from + 2].parse::<i64>().unwrap();
    let of_day = part(11) * 3_600 + part(14) * 60 + part(17);
    (of_day - now % 86_400 + 43_200).rem_euclid(86_400) - 43_200
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_ten_seconds_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shim = shim(folder.path()).await;
    let mut world = World::of(1).await;
    for skew_s in [-10, 10] {
        let node = node(&world, &shim, skew_s).await;
        let ahead = seconds_ahead(&node);
        assert!((ahead - i64::from(skew_s)).abs() < 5, "its clock is {ahead} s ahead");
        world.add(node);
    }
    world.until("all are listed", async |w| w.listed().await == 3).await;
    let slow = world.nodes[1].join("slow", "a").await;
    let fast = world.nodes[2].join("fast", "a").await;
    // Long enough for an entry to be stale that is not written in the cluster's time.
    world.settled().await;
    for (room, host, guest) in [("slow", 1, 2), ("fast", 2, 1)] {
        assert_eq!(world.owner(room).await, Some(world.id(host)));
        let b = world.nodes[guest].join(room, "b").await;
        publish(&b).await;
        let a = if host == 1 { &slow } else { &fast };
        until_stats(a, "media flows", |s| receives(s, 2, 10)).await;
        let request = json!({"room": room, "metadata": "heard"});
        let through = &world.nodes[guest].api();
        through.room_service::<Value, Value>("UpdateRoomMetadata", room, &request).await.unwrap();
        a.until("the metadata", PATIENCE, |v| v.room.metadata == "heard").await.unwrap();
        b.leave().await.unwrap();
    }
    assert_eq!(world.listed().await, 3);
    for one in [&slow, &fast] {
        assert_eq!(one.view().ended, None);
    }

    let there = world.nodes[1].join("fast", "there").await;
    world.nodes[2].signal("KILL").await;
    let told = ended(&there, Duration::from_secs(5)).await;
    assert!(matches!(told, Ended::Dismissed { action: Action::Reconnect, .. }), "{told:?}\n{}", world.text());
    rejoin(&[&world.nodes[0], &world.nodes[1]], "fast", "there", PATIENCE).await;
}
