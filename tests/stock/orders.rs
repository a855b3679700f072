//! The operator's commands on a stock node: what can be done is done, what cannot is said. And what its own tool sees of ours.

use super::lkops::{Run, lkops};
use super::mixed::{Mixed, Node};
use super::server::{PATIENCE, publish, receives, until_stats};
use tokio::task::{JoinHandle, spawn_blocking};

impl Mixed {
    fn spawn(&self, args: &[&str]) -> JoinHandle<Run> {
        let address = format!("127.0.0.1:{}", self.world.redis.port);
        let args: Vec<String> = args.iter().chain(&["--redis-host", &address]).map(|a| (*a).to_owned()).collect();
        spawn_blocking(move || lkops(&args.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    async fn run(&self, args: &[&str]) -> Run {
        self.spawn(args).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn each_sees_the_other_in_its_list() {
    let mixed = Mixed::start().await;
    let (ours, stock) = (mixed.id(Node::Ours).await, mixed.id(Node::Stock).await);
    let room = mixed.room_on(Node::Stock).await;
    let _a = mixed.join(Node::Ours, &room, "a").await;
    let theirs = mixed.stock.list_nodes().await;
    assert!(theirs.contains(&ours) && theirs.contains(&stock), "{theirs}");
    println!("{theirs}");
    let counted = async |_: &super::world::World| {
        let nodes = mixed.run(&["nodes", "-o", "json"]).await.json();
        let of_stock = nodes.as_array().unwrap().iter().find(|n| n["id"] == stock.as_str()).cloned();
        of_stock.is_some_and(|n| n["people"] == 1 && n["rooms"] == 1 && n["state"] == "serving")
    };
    mixed.world.until("the stock node's numbers are seen", counted).await;
    println!("{}", mixed.run(&["nodes"]).await.ok());
    let rooms = mixed.run(&["nodes", "rooms", &stock, "-o", "json"]).await.json();
    assert_eq!(rooms[0]["room"], room.as_str());
    let people = mixed.run(&["nodes", "participants", &room, "-o", "json"]).await.json();
    assert_eq!(people[0]["identity"], "a");
    assert!(mixed.run(&["nodes", "inspect", &stock]).await.ok().contains("livekit <="));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn what_a_stock_node_cannot_do_is_said() {
    let mut mixed = Mixed::start().await;
    let stock = mixed.id(Node::Stock).await;
    for (args, why) in [
        (vec!["cordon", &stock], "cannot be cordoned"),
        (vec!["uncordon", &stock], "cannot be cordoned"),
        (vec!["drain", &stock, "--cancel"], "cannot undo a drain"),
        (vec!["drain", &stock, "--move", "--yes"], "drains when it is sent SIGTERM"),
    ] {
        let run = mixed.run(&args).await;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.err.contains(why), "{run:?}");
        println!("lkops {}: {}", args[..1].join(" "), run.err.lines().next().unwrap());
    }
    // Of both at once ours obeys: that is code 3.
    let ours = mixed.id(Node::Ours).await;
    let run = mixed.run(&["cordon", &ours, &stock]).await;
    assert_eq!(run.code, Some(3), "{run:?}");
    mixed.run(&["uncordon", &ours]).await.ok();

    // Once it has its signal it can be waited for.
    let room = mixed.room_on(Node::Stock).await;
    let a = mixed.join(Node::Stock, &room, "a").await;
    publish(&a).await;
    mixed.stock.terminate().await;
    let draining = async |_: &super::world::World| {
        let nodes = mixed.run(&["nodes", "-o", "json"]).await.json();
        nodes.as_array().unwrap().iter().any(|n| n["id"] == stock.as_str() && n["state"] == "draining")
    };
    mixed.world.until("it drains", draining).await;
    let waiting = mixed.spawn(&["drain", &stock, "--wait", "--yes"]);
    let b = mixed.join(Node::Ours, &room, "b").await;
    until_stats(&b, "the call goes on", |s| receives(s, 2, 10)).await;
    a.leave().await.unwrap();
    b.leave().await.unwrap();
    mixed.stock.exit().await;
    let run = tokio::time::timeout(2 * PATIENCE, waiting).await.expect("the wait ends").unwrap();
    println!("{}", run.err);
    assert_eq!(run.ok(), format!("{stock} ended\n"));
}
