//! Data channels of one peer: an SCTP association over DTLS (RFC 8261, RFC 8831) and the channels on it (RFC 8832).
//!
//! Called by `peer`. Channels are named by numbers of our own, because SCTP's stream ids depend on the DTLS role, which
//! is unknown when the first channels are asked for.

use super::association::{Link, Start, set_reliability};
use super::datachannel::{Dcep, Open, Reliability};
use crate::limits;
use bytes::Bytes;
use sctp_proto::{Event, PayloadProtocolIdentifier as Ppid, Stream, StreamEvent};
use std::collections::VecDeque;
use std::time::Instant;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    #[error("message of {bytes} bytes is more than the peer takes ({max}); split it")]
    TooLarge { bytes: usize, max: usize },
    #[error("channel {0} is not open; wait for its ChannelOpen event")]
    NotOpen(u16),
    #[error("channel {id} has {buffered} bytes waiting; send less, or drop the message")]
    Full { id: u16, buffered: usize },
}

#[derive(Debug, PartialEq, Eq)]
pub enum SctpEvent {
    Open { id: u16, label: String, ordered: bool, reliable: bool },
    Closed { id: u16 },
    Message { id: u16, binary: bool, data: Bytes },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waits for the association.
    Queued,
    /// Our OPEN was sent.
    Asked,
    Open,
}

struct Channel {
    id: u16,
    stream: u16,
    stage: Stage,
    open: Open,
}

#[derive(Default)]
pub struct Sctp {
    link: Option<Link>,
    channels: Vec<Channel>,
    next_id: u16,
    events: VecDeque<SctpEvent>,
}

impl Sctp {
    pub fn is_started(&self) -> bool {
        self.link.is_some()
    }

    /// Begins once DTLS is up.
    pub fn start(&mut self, start: Start) {
        self.link = Some(Link::new(start));
    }

    /// Ends the association, as when DTLS is gone.
    pub fn stop(&mut self) {
        self.link = None;
        self.close_all();
    }

    /// Asks for a channel; the number names it from now on. 0 retransmits still means one attempt.
    pub fn open_channel(&mut self, label: String, ordered: bool, reliability: Reliability) -> u16 {
        let id = self.add(Open { label, ordered, reliability }, 0, Stage::Queued);
        self.ask_queued();
        id
    }

    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.link.as_ref()?.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.handle_timeout(now);
            self.drain();
        }
    }

    /// Takes one SCTP packet out of DTLS.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        if let Some(link) = &mut self.link {
            link.handle_packet(now, packet);
            self.drain();
        }
    }

    /// The next SCTP packet to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        self.link.as_mut()?.poll_transmit(now)
    }

    pub fn send(&mut self, id: u16, binary: bool, data: &[u8]) -> Result<(), SendError> {
        let buffered = self.buffered(id);
        let mut stream = self.open_stream(id).ok_or(SendError::NotOpen(id))?;
        let ppid = match (binary, data.is_empty()) {
            (true, false) => Ppid::Binary,
            (true, true) => Ppid::BinaryEmpty,
            (false, false) => Ppid::String,
            (false, true) => Ppid::StringEmpty,
        };
        if buffered.saturating_add(data.len()) > limits::DATA_BUFFERED_BYTES_MAX {
            return Err(SendError::Full { id, buffered });
        }
        // An empty message travels as one byte (RFC 8831 §6.6).
        let body: &[u8] = if data.is_empty() { &[0] } else { data };
        let result = stream.write_with_ppi(body, ppid);
        match result {
            Ok(_) => Ok(()),
            Err(sctp_proto::Error::ErrOutboundPacketTooLarge) => {
                Err(SendError::TooLarge { bytes: data.len(), max: self.max_message_bytes() })
            }
            Err(_) => Err(SendError::NotOpen(id)),
        }
    }

    /// Bytes of that channel not yet acknowledged or given up.
    pub fn buffered(&mut self, id: u16) -> usize {
        self.open_stream(id).and_then(|stream| stream.buffered_amount().ok()).unwrap_or(0)
    }

    fn max_message_bytes(&self) -> usize {
        self.link.as_ref().map_or(0, Link::max_message_bytes)
    }

    /// The SCTP stream of an open channel.
    fn open_stream(&mut self, id: u16) -> Option<Stream<'_>> {
        let channel = self.channels.iter().find(|c| c.id == id && c.stage == Stage::Open)?;
        self.link.as_mut()?.stream(channel.stream)
    }

    fn drain(&mut self) {
        while let Some(event) = self.link.as_mut().and_then(Link::poll_event) {
            match event {
                Event::Connected => self.handle_connected(),
                Event::Stream(StreamEvent::Opened { .. }) => self.accept_stream(),
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. }) => self.close(id),
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => self.close_all(),
                _ => {}
            }
        }
    }

    fn handle_connected(&mut self) {
        self.link.iter_mut().for_each(Link::note_connected);
        self.ask_queued();
    }

    /// A peer that opens streams without end loses them all.
    fn accept_stream(&mut self) {
        if self.link.as_mut().is_some_and(|link| !link.accept_stream()) {
            self.stop();
        }
    }

    /// Sends the OPENs that waited for the association.
    fn ask_queued(&mut self) {
        while let Some(at) = self.channels.iter().position(|c| c.stage == Stage::Queued) {
            let Some(stream) = self.free_stream() else { return };
            let Some(link) = self.link.as_mut().filter(|link| link.is_connected()) else { return };
            let channel = &mut self.channels[at];
            (channel.stream, channel.stage) = (stream, Stage::Asked);
            link.ask(stream, &channel.open);
        }
    }

    /// The lowest free stream id of our parity.
    fn free_stream(&self) -> Option<u16> {
        let first = self.link.as_ref()?.first_stream();
        let is_free = |id: &u16| !self.channels.iter().any(|c| c.stage != Stage::Queued && c.stream == *id);
        (first..u16::MAX).step_by(2).find(is_free)
    }

    /// Takes all whole messages of a stream.
    fn read(&mut self, stream: u16) {
        while let Some((ppid, bytes)) = self.link.as_mut().and_then(|link| link.read(stream)) {
            match ppid {
                Ppid::Dcep => self.handle_dcep(stream, &bytes),
                Ppid::String => self.handle_message(stream, false, bytes),
                Ppid::Binary => self.handle_message(stream, true, bytes),
                Ppid::StringEmpty => self.handle_message(stream, false, Bytes::new()),
                Ppid::BinaryEmpty => self.handle_message(stream, true, Bytes::new()),
                Ppid::Unknown => {}
            }
        }
    }

    fn handle_dcep(&mut self, stream: u16, message: &[u8]) {
        match Dcep::parse(message) {
            Some(Dcep::Open(open)) => self.handle_open(stream, open),
            Some(Dcep::Ack) => self.handle_ack(stream),
            None => {}
        }
    }

    fn handle_open(&mut self, stream: u16, open: Open) {
        let taken = self.channels.iter().any(|c| c.stage != Stage::Queued && c.stream == stream);
        if taken || self.channels.len() >= limits::DATA_CHANNELS_MAX {
            return;
        }
        if let Some(link) = &mut self.link {
            link.acknowledge(stream, &open);
        }
        let id = self.add(open, stream, Stage::Asked);
        self.note_open(id);
    }

    /// Also what a message on a channel of ours says whose ACK was lost (RFC 8832 §6).
    fn handle_ack(&mut self, stream: u16) {
        let Some(channel) = self.channels.iter().find(|c| c.stage == Stage::Asked && c.stream == stream) else {
            return;
        };
        if let Some(mut stream) = self.link.as_mut().and_then(|link| link.stream(stream)) {
            set_reliability(&mut stream, &channel.open, channel.open.ordered);
        }
        let id = channel.id;
        self.note_open(id);
    }

    fn handle_message(&mut self, stream: u16, binary: bool, data: Bytes) {
        self.handle_ack(stream);
        let channel = self.channels.iter().find(|c| c.stage == Stage::Open && c.stream == stream);
        if let Some(id) = channel.map(|c| c.id) {
            self.events.push_back(SctpEvent::Message { id, binary, data });
        }
    }

    fn add(&mut self, open: Open, stream: u16, stage: Stage) -> u16 {
        while self.channels.iter().any(|c| c.id == self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.channels.push(Channel { id, stream, stage, open });
        id
    }

    fn note_open(&mut self, id: u16) {
        let Some(channel) = self.channels.iter_mut().find(|c| c.id == id) else { return };
        channel.stage = Stage::Open;
        let (label, ordered) = (channel.open.label.clone(), channel.open.ordered);
        let reliable = channel.open.reliability == Reliability::Reliable;
        self.events.push_back(SctpEvent::Open { id, label, ordered, reliable });
    }

    /// The peer reset the stream.
    fn close(&mut self, stream: u16) {
        if let Some(at) = self.channels.iter().position(|c| c.stage != Stage::Queued && c.stream == stream) {
            let id = self.channels.swap_remove(at).id;
            self.events.push_back(SctpEvent::Closed { id });
        }
    }

    fn close_all(&mut self) {
        let closed = std::mem::take(&mut self.channels);
        self.events.extend(closed.into_iter().map(|channel| SctpEvent::Closed { id: channel.id }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Two ends that exchange every packet at once.
    struct Ends {
        now: Instant,
        ends: [Sctp; 2],
        events: [Vec<SctpEvent>; 2],
    }

    impl Ends {
        #[allow(clippy::disallowed_methods)] // where the virtual clock begins
        fn new(patience: [Duration; 2]) -> Ends {
            let now = Instant::now();
            let mut ends = [Sctp::default(), Sctp::default()];
            for (end, (dtls_active, patience)) in ends.iter_mut().zip([true, false].into_iter().zip(patience)) {
                let initiate_at = now + patience;
                end.start(Start { remote_port: 5000, max_message_bytes: 1000, dtls_active, initiate_at });
            }
            Ends { now, ends, events: Default::default() }
        }

        fn exchange(&mut self) {
            loop {
                let packets = [0, 1].map(|i| std::iter::from_fn(|| self.ends[i].poll_transmit(self.now)).collect());
                if packets.iter().all(Vec::is_empty) {
                    break;
                }
                for (to, packet) in
                    packets.into_iter().enumerate().flat_map(|(i, p)| p.into_iter().map(move |p| (1 - i, p)))
                {
                    self.ends[to].handle_packet(self.now, packet);
                }
            }
            for (end, events) in self.ends.iter_mut().zip(&mut self.events) {
                events.extend(std::iter::from_fn(|| end.poll_event()));
            }
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while let Some(next) = self.ends.iter().filter_map(Sctp::poll_timeout).min().filter(|at| *at <= end) {
                self.now = self.now.max(next);
                self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
                self.exchange();
            }
            self.now = end;
        }
    }

    fn opened(events: &[SctpEvent]) -> Vec<&str> {
        events
            .iter()
            .filter_map(|e| if let SctpEvent::Open { label, .. } = e { Some(&**label) } else { None })
            .collect()
    }

    #[test]
    fn either_side_may_begin_or_both_at_once() {
        let (now, never) = (Duration::ZERO, Duration::from_secs(3600));
        for patience in [[now, never], [never, now], [now, now]] {
            let mut ends = Ends::new(patience);
            for (i, label) in ["of the client", "of the server"].into_iter().enumerate() {
                ends.ends[i].open_channel(label.to_owned(), true, Reliability::Reliable);
            }
            ends.run(Duration::from_secs(5));
            for events in &ends.events {
                let mut labels = opened(events);
                labels.sort_unstable();
                assert_eq!(labels, ["of the client", "of the server"], "{patience:?}");
            }
            let streams = ends.ends.each_ref().map(|end| end.channels.iter().map(|c| c.stream % 2).sum::<u16>());
            assert_eq!(streams, [1, 1], "one even and one odd stream");
        }
    }

    #[test]
    fn channels_of_the_peer_are_bounded() {
        let mut ends = Ends::new([Duration::ZERO; 2]);
        for n in 0..limits::DATA_CHANNELS_MAX + 10 {
            ends.ends[0].open_channel(n.to_string(), true, Reliability::Reliable);
        }
        ends.run(Duration::from_secs(5));
        assert_eq!(opened(&ends.events[1]).len(), limits::DATA_CHANNELS_MAX);
        assert_eq!(opened(&ends.events[0]).len(), limits::DATA_CHANNELS_MAX);
    }

    #[test]
    fn a_peer_that_opens_streams_without_end_loses_them() {
        let mut ends = Ends::new([Duration::ZERO; 2]);
        ends.ends[0].open_channel("a".to_owned(), true, Reliability::Reliable);
        ends.run(Duration::from_secs(5));
        let open = Open { label: "b".to_owned(), ordered: true, reliability: Reliability::Reliable };
        for stream in 2..2 + limits::SCTP_STREAMS_MAX as u16 {
            ends.ends[0].link.as_mut().unwrap().ask(stream, &open);
            ends.exchange();
        }
        assert!(!ends.ends[1].is_started());
        assert!(ends.ends[1].channels.is_empty());
    }

    #[test]
    fn stopping_closes_all_channels() {
        let mut ends = Ends::new([Duration::ZERO; 2]);
        let id = ends.ends[0].open_channel("a".to_owned(), false, Reliability::Milliseconds(50));
        ends.run(Duration::from_secs(5));
        ends.ends[0].send(id, true, b"hello").unwrap();
        ends.ends[0].stop();
        assert_eq!(ends.ends[0].poll_event(), Some(SctpEvent::Closed { id }));
        assert_eq!(ends.ends[0].send(id, true, b"x"), Err(SendError::NotOpen(id)));
        assert_eq!((ends.ends[0].poll_timeout(), ends.ends[0].poll_transmit(ends.now)), (None, None));
    }

    #[test]
    fn garbage_is_survived() {
        let mut ends = Ends::new([Duration::ZERO; 2]);
        ends.run(Duration::from_secs(5));
        for len in 0..64 {
            let packet = (0..len).map(|n: u8| n.wrapping_mul(91)).collect::<Vec<_>>();
            ends.ends[0].handle_packet(ends.now, Bytes::from(packet));
        }
        let id = ends.ends[0].open_channel("a".to_owned(), true, Reliability::Reliable);
        ends.exchange();
        assert_eq!(opened(&ends.events[1]), ["a"]);
        assert!(ends.ends[0].send(id, true, b"x").is_ok());
    }
}
