//! The other nodes, as the server joins and leaves them. A node without Redis has none.

use super::state::{Lifecycle, Phase};
use crate::api::HostedRooms;
use crate::api::health::Readiness;
use crate::cluster::drain::{self, Instruction, Mode};
use crate::cluster::{Cluster, ConnectError, Doorway, Gauge, Identity, Registration, Running, Status};
use crate::config::Config;
use crate::room::Node;
use crate::signal::{self, Gate};
use std::net::IpAddr;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Before the node is seen by others.
pub struct Peers {
    pub cluster: Cluster,
    doorway: Option<Doorway>,
}

/// While it is.
pub struct Joined {
    cluster: Cluster,
    tasks: Vec<JoinHandle<()>>,
    _running: Option<(Running, Registration)>,
}

impl Peers {
    pub fn none() -> Peers {
        Peers { cluster: Cluster::single(), doorway: None }
    }

    pub async fn join(config: &Config, node: &Node, ip: Option<IpAddr>) -> Result<Peers, ConnectError> {
        if !config.redis.is_configured() {
            return Ok(Peers::none());
        }
        let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
        let identity = Identity { id: node.id.clone(), ip, region: node.region.clone() };
        let (cluster, doorway) = Cluster::join(config, identity).await?;
        tracing::info!(node = node.id, region = node.region, "joined the cluster");
        Ok(Peers { cluster, doorway: Some(doorway) })
    }

    /// Begins to be seen and called. Orders of operators go to `desk`.
    pub fn start(
        self,
        gate: &Gate,
        gauge: Gauge,
        life: &Lifecycle,
        mode: &watch::Sender<Mode>,
        desk: mpsc::Sender<Instruction>,
    ) -> Joined {
        let Peers { cluster, doorway } = self;
        let (Some(member), Some(doorway)) = (cluster.member().cloned(), doorway) else {
            return Joined { cluster, tasks: Vec::new(), _running: None };
        };
        let orders = drain::serve(member.methods(), member.id(), desk);
        let hosted = HostedRooms::new(gate.directory.clone(), &cluster, member.clone());
        let (running, arrivals) = member.start(doorway, hosted, gauge);
        let tasks = vec![
            tokio::spawn(signal::receive(gate.clone(), arrivals)),
            tokio::spawn(tell_modes(cluster.clone(), life.clone(), mode.subscribe())),
        ];
        Joined { cluster, tasks, _running: Some((running, orders)) }
    }
}

impl Joined {
    /// After the rooms are closed.
    pub async fn leave(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(member) = self.cluster.member() {
            member.leave().await;
        }
    }
}

async fn tell_modes(cluster: Cluster, life: Lifecycle, mut mode: watch::Receiver<Mode>) {
    life.reached(Phase::Serving).await;
    loop {
        cluster.set_state(mode.borrow_and_update().node_state());
        if mode.changed().await.is_err() {
            return;
        }
    }
}

/// Whether new people should be sent here. That Redis is away is told, but does not make the node unready: it serves what it
/// has, and sending everybody elsewhere would not help them.
pub fn readiness(cluster: &Cluster, life: &Lifecycle, mode: Mode) -> Readiness {
    let reasons = match life.phase() {
        Phase::Serving if mode == Mode::Serving => Vec::new(),
        Phase::Serving => vec![format!("the server is {}", mode.name())],
        phase => vec![format!("the server is {}", format!("{phase:?}").to_lowercase())],
    };
    Readiness { reasons, degraded: degraded(cluster) }
}

fn degraded(cluster: &Cluster) -> Vec<String> {
    let Some(member) = cluster.member() else { return Vec::new() };
    match member.status() {
        Status::Down { since, why } => {
            let seconds = Instant::now().duration_since(since).as_secs();
            vec![format!("redis is away for {seconds} s: {why}")]
        }
        Status::Up { .. } if !member.is_listening() => vec!["messages of other nodes do not arrive".to_owned()],
        Status::Up { .. } => Vec::new(),
    }
}
