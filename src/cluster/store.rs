//! What a cluster knows of itself, read from Redis (CLUSTER.md §4): nodes, which node has which room, rooms and people.
//! Reading is all that command-line tools need; nodes write with `ownership` and `records`.

use super::address::AddressError;
use super::keys;
use super::redis::{ConnectError, Redis, StoreError};
use crate::config::Redis as Config;
use crate::proto::{Node, ParticipantInfo, Room};
use prost::Message;
use redis::{Cmd, FromRedisValue};
use std::collections::HashMap;

#[derive(Clone)]
pub struct Store {
    redis: Redis,
}

impl Store {
    /// For tools, which have no other business with Redis.
    pub async fn connect(config: &Config) -> Result<Store, ConnectError> {
        if !config.is_configured() {
            return Err(AddressError::Missing.into());
        }
        Ok(Store::new(Redis::connect(config).await?))
    }

    pub fn new(redis: Redis) -> Store {
        Store { redis }
    }

    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// All that are registered, dead ones included: whether one is there says its `stats.updated_at`.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.entries(keys::NODES).await
    }

    pub async fn node(&self, id: &str) -> Result<Option<Node>, StoreError> {
        self.entry(keys::NODES, id).await
    }

    /// Releases by node; stock nodes do not tell theirs.
    pub async fn versions(&self) -> Result<HashMap<String, String>, StoreError> {
        self.ask(Cmd::hgetall(keys::NODE_VERSIONS)).await
    }

    /// The highest LiveKit release there was.
    pub async fn livekit_version(&self) -> Result<Option<String>, StoreError> {
        self.ask(Cmd::get(keys::LIVEKIT_VERSION)).await
    }

    /// The node that room was given to, be it alive or not.
    pub async fn node_of(&self, room: &str) -> Result<Option<String>, StoreError> {
        self.ask(Cmd::hget(keys::ROOM_NODES, room)).await
    }

    /// Room to node, all there are.
    pub async fn room_nodes(&self) -> Result<HashMap<String, String>, StoreError> {
        self.ask(Cmd::hgetall(keys::ROOM_NODES)).await
    }

    /// Rooms by name, unknown ones skipped; all if no name is given.
    pub async fn rooms(&self, names: &[String]) -> Result<Vec<Room>, StoreError> {
        match names {
            [] => self.entries(keys::ROOMS).await,
            _ => self.entries_of(keys::ROOMS, names).await,
        }
    }

    pub async fn room(&self, name: &str) -> Result<Option<Room>, StoreError> {
        self.entry(keys::ROOMS, name).await
    }

    pub async fn participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, StoreError> {
        self.entries(&keys::participants(room)).await
    }

    pub async fn participant(&self, room: &str, identity: &str) -> Result<Option<ParticipantInfo>, StoreError> {
        self.entry(&keys::participants(room), identity).await
    }

    /// One field of a hash of messages.
    pub(super) async fn entry<T: Message + Default>(&self, key: &str, field: &str) -> Result<Option<T>, StoreError> {
        let value: Option<Vec<u8>> = self.ask(Cmd::hget(key, field)).await?;
        Ok(value.and_then(|v| decode(key, &v)))
    }

    /// All of it.
    pub(super) async fn entries<T: Message + Default>(&self, key: &str) -> Result<Vec<T>, StoreError> {
        let values: Vec<Vec<u8>> = self.ask(Cmd::hvals(key)).await?;
        Ok(decode_all(key, &values))
    }

    /// Those fields, unknown ones skipped.
    pub(super) async fn entries_of<T: Message + Default>(
        &self,
        key: &str,
        fields: &[String],
    ) -> Result<Vec<T>, StoreError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<Option<Vec<u8>>> = self.ask(Cmd::hmget(key, fields)).await?;
        Ok(values.iter().flatten().filter_map(|v| decode(key, v)).collect())
    }

    async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, StoreError> {
        self.redis.query(&command).await
    }
}

/// What cannot be read is passed over: one broken entry must not hide the others.
fn decode_all<T: Message + Default>(key: &str, values: &[Vec<u8>]) -> Vec<T> {
    values.iter().filter_map(|v| decode(key, v)).collect()
}

fn decode<T: Message + Default>(key: &str, value: &[u8]) -> Option<T> {
    T::decode(value).inspect_err(|error| tracing::warn!(key, %error, "an entry in redis cannot be read")).ok()
}
