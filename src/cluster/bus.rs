//! The bus: publish and subscribe over Redis (CLUSTER.md §1.11). Subscriptions are kept whatever becomes of the connection;
//! messages published while Redis is away are lost, as any message on this bus may be.

use super::clock::Clock;
use super::redis::Redis;
use super::table::{Registration, Sink, Table};
use crate::limits::{BUS_BATCH_MAX, BUS_OUT_MAX, BUS_SUBSCRIBE_MAX, REDIS_PING_INTERVAL, REDIS_RETRY_INTERVAL};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A handle; clones share the bus.
#[derive(Clone)]
pub struct Bus {
    table: Arc<Table>,
    clock: Clock,
    outgoing: mpsc::Sender<Outgoing>,
    listening: watch::Receiver<bool>,
    _tasks: Arc<Tasks>,
}

struct Letter {
    channel: String,
    payload: Vec<u8>,
}

enum Outgoing {
    Letter(Letter),
    /// Told when everything before it has left, or is lost.
    Flush(oneshot::Sender<()>),
}

/// The connection in use: messages leave by the one they come by, because in a Redis cluster any server takes all of them,
/// while commands go to the servers of their keys.
type Line = Arc<Mutex<Option<MultiplexedConnection>>>;

/// End with the last handle.
struct Tasks([JoinHandle<()>; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Bus {
    pub fn start(redis: Redis) -> Bus {
        let table = Arc::new(Table::default());
        let (outgoing, letters) = mpsc::channel(BUS_OUT_MAX);
        let (heard, listening) = watch::channel(false);
        let clock = redis.clock().clone();
        let line = Line::default();
        let patience = redis.answer_timeout();
        let tasks = [
            tokio::spawn(listen(redis, table.clone(), heard, line.clone())),
            tokio::spawn(post(line.clone(), letters, patience)),
        ];
        Bus { table, clock, outgoing, listening, _tasks: Arc::new(Tasks(tasks)) }
    }

    /// The time that messages carry.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What comes on these channels goes to their sinks until the registration is dropped.
    pub fn subscribe(&self, sinks: Vec<(String, Sink)>) -> Registration {
        self.table.add(sinks)
    }

    /// Returns when Redis knows of everything registered so far; may wait as long as Redis is away.
    pub async fn all_confirmed(&self) {
        self.table.confirmed(self.table.version()).await;
    }

    /// Whether messages reach us.
    pub fn listening(&self) -> watch::Receiver<bool> {
        self.listening.clone()
    }

    /// Sent in order. Never waits: what does not fit is lost.
    pub fn publish(&self, channel: String, payload: Vec<u8>) {
        if self.outgoing.try_send(Outgoing::Letter(Letter { channel, payload })).is_err() {
            tracing::debug!("the bus takes no more messages; one is lost");
        }
    }

    /// Returns when everything published so far has left, or is lost.
    pub async fn flushed(&self) {
        let (told, left) = oneshot::channel();
        if self.outgoing.send(Outgoing::Flush(told)).await.is_ok() {
            let _ = left.await;
        }
    }
}

/// Sends what has gathered in one go. Never returns.
async fn post(line: Line, mut letters: mpsc::Receiver<Outgoing>, patience: Duration) {
    let mut batch = Vec::new();
    while letters.recv_many(&mut batch, BUS_BATCH_MAX).await > 0 {
        let mut commands = redis::pipe();
        let mut flushes = Vec::new();
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Letter(Letter { channel, payload }) => {
                    commands.cmd("PUBLISH").arg(channel).arg(payload).ignore();
                }
                Outgoing::Flush(told) => flushes.push(told),
            }
        }
        if !commands.is_empty() {
            send(&line, &commands, patience).await;
        }
        for told in flushes {
            // Who asked may have gone.
            let _ = told.send(());
        }
    }
}

async fn send(line: &Line, commands: &redis::Pipeline, patience: Duration) {
    let connection = line.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let sent = match connection {
        Some(mut connection) => answered(patience, commands.query_async(&mut connection)).await,
        None => Err("redis is away".to_owned()),
    };
    if let Err(error) = sent {
        tracing::debug!(error, count = commands.len(), "messages to other nodes are lost");
    }
}

/// Keeps every subscription of the table. Never returns.
async fn listen(redis: Redis, table: Arc<Table>, heard: watch::Sender<bool>, line: Line) {
    loop {
        if let Err(error) = listen_once(&redis, &table, &heard, &line).await {
            tracing::debug!(error, "no messages from other nodes");
        }
        *line.lock().unwrap_or_else(PoisonError::into_inner) = None;
        heard.send_replace(false);
        sleep(REDIS_RETRY_INTERVAL).await;
    }
}

/// Returns when the connection is no longer good.
async fn listen_once(
    redis: &Redis,
    table: &Arc<Table>,
    heard: &watch::Sender<bool>,
    line: &Line,
) -> Result<(), String> {
    let gone = Arc::new(Notify::new());
    let mut connection = connect(redis, table, &gone).await?;
    *line.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
    table.start_over();
    let patience = redis.answer_timeout();
    loop {
        let changes = table.take_changes();
        let version = changes.version;
        for names in changes.add.chunks(BUS_SUBSCRIBE_MAX) {
            answered(patience, connection.subscribe(names)).await?;
        }
        for names in changes.remove.chunks(BUS_SUBSCRIBE_MAX) {
            answered(patience, connection.unsubscribe(names)).await?;
        }
        table.confirm(version);
        heard.send_if_modified(|heard| !std::mem::replace(heard, true));
        tokio::select! {
            () = table.changed() => (),
            () = gone.notified() => return Err("the connection broke".to_owned()),
            () = sleep(REDIS_PING_INTERVAL) => answered(patience, ping(&mut connection)).await?,
        }
    }
}

async fn connect(redis: &Redis, table: &Arc<Table>, gone: &Arc<Notify>) -> Result<MultiplexedConnection, String> {
    let (table, gone) = (table.clone(), gone.clone());
    let sink = move |push: PushInfo| {
        match push.kind {
            PushKind::Message => deliver(&table, push.data),
            PushKind::Disconnection => gone.notify_one(),
            _ => (),
        }
        Ok::<(), ()>(())
    };
    redis.subscriber(sink).await.map_err(|e| e.to_string())
}

async fn ping(connection: &mut MultiplexedConnection) -> Result<(), redis::RedisError> {
    redis::cmd("PING").query_async(connection).await
}

async fn answered(
    patience: Duration,
    asked: impl Future<Output = Result<(), redis::RedisError>>,
) -> Result<(), String> {
    match timeout(patience, asked).await {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// `data` is the channel and the payload.
fn deliver(table: &Table, data: Vec<Value>) {
    let mut data = data.into_iter();
    if let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next())
        && let Ok(channel) = std::str::from_utf8(&channel)
        && let Some(sink) = table.sink(channel)
    {
        sink(&payload);
    }
}
