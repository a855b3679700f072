//! The sockets of one transport: a UDP socket of its own and, where ICE asks for it, TCP connections to the server
//! (RFC 6544, active side). Called by `peer`; the driver owns the poller.

use super::relay::{self, Relay};
use crate::net::tcp::Framed;
use crate::net::udp::{RecvSlots, Udp};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Tokens of one transport: its UDP socket, then its TCP connections.
pub const TOKENS_EACH: usize = 8;
/// Datagrams that wait for a TCP connection; ICE repeats its checks anyway.
const HELD_MAX: usize = 8;

/// The readiness tokens of the transport with that index.
fn token(owner: usize, socket: usize) -> Token {
    Token(owner * TOKENS_EACH + socket)
}

pub struct Sockets {
    /// Everything over UDP goes by this TURN server.
    pub relay: Option<Relay>,
    wrapped: Vec<u8>,
    owner: usize,
    registry: Registry,
    udp: Udp,
    offload: bool,
    tcp: Vec<Connection>,
}

struct Connection {
    remote: SocketAddr,
    state: State,
}

enum State {
    Connecting(mio::net::TcpStream, Vec<Vec<u8>>),
    Up(Framed),
    /// Refused or ended; not tried again.
    Down,
}

impl Sockets {
    /// Binds a UDP socket at that address. `offload`: datagrams may come and go in runs.
    pub fn bind(owner: usize, registry: Registry, local: IpAddr, offload: bool) -> io::Result<Sockets> {
        let udp = open_udp(owner, &registry, local, offload)?;
        Ok(Sockets { relay: None, wrapped: Vec::new(), owner, registry, udp, offload, tcp: Vec::new() })
    }

    pub fn local(&self) -> SocketAddr {
        self.udp.local()
    }

    /// Most datagrams one [`Sockets::send_udp`] may carry.
    pub fn segments_max(&self) -> usize {
        if self.offload { self.udp.segments_max() } else { 1 }
    }

    /// Goes on with another UDP socket, as when a NAT forgets the old mapping.
    pub fn rebind(&mut self) -> io::Result<()> {
        let udp = open_udp(self.owner, &self.registry, self.udp.local().ip(), self.offload)?;
        // It is closed anyway.
        let _ = self.registry.deregister(self.udp.source());
        self.udp = udp;
        Ok(())
    }

    /// Reads one batch; false when nothing had arrived.
    pub fn recv_udp(&self, slots: &mut RecvSlots) -> bool {
        // An error is a datagram's (an ICMP answer, say), not the socket's.
        self.udp.recv(slots).unwrap_or(false)
    }

    /// Sends datagrams of `segment` bytes each. A full buffer loses them.
    pub fn send_udp(&mut self, now: Instant, contents: &[u8], segment: usize, to: SocketAddr) {
        let Some(relay) = &mut self.relay else { return self.send_run(contents, segment, to) };
        let server = relay.server();
        let mut wrapped = std::mem::take(&mut self.wrapped);
        if relay.wrap(now, to, contents, segment, &mut wrapped) {
            self.send_run(&wrapped, segment + relay::HEAD_BYTES, server);
        }
        self.wrapped = wrapped;
    }

    /// Sends what the TURN client has to tell its server.
    pub fn send_relay_requests(&mut self) {
        while let Some((server, request)) = self.relay.as_mut().and_then(|r| Some((r.server(), r.poll_transmit()?))) {
            self.send_run(&request, request.len(), server);
        }
    }

    fn send_run(&self, contents: &[u8], segment: usize, to: SocketAddr) {
        if self.udp.send(contents, segment, to, None).is_err() && contents.len() > segment {
            // The kernel or the device refused the run; datagrams by themselves may pass.
            contents.chunks(segment).for_each(|one| drop(self.udp.send(one, segment, to, None)));
        }
    }

    /// Sends over the connection to `to`, which is opened when there is none.
    pub fn send_tcp(&mut self, datagram: &[u8], to: SocketAddr) {
        let Some(at) = self.connection_to(to) else { return };
        let connection = &mut self.tcp[at];
        match &mut connection.state {
            State::Connecting(_, held) if held.len() < HELD_MAX => held.push(datagram.to_vec()),
            State::Connecting(..) | State::Down => {}
            State::Up(framed) => {
                if framed.send(datagram).is_err() {
                    connection.state = State::Down;
                }
            }
        }
    }

    fn connection_to(&mut self, to: SocketAddr) -> Option<usize> {
        let known = self.tcp.iter().position(|c| c.remote == to);
        known.or_else(|| self.connect(to).ok().filter(|_| self.tcp.len() < TOKENS_EACH))
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<usize> {
        let at = self.tcp.len();
        if at + 1 >= TOKENS_EACH {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let mut stream = mio::net::TcpStream::connect(to)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, token(self.owner, at + 1), interest)?;
        self.tcp.push(Connection { remote: to, state: State::Connecting(stream, Vec::new()) });
        Ok(at)
    }

    /// A TCP socket, numbered from 1, is ready: gets on with it and hands out what arrived with its sender.
    pub fn tcp_ready(&mut self, socket: usize, mut each: impl FnMut(&mut [u8], SocketAddr)) {
        let owner = self.owner;
        let Some(connection) = self.tcp.get_mut(socket.wrapping_sub(1)) else { return };
        let state = std::mem::replace(&mut connection.state, State::Down);
        connection.state = match state {
            State::Connecting(stream, held) => finish(&self.registry, token(owner, socket), stream, held),
            other => other,
        };
        let remote = connection.remote;
        if let State::Up(framed) = &mut connection.state {
            let open = framed.flush().is_ok() && framed.recv(|frame| each(frame, remote)).unwrap_or(false);
            if !open {
                connection.state = State::Down;
            }
        }
    }
}

fn open_udp(owner: usize, registry: &Registry, local: IpAddr, offload: bool) -> io::Result<Udp> {
    let mut udp = Udp::bind(SocketAddr::new(local, 0), false)?;
    if !offload {
        udp.set_gro(false)?;
    }
    registry.register(udp.source(), token(owner, 0), Interest::READABLE)?;
    Ok(udp)
}

/// Looks whether the connection has come about.
fn finish(registry: &Registry, token: Token, mut stream: mio::net::TcpStream, held: Vec<Vec<u8>>) -> State {
    match stream.peer_addr() {
        Ok(_) => adopt(registry, token, stream, held).map_or(State::Down, State::Up),
        Err(_) if matches!(stream.take_error(), Ok(None)) => State::Connecting(stream, held),
        Err(_) => {
            // It is dropped with its registration.
            let _ = registry.deregister(&mut stream);
            State::Down
        }
    }
}

fn adopt(registry: &Registry, token: Token, mut stream: mio::net::TcpStream, held: Vec<Vec<u8>>) -> io::Result<Framed> {
    registry.deregister(&mut stream)?;
    let mut framed = Framed::new(stream.into(), Vec::new())?;
    registry.register(framed.source(), token, Interest::READABLE | Interest::WRITABLE)?;
    for datagram in held {
        framed.send(&datagram)?;
    }
    Ok(framed)
}
