//! What every room of a node shares. The server assembles it once.

use super::ledger::Ledger;
use crate::config::Config;
use crate::proto::IceServer;
use crate::shard::Shards;
use std::sync::Arc;

/// This server among others.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `ND_…`
    pub id: String,
    pub region: String,
    pub version: String,
}

/// Fresh ICE servers for the participant with that sid: credentials carry it (WIRE.md §3.9).
pub type IceServers = Arc<dyn Fn(&str) -> Vec<IceServer> + Send + Sync>;

pub struct RoomContext {
    pub config: Arc<Config>,
    pub shards: Shards,
    pub node: Node,
    pub ice_servers: IceServers,
    pub ledger: Ledger,
}
