//! A way to Redis that is not an address: simulations reach theirs by pipes within the process. What runs on it is what runs
//! on a socket.

use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// One connection to Redis.
pub trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// Makes connections, as often as one is needed.
#[derive(Clone)]
pub struct Dialer(Arc<dyn Fn() -> Dialing + Send + Sync>);

type Dialing = BoxFuture<'static, io::Result<Box<dyn Pipe>>>;

impl Dialer {
    pub fn new(dial: impl Fn() -> Dialing + Send + Sync + 'static) -> Dialer {
        Dialer(Arc::new(dial))
    }

    pub async fn dial(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
        let pipe = (self.0)().await?;
        let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, pipe, config.clone()).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}
