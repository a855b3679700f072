//! One UDP socket: batched receive, and send with segmentation offload where the kernel has it.

use super::offload;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Kernel socket buffers we ask for, in bytes: a tenth of a second at 1 Gbit/s. The kernel may give less.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
/// A receive slot holds a whole GRO train.
const SLOT_BYTES: usize = 65_536;
/// Slots read in one call: trains are long, so a few are enough, and each costs 64 KiB.
const SLOTS: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

/// A non-blocking UDP socket.
pub struct Udp {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

impl Udp {
    /// Binds `addr`; `shared` lets other sockets of this process bind the same port (SO_REUSEPORT).
    pub fn bind(addr: SocketAddr, shared: bool) -> io::Result<Udp> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = std::net::UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        // Best effort: without CAP_NET_ADMIN the kernel's maximum applies.
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let local = socket.local_addr()?;
        Ok(Udp { socket: mio::net::UdpSocket::from_std(socket), state, local })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the kernel may hand over datagrams of one sender joined (UDP_GRO). It may from the start, where it can.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        offload::set_gro(&self.socket, on)
    }

    /// For registering with a poller.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Most segments one [`Udp::send`] may carry: 1 without offload.
    pub fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends `contents` as datagrams of `segment` bytes each, the last may be shorter. `source` is the local address to
    /// send from. A full socket buffer loses the datagrams, as a full queue in the network would.
    ///
    /// # Cost
    /// One system call, no allocation.
    pub fn send(&self, contents: &[u8], segment: usize, to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
        let segment_size = (contents.len() > segment).then_some(segment);
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size, src_ip: source };
        self.state.try_send((&self.socket).into(), &transmit)
    }

    /// Reads what has arrived into `slots`. Answers whether anything had.
    pub fn recv(&self, slots: &mut RecvSlots) -> io::Result<bool> {
        slots.count = 0;
        let mut buffers = slots.split();
        let mut meta = [RecvMeta::default(); SLOTS];
        match self.state.recv((&self.socket).into(), &mut buffers, &mut meta) {
            Ok(count) => {
                (slots.meta, slots.count) = (meta, count);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Receive buffers of one thread. The default holds nothing: what a borrowed set leaves behind.
#[derive(Default)]
pub struct RecvSlots {
    bytes: Box<[u8]>,
    meta: [RecvMeta; SLOTS],
    count: usize,
}

impl RecvSlots {
    pub fn allocate() -> RecvSlots {
        RecvSlots { bytes: vec![0; SLOT_BYTES * SLOTS].into_boxed_slice(), ..RecvSlots::default() }
    }

    /// Calls `each` for every datagram with its sender and the local address it was sent to.
    pub fn for_each(&mut self, mut each: impl FnMut(&mut [u8], SocketAddr, Option<IpAddr>)) {
        self.for_each_timed(|datagram, from, to, _| each(datagram, from, to));
    }

    /// As [`RecvSlots::for_each`], with the time since 1970 at which the kernel took the datagram in.
    pub fn for_each_timed(&mut self, mut each: impl FnMut(&mut [u8], SocketAddr, Option<IpAddr>, Option<Duration>)) {
        for (slot, meta) in self.bytes.chunks_exact_mut(SLOT_BYTES).zip(&self.meta).take(self.count) {
            let train = slot.get_mut(..meta.len).unwrap_or_default();
            for datagram in train.chunks_mut(meta.stride.max(1)) {
                each(datagram, meta.addr, meta.dst_ip, meta.timestamp);
            }
        }
    }

    /// The last read filled all slots: there may be more. A shorter one has emptied the socket.
    pub fn are_full(&self) -> bool {
        self.count == SLOTS
    }

    fn split(&mut self) -> [IoSliceMut<'_>; SLOTS] {
        let mut chunks = self.bytes.chunks_exact_mut(SLOT_BYTES);
        std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("allocated with as many chunks as slots")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Udp, Udp) {
        let any = "127.0.0.1:0".parse().unwrap();
        (Udp::bind(any, false).unwrap(), Udp::bind(any, false).unwrap())
    }

    fn received(socket: &mut Udp, want: usize) -> Vec<(Vec<u8>, SocketAddr, Option<IpAddr>)> {
        let mut poll = mio::Poll::new().unwrap();
        poll.registry().register(socket.source(), mio::Token(0), mio::Interest::READABLE).unwrap();
        let (mut slots, mut got) = (RecvSlots::allocate(), Vec::new());
        let mut events = mio::Events::with_capacity(4);
        while got.len() < want {
            while socket.recv(&mut slots).unwrap() {
                slots.for_each(|d, from, to| got.push((d.to_vec(), from, to)));
            }
            if got.len() < want {
                poll.poll(&mut events, Some(std::time::Duration::from_secs(5))).unwrap();
                assert!(!events.is_empty(), "{} of {want} datagrams arrived", got.len());
            }
        }
        got
    }

    #[test]
    fn a_run_arrives_as_single_datagrams() {
        let (a, mut b) = pair();
        let run: Vec<u8> = (0..250u8).collect();
        let segments = a.segments_max();
        if segments >= 3 {
            a.send(&run, 100, b.local(), None).unwrap();
        } else {
            run.chunks(100).for_each(|c| a.send(c, 100, b.local(), None).unwrap());
        }
        let got = received(&mut b, 3);
        assert_eq!(got.iter().map(|g| g.0.len()).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(got.concat_bytes(), run);
        assert_eq!(got[0].1, a.local());
        assert_eq!(got[0].2, Some("127.0.0.1".parse().unwrap()));
    }

    trait Concat {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl Concat for Vec<(Vec<u8>, SocketAddr, Option<IpAddr>)> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|g| g.0.clone()).collect()
        }
    }
}
