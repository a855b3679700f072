//! What may befall a cluster.

use super::world::World;
use rand::Rng;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections break, and none can be made.
    RedisAway,
    /// Nothing comes back, and nobody says why.
    RedisHangs,
    RedisForgets,
    /// A replica takes over that has not heard of the last seconds.
    StaleReplica,
    NodeDies,
    /// Its messages stop for a while, then go on.
    NodeStalls,
    /// Messages are lost and doubled.
    Noise,
    /// By order, with rooms moved.
    Drain,
    DrainWithoutRedis,
}

pub const ALL: [Fault; 9] = [
    Fault::RedisAway,
    Fault::RedisHangs,
    Fault::RedisForgets,
    Fault::StaleReplica,
    Fault::NodeDies,
    Fault::NodeStalls,
    Fault::Noise,
    Fault::Drain,
    Fault::DrainWithoutRedis,
];

const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A drain that moves rooms ends so soon: at its deadline, when what has not moved yet may once more, or shortly after, when
/// rooms are closed; and Redis may be away while the node takes its leave.
const DRAIN_ENDS: Duration = Duration::from_secs(35);

impl Fault {
    /// Returns when it is over; an error if something did not end that must.
    pub async fn strike(self, world: &Rc<World>) -> Result<(), String> {
        let seconds = |from: u64, to: u64| Duration::from_secs(world.rng.borrow_mut().random_range(from..to));
        match self {
            Fault::RedisAway => {
                world.redis.set_away(true);
                sleep(seconds(1, 12)).await;
                world.redis.set_away(false);
            }
            Fault::RedisHangs => {
                world.redis.set_frozen(None, true);
                sleep(seconds(1, 12)).await;
                world.redis.set_frozen(None, false);
            }
            Fault::RedisForgets => world.redis.store.clear(),
            Fault::StaleReplica => world.redis.fail_over(seconds(1, 8).as_secs() as usize),
            Fault::NodeDies => {
                let node = world.any_node();
                world.tell(format!("{} dies", node.id));
                world.remove(&node);
                node.die(&world.redis);
                world.start_node().await;
            }
            Fault::NodeStalls => {
                let node = world.any_node();
                world.tell(format!("{} stalls", node.id));
                world.redis.set_frozen(Some(node.line), true);
                sleep(seconds(1, 20)).await;
                world.redis.set_frozen(Some(node.line), false);
            }
            Fault::Noise => {
                world.redis.set_noise(150, 150);
                sleep(seconds(5, 15)).await;
                world.redis.set_noise(0, 0);
            }
            Fault::Drain => drain(world).await?,
            Fault::DrainWithoutRedis => {
                let away = tokio::task::spawn_local({
                    let (world, after, long) = (world.clone(), seconds(0, 4), seconds(2, 15));
                    async move {
                        sleep(after).await;
                        world.redis.set_away(true);
                        sleep(long).await;
                        world.redis.set_away(false);
                    }
                });
                drain(world).await?;
                away.await.expect("it ends");
            }
        }
        Ok(())
    }
}

async fn drain(world: &Rc<World>) -> Result<(), String> {
    world.start_node().await;
    let node = world.any_node();
    world.tell(format!("{} is drained", node.id));
    node.drain(DRAIN_DEADLINE).await;
    let ended = timeout(DRAIN_ENDS, node.life.over()).await;
    world.remove(&node);
    let people = *node.rooms.people.borrow();
    ended.map_err(|_| format!("{} is still draining, with {people} people", node.id))
}
