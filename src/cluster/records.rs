//! A room's records in the store (CLUSTER.md §4): written whole or by what changed, removed with the room.

use super::hosted::Record;
use super::keys;
use super::redis::{Redis, StoreError};
use prost::Message;
use redis::Pipeline;
use rustc_hash::FxHasher;
use std::collections::HashMap;
use std::hash::Hasher;

/// What the store was told of a room last, by digest, so that what has not changed is not written again.
#[derive(Default)]
pub struct Written {
    room: Option<u64>,
    participants: HashMap<String, u64>,
}

impl Written {
    /// Nothing is known to be written.
    pub fn is_fresh(&self) -> bool {
        self.room.is_none()
    }

    /// Brings the store to this state.
    pub async fn write(&mut self, redis: &Redis, record: &Record) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        let next = self.plan(record, &mut commands);
        if !commands.is_empty() {
            redis.query_all::<()>(&commands).await?;
        }
        *self = next;
        Ok(())
    }

    fn plan(&self, record: &Record, commands: &mut Pipeline) -> Written {
        let name = record.room.name.as_str();
        let (room, internal) = (record.room.encode_to_vec(), record.internal.encode_to_vec());
        let digest = digest([room.as_slice(), internal.as_slice()]);
        if self.room != Some(digest) {
            commands.hset(keys::ROOMS, name, room).ignore();
            commands.hset(keys::ROOM_INTERNAL, name, internal).ignore();
        }
        Written { room: Some(digest), participants: self.plan_participants(record, commands) }
    }

    fn plan_participants(&self, record: &Record, commands: &mut Pipeline) -> HashMap<String, u64> {
        let key = keys::participants(&record.room.name);
        if self.room.is_none() {
            // Nobody knows what is there.
            commands.del(&key).ignore();
        }
        let mut now = HashMap::with_capacity(record.participants.len());
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
    let mut commands = redis::pipe();
    commands.hdel(keys::ROOMS, room).ignore();
    commands.hdel(keys::ROOM_INTERNAL, room).ignore();
    for key in [keys::participants(room), keys::agent_dispatches(room), keys::agent_jobs(room)] {
        commands.del(key).ignore();
    }
    redis.query_all(&commands).await
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
        let mut commands = redis::pipe();
        *written = written.plan(record, &mut commands);
        let name = |c: &redis::Cmd| match c.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        commands.cmd_iter().map(name).collect()
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
