//! Datagrams that arrived on a sibling's socket of the same port, on their way to the shard they are for: those of one turn
//! travel together, with one push and one wake-up. Filled and sent by `run`.

use super::run::Input;
use super::sockets::Path;
use crate::limits::{HANDOVER_BYTES_MAX, HANDOVER_QUEUED_BYTES_MAX};
use mio::Waker;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

/// Datagrams one after the other.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<Handed>,
    /// Where its bytes are counted as long as it is under way.
    under_way: Option<Arc<AtomicUsize>>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(count) = &self.under_way {
            count.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
    }
}

struct Handed {
    bytes: usize,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Batch {
    fn push(&mut self, datagram: &[u8], path: Path) {
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push(Handed { bytes: datagram.len(), local: path.local, remote: path.remote });
    }

    /// Calls `each` for every datagram with the way it came.
    pub fn for_each(&mut self, mut each: impl FnMut(&mut [u8], Path)) {
        let mut rest = &mut self.bytes[..];
        for Handed { bytes, local, remote } in &self.datagrams {
            let (datagram, later) = std::mem::take(&mut rest).split_at_mut(*bytes);
            each(datagram, Path { local: *local, remote: *remote, connection: None });
            rest = later;
        }
    }
}

/// Another shard's queue, and what is on its way there.
pub struct Sibling {
    pub index: u8,
    pub inputs: SyncSender<Input>,
    pub waker: Arc<Waker>,
    batch: Batch,
    /// Bytes in its queue that came from here.
    under_way: Arc<AtomicUsize>,
}

impl Sibling {
    pub fn new(index: u8, inputs: SyncSender<Input>, waker: Arc<Waker>) -> Sibling {
        Sibling { index, inputs, waker, batch: Batch::default(), under_way: Arc::default() }
    }

    /// Takes a datagram; false if too much is on its way already.
    pub fn push(&mut self, datagram: &[u8], path: Path) -> bool {
        let fits = self.batch.bytes.len() + datagram.len() <= HANDOVER_BYTES_MAX;
        if fits {
            self.batch.push(datagram, path);
        }
        fits
    }

    /// Sends what was taken. Answers how many datagrams a full queue lost, as a full socket would lose them.
    ///
    /// # Cost
    /// Two allocations and a system call a turn, not a datagram.
    pub fn flush(&mut self) -> usize {
        if self.batch.datagrams.is_empty() {
            return 0;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let count = batch.datagrams.len();
        if self.under_way.load(Ordering::Relaxed) + batch.bytes.len() > HANDOVER_QUEUED_BYTES_MAX {
            return count;
        }
        self.under_way.fetch_add(batch.bytes.len(), Ordering::Relaxed);
        batch.under_way = Some(self.under_way.clone());
        match self.inputs.try_send(Input::Datagrams(batch)) {
            Ok(()) => {
                // A failed wake-up costs the sibling at most its longest wait.
                let _ = self.waker.wake();
                0
            }
            Err(_) => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::sync::mpsc::sync_channel;

    fn path(port: u16) -> Path {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Path { local: at(1), remote: at(port), connection: None }
    }

    fn sibling(room: usize) -> (Sibling, std::sync::mpsc::Receiver<Input>, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (inputs, queue) = sync_channel(room);
        (Sibling::new(1, inputs, waker), queue, poll)
    }

    #[test]
    fn a_turn_travels_as_one() {
        let (mut sibling, queue, _poll) = sibling(4);
        assert!(sibling.push(&[1; 10], path(7)) && sibling.push(&[2; 20], path(8)));
        assert_eq!((sibling.flush(), sibling.flush()), (0, 0));
        let Ok(Input::Datagrams(mut batch)) = queue.try_recv() else { panic!("nothing came") };
        let mut got = Vec::new();
        batch.for_each(|datagram, path| got.push((datagram.to_vec(), path.remote.port())));
        assert_eq!(got, [(vec![1; 10], 7), (vec![2; 20], 8)]);
        assert!(queue.try_recv().is_err());
    }

    #[test]
    fn a_stalled_shard_is_owed_a_bounded_amount() {
        let (mut sibling, queue, _poll) = sibling(1_000);
        let datagram = [0; HANDOVER_BYTES_MAX];
        let full = HANDOVER_QUEUED_BYTES_MAX / HANDOVER_BYTES_MAX;
        let lost: Vec<usize> =
            (0..full + 2).map(|_| if sibling.push(&datagram, path(7)) { sibling.flush() } else { 9 }).collect();
        assert_eq!(lost.iter().sum::<usize>(), 2, "{lost:?}");
        drop(queue.try_recv());
        assert!(sibling.push(&datagram, path(7)));
        assert_eq!(sibling.flush(), 0, "what was taken makes room");
    }

    #[test]
    fn a_full_queue_loses_and_counts() {
        let (mut sibling, _queue, _poll) = sibling(1);
        sibling.push(&[1], path(7));
        assert_eq!(sibling.flush(), 0);
        (0..3).for_each(|_| assert!(sibling.push(&[1], path(7))));
        assert_eq!(sibling.flush(), 3);
        assert!(!sibling.push(&[0; HANDOVER_BYTES_MAX + 1], path(7)));
    }
}
