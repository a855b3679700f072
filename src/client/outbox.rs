//! Datagrams to one address collected into runs of equal size, which cost one system call (UDP GSO). Called by `peer`.

use super::socket::Sockets;
use std::net::SocketAddr;
use std::time::Instant;

/// Bytes of one run: a UDP payload's maximum with room for headers.
const RUN_BYTES_MAX: usize = 60_000;

pub struct Outbox {
    run: Vec<u8>,
    to: Option<SocketAddr>,
    segment: usize,
    count: usize,
    count_max: usize,
}

impl Outbox {
    /// `segments_max` is what the kernel takes at once; 1 sends each datagram by itself.
    pub fn new(segments_max: usize) -> Outbox {
        Outbox { run: Vec::new(), to: None, segment: 0, count: 0, count_max: segments_max.max(1) }
    }

    /// Adds a datagram; sends what cannot stand in one run with it.
    pub fn push(&mut self, now: Instant, sockets: &mut Sockets, to: SocketAddr, datagram: &[u8]) {
        let fits = self.to == Some(to)
            && self.segment == datagram.len()
            && self.count < self.count_max
            && self.run.len() + datagram.len() <= RUN_BYTES_MAX;
        if !fits {
            self.flush(now, sockets);
            (self.to, self.segment) = (Some(to), datagram.len());
        }
        self.run.extend_from_slice(datagram);
        self.count += 1;
    }

    pub fn flush(&mut self, now: Instant, sockets: &mut Sockets) {
        if let Some(to) = self.to.take().filter(|_| self.count > 0) {
            sockets.send_udp(now, &self.run, self.segment, to);
        }
        self.run.clear();
        self.count = 0;
    }
}
