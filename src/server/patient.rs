//! A TCP connection whose last words arrive. A socket that is closed with bytes unread sends a reset, and a reset makes the
//! peer's kernel throw away what it has received but not yet handed over: a refusal or a close frame, mostly (RFC 1122
//! §4.2.2.13, RFC 9112 §9.6). This one says that it ends, then reads on and forgets what comes until the peer ends too.
//! Used by the listener for every connection; knows neither HTTP nor WebSocket.

use crate::limits::{DISCARD_BYTES_MAX, DISCARD_TIMEOUT, SIGNAL_BUFFER_BYTES};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

pub struct PatientStream {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    /// The peer has ended, or the connection is broken: nothing is left to wait for.
    ended: bool,
}

impl PatientStream {
    pub fn new(stream: TcpStream) -> PatientStream {
        PatientStream { stream: Some(stream), ended: false }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for PatientStream {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take().filter(|_| !self.ended) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(DISCARD_TIMEOUT, discard(stream)));
        }
    }
}

/// Ends our side, and reads until the peer ends its own or has sent [`DISCARD_BYTES_MAX`].
async fn discard(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = stream.take(DISCARD_BYTES_MAX);
    let mut buffer = [0; SIGNAL_BUFFER_BYTES];
    while rest.read(&mut buffer).await? > 0 {}
    Ok(())
}

impl AsyncRead for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.stream()?.poll_read(cx, buffer));
        self.ended |= read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        Poll::Ready(read)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (PatientStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (PatientStream::new(listener.accept().await.unwrap().0), peer)
    }

    /// Sends until the connection breaks or `bytes` are through.
    async fn flood(peer: &mut TcpStream, bytes: u64) -> io::Result<()> {
        let chunk = vec![0; 1 << 16];
        let mut sent = 0;
        while sent < bytes {
            peer.write_all(&chunk).await?;
            sent += chunk.len() as u64;
        }
        Ok(())
    }

    #[tokio::test]
    async fn last_words_arrive_though_the_peer_still_sends() {
        let (mut server, mut peer) = pair().await;
        peer.write_all(&[0; 100]).await.unwrap();
        server.read_exact(&mut [0; 10]).await.unwrap();
        server.write_all(b"bye").await.unwrap();
        drop(server);
        flood(&mut peer, DISCARD_BYTES_MAX / 2).await.unwrap();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"bye");
    }

    #[tokio::test]
    async fn a_peer_that_never_stops_sending_is_cut_off() {
        let (server, mut peer) = pair().await;
        drop(server);
        // Beyond the bound fits what both kernels buffer.
        assert!(flood(&mut peer, 16 * DISCARD_BYTES_MAX).await.is_err());
    }

    /// The clock jumps to the next deadline whenever everybody waits.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_ends_is_cut_off() {
        let (server, mut peer) = pair().await;
        drop(server);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        tokio::time::advance(DISCARD_TIMEOUT).await;
        while peer.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_peer_that_ended_is_not_waited_for() {
        let (mut server, peer) = pair().await;
        drop(peer);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(server.ended);
    }
}
