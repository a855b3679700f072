//! A room's records in the store (CLUSTER.md §4): written whole or by what changed, removed with the room.

use super::hosted::Record;
use super::keys;
use super::redis::{Redis, StoreError};
use futures_util::future::try_join_all;
use prost::Message;
use redis::{Cmd, Pipeline};
use rustc_hash::FxHasher;
use std::collections::BTreeMap;
use std::hash::Hasher;

/// What the store was told of a room last, by digest, so that what has not changed is not written again.
#[derive(Default)]
pub struct Written {
    room: Option<u64>,
    participants: BTreeMap<String, u64>,
}

impl Written {
    /// Nothing is known to be written.
    pub fn is_fresh(&self) -> bool {
        self.room.is_none()
    }

    /// Brings the store to this state.
    pub async fn write(&mut self, redis: &Redis, record: &Record) -> Result<(), StoreError> {
        let (next, commands) = self.plan(record);
        carry_out(redis, commands).await?;
        *self = next;
        Ok(())
    }

    fn plan(&self, record: &Record) -> (Written, Vec<Pipeline>) {
        let name = record.room.name.as_str();
        let (room, internal) = (record.room.encode_to_vec(), record.internal.encode_to_vec());
        let digest = digest([room.as_slice(), internal.as_slice()]);
        let mut commands = Vec::new();
        if self.room != Some(digest) {
            commands.push(redis::pipe().hset(keys::ROOMS, name, room).ignore().clone());
            commands.push(redis::pipe().hset(keys::ROOM_INTERNAL, name, internal).ignore().clone());
        }
        let mut of_people = redis::pipe();
        let participants = self.plan_participants(record, &mut of_people);
        commands.push(of_people);
        (Written { room: Some(digest), participants }, commands)
    }

    fn plan_participants(&self, record: &Record, commands: &mut Pipeline) -> BTreeMap<String, u64> {
        let key = keys::participants(&record.room.name);
        if self.room.is_none() {
            // Nobody knows what is there.
            commands.del(&key).ignore();
        }
        let mut now = BTreeMap::new();
        for info in &record.participants {
            let bytes = info.encode_to_vec();
            let digest = digest([bytes.as_slice()]);
            if self.participants.get(&info.identity) != Some(&digest) {
                commands.hset(&key, &info.identity, bytes).ignore();
            }
            now.insert(info.identity.clone(), digest);
        }
        for gone in self.participants.keys().filter(|identity| !now.contains_key(*identity)) {
            commands.hdel(&key, gone).ignore();
        }
        now
    }
}

/// Everything that is kept under a room's name, but for the map.
pub async fn remove(redis: &Redis, room: &str) -> Result<(), StoreError> {
    let one = |command: Cmd| redis::pipe().add_command(command).ignore().clone();
    let fields = [keys::ROOMS, keys::ROOM_INTERNAL].map(|key| one(Cmd::hdel(key, room)));
    let whole = [keys::participants(room), keys::agent_dispatches(room), keys::agent_jobs(room)];
    carry_out(redis, fields.into_iter().chain(whole.map(|key| one(Cmd::del(key)))).collect()).await
}

/// Each pipeline is of one key, as a Redis cluster wants it; all are under way at once.
async fn carry_out(redis: &Redis, commands: Vec<Pipeline>) -> Result<(), StoreError> {
    let under_way = commands.iter().filter(|c| !c.is_empty()).map(|c| redis.query_all::<()>(c));
    try_join_all(under_way).await.map(|_| ())
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = FxHasher::default();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ParticipantInfo, Room};

    fn record(metadata: &str, people: &[&str]) -> Record {
        let room = Room { name: "r".into(), metadata: metadata.into(), ..Room::default() };
        let info = |identity: &&str| ParticipantInfo { identity: (*identity).into(), ..ParticipantInfo::default() };
        Record { room, participants: people.iter().map(info).collect(), ..Record::default() }
    }

    /// The commands that bring the store to `record`, by name.
    fn planned(written: &mut Written, record: &Record) -> Vec<String> {
        let (next, commands) = written.plan(record);
        *written = next;
        let name = |c: &redis::Cmd| match c.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        commands.iter().flat_map(Pipeline::cmd_iter).map(name).collect()
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut written = Written::default();
        assert_eq!(planned(&mut written, &record("", &["a"])), ["HSET", "HSET", "DEL", "HSET"]);
        assert!(planned(&mut written, &record("", &["a"])).is_empty());
        assert_eq!(planned(&mut written, &record("", &["a", "b"])), ["HSET"]);
        assert_eq!(planned(&mut written, &record("x", &["b"])), ["HSET", "HSET", "HDEL"]);
    }
}
