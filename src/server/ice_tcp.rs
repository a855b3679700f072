//! The listener for ICE over TCP: takes connections, reads the first connectivity check, and hands the connection to the
//! shard whose peer it names. A connection that shows no check in time is closed without an answer.

use super::listen::{self, ListenError};
use crate::limits::{DATAGRAM_BYTES_MAX, ICE_TCP_FIRST_FRAME_TIMEOUT, ICE_TCP_PENDING_MAX};
use crate::net::tcp::first_frame;
use crate::shard::{HandedTcp, Running, shard_of_ufrag};
use crate::wire::stun::binding_request_ufrag;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

/// Listeners on all interfaces; none for port 0.
pub async fn bind(port: u16) -> Result<Vec<TcpListener>, ListenError> {
    if port == 0 { Ok(vec![]) } else { listen::bind(&[], port).await }
}

/// Serves one listener until it is dropped with its task.
pub async fn serve(listener: TcpListener, shards: Arc<Running>) {
    let places = Arc::new(Semaphore::new(ICE_TCP_PENDING_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: yield so that others may close theirs.
                debug!(%error, "a TCP connection for ICE could not be accepted");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let shards = shards.clone();
        tokio::spawn(async move {
            let greeted = tokio::time::timeout(ICE_TCP_FIRST_FRAME_TIMEOUT, greet(stream)).await;
            match greeted {
                Ok(Some((shard, handed))) => shards.hand_tcp(shard, handed),
                _ => debug!(%from, "a TCP connection showed no connectivity check"),
            }
            drop(place);
        });
    }
}

/// Reads up to the first whole frame and finds the shard it names.
async fn greet(mut stream: TcpStream) -> Option<(u8, HandedTcp)> {
    let mut read = Vec::with_capacity(DATAGRAM_BYTES_MAX);
    while first_frame(&read).is_none() {
        if read.len() > DATAGRAM_BYTES_MAX || stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let shard = shard_of_ufrag(binding_request_ufrag(first_frame(&read)?)?)?;
    Some((shard, HandedTcp { stream: stream.into_std().ok()?, already_read: read }))
}
