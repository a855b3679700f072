//! Keeps the store true to what this node hosts: the map, the records, the epochs. It compares what should be with what is,
//! so it does not matter what was lost, when, or how: after any break everything is put back from memory.

use super::hosted::{Hosted, Record};
use super::keys;
use super::ownership::{self, Dispute, Epoch, Owner, settle};
use super::records::{self, Written};
use super::redis::{Redis, Status, StoreError};
use crate::limits::{OWNER_PARALLEL_MAX, OWNER_VERIFY_INTERVAL, OWNER_VERIFY_MAX};
use futures_util::{StreamExt, stream};
use redis::Cmd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Whether other nodes live, as far as this one can see.
pub trait Neighbours: Send + Sync {
    fn lives(&self, node: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The rooms a node holds.
pub struct Owned {
    redis: Redis,
    node: String,
    holds: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Holding>>>>,
    /// The store has lost something.
    lost: Notify,
}

#[derive(Default)]
struct Holding {
    epoch: Option<Epoch>,
    written: Written,
}

impl Owned {
    pub fn new(redis: Redis, node: &str) -> Owned {
        Owned { redis, node: node.to_owned(), holds: Mutex::default(), lost: Notify::new() }
    }

    /// Whether the room was this node's when it last looked.
    pub fn holds(&self, room: &str) -> bool {
        self.lock().contains_key(room)
    }

    /// Has everything put back.
    pub fn note_loss(&self) {
        self.lost.notify_one();
    }

    /// Never returns.
    pub async fn keep(&self, hosted: &dyn Hosted, neighbours: &impl Neighbours) {
        let mut status = self.redis.status();
        let mut looks = interval(OWNER_VERIFY_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut session = session_of(&status.borrow());
        loop {
            tokio::select! {
                biased;
                () = self.lost.notified() => self.put_back(hosted, neighbours).await,
                Ok(()) = status.changed() => {
                    let now = session_of(&status.borrow_and_update());
                    if now.is_some() && now != session {
                        session = now;
                        self.put_back(hosted, neighbours).await;
                    }
                }
                _ = looks.tick() => self.verify(hosted, neighbours).await,
                // Last: it may happen all the time.
                () = hosted.changed() => self.bring(hosted.take_changed(), hosted, neighbours).await,
            }
        }
    }

    /// Gives up every room that is no more, once.
    pub async fn release_all(&self, hosted: &dyn Hosted, neighbours: &impl Neighbours) {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        self.bring(names, hosted, neighbours).await;
    }

    /// From memory, as if the store were empty.
    async fn put_back(&self, hosted: &dyn Hosted, neighbours: &impl Neighbours) {
        let began = Instant::now();
        let names = hosted.rooms();
        let rooms = names.len();
        for name in &names {
            self.holding(name).lock().await.written = Written::default();
        }
        self.bring(self.known(names), hosted, neighbours).await;
        if rooms > 0 {
            tracing::info!(rooms, elapsed = ?began.elapsed(), "rooms are put back into redis");
        }
    }

    /// Those, and all that are held still.
    fn known(&self, mut names: Vec<String>) -> Vec<String> {
        names.extend(self.lock().keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Looks whether the map still says what it should.
    async fn verify(&self, hosted: &dyn Hosted, neighbours: &impl Neighbours) {
        let names = self.known(hosted.rooms());
        for names in names.chunks(OWNER_VERIFY_MAX) {
            let Ok(holders) = self.redis.query::<Vec<Option<String>>>(&Cmd::hmget(keys::ROOM_NODES, names)).await
            else {
                return;
            };
            let wrong = names.iter().zip(holders).filter(|(_, holder)| holder.as_deref() != Some(&self.node));
            let wrong: Vec<String> = wrong.map(|(name, _)| name.clone()).collect();
            for name in &wrong {
                self.holding(name).lock().await.written = Written::default();
            }
            self.bring(wrong, hosted, neighbours).await;
        }
    }

    async fn bring(&self, names: Vec<String>, hosted: &dyn Hosted, neighbours: &impl Neighbours) {
        stream::iter(names)
            .for_each_concurrent(OWNER_PARALLEL_MAX, async |name| {
                match self.bring_one(&name, hosted, neighbours).await {
                    Ok(()) => hosted.settled(&name),
                    Err(error) => tracing::debug!(room = name, %error, "the store does not know of the room yet"),
                }
            })
            .await;
    }

    async fn bring_one(&self, name: &str, hosted: &dyn Hosted, neighbours: &impl Neighbours) -> Result<(), StoreError> {
        let holding = self.holding(name);
        let mut holding = holding.lock().await;
        let Some(record) = hosted.record(name) else {
            return self.let_go(name, &holding).await;
        };
        if holding.epoch.is_none() || holding.written.is_fresh() {
            match self.hold(name, holding.epoch, neighbours).await? {
                Some(epoch) => holding.epoch = Some(epoch),
                None => {
                    tracing::warn!(room = name, "another node has the room; its people here are sent there");
                    self.lock().remove(name);
                    hosted.give_up(name).await;
                    return Ok(());
                }
            }
        }
        self.write(&mut holding.written, &record).await
    }

    async fn write(&self, written: &mut Written, record: &Record) -> Result<(), StoreError> {
        let result = written.write(&self.redis, record).await;
        if result.is_err() {
            // Nobody knows how much of it arrived.
            *written = Written::default();
        }
        result
    }

    /// `None` if the room is another's.
    async fn hold(
        &self,
        name: &str,
        held: Option<Epoch>,
        neighbours: &impl Neighbours,
    ) -> Result<Option<Epoch>, StoreError> {
        let ours = held.unwrap_or_default();
        let (node, epoch) = match ownership::assert(&self.redis, name, &self.node, ours).await? {
            Owner::Ours(epoch) => return Ok(Some(epoch)),
            Owner::Other { node, epoch } => (node, epoch),
        };
        if settle(ours, epoch, neighbours.lives(&node).await?) == Dispute::GiveUp {
            return Ok(None);
        }
        match ownership::claim(&self.redis, name, &self.node, Some(&node)).await? {
            Owner::Ours(_) => match ownership::assert(&self.redis, name, &self.node, ours).await? {
                Owner::Ours(epoch) => Ok(Some(epoch)),
                Owner::Other { .. } => Ok(None),
            },
            Owner::Other { .. } => Ok(None),
        }
    }

    /// The room has ended here. What another node has made of the name since is left alone.
    async fn let_go(&self, name: &str, holding: &Holding) -> Result<(), StoreError> {
        if holding.epoch.is_some() && ownership::release(&self.redis, name, &self.node).await? {
            records::remove(&self.redis, name).await?;
        }
        self.lock().remove(name);
        Ok(())
    }

    fn holding(&self, name: &str) -> Arc<tokio::sync::Mutex<Holding>> {
        self.lock().entry(name.to_owned()).or_default().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Holding>>>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session_of(status: &Status) -> Option<u64> {
    match status {
        Status::Up { session, .. } => Some(*session),
        Status::Down { .. } => None,
    }
}
