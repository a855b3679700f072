//! One connection for commands, kept up: it is watched, renewed when it breaks, and everybody can see whether it is there.
//! While Redis is away commands fail at once, so that nobody waits for it who need not.

use super::address::{self, AddressError, Source};
use super::clock::Clock;
use super::dialer::Dialer;
use crate::config::Redis as Config;
use crate::limits::{REDIS_PING_INTERVAL, REDIS_RETRY_INTERVAL, REDIS_STEADY};
use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nobody knows whether it was carried out.
    #[error("redis is away: {0}")]
    Away(String),
    /// Redis answered that it will not.
    #[error("redis refused: {0}")]
    Refused(String),
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> StoreError {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType | ErrorKind::Parse | ErrorKind::Extension => {
                StoreError::Refused(error.to_string())
            }
            _ => StoreError::Away(error.to_string()),
        }
    }
}

/// Why the node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Selector(#[from] super::select::RuleError),
    #[error("unable to connect to redis: {0}")]
    Redis(String),
}

/// Whether Redis is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Up {
        since: Instant,
        /// Counts connections: what was kept in the former may be lost.
        session: u64,
    },
    Down {
        since: Instant,
        why: String,
    },
}

impl Status {
    pub fn is_up(&self) -> bool {
        matches!(self, Status::Up { .. })
    }

    /// For how long it has been there without a break; zero while it is away.
    pub fn up_for(&self, now: Instant) -> Duration {
        match self {
            Status::Up { since, .. } => now.saturating_duration_since(*since),
            Status::Down { .. } => Duration::ZERO,
        }
    }
}

#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
    _keeper: Arc<Keeper>,
}

struct Shared {
    source: Source,
    dial_timeout: Duration,
    answer_timeout: Duration,
    connection: Mutex<Option<Connection>>,
    broken: Notify,
    status: watch::Sender<Status>,
    clock: Clock,
}

/// Ends the task with the last handle.
struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Redis {
    /// Fails if Redis does not answer now; later it may come and go.
    pub async fn connect(config: &Config) -> Result<Redis, ConnectError> {
        Redis::connect_to(address::source(config)?, config).await
    }

    /// By connections of somebody else's making.
    pub async fn connect_by(dialer: Dialer, config: &Config) -> Result<Redis, ConnectError> {
        Redis::connect_to(Source::Pipes(dialer), config).await
    }

    async fn connect_to(source: Source, config: &Config) -> Result<Redis, ConnectError> {
        let status = watch::Sender::new(Status::Down { since: Instant::now(), why: "not connected yet".to_owned() });
        let shared = Arc::new(Shared {
            source,
            dial_timeout: address::dial_timeout(config),
            answer_timeout: address::answer_timeout(config),
            connection: Mutex::default(),
            broken: Notify::new(),
            status,
            clock: Clock::default(),
        });
        let connection = shared.connect().await.map_err(|e| ConnectError::Redis(e.to_string()))?;
        let session = shared.take_up(connection, 0);
        let keeper = tokio::spawn(keep(shared.clone(), session));
        Ok(Redis { shared, _keeper: Arc::new(Keeper(keeper)) })
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    pub fn is_up(&self) -> bool {
        self.shared.status.borrow().is_up()
    }

    /// It has been there long enough for everybody who lives to have come back to it.
    pub fn is_steady(&self) -> bool {
        self.shared.status.borrow().up_for(Instant::now()) >= REDIS_STEADY
    }

    /// The connection is still the first.
    pub fn is_unbroken(&self) -> bool {
        matches!(*self.shared.status.borrow(), Status::Up { session: 1, .. })
    }

    /// Several servers share the keys.
    pub fn is_cluster(&self) -> bool {
        matches!(self.shared.source, Source::Cluster { .. })
    }

    /// The cluster's time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// How long a command may go without an answer.
    pub fn answer_timeout(&self) -> Duration {
        self.shared.answer_timeout
    }

    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        self.answer(command.query_async(&mut connection)).await
    }

    pub async fn query_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        self.answer(commands.query_async(&mut connection)).await
    }

    pub async fn run<T: FromRedisValue>(&self, script: &redis::ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        self.answer(script.invoke_async(&mut connection)).await
    }

    /// A connection of its own for subscriptions; what is published comes to `sink`.
    pub async fn subscriber(&self, sink: impl AsyncPushSender) -> Result<MultiplexedConnection, StoreError> {
        let config = self.shared.config().set_push_sender(sink);
        let connecting = self.shared.subscriber(&config);
        let patience = self.answer_timeout();
        timeout(patience, connecting).await.map_err(|_| overdue(patience))?.map_err(StoreError::from)
    }

    fn connection(&self) -> Result<Connection, StoreError> {
        let connection = self.shared.lock().clone();
        connection.ok_or_else(|| match &*self.shared.status.borrow() {
            Status::Down { why, .. } => StoreError::Away(why.clone()),
            Status::Up { .. } => StoreError::Away("reconnecting".to_owned()),
        })
    }

    async fn answer<T>(&self, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
        let patience = self.answer_timeout();
        let result = timeout(patience, asked).await.map_err(|_| overdue(patience))?;
        result.map_err(|error| {
            if is_fatal(&error) {
                self.shared.broken.notify_one();
            }
            error.into()
        })
    }
}

fn overdue(patience: Duration) -> StoreError {
    StoreError::Away(format!("no answer for {patience:?}"))
}

/// The connection is of no more use. A replica that was the master until now answers, but takes no writes.
fn is_fatal(error: &RedisError) -> bool {
    let read_only = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown));
    read_only || error.is_connection_dropped() || (error.is_io_error() && !error.is_timeout())
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.dial_timeout)).set_response_timeout(None)
    }

    /// A connection that answers.
    async fn connect(&self) -> Result<Connection, RedisError> {
        let connecting = async {
            let mut connection = self.dial().await?;
            ask_time(&mut connection, &self.clock).await?;
            Ok(connection)
        };
        let overdue = || RedisError::from((ErrorKind::Io, "no answer in time"));
        timeout(self.dial_timeout + self.answer_timeout, connecting).await.map_err(|_| overdue())?
    }

    async fn dial(&self) -> Result<Connection, RedisError> {
        let config = self.config();
        Ok(match &self.source {
            Source::Pipes(dialer) => Connection::One(dialer.dial(&config).await?),
            Source::Single(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Source::Sentinel(client) => {
                Connection::One(client.lock().await.get_async_connection_with_config(&config).await?)
            }
            Source::Cluster { client, .. } => Connection::Cluster(client.get_async_connection().await?),
        })
    }

    async fn subscriber(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
        match &self.source {
            Source::Pipes(dialer) => dialer.dial(config).await,
            Source::Single(client) => client.get_multiplexed_async_connection_with_config(config).await,
            Source::Sentinel(client) => client.lock().await.get_async_connection_with_config(config).await,
            Source::Cluster { nodes, .. } => {
                let mut last = RedisError::from((ErrorKind::ClusterConnectionNotFound, "no node answers"));
                for node in nodes {
                    match node.get_multiplexed_async_connection_with_config(config).await {
                        Ok(connection) => return Ok(connection),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    /// Returns the number of the new session.
    fn take_up(&self, connection: Connection, former: u64) -> u64 {
        *self.lock() = Some(connection);
        let session = former + 1;
        self.status.send_replace(Status::Up { since: Instant::now(), session });
        session
    }

    fn give_up(&self, why: String) {
        *self.lock() = None;
        tracing::warn!(why, "redis is away; calls go on, what needs other nodes waits");
        self.status.send_replace(Status::Down { since: Instant::now(), why });
    }
}

/// Never returns.
async fn keep(shared: Arc<Shared>, mut session: u64) {
    loop {
        let why = watch_over(&shared).await;
        shared.give_up(why);
        session = renew(&shared, session).await;
        tracing::info!("redis is back");
    }
}

async fn renew(shared: &Shared, session: u64) -> u64 {
    loop {
        match shared.connect().await {
            Ok(connection) => return shared.take_up(connection, session),
            Err(error) => {
                let why = error.to_string();
                shared.status.send_if_modified(|status| match status {
                    Status::Down { why: told, .. } if *told != why => {
                        *told = why;
                        true
                    }
                    _ => false,
                });
                sleep(REDIS_RETRY_INTERVAL).await;
            }
        }
    }
}

/// Returns why the connection is no longer good.
async fn watch_over(shared: &Shared) -> String {
    loop {
        tokio::select! {
            biased;
            () = shared.broken.notified() => return "the connection broke".to_owned(),
            () = sleep(REDIS_PING_INTERVAL) => (),
        }
        let Some(mut connection) = shared.lock().clone() else { return "not connected".to_owned() };
        match timeout(shared.answer_timeout, ask_time(&mut connection, &shared.clock)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return overdue(shared.answer_timeout).to_string(),
        }
    }
}

/// A ping that also sets the clock.
async fn ask_time(connection: &mut Connection, clock: &Clock) -> Result<(), RedisError> {
    let asked = Instant::now();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    let redis_ns = seconds.saturating_mul(1_000_000).saturating_add(micros).saturating_mul(1_000);
    clock.learn(redis_ns, asked.elapsed());
    Ok(())
}

/// Either kind of connection. Clones share it.
#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Connection::One(one) => one.req_packed_command(command),
            Connection::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Connection::One(one) => one.req_packed_commands(pipeline, offset, count),
            Connection::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Connection::One(one) => one.get_db(),
            Connection::Cluster(cluster) => cluster.get_db(),
        }
    }
}
