//! What nodes in peace ask of Redis.

use super::node::Node;
use super::redis::Redis;
use super::rooms::Air;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::sleep;

/// Looked at for so long, after all have come to rest.
const WINDOW: Duration = Duration::from_secs(20);

pub struct Load {
    /// By name, per second, of the whole cluster.
    commands: BTreeMap<String, f64>,
    pub commands_of_node: f64,
    kilobytes: f64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: f64 = self.commands.values().sum();
        write!(f, "{total:.0} commands/s ({:.2} a node), {:.0} kB/s:", self.commands_of_node, self.kilobytes)?;
        self.commands
            .iter()
            .filter(|(_, rate)| **rate > 0.0)
            .try_for_each(|(name, rate)| write!(f, " {name} {rate:.1}"))
    }
}

/// Nodes with so many rooms each, of two people each.
pub fn measure(nodes: usize, rooms: usize) -> Load {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (redis, air) = (Redis::start(1), Arc::new(Air::default()));
        let mut all = Vec::new();
        for line in 0..nodes {
            let node = Node::start(&redis, line, 1, air.clone()).await.expect("redis is there");
            for room in 0..rooms {
                for person in ["a", "b"] {
                    let (room, identity) = (format!("{line}-{room}"), format!("{line}-{room}-{person}"));
                    let responses = node.rooms.enter(&room, &identity, &identity);
                    air.people.lock().unwrap().insert(identity.clone(), identity);
                    all.push((node.clone(), responses));
                }
            }
        }
        sleep(Duration::from_secs(10)).await;
        let (before, bytes) = (redis.counts(), redis.bytes());
        sleep(WINDOW).await;
        let seconds = WINDOW.as_secs_f64();
        let rate = |(name, count): (String, u64)| {
            let new = count - before.get(&name).copied().unwrap_or_default();
            (name, new as f64 / seconds)
        };
        let commands: BTreeMap<String, f64> = redis.counts().into_iter().map(rate).collect();
        let commands_of_node = commands.values().sum::<f64>() / nodes as f64;
        Load { commands, commands_of_node, kilobytes: (redis.bytes() - bytes) as f64 / seconds / 1000.0 }
    })
}
