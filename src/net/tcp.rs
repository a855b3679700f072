//! One TCP connection carrying datagrams behind 16-bit length prefixes (RFC 4571).

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;

/// Bytes waiting to be written before datagrams are dropped: a quarter second at 8 Mbit/s, past which media is stale.
const WRITE_BACKLOG_BYTES_MAX: usize = 256 << 10;
/// Bytes read in one go; a frame can be 64 KiB at the most.
const READ_CHUNK_BYTES: usize = 16 << 10;

/// A framed, non-blocking connection.
pub struct Framed {
    stream: mio::net::TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
}

impl Framed {
    /// Takes over a connected stream and what was already read from it.
    pub fn new(stream: std::net::TcpStream, already_read: Vec<u8>) -> io::Result<Framed> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (peer, local) = (plain(stream.peer_addr()?), plain(stream.local_addr()?));
        let stream = mio::net::TcpStream::from_std(stream);
        Ok(Framed { stream, peer, local, incoming: already_read, outgoing: VecDeque::new() })
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// For registering with a poller.
    pub fn source(&mut self) -> &mut mio::net::TcpStream {
        &mut self.stream
    }

    /// Reads what has arrived and calls `each` for every whole frame. An error or `false` means the connection is over.
    pub fn recv(&mut self, mut each: impl FnMut(&mut [u8])) -> io::Result<bool> {
        loop {
            take_frames(&mut self.incoming, &mut each);
            let filled = self.incoming.len();
            self.incoming.resize(filled + READ_CHUNK_BYTES, 0);
            let read = self.stream.read(&mut self.incoming[filled..]);
            self.incoming.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Queues one datagram and writes what the socket takes. Answers false if it was dropped because the backlog is full.
    pub fn send(&mut self, datagram: &[u8]) -> io::Result<bool> {
        let Ok(length) = u16::try_from(datagram.len()) else { return Ok(false) };
        if self.outgoing.len() + datagram.len() + 2 > WRITE_BACKLOG_BYTES_MAX {
            return Ok(false);
        }
        self.outgoing.extend(length.to_be_bytes());
        self.outgoing.extend(datagram);
        self.flush().map(|()| true)
    }

    /// Writes on when the socket is writable again.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(self.outgoing.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A socket of both families shows IPv4 addresses as mapped ones, which no candidate is.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Hands out the whole frames at the front of `bytes` and keeps the rest.
fn take_frames(bytes: &mut Vec<u8>, each: &mut impl FnMut(&mut [u8])) {
    let mut at = 0;
    while let Some(frame) = frame_at(bytes, at) {
        each(&mut bytes[frame.clone()]);
        at = frame.end;
    }
    bytes.drain(..at);
}

fn frame_at(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let prefix: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    let end = at + 2 + usize::from(u16::from_be_bytes(prefix));
    (end <= bytes.len()).then_some(at + 2..end)
}

/// The first whole frame in what was read so far, for routing a new connection.
pub fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(frame_at(bytes, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_of(bytes: &[u8], split: usize) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut held = Vec::new();
        for part in [&bytes[..split], &bytes[split..]] {
            held.extend_from_slice(part);
            take_frames(&mut held, &mut |f: &mut [u8]| got.push(f.to_vec()));
        }
        assert!(held.is_empty());
        got
    }

    #[test]
    fn frames_survive_any_split() {
        let bytes = [0, 3, 1, 2, 3, 0, 0, 0, 1, 9];
        for split in 0..=bytes.len() {
            assert_eq!(frames_of(&bytes, split), [vec![1, 2, 3], vec![], vec![9]], "split at {split}");
        }
    }

    #[test]
    fn mapped_addresses_are_told_as_what_they_are() {
        let told = |address: &str| plain(address.parse().unwrap()).to_string();
        assert_eq!(told("[::ffff:10.0.0.1]:7881"), "10.0.0.1:7881");
        assert_eq!(told("[2001:db8::1]:7881"), "[2001:db8::1]:7881");
    }

    #[test]
    fn a_frame_is_known_only_when_whole() {
        assert_eq!(first_frame(&[0, 2, 7]), None);
        assert_eq!(first_frame(&[0, 2, 7, 8, 1]), Some(&[7, 8][..]));
    }
}
