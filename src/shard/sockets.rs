//! A shard's sockets: one UDP socket for each address family, and the TCP connections handed to it.

use crate::net::tcp::Framed;
use crate::net::udp::{RecvSlots, Udp};
use mio::{Interest, Registry, Token};
use slab::Slab;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Tokens below this are UDP sockets, those from here on TCP connections.
const FIRST_TCP: usize = 16;

/// How a datagram came, or shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The TCP connection, for ICE over TCP.
    pub connection: Option<usize>,
}

/// One TCP connection and the peer that ICE found behind it.
pub struct Connection {
    framed: Framed,
    pub peer: Option<usize>,
}

pub struct Sockets {
    udp: Vec<Udp>,
    tcp: Slab<Connection>,
    registry: Registry,
}

/// What a readiness token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    Udp(usize),
    Tcp(usize),
}

impl Sockets {
    pub fn new(mut udp: Vec<Udp>, registry: Registry) -> io::Result<Sockets> {
        for (index, socket) in udp.iter_mut().enumerate() {
            registry.register(socket.source(), Token(index), Interest::READABLE)?;
        }
        Ok(Sockets { udp, tcp: Slab::new(), registry })
    }

    pub fn ready(token: Token) -> Ready {
        if token.0 < FIRST_TCP { Ready::Udp(token.0) } else { Ready::Tcp(token.0 - FIRST_TCP) }
    }

    /// Most datagrams one send may carry.
    pub fn segments_max(&self) -> usize {
        self.udp.first().map_or(1, Udp::segments_max)
    }

    pub fn udp_count(&self) -> usize {
        self.udp.len()
    }

    /// Reads one batch of a UDP socket. Answers where it is bound, if anything had arrived.
    pub fn recv_udp(&self, index: usize, slots: &mut RecvSlots) -> Option<SocketAddr> {
        let socket = self.udp.get(index)?;
        // An error here is a datagram's (an ICMP answer, say), not the socket's: the next read goes on.
        socket.recv(slots).unwrap_or(false).then(|| socket.local())
    }

    /// Adopts a connection whose first frames were already read.
    pub fn adopt(&mut self, stream: std::net::TcpStream, already_read: Vec<u8>) -> io::Result<usize> {
        let mut framed = Framed::new(stream, already_read)?;
        let entry = self.tcp.vacant_entry();
        let id = entry.key();
        self.registry.register(framed.source(), Token(FIRST_TCP + id), Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Connection { framed, peer: None });
        Ok(id)
    }

    /// Reads a connection's frames. `false` when it is over: close it.
    pub fn recv_tcp(&mut self, id: usize, mut each: impl FnMut(&mut [u8], Path)) -> bool {
        let Some(connection) = self.tcp.get_mut(id) else { return false };
        let path = Path { local: connection.framed.local(), remote: connection.framed.peer(), connection: Some(id) };
        connection.framed.recv(|frame| each(frame, path)).unwrap_or(false)
    }

    /// Writes on after the socket became writable. `false` when it is over.
    pub fn flush_tcp(&mut self, id: usize) -> bool {
        self.tcp.get_mut(id).is_some_and(|c| c.framed.flush().is_ok())
    }

    /// Which of a peer's connections leads to `remote`; the newest when that one is gone.
    pub fn connection_to(&self, connections: &[usize], remote: SocketAddr) -> Option<usize> {
        let leads = |id: &usize| self.tcp.get(*id).is_some_and(|c| c.framed.peer() == remote);
        connections.iter().copied().find(leads).or(connections.last().copied())
    }

    pub fn connection_mut(&mut self, id: usize) -> Option<&mut Connection> {
        self.tcp.get_mut(id)
    }

    pub fn has_tcp(&self) -> bool {
        !self.tcp.is_empty()
    }

    /// Closes a connection; answers the peer it belonged to.
    pub fn close(&mut self, id: usize) -> Option<usize> {
        let mut connection = self.tcp.try_remove(id)?;
        // It is going away either way; an unregister error would change nothing.
        let _ = self.registry.deregister(connection.framed.source());
        connection.peer
    }

    /// Sends datagrams of `segment` bytes each. Answers how many datagrams were lost at the socket.
    pub fn send(&mut self, path: Path, contents: &[u8], segment: usize) -> usize {
        match path.connection {
            Some(id) => self.send_tcp(id, contents, segment),
            None => self.send_udp(path, contents, segment),
        }
    }

    fn send_tcp(&mut self, id: usize, contents: &[u8], segment: usize) -> usize {
        let Some(connection) = self.tcp.get_mut(id) else { return contents.chunks(segment.max(1)).len() };
        let datagrams = contents.chunks(segment.max(1));
        datagrams.filter(|datagram| !matches!(connection.framed.send(datagram), Ok(true))).count()
    }

    fn send_udp(&self, path: Path, contents: &[u8], segment: usize) -> usize {
        let datagrams = contents.chunks(segment.max(1)).len();
        let Some(socket) = self.udp.iter().find(|s| s.local().is_ipv4() == path.remote.is_ipv4()) else {
            return datagrams;
        };
        let source = Some(path.local.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        match socket.send(contents, segment, path.remote, source) {
            Ok(()) => 0,
            Err(_) if datagrams > 1 => self.send_singly(socket, path, contents, segment, source),
            Err(_) => datagrams,
        }
    }

    /// The kernel or the device refused the run; datagrams by themselves may pass.
    fn send_singly(&self, socket: &Udp, path: Path, contents: &[u8], segment: usize, source: Option<IpAddr>) -> usize {
        let refused = |datagram: &&[u8]| socket.send(datagram, datagram.len(), path.remote, source).is_err();
        contents.chunks(segment).filter(refused).count()
    }
}
