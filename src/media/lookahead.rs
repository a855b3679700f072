//! Whether more of a picture follows a layer's frame. Encoders leave out frames of single layers, also the last one that would
//! bear the marker, and a receiver without a marker never shows the picture nor any that refers to it. So a frame's last
//! packet waits for the one after it, which costs nothing where that is of the same picture. Kept by `up_track`.

use super::arrival::{Arrival, Next};
use std::time::{Duration, Instant};

/// After this the picture is taken to be over: more than a picture at 10 a second.
const WAIT_MAX: Duration = Duration::from_millis(110);

/// The packet of one track that waits.
#[derive(Debug, Default)]
pub struct Lookahead(Option<Arrival>);

impl Lookahead {
    /// Takes a packet in; answers the one that goes before it, and whether it goes itself now. Neither needs to be asked of
    /// tracks without layers.
    pub fn push(&mut self, arrival: &Arrival) -> (Option<Arrival>, bool) {
        let is_late = |held: &Arrival| held.source == arrival.source && held.sequence > arrival.sequence;
        if self.0.as_ref().is_some_and(is_late) {
            return (None, true);
        }
        let before = self.0.take().map(|held| Arrival { next: next(&held, arrival), ..held });
        let waits = arrival.layered && arrival.frame_end && !arrival.marker && !arrival.is_padding();
        self.0 = Some(*arrival).filter(|_| waits);
        (before, !waits)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(|held| held.received + WAIT_MAX)
    }

    /// The packet that has waited long enough.
    pub fn poll(&mut self, now: Instant) -> Option<Arrival> {
        let due = self.deadline().is_some_and(|at| at <= now);
        self.0.take_if(|_| due).map(|held| Arrival { next: Next::Nothing, ..held })
    }
}

fn next(held: &Arrival, arrival: &Arrival) -> Next {
    let same_picture = held.source == arrival.source && held.timestamp == arrival.timestamp;
    if same_picture { Next::Layer(arrival.spatial) } else { Next::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64, picture: u32, spatial: u8, marker: bool) -> Arrival {
        Arrival {
            sequence,
            timestamp: picture * 3_000,
            spatial,
            marker,
            layered: true,
            frame_end: true,
            ..Arrival::for_tests()
        }
    }

    /// What goes at each packet: (sequence, what follows it).
    fn passed(packets: &[Arrival]) -> Vec<Vec<(u64, Next)>> {
        let mut lookahead = Lookahead::default();
        let mut pass = |arrival: &Arrival| {
            let (before, goes) = lookahead.push(arrival);
            let gone = before.into_iter().chain(Some(*arrival).filter(|_| goes));
            gone.map(|arrival| (arrival.sequence, arrival.next)).collect()
        };
        packets.iter().map(&mut pass).collect()
    }

    #[test]
    fn the_end_of_a_frame_waits_for_what_follows() {
        let whole = [packet(1, 1, 0, false), packet(2, 1, 1, false), packet(3, 1, 2, true)];
        let expected = [vec![], vec![(1, Next::Layer(1))], vec![(2, Next::Layer(2)), (3, Next::Unknown)]];
        assert_eq!(passed(&whole), expected);
        let cut = [packet(1, 1, 0, false), packet(2, 1, 1, false), packet(3, 2, 0, false)];
        assert_eq!(passed(&cut)[2], [(2, Next::Nothing)]);
    }

    #[test]
    fn what_ends_no_frame_and_what_comes_late_goes_at_once() {
        let begin = Arrival { frame_end: false, ..packet(1, 1, 0, false) };
        let flat = Arrival { layered: false, ..packet(2, 1, 0, false) };
        assert_eq!(passed(&[begin, flat]), [vec![(1, Next::Unknown)], vec![(2, Next::Unknown)]]);
        assert_eq!(passed(&[packet(5, 2, 0, false), packet(4, 1, 1, false)])[1], [(4, Next::Unknown)]);
    }

    #[test]
    fn nothing_waits_for_ever() {
        let mut lookahead = Lookahead::default();
        let last = packet(1, 1, 0, false);
        lookahead.push(&last);
        assert_eq!(lookahead.deadline(), Some(last.received + WAIT_MAX));
        assert_eq!(lookahead.poll(last.received), None);
        let gone = lookahead.poll(last.received + WAIT_MAX).unwrap();
        assert_eq!((gone.sequence, gone.next, lookahead.deadline()), (1, Next::Nothing, None));
    }
}
