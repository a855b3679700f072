//! Which release each node runs. LiveKit keeps one version for the whole cluster, the highest; ours stands beside it by node.

use super::keys;
use super::redis::{Redis, StoreError};
use crate::limits::VERSIONS_FORGOTTEN_MAX;
use redis::Cmd;
use std::collections::HashSet;

/// What this program calls itself.
pub const OURS: &str = concat!("lkops ", env!("CARGO_PKG_VERSION"));

/// Tells the others, and forgets nodes that are listed no more.
pub async fn announce(redis: &Redis, node: &str) -> Result<(), StoreError> {
    let known: Vec<String> = redis.query(&Cmd::hkeys(keys::NODE_VERSIONS)).await?;
    let listed: HashSet<String> = redis.query(&Cmd::hkeys(keys::NODES)).await?;
    let mut commands = redis::pipe();
    commands.hset(keys::NODE_VERSIONS, node, OURS).ignore();
    for gone in known.iter().filter(|id| *id != node && !listed.contains(*id)).take(VERSIONS_FORGOTTEN_MAX) {
        commands.hdel(keys::NODE_VERSIONS, gone).ignore();
    }
    redis.query_all(&commands).await
}

pub async fn withdraw(redis: &Redis, node: &str) -> Result<(), StoreError> {
    redis.query(&Cmd::hdel(keys::NODE_VERSIONS, node)).await
}
