//! Data packets between participants (WIRE.md §4.13): what a participant sent becomes what others are sent, or is dropped
//! for a stated reason. Pure: the room knows who is connected and writes to shards.

mod packet;
pub mod replay;
pub mod rpc;

use crate::limits::{DATA_NONCES_MAX, DATA_PACKET_BYTES_MAX};
use crate::proto::data_packet::{Kind, Value};
use crate::proto::data_stream::header::ContentHeader;
use crate::proto::{DataPacket, SendDataRequest, UserPacket};
use bytes::Bytes;
use packet::field;
use prost::Message;
use rpc::{PendingRpcs, RpcOutcome};
use std::collections::{HashSet, VecDeque};

/// Length of a nonce that is compared; others are none.
const NONCE_BYTES: usize = 16;

/// A message for participants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// An encoded DataPacket.
    pub bytes: Bytes,
    pub destinations: Destinations,
    /// Which channel it goes out on.
    pub reliable: bool,
    /// Number the sender gave it; 0 none. Numbered ones go to the [`replay::ReplayCache`].
    pub sequence: u32,
    /// Receivers that are not ACTIVE do not get it (lossy and unlabeled packets).
    pub active_only: bool,
}

/// Whom a packet is for; never its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    AllButSender,
    /// Identities, or sids in packets of old clients.
    Listed(Vec<String>),
}

impl Destinations {
    /// Whether that participant, not being the sender, is meant.
    pub fn include(&self, identity: &str, participant_sid: &str) -> bool {
        match self {
            Destinations::AllButSender => true,
            Destinations::Listed(names) => names.iter().any(|name| name == identity || name == participant_sid),
        }
    }

    fn of(identities: &[String], sids: &[String]) -> Destinations {
        if identities.is_empty() && sids.is_empty() {
            return Destinations::AllButSender;
        }
        Destinations::Listed(identities.iter().chain(sids).cloned().collect())
    }
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Relay(Relay),
    /// It answered a call of the server's own; `None` for the acknowledgement, which settles nothing yet.
    Rpc(Option<RpcOutcome>),
    Dropped(DataDrop),
}

/// Why a packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDrop {
    /// The sender may not publish data.
    NotAllowed,
    /// Larger than [`DATA_PACKET_BYTES_MAX`].
    TooLarge,
    Malformed,
    /// A reliable packet that was seen before.
    Repeated,
    /// A user packet whose nonce was seen before.
    SameNonce,
    /// Only agents transcribe.
    NotAgent,
    /// Metrics are not relayed.
    Metrics,
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    pub identity: &'a str,
    pub sid: &'a str,
    pub hidden: bool,
    pub agent: bool,
    pub may_publish_data: bool,
}

/// One participant's numbering of its reliable packets; lives as long as the participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    last: u32,
}

impl Sequence {
    /// ReconnectResponse.last_message_seq.
    pub fn last(self) -> u32 {
        self.last
    }

    /// False for a number that is not beyond the last; 0 is no number.
    fn advance(&mut self, sequence: u32) -> bool {
        if sequence != 0 && sequence <= self.last {
            return false;
        }
        self.last = self.last.max(sequence);
        true
    }
}

/// A room's data packets.
#[derive(Debug, Default)]
pub struct DataRelay {
    nonces: Nonces,
    /// Calls the server itself makes.
    pub rpcs: PendingRpcs,
}

impl DataRelay {
    /// A message on one of LiveKit's channels.
    pub fn relay(&mut self, sender: Sender, sequence: &mut Sequence, reliable: bool, bytes: &[u8]) -> Verdict {
        match self.checked(sender, sequence, reliable, bytes) {
            Ok(packet) => self.forward(sender, reliable, &packet, bytes),
            Err(drop) => Verdict::Dropped(drop),
        }
    }

    /// A message on a channel that is not LiveKit's: raw bytes, which become a user packet.
    pub fn relay_unlabeled(&mut self, sender: Sender, reliable: bool, bytes: &[u8]) -> Verdict {
        if let Err(drop) = admitted(sender, bytes) {
            return Verdict::Dropped(drop);
        }
        let identity = shown_identity(sender);
        let user = UserPacket { payload: bytes.to_vec(), ..user_of(sender) };
        let packet = DataPacket { value: Some(Value::User(user)), ..head(reliable, &identity, sender.sid) };
        Verdict::Relay(Relay { active_only: true, ..whole(&packet, Destinations::AllButSender, reliable) })
    }

    /// RoomService.SendData. `None` when the nonce was seen before: it was delivered then.
    #[allow(deprecated)]
    pub fn send_data(&mut self, request: &SendDataRequest) -> Option<Relay> {
        if !self.nonces.is_new(&request.nonce) {
            return None;
        }
        let reliable = request.kind() == Kind::Reliable;
        let user = UserPacket {
            payload: request.data.clone(),
            destination_sids: request.destination_sids.clone(),
            destination_identities: request.destination_identities.clone(),
            topic: request.topic.clone(),
            nonce: request.nonce.clone(),
            ..UserPacket::default()
        };
        let destinations = Destinations::of(&request.destination_identities, &request.destination_sids);
        let packet = DataPacket {
            destination_identities: request.destination_identities.clone(),
            value: Some(Value::User(user)),
            ..head(reliable, "", "")
        };
        Some(whole(&packet, destinations, reliable))
    }

    fn checked(
        &mut self,
        sender: Sender,
        sequence: &mut Sequence,
        reliable: bool,
        bytes: &[u8],
    ) -> Result<DataPacket, DataDrop> {
        admitted(sender, bytes)?;
        let packet = DataPacket::decode(bytes).map_err(|_| DataDrop::Malformed)?;
        if reliable && !sequence.advance(packet.sequence) {
            return Err(DataDrop::Repeated);
        }
        match &packet.value {
            Some(Value::User(user)) if !self.nonces.is_new(&user.nonce) => Err(DataDrop::SameNonce),
            Some(Value::Transcription(_)) if !sender.agent => Err(DataDrop::NotAgent),
            Some(Value::Metrics(_)) => Err(DataDrop::Metrics),
            _ => Ok(packet),
        }
    }

    fn forward(&mut self, sender: Sender, reliable: bool, packet: &DataPacket, bytes: &[u8]) -> Verdict {
        match &packet.value {
            Some(Value::RpcAck(ack)) if self.rpcs.acknowledge(sender.identity, &ack.request_id) => Verdict::Rpc(None),
            Some(Value::RpcResponse(response)) => match self.rpcs.settle(sender.identity, response) {
                Some(outcome) => Verdict::Rpc(Some(outcome)),
                None => rewritten(sender, reliable, packet, bytes),
            },
            _ => rewritten(sender, reliable, packet, bytes),
        }
    }
}

fn admitted(sender: Sender, bytes: &[u8]) -> Result<(), DataDrop> {
    match bytes.len() {
        _ if !sender.may_publish_data => Err(DataDrop::NotAllowed),
        length if length > DATA_PACKET_BYTES_MAX => Err(DataDrop::TooLarge),
        _ => Ok(()),
    }
}

/// The packet with the sender's name on it.
fn rewritten(sender: Sender, reliable: bool, packet: &DataPacket, bytes: &[u8]) -> Verdict {
    let change = Change::of(sender, packet);
    let identity = if change.keeps_identity { packet.participant_identity.clone() } else { shown_identity(sender) };
    let destinations = Destinations::of(&change.identities, &change.sids);
    let (value_field, value) = change.value.map_or((0, None), |(number, value)| (number, Some(value)));
    let written =
        DataPacket { destination_identities: change.identities, value, ..head(reliable, &identity, sender.sid) };
    let replaced =
        [field::KIND, field::PARTICIPANT_IDENTITY, field::DESTINATION_IDENTITIES, field::PARTICIPANT_SID, value_field];
    match packet::replace(bytes, &replaced, &written) {
        Some(bytes) => Verdict::Relay(Relay {
            bytes: bytes.into(),
            destinations,
            reliable,
            sequence: packet.sequence,
            active_only: !reliable,
        }),
        None => Verdict::Dropped(DataDrop::Malformed),
    }
}

/// What the server writes into a packet besides the sender's name.
#[derive(Default)]
struct Change {
    /// The payload with its field number, where it is rewritten.
    value: Option<(u32, Value)>,
    /// An agent speaks for somebody else and leaves that name on.
    keeps_identity: bool,
    identities: Vec<String>,
    sids: Vec<String>,
}

impl Change {
    fn of(sender: Sender, packet: &DataPacket) -> Change {
        let others_name = !packet.participant_identity.is_empty() && packet.participant_identity != sender.identity;
        let generated = if sender.agent && others_name { generated(&packet.value) } else { None };
        match &packet.value {
            Some(Value::User(user)) => Change::of_user(sender, packet, user),
            _ => Change {
                keeps_identity: generated.is_some(),
                value: generated,
                identities: packet.destination_identities.clone(),
                sids: Vec::new(),
            },
        }
    }

    /// Old clients read names and destinations inside the user packet, new ones outside: both get both.
    #[allow(deprecated)]
    fn of_user(sender: Sender, packet: &DataPacket, user: &UserPacket) -> Change {
        let outside = &packet.destination_identities;
        let identities = if outside.is_empty() { user.destination_identities.clone() } else { outside.clone() };
        let named = user_of(sender);
        let user = UserPacket {
            participant_sid: named.participant_sid,
            participant_identity: named.participant_identity,
            destination_identities: identities.clone(),
            ..user.clone()
        };
        let sids = user.destination_sids.clone();
        Change { value: Some((field::USER, Value::User(user))), keeps_identity: false, identities, sids }
    }
}

/// Chat messages and text streams an agent may send in another's name, marked as such.
fn generated(value: &Option<Value>) -> Option<(u32, Value)> {
    match value.clone()? {
        Value::ChatMessage(mut chat) => {
            chat.generated = true;
            Some((field::CHAT_MESSAGE, Value::ChatMessage(chat)))
        }
        Value::StreamHeader(mut header) => {
            let Some(ContentHeader::TextHeader(text)) = &mut header.content_header else { return None };
            text.generated = true;
            Some((field::STREAM_HEADER, Value::StreamHeader(header)))
        }
        _ => None,
    }
}

#[allow(deprecated)]
fn user_of(sender: Sender) -> UserPacket {
    let sid = if sender.hidden { String::new() } else { sender.sid.to_owned() };
    UserPacket { participant_sid: sid, participant_identity: shown_identity(sender), ..UserPacket::default() }
}

fn shown_identity(sender: Sender) -> String {
    if sender.hidden { String::new() } else { sender.identity.to_owned() }
}

/// The fields every packet gets from the server.
#[allow(deprecated)]
fn head(reliable: bool, identity: &str, sid: &str) -> DataPacket {
    DataPacket {
        kind: if reliable { Kind::Reliable } else { Kind::Lossy } as i32,
        participant_identity: identity.to_owned(),
        participant_sid: sid.to_owned(),
        ..DataPacket::default()
    }
}

/// A packet of the server's own making.
fn whole(packet: &DataPacket, destinations: Destinations, reliable: bool) -> Relay {
    Relay { bytes: packet.encode_to_vec().into(), destinations, reliable, sequence: 0, active_only: !reliable }
}

/// The latest nonces of a room's user packets.
#[derive(Debug, Default)]
struct Nonces {
    seen: HashSet<[u8; NONCE_BYTES]>,
    order: VecDeque<[u8; NONCE_BYTES]>,
}

impl Nonces {
    /// False when seen before. Anything but 16 bytes is no nonce, hence always new.
    fn is_new(&mut self, nonce: &[u8]) -> bool {
        let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(nonce) else { return true };
        if !self.seen.insert(nonce) {
            return false;
        }
        self.order.push_back(nonce);
        if self.order.len() > DATA_NONCES_MAX {
            self.order.pop_front().map(|oldest| self.seen.remove(&oldest));
        }
        true
    }
}

#[cfg(test)]
mod tests;
