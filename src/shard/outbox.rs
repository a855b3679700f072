//! Runs of equal-size datagrams to one destination, filled during a batch of arrivals and sent with one system call each.
//! Only UDP segmentation offload lowers the price of a send, and it wants exactly this.

use crate::limits::{DATAGRAM_BYTES_MAX, SPARE_BYTES_MAX};
use crate::transport::srtp::OVERHEAD_BYTES_MAX;

/// Most datagrams in a run. Longer runs gain little and delay the other subscribers of the batch.
const SEGMENTS_MAX: usize = 32;
/// Most bytes in a run: what one UDP send may carry.
const BYTES_MAX: usize = 60_000;
/// Room a datagram is written in.
pub const SLOT_BYTES: usize = DATAGRAM_BYTES_MAX + OVERHEAD_BYTES_MAX;

/// Buffers of runs that have been sent, for those to come: only subscribers with something staged hold one.
#[derive(Default)]
pub struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    /// The one used last, which is the likeliest to be in the cache.
    fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.len();
        buffer
    }

    fn put(&mut self, buffer: Vec<u8>) {
        if !buffer.is_empty() && self.bytes + buffer.len() <= SPARE_BYTES_MAX {
            self.bytes += buffer.len();
            self.buffers.push(buffer);
        }
    }
}

/// Datagrams staged for one destination.
#[derive(Default)]
pub struct Run {
    /// Of another run before: what lies behind `end` is left over.
    bytes: Vec<u8>,
    /// Bytes staged.
    end: usize,
    /// Size of all datagrams but the last, which may be shorter.
    segment: usize,
    count: usize,
    /// A shorter datagram ended the run.
    closed: bool,
}

/// What must happen before a staged datagram fits.
#[derive(Debug, PartialEq, Eq)]
pub enum Staged {
    /// It is part of the run.
    Kept,
    /// It is larger than the run's segments: the run without it must be sent, then [`Run::restart`] begins a new one.
    TooLarge,
}

impl Run {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Nothing more fits: send before staging the next.
    pub fn is_full(&self, segments_max: usize) -> bool {
        self.closed || self.count >= segments_max.min(SEGMENTS_MAX) || self.end + self.segment > BYTES_MAX
    }

    /// Room of [`SLOT_BYTES`] for the next datagram; what stands there is of no meaning. Follow with [`Run::commit`], or
    /// leave it.
    ///
    /// # Cost
    /// No allocation once a run has been as long.
    pub fn begin(&mut self, spare: &mut Spare) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = spare.take();
        }
        let wanted = self.end + SLOT_BYTES;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted.next_power_of_two(), 0);
        }
        &mut self.bytes[self.end..wanted]
    }

    /// Takes the datagram of that length, written where [`Run::begin`] said, into the run.
    pub fn commit(&mut self, length: usize) -> Staged {
        if self.count > 0 && length > self.segment {
            return Staged::TooLarge;
        }
        if self.count == 0 {
            self.segment = length;
        }
        self.end += length;
        self.closed = length < self.segment;
        self.count += 1;
        Staged::Kept
    }

    /// The datagrams and their segment size.
    pub fn contents(&self) -> (&[u8], usize) {
        (&self.bytes[..self.end], self.segment)
    }

    /// After a send because of [`Staged::TooLarge`]: the datagram of that length is the first of a new run.
    pub fn restart(&mut self, length: usize) {
        self.bytes.copy_within(self.end..self.end + length, 0);
        (self.end, self.segment, self.count, self.closed) = (length, length, 1, false);
    }

    /// After a send: nothing is staged, and the buffer is free for others.
    pub fn clear(&mut self, spare: &mut Spare) {
        spare.put(std::mem::take(&mut self.bytes));
        (self.end, self.segment, self.count, self.closed) = (0, 0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(run: &mut Run, spare: &mut Spare, size: usize) -> Staged {
        run.begin(spare)[..size].fill(size as u8);
        run.commit(size)
    }

    #[test]
    fn equal_sizes_run_together_and_a_shorter_one_ends_the_run() {
        let (mut run, mut spare) = (Run::default(), Spare::default());
        assert_eq!(stage(&mut run, &mut spare, 100), Staged::Kept);
        assert_eq!(stage(&mut run, &mut spare, 100), Staged::Kept);
        assert!(!run.is_full(64));
        assert_eq!(stage(&mut run, &mut spare, 60), Staged::Kept);
        assert!(run.is_full(64));
        assert_eq!(run.contents(), (&[&[100; 200][..], &[60; 60]].concat()[..], 100));
    }

    #[test]
    fn a_larger_one_begins_a_new_run() {
        let (mut run, mut spare) = (Run::default(), Spare::default());
        stage(&mut run, &mut spare, 50);
        assert_eq!(stage(&mut run, &mut spare, 70), Staged::TooLarge);
        assert_eq!(run.contents(), (&[50; 50][..], 50));
        run.restart(70);
        assert_eq!(run.contents(), (&[70; 70][..], 70));
        assert_eq!(stage(&mut run, &mut spare, 70), Staged::Kept);
    }

    #[test]
    fn without_offload_every_datagram_is_its_own_run() {
        let (mut run, mut spare) = (Run::default(), Spare::default());
        stage(&mut run, &mut spare, 10);
        assert!(run.is_full(1));
    }

    #[test]
    fn buffers_go_from_run_to_run() {
        let (mut one, mut two, mut spare) = (Run::default(), Run::default(), Spare::default());
        stage(&mut one, &mut spare, 10);
        let buffer = one.bytes.as_ptr();
        one.clear(&mut spare);
        assert!(one.is_empty() && one.bytes.capacity() == 0);
        stage(&mut two, &mut spare, 10);
        assert_eq!(two.bytes.as_ptr(), buffer);
    }

    #[test]
    fn few_buffers_are_kept() {
        let (mut runs, mut spare) = (Vec::new(), Spare::default());
        runs.resize_with(SPARE_BYTES_MAX / SLOT_BYTES + 10, Run::default);
        runs.iter_mut().for_each(|run| assert_eq!(stage(run, &mut spare, 10), Staged::Kept));
        runs.iter_mut().for_each(|run| run.clear(&mut spare));
        assert!(spare.bytes <= SPARE_BYTES_MAX);
    }
}
