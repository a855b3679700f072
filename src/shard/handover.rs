//! What one shard has for another: datagrams that arrived on the wrong socket of a shared port, and what passes between a
//! track and its mirror. What one turn brings travels together, with one push and one wake-up. Filled by `run` and `mirror`,
//! sent by `run`.

use super::TrackKey;
use super::run::Input;
use super::sockets::Path;
use crate::limits::{HANDOVER_BYTES_MAX, HANDOVER_QUEUED_BYTES_MAX, HANDOVER_THINGS_MAX};
use crate::wire::rtcp::SenderInfo;
use mio::Waker;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

/// One thing for another shard, with bytes where it has any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Handed {
    /// A datagram as it arrived.
    Datagram { path: Path },
    /// A decrypted packet of a track that is mirrored there.
    Packet { track: TrackKey, stream: u8, rtx: bool },
    /// What the publisher's report says of one of its streams.
    Report { track: TrackKey, ssrc: u32, info: SenderInfo },
    /// To the track's own shard: legs of the mirror wait for a key frame of that layer.
    Wish { track: TrackKey, layer: u8 },
    /// To the track's own shard: what the worst of the mirror's legs loses, of 256.
    Loss { track: TrackKey, from: u8, worst: u8 },
}

/// Things one after the other.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Each with the length of its bytes.
    things: Vec<(Handed, usize)>,
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

impl Batch {
    fn push(&mut self, handed: Handed, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.things.push((handed, bytes.len()));
    }

    /// Calls `each` for every thing with its bytes.
    pub fn for_each(&mut self, mut each: impl FnMut(Handed, &mut [u8])) {
        let mut rest = &mut self.bytes[..];
        for (handed, length) in &self.things {
            let (bytes, later) = std::mem::take(&mut rest).split_at_mut(*length);
            each(*handed, bytes);
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

    /// Takes one thing; false if too much is on its way already.
    pub fn push(&mut self, handed: Handed, bytes: &[u8]) -> bool {
        let length = self.batch.bytes.len() + bytes.len();
        let fits = length <= HANDOVER_BYTES_MAX && self.batch.things.len() < HANDOVER_THINGS_MAX;
        if fits {
            self.batch.push(handed, bytes);
        }
        fits
    }

    /// Sends what was taken. Answers how much a full queue lost, as a full socket would lose it.
    ///
    /// # Cost
    /// Two allocations and a system call a turn, not a packet.
    pub fn flush(&mut self) -> usize {
        if self.batch.things.is_empty() {
            return 0;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let count = batch.things.len();
        if self.under_way.load(Ordering::Relaxed) + batch.bytes.len() > HANDOVER_QUEUED_BYTES_MAX {
            return count;
        }
        self.under_way.fetch_add(batch.bytes.len(), Ordering::Relaxed);
        batch.under_way = Some(self.under_way.clone());
        match self.inputs.try_send(Input::Handed(batch)) {
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
    use std::net::SocketAddr;
    use std::sync::mpsc::sync_channel;

    fn from(port: u16) -> Handed {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Handed::Datagram { path: Path { local: at(1), remote: at(port), connection: None } }
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
        assert!(sibling.push(from(7), &[1; 10]) && sibling.push(from(8), &[2; 20]));
        assert_eq!((sibling.flush(), sibling.flush()), (0, 0));
        let Ok(Input::Handed(mut batch)) = queue.try_recv() else { panic!("nothing came") };
        let mut got = Vec::new();
        batch.for_each(|handed, bytes| got.push((handed, bytes.to_vec())));
        assert_eq!(got, [(from(7), vec![1; 10]), (from(8), vec![2; 20])]);
        assert!(queue.try_recv().is_err());
    }

    #[test]
    fn a_stalled_shard_is_owed_a_bounded_amount() {
        let (mut sibling, queue, _poll) = sibling(1_000);
        let datagram = [0; HANDOVER_BYTES_MAX];
        let full = HANDOVER_QUEUED_BYTES_MAX / HANDOVER_BYTES_MAX;
        let lost: Vec<usize> =
            (0..full + 2).map(|_| if sibling.push(from(7), &datagram) { sibling.flush() } else { 9 }).collect();
        assert_eq!(lost.iter().sum::<usize>(), 2, "{lost:?}");
        drop(queue.try_recv());
        assert!(sibling.push(from(7), &datagram));
        assert_eq!(sibling.flush(), 0, "what was taken makes room");
    }

    #[test]
    fn a_full_queue_loses_and_counts() {
        let (mut sibling, _queue, _poll) = sibling(1);
        sibling.push(from(7), &[1]);
        assert_eq!(sibling.flush(), 0);
        (0..3).for_each(|_| assert!(sibling.push(from(7), &[1])));
        assert_eq!(sibling.flush(), 3);
        assert!(!sibling.push(from(7), &[0; HANDOVER_BYTES_MAX + 1]));
    }
}
