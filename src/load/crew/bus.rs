//! Letters over Redis: lists that are popped, and a sorted set of workers that wait. Called by `worker` and `coordinator`.

use super::clock::{Offset, Sample};
use super::letter::{Order, Reply};
use crate::client::clock::unix_us;
use crate::limits::LOAD_LETTER_BYTES_MAX;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Why workers and coordinator do not come together.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    #[error("cannot reach redis at {address}: {error}; check --redis")]
    Redis { address: String, error: RedisError },
    #[error("redis does not answer: {0}")]
    Lost(#[from] RedisError),
    #[error("a letter is unreadable: {0}; are all of the same version?")]
    Letter(#[from] serde_json::Error),
    #[error("a letter has {0} bytes, and {LOAD_LETTER_BYTES_MAX} is the most; ask for fewer rooms")]
    TooLong(usize),
    #[error(
        "{found} of {wanted} workers came within {limit:?}; start `lkops load-test worker` with the same --redis and --crew"
    )]
    TooFew { found: usize, wanted: usize, limit: Duration },
    #[error("more workers are asked for than there are participants: {workers} for {participants}")]
    TooMany { workers: usize, participants: u64 },
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Load(#[from] crate::load::LoadError),
}

/// Redis's answers are waited for so long; blocking pops last a second.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Pops end so often without a letter.
const POP_S: f64 = 0.5;
/// Whatever is left behind is gone after that.
const KEPT_S: i64 = 600;
/// A worker that has not said so for that long waits no more.
const IDLE_US: i64 = 3_000_000;
/// Questions about the time; the surest counts.
const SAMPLES: usize = 40;
/// Letters read ahead; the others wait in Redis.
const LETTERS_MAX: usize = 16;

/// They end with the first that cannot be had.
pub type Letters<T> = mpsc::Receiver<Result<T, CrewError>>;

#[derive(Clone)]
pub struct Bus {
    /// Never used to wait on.
    commands: MultiplexedConnection,
    /// Pops wait here.
    letters: MultiplexedConnection,
    prefix: String,
}

/// `host:port` means redis://.
fn url(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("redis://{address}") }
}

impl Bus {
    pub async fn open(address: &str, crew: &str) -> Result<Bus, CrewError> {
        let failed = |error| CrewError::Redis { address: hidden(address), error };
        let client = Client::open(url(address)).map_err(failed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE));
        let commands = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        let letters = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        Ok(Bus { commands, letters, prefix: format!("lkops:load:{crew}") })
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, CrewError> {
        Ok(command.query_async(&mut self.commands).await?)
    }

    /// Redis's time, in microseconds since 1970.
    pub async fn now_us(&mut self) -> Result<i64, CrewError> {
        let (seconds, micros): (i64, i64) = self.ask(&redis::cmd("TIME")).await?;
        Ok(seconds * 1_000_000 + micros)
    }

    /// How far our clock is from Redis's.
    pub async fn offset(&mut self) -> Result<Offset, CrewError> {
        let ours = || i64::try_from(unix_us()).unwrap_or(i64::MAX);
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let asked_us = ours();
            let theirs_us = self.now_us().await?;
            samples.push(Sample { asked_us, answered_us: ours(), theirs_us });
        }
        Ok(Offset::of(&samples).unwrap_or_default())
    }

    /// Says that a worker waits for work.
    pub async fn wait_for_work(&mut self, worker: &str) -> Result<(), CrewError> {
        let now = self.now_us().await?;
        let key = self.key("idle");
        self.ask::<()>(redis::cmd("ZADD").arg(&key).arg(now).arg(worker)).await?;
        self.ask::<()>(redis::cmd("EXPIRE").arg(&key).arg(KEPT_S)).await
    }

    /// Says that it still waits; false if it was claimed, and then it stays so: two coordinators must not have it.
    pub async fn still_waits(&mut self, worker: &str) -> Result<bool, CrewError> {
        let now = self.now_us().await?;
        let key = self.key("idle");
        let told = self.ask::<i64>(redis::cmd("ZADD").arg(&key).arg("XX").arg("CH").arg(now).arg(worker)).await?;
        self.ask::<()>(redis::cmd("EXPIRE").arg(&key).arg(KEPT_S)).await?;
        Ok(told == 1)
    }

    pub async fn stop_waiting(&mut self, worker: &str) -> Result<(), CrewError> {
        let key = self.key("idle");
        self.ask::<()>(redis::cmd("ZREM").arg(&key).arg(worker)).await
    }

    /// Workers that wait now.
    pub async fn idle(&mut self) -> Result<Vec<String>, CrewError> {
        let (since, key) = (self.now_us().await? - IDLE_US, self.key("idle"));
        self.ask(redis::cmd("ZRANGEBYSCORE").arg(&key).arg(since).arg("+inf")).await
    }

    /// Takes a worker; false if somebody else has.
    pub async fn claim(&mut self, worker: &str) -> Result<bool, CrewError> {
        let key = self.key("idle");
        self.ask::<i64>(redis::cmd("ZREM").arg(&key).arg(worker)).await.map(|removed| removed == 1)
    }

    pub async fn order(&mut self, worker: &str, order: &Order) -> Result<(), CrewError> {
        let key = self.key(&format!("to:{worker}"));
        self.push(&key, serde_json::to_string(order)?).await
    }

    pub async fn reply(&mut self, to: &str, reply: &Reply) -> Result<(), CrewError> {
        let key = self.key(&format!("from:{to}"));
        self.push(&key, serde_json::to_string(reply)?).await
    }

    async fn push(&mut self, key: &str, letter: String) -> Result<(), CrewError> {
        if letter.len() > LOAD_LETTER_BYTES_MAX {
            return Err(CrewError::TooLong(letter.len()));
        }
        self.ask::<()>(redis::cmd("RPUSH").arg(key).arg(letter)).await?;
        self.ask::<()>(redis::cmd("EXPIRE").arg(key).arg(KEPT_S)).await
    }

    /// Orders as they come.
    pub fn orders(&self, worker: &str) -> Letters<Order> {
        self.letters(self.key(&format!("to:{worker}")))
    }

    /// Replies as they come.
    pub fn replies(&self, to: &str) -> Letters<Reply> {
        self.letters(self.key(&format!("from:{to}")))
    }

    /// Replies that nobody has read yet.
    pub async fn unread_replies(&mut self, to: &str) -> Result<u64, CrewError> {
        let key = self.key(&format!("from:{to}"));
        self.ask(redis::cmd("LLEN").arg(&key)).await
    }

    /// What is popped is gone from Redis, so one task pops, and whoever waits for a letter may stop waiting and lose none.
    fn letters<T: serde::de::DeserializeOwned + Send + 'static>(&self, key: String) -> Letters<T> {
        let (sender, receiver) = mpsc::channel(LETTERS_MAX);
        let bus = self.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Some(letter) = bus.pop(&key).await.transpose() else { continue };
                let failed = letter.is_err();
                if sender.send(letter).await.is_err() || failed {
                    return;
                }
            }
        });
        receiver
    }

    async fn pop<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CrewError> {
        let mut letters = self.letters.clone();
        let popped: Option<(String, String)> =
            redis::cmd("BLPOP").arg(key).arg(POP_S).query_async(&mut letters).await?;
        match popped {
            Some((_, letter)) if letter.len() > LOAD_LETTER_BYTES_MAX => Err(CrewError::TooLong(letter.len())),
            Some((_, letter)) => Ok(Some(serde_json::from_str(&letter)?)),
            None => Ok(None),
        }
    }
}

/// An address without its password.
fn hidden(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        (None, Some((_, place))) => place.to_owned(),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(hidden("redis://user:secret@h:1/0"), "redis://h:1/0");
        assert_eq!(hidden("h:6379"), "h:6379");
        assert_eq!((url("h:1").as_str(), url("rediss://h").as_str()), ("redis://h:1", "rediss://h"));
    }

    #[tokio::test]
    async fn a_redis_that_is_not_there_is_told() {
        let Err(error) = Bus::open("127.0.0.1:1", "x").await else { panic!("nobody listens there") };
        assert!(error.to_string().starts_with("cannot reach redis at 127.0.0.1:1: "), "{error}");
    }
}
