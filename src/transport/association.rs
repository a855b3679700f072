//! The SCTP association of one peer (RFC 9260 over RFC 8261): who begins it, its streams and its packets. Called by
//! `sctp`, which knows what the streams are for.

use super::datachannel::{ACK_MESSAGE, Open, Reliability};
use crate::limits;
use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, ReliabilityType, ServerConfig, Stream, TransportConfig,
};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// How to reach the peer's SCTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub remote_port: u16,
    /// 0 is no limit.
    pub max_message_bytes: u32,
    /// DTLS role, which decides the stream ids (RFC 8832 §6).
    pub dtls_active: bool,
    /// When to send an INIT if the peer has not.
    pub initiate_at: Instant,
}

/// The association and what belongs to it.
pub(super) struct Link {
    start: Start,
    transport: Arc<TransportConfig>,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    /// Associations begun by either side.
    begun: usize,
    connected: bool,
    out: VecDeque<Bytes>,
}

/// SCTP wants a peer address; DTLS has but one.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// DATA payload of one packet: what a DTLS datagram holds without record (40) and SCTP (28) headers.
const PAYLOAD_BYTES: u32 = limits::DTLS_DATAGRAM_BYTES as u32 - 40 - 28;

impl Link {
    pub fn new(start: Start) -> Link {
        let transport = Arc::new(transport_config(&start));
        let mut config = EndpointConfig::new();
        config.max_payload_size(PAYLOAD_BYTES);
        let mut server = ServerConfig::new();
        server.transport = transport.clone();
        let endpoint = Endpoint::new(Arc::new(config), Some(Arc::new(server)));
        Link { start, transport, endpoint, association: None, begun: 0, connected: false, out: VecDeque::new() }
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The first stream id of our DTLS role; every other one is ours (RFC 8832 §6).
    pub fn first_stream(&self) -> u16 {
        u16::from(!self.start.dtls_active)
    }

    pub fn max_message_bytes(&self) -> usize {
        max_message_bytes(&self.start) as usize
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.association {
            Some((_, association)) => association.poll_timeout(),
            None => (self.begun == 0).then_some(self.start.initiate_at),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.association {
            Some((_, association)) => association.handle_timeout(now),
            None if self.begun == 0 && now >= self.start.initiate_at => self.initiate(),
            None => {}
        }
    }

    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.out.is_empty() {
            let (_, association) = self.association.as_mut()?;
            if let Payload::RawEncode(packets) = association.poll_transmit(now)?.payload {
                self.out.extend(packets);
            }
        }
        self.out.pop_front()
    }

    /// The association is up; one is enough.
    pub fn note_connected(&mut self) {
        self.connected = true;
        self.endpoint.reject_new_associations();
    }

    fn initiate(&mut self) {
        self.begun += 1;
        let mut config = ClientConfig::new();
        config.transport = self.transport.clone();
        self.association = self.endpoint.connect(config, PEER).ok();
    }

    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        match self.endpoint.handle(now, PEER, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => self.begin(handle, association),
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = self.association.as_mut().filter(|(ours, _)| *ours == handle) {
                    association.handle_event(event);
                }
            }
            None => {}
        }
    }

    /// When both sides sent an INIT at once, the DTLS client's association stands and the other side's gives way.
    fn begin(&mut self, handle: AssociationHandle, association: Association) {
        let ours_stands = self.association.is_some() && self.start.dtls_active;
        self.begun += 1;
        if self.begun >= limits::SCTP_ASSOCIATIONS_MAX {
            self.endpoint.reject_new_associations();
        }
        if !self.connected && !ours_stands {
            self.out.clear();
            self.association = Some((handle, association));
        }
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        let (_, association) = self.association.as_mut()?;
        // Nothing is shared between endpoint and association but these, and they only free the endpoint's entry.
        while association.poll_endpoint_event().is_some() {}
        association.poll()
    }

    /// New streams become channels with their first message; here they are only counted. False if there are more than
    /// any use of them explains.
    pub fn accept_stream(&mut self) -> bool {
        let Some((_, association)) = &mut self.association else { return true };
        while association.accept_stream().is_some() {}
        association.stream_ids().len() <= limits::SCTP_STREAMS_MAX
    }

    pub fn stream(&mut self, id: u16) -> Option<Stream<'_>> {
        self.association.as_mut()?.1.stream(id).ok()
    }

    /// One whole message.
    pub fn read(&mut self, stream: u16) -> Option<(Ppid, Bytes)> {
        let chunks = self.stream(stream)?.read_sctp().ok()??;
        let mut bytes = vec![0; chunks.len()];
        let read = chunks.read(&mut bytes).ok()?;
        bytes.truncate(read);
        Some((chunks.ppi, Bytes::from(bytes)))
    }

    /// Opens a stream and sends OPEN on it. Until the peer's answer everything goes in order (RFC 8832 §6).
    pub fn ask(&mut self, id: u16, open: &Open) {
        let Some((_, association)) = &mut self.association else { return };
        let Ok(mut stream) = association.open_stream(id, Ppid::Binary) else { return };
        set_reliability(&mut stream, open, true);
        let _ = stream.write_with_ppi(&open.to_bytes(), Ppid::Dcep);
    }

    pub fn acknowledge(&mut self, id: u16, open: &Open) {
        let Some(mut stream) = self.stream(id) else { return };
        let _ = stream.write_with_ppi(&ACK_MESSAGE, Ppid::Dcep);
        set_reliability(&mut stream, open, open.ordered);
    }
}

pub(super) fn set_reliability(stream: &mut Stream<'_>, open: &Open, ordered: bool) {
    let (kind, value) = match open.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::Retransmits(times) => (ReliabilityType::Rexmit, times),
        Reliability::Milliseconds(ms) => (ReliabilityType::Timed, ms),
    };
    // Fails only for a stream that is closed, which the next event tells.
    let _ = stream.set_reliability_params(!ordered, kind, value);
}

fn max_message_bytes(start: &Start) -> u32 {
    if start.max_message_bytes == 0 { u32::MAX } else { start.max_message_bytes }
}

/// Retransmission times as of libwebrtc's SCTP; associations end with DTLS or ICE, not by retransmissions.
fn transport_config(start: &Start) -> TransportConfig {
    TransportConfig::default()
        .with_remote_port(start.remote_port)
        .with_max_send_message_size(max_message_bytes(start))
        .with_max_receive_message_size(limits::DATA_MESSAGE_BYTES_MAX)
        .with_max_receive_buffer_size(limits::DATA_RECEIVE_BYTES_MAX)
        .with_max_init_retransmits(None)
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(500)
        .with_rto_min_ms(400)
        .with_rto_max_ms(10_000)
}
