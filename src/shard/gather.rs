//! Packets of one turn, kept until all of it has been read: then each leg gets what is new of its track in one go, which
//! fills its subscriber's run and keeps the leg's state in the cache. Filled and emptied by `forward`.

use crate::limits::GATHERED_BYTES_MAX;
use crate::media::arrival::Arrival;
use std::time::{Duration, Instant};

/// Packets of one stream whose sizes differ by no more than this are made equal.
const UNEVEN_MAX: u16 = 3;

/// A packet of a track that no leg has seen yet.
#[derive(Clone, Copy, Debug)]
pub struct Gathered {
    pub arrival: Arrival,
    begin: usize,
    bytes: usize,
}

/// The bytes of all gathered packets and the tracks they belong to.
pub struct Gather {
    /// How long a picture's first packet waits for its last; zero is not at all.
    window: Duration,
    bytes: Vec<u8>,
    /// Tracks with gathered packets.
    tracks: Vec<usize>,
    /// Empty between turns.
    ready: Vec<usize>,
}

impl Gather {
    pub fn new(window: Duration) -> Gather {
        Gather { window, bytes: Vec::new(), tracks: Vec::new(), ready: Vec::new() }
    }

    /// Takes a packet of `track`, whose packets so far are `before`.
    ///
    /// # Cost
    /// One copy; no allocation once a turn has been as large.
    pub fn push(&mut self, track: usize, before: &mut Vec<Gathered>, arrival: Arrival, packet: &[u8]) {
        if before.is_empty() {
            self.tracks.push(track);
        }
        before.push(Gathered { arrival, begin: self.bytes.len(), bytes: packet.len() });
        self.bytes.extend_from_slice(packet);
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= GATHERED_BYTES_MAX
    }

    pub fn packet(&self, gathered: &Gathered) -> &[u8] {
        self.bytes.get(gathered.begin..gathered.begin + gathered.bytes).unwrap_or_default()
    }

    /// The tracks that have something, to be handed back by [`Gather::finish`].
    pub fn take_tracks(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.tracks)
    }

    /// Room for the tracks that are forwarded now, to be handed back as well.
    pub fn take_ready(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.ready)
    }

    /// Goes on with the tracks whose packets still wait; without any the bytes are forgotten.
    pub fn finish(&mut self, waiting: Vec<usize>, mut ready: Vec<usize>) {
        self.tracks = waiting;
        ready.clear();
        self.ready = ready;
        if self.tracks.is_empty() {
            self.bytes.clear();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// How much longer a track's packets may wait: none at all when they end a picture or nothing was to be gained.
    pub fn patience(&self, now: Instant, gathered: &[Gathered]) -> Option<Duration> {
        let (first, last) = gathered.first().zip(gathered.last())?;
        if last.arrival.marker || last.arrival.codec.is_audio() {
            return None;
        }
        let left = (first.arrival.received + self.window).saturating_duration_since(now);
        Some(left).filter(|left| !left.is_zero())
    }
}

/// Gives packets in a row that differ by a few bytes the padding that makes them equal, so that they can leave in one run.
/// The last of them may stay shorter: a run may end so.
pub fn even_out(gathered: &mut [Gathered]) {
    for group in gathered.chunk_by_mut(|a, b| may_join(&a.arrival, &b.arrival)) {
        let sizes = group.iter().map(|g| g.arrival.payload.bytes);
        let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
        if least == most || most - least > UNEVEN_MAX {
            continue;
        }
        if let Some((_, all_but_last)) = group.split_last_mut() {
            all_but_last.iter_mut().for_each(|g| pad(&mut g.arrival, most));
        }
    }
}

fn pad(arrival: &mut Arrival, to: u16) {
    arrival.padding = u8::try_from(to - arrival.payload.bytes).unwrap_or(0);
}

fn may_join(a: &Arrival, b: &Arrival) -> bool {
    let near = a.payload.bytes.abs_diff(b.payload.bytes) <= UNEVEN_MAX;
    near && a.source == b.source && !a.codec.is_audio() && !a.is_padding() && !b.is_padding()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any instant will do to count from.
mod tests {
    use super::*;
    use crate::media::arrival::Span;
    use crate::wire::codec::Codec;

    fn gathered(bytes: u16) -> Gathered {
        let arrival = Arrival { payload: Span { begin: 12, bytes }, ..Arrival::for_tests() };
        Gathered { arrival, begin: 0, bytes: usize::from(bytes) + 12 }
    }

    fn padding(sizes: &[u16]) -> Vec<u8> {
        let mut all: Vec<Gathered> = sizes.iter().map(|size| gathered(*size)).collect();
        even_out(&mut all);
        all.iter().map(|g| g.arrival.padding).collect()
    }

    #[test]
    fn packets_that_differ_by_a_few_bytes_become_equal() {
        assert_eq!(padding(&[1000, 1000, 1001, 1001]), [1, 1, 0, 0]);
        assert_eq!(padding(&[1000, 1003, 1001]), [3, 0, 0], "the last one may be shorter");
        assert_eq!(padding(&[1000, 1000, 1000]), [0, 0, 0]);
        assert_eq!(padding(&[1000]), [0]);
    }

    #[test]
    fn others_stay_as_they_are() {
        assert_eq!(padding(&[1000, 1004, 1000]), [0, 0, 0]);
        assert_eq!(padding(&[1000, 1001, 600, 601, 601]), [1, 0, 1, 0, 0], "each group by itself");
        assert_eq!(padding(&[1000, 0, 1001]), [0, 0, 0], "an empty packet stands between");
        let mut voice = [gathered(80), gathered(81)];
        voice.iter_mut().for_each(|g| g.arrival.codec = Codec::Opus);
        even_out(&mut voice);
        assert_eq!(voice[0].arrival.padding, 0);
    }

    #[test]
    fn only_an_unfinished_picture_waits() {
        let now = Instant::now();
        let window = Duration::from_micros(500);
        let gather = Gather::new(window);
        let mut one = [gathered(1000)];
        one[0].arrival.received = now;
        assert_eq!(gather.patience(now, &one), Some(window));
        assert_eq!(gather.patience(now + window, &one), None);
        assert_eq!(Gather::new(Duration::ZERO).patience(now, &one), None);
        one[0].arrival.marker = true;
        assert_eq!(gather.patience(now, &one), None);
        assert_eq!(gather.patience(now, &[]), None);
    }
}
