//! Runs of equal-size datagrams to one destination, filled during a batch of arrivals and sent with one system call each.
//! Only UDP segmentation offload lowers the price of a send, and it wants exactly this.

/// Most datagrams in a run. Longer runs gain little and delay the other subscribers of the batch.
const SEGMENTS_MAX: usize = 32;
/// Most bytes in a run: what one UDP send may carry.
const BYTES_MAX: usize = 60_000;

/// Datagrams staged for one destination.
#[derive(Default)]
pub struct Run {
    bytes: Vec<u8>,
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
    /// It is larger than the run's segments: the run without it must be sent, then it begins a new one.
    TooLarge,
}

impl Run {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Nothing more fits: send before staging the next.
    pub fn is_full(&self, segments_max: usize) -> bool {
        self.closed || self.count >= segments_max.min(SEGMENTS_MAX) || self.bytes.len() + self.segment > BYTES_MAX
    }

    /// The run's bytes, and where the datagram being written begins. Follow with [`Run::commit`].
    pub fn begin(&mut self) -> (&mut Vec<u8>, usize) {
        let start = self.bytes.len();
        (&mut self.bytes, start)
    }

    /// Takes the datagram written at `start` into the run.
    pub fn commit(&mut self, start: usize) -> Staged {
        let length = self.bytes.len() - start;
        if self.count > 0 && length > self.segment {
            return Staged::TooLarge;
        }
        if self.count == 0 {
            self.segment = length;
        }
        self.closed = length < self.segment;
        self.count += 1;
        Staged::Kept
    }

    /// Drops the datagram being written at `start`.
    pub fn abandon(&mut self, start: usize) {
        self.bytes.truncate(start);
    }

    /// The datagrams up to `end` and their segment size.
    pub fn contents(&self, end: usize) -> (&[u8], usize) {
        (&self.bytes[..end], self.segment)
    }

    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// After a send of everything before `start`: the datagram at `start`, if any, becomes the first of a new run.
    pub fn restart(&mut self, start: usize) {
        self.bytes.drain(..start);
        self.count = usize::from(!self.bytes.is_empty());
        self.segment = self.bytes.len();
        self.closed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(run: &mut Run, size: usize) -> (Staged, usize) {
        let (bytes, start) = run.begin();
        bytes.resize(start + size, 0);
        (run.commit(start), start)
    }

    #[test]
    fn equal_sizes_run_together_and_a_shorter_one_ends_the_run() {
        let mut run = Run::default();
        assert_eq!(stage(&mut run, 100).0, Staged::Kept);
        assert_eq!(stage(&mut run, 100).0, Staged::Kept);
        assert!(!run.is_full(64));
        assert_eq!(stage(&mut run, 60).0, Staged::Kept);
        assert!(run.is_full(64));
        assert_eq!(run.contents(run.len_bytes()), (&[0u8; 260][..], 100));
    }

    #[test]
    fn a_larger_one_begins_a_new_run() {
        let mut run = Run::default();
        stage(&mut run, 50);
        let (staged, start) = stage(&mut run, 70);
        assert_eq!((staged, start), (Staged::TooLarge, 50));
        assert_eq!(run.contents(start).0.len(), 50);
        run.restart(start);
        assert_eq!((run.count, run.len_bytes()), (1, 70));
        assert_eq!(stage(&mut run, 70).0, Staged::Kept);
    }

    #[test]
    fn without_offload_every_datagram_is_its_own_run() {
        let mut run = Run::default();
        stage(&mut run, 10);
        assert!(run.is_full(1));
    }
}
