//! A cluster that is replaced node by node under a live call, from stock nodes to ours and back. Ours hand their rooms over; a
//! stock node cannot, and waits for its last participant: it is killed, as where calls do not end.

use super::server::{PATIENCE, Server, Setup, engine, publish, receives, until_stats};
use super::stock_server::StockServer;
use super::world::World;
use futures_util::future::join_all;
use lkops::client::{Options, Participant};
use redis::Cmd;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep, timeout};

const PEOPLE: usize = 3;

enum Node {
    Ours(Server),
    Stock(StockServer),
}

impl Node {
    async fn start(is_ours: bool, world: &World) -> Node {
        if !is_ours {
            return Node::Stock(StockServer::start(world.redis.port).await);
        }
        let setup = world.setup(world.redis.port);
        let more = Box::leak(format!("{}lkops:\n  drain_move: true\n", setup.more).into_boxed_str());
        Node::Ours(Server::with(Setup { more, ..setup }).await)
    }

    fn name(&self) -> &'static str {
        if matches!(self, Node::Ours(_)) { "lkops" } else { "livekit-server" }
    }

    fn options(&self, identity: &str) -> Options {
        match self {
            Node::Ours(node) => node.options("call", identity),
            Node::Stock(node) => node.options("call", identity),
        }
    }

    async fn end(&mut self) {
        match self {
            Node::Ours(node) => {
                node.signal("TERM").await;
                node.exit().await;
            }
            Node::Stock(node) => node.kill().await,
        }
    }
}

/// Through whichever node lets them in.
async fn come(nodes: &[Node], identity: &str) -> Participant {
    let mut tries = interval(Duration::from_millis(100));
    let trying = async {
        loop {
            for node in nodes {
                tries.tick().await;
                if let Ok(participant) = Participant::join(engine(), node.options(identity)).await
                    && participant.connected(PATIENCE).await.is_ok()
                {
                    publish(&participant).await;
                    return participant;
                }
            }
        }
    };
    timeout(2 * PATIENCE, trying).await.unwrap_or_else(|_| panic!("{identity} does not get in"))
}

/// Sees and hears all others now.
async fn is_whole(somebody: &Participant) -> bool {
    let Ok(before) = somebody.stats().await else { return false };
    sleep(Duration::from_millis(300)).await;
    let Ok(after) = somebody.stats().await else { return false };
    let frames = |of: &lkops::client::stats::Stats, sid: &str| of.track(sid).map_or(0, |t| t.frames);
    let live = after.received.iter().filter(|t| t.frames > frames(&before, &t.track_sid));
    live.count() == 2 * (PEOPLE - 1)
}

/// Nobody is listed but these, and one of them has the room.
async fn is_settled(world: &World, nodes: usize) -> bool {
    let listed: Vec<String> = world.redis.ask(&Cmd::hkeys("nodes")).await;
    listed.len() == nodes && world.owner("call").await.is_some_and(|owner| listed.contains(&owner))
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn a_call_survives_the_way_from_stock_nodes_to_ours_and_back() {
    let world = World::of(0).await;
    let mut nodes = vec![Node::start(false, &world).await, Node::start(false, &world).await];
    world.until("both are listed", async |w| w.listed().await == 2).await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(come(&nodes[n % 2..=n % 2], &format!("p{n}")).await);
    }
    for somebody in &people {
        until_stats(somebody, "all see all", |s| receives(s, 2 * (PEOPLE - 1), 3)).await;
    }
    for is_ours in [true, true, false, false] {
        nodes.push(Node::start(is_ours, &world).await);
        world.until("the new one is listed", async |w| w.listed().await == 3).await;
        let mut old = nodes.remove(0);
        let (from, to) = (old.name(), nodes[1].name());
        let began = now();
        let ending = tokio::spawn(async move { old.end().await });
        let (mut again, mut whole) = (0, None);
        loop {
            for (n, somebody) in people.iter_mut().enumerate() {
                if somebody.view().ended.is_some() {
                    (again, whole) = (again + 1, None);
                    *somebody = come(&nodes, &format!("p{n}")).await;
                }
            }
            let all_see_all = join_all(people.iter().map(is_whole)).await.iter().all(|whole| *whole);
            whole = whole.or_else(|| Some(began.elapsed())).filter(|_| all_see_all);
            if whole.is_some() && is_settled(&world, 2).await {
                break;
            }
            assert!(began.elapsed() < 4 * PATIENCE, "{from} replaced by {to}: not whole again");
        }
        ending.await.unwrap();
        println!("{from} replaced by {to}: {again} joins, all see and hear all after {:?}", whole.unwrap_or_default());
    }
}
