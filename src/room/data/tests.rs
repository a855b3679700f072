//! What becomes of data packets, by payload and sender.

#![allow(deprecated)]

use super::*;
use crate::proto::data_stream::{ByteHeader, Header, TextHeader};
use crate::proto::{ChatMessage, EncryptedPacket, MetricsBatch, RpcAck, RpcResponse, Transcription, rpc_response};
use std::time::Instant;

const ANN: Sender = Sender { identity: "ann", sid: "PA_ann", hidden: false, agent: false, may_publish_data: true };
const AGENT: Sender = Sender { identity: "bot", sid: "PA_bot", agent: true, ..ANN };
const HIDDEN: Sender = Sender { hidden: true, ..ANN };
const MUTE: Sender = Sender { may_publish_data: false, ..ANN };

fn packet(value: Value) -> DataPacket {
    DataPacket { value: Some(value), ..Default::default() }
}

fn user(payload: &[u8]) -> UserPacket {
    UserPacket { payload: payload.to_vec(), ..Default::default() }
}

fn relayed(sender: Sender, packet: &DataPacket) -> Verdict {
    relayed_bytes(sender, &packet.encode_to_vec())
}

fn relayed_bytes(sender: Sender, bytes: &[u8]) -> Verdict {
    DataRelay::default().relay(sender, &mut Sequence::default(), true, bytes)
}

#[track_caller]
fn sent(verdict: Verdict) -> (DataPacket, Destinations) {
    match verdict {
        Verdict::Relay(relay) => (DataPacket::decode(relay.bytes).unwrap(), relay.destinations),
        other => panic!("not relayed: {other:?}"),
    }
}

fn chat() -> Value {
    Value::ChatMessage(ChatMessage { message: "hi".into(), ..Default::default() })
}

fn text_header() -> Value {
    Value::StreamHeader(Header {
        content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
        ..Default::default()
    })
}

fn byte_header() -> Value {
    Value::StreamHeader(Header {
        content_header: Some(ContentHeader::ByteHeader(ByteHeader::default())),
        ..Default::default()
    })
}

fn is_generated(value: &Option<Value>) -> bool {
    match value {
        Some(Value::ChatMessage(chat)) => chat.generated,
        Some(Value::StreamHeader(Header { content_header: Some(ContentHeader::TextHeader(text)), .. })) => {
            text.generated
        }
        _ => false,
    }
}

#[test]
fn drops_by_reason() {
    use DataDrop::*;
    let transcription = packet(Value::Transcription(Transcription::default())).encode_to_vec();
    let metrics = packet(Value::Metrics(MetricsBatch::default())).encode_to_vec();
    let plain = packet(Value::User(user(b"x"))).encode_to_vec();
    let cases = [
        (MUTE, plain, NotAllowed),
        (ANN, vec![0xff; 20], Malformed),
        (ANN, vec![0; DATA_PACKET_BYTES_MAX + 1], TooLarge),
        (ANN, transcription, NotAgent),
        (AGENT, metrics, Metrics),
    ];
    for (sender, bytes, reason) in cases {
        assert_eq!(relayed_bytes(sender, &bytes), Verdict::Dropped(reason), "{reason:?}");
    }
    let agents = packet(Value::Transcription(Transcription::default()));
    assert!(matches!(relayed(AGENT, &agents), Verdict::Relay(_)));
}

#[test]
fn the_senders_name_is_put_on() {
    let forged =
        |value| DataPacket { participant_identity: "eve".into(), participant_sid: "PA_eve".into(), ..packet(value) };
    // payload, sender; identity shown, marked as generated
    let cases = [
        (chat(), ANN, "ann", false),
        (chat(), HIDDEN, "", false),
        (chat(), AGENT, "eve", true),
        (text_header(), AGENT, "eve", true),
        (text_header(), ANN, "ann", false),
        (byte_header(), AGENT, "bot", false),
        (Value::EncryptedPacket(EncryptedPacket::default()), AGENT, "bot", false),
    ];
    for (value, sender, identity, generated) in cases {
        let (out, destinations) = sent(relayed(sender, &forged(value.clone())));
        assert_eq!(out.participant_identity, identity, "{value:?}");
        assert_eq!(out.participant_sid, sender.sid, "{value:?}");
        assert_eq!(is_generated(&out.value), generated, "{value:?}");
        assert_eq!(destinations, Destinations::AllButSender);
    }
    let (own, _) = sent(relayed(AGENT, &packet(chat())));
    assert_eq!((own.participant_identity.as_str(), is_generated(&own.value)), ("bot", false));
}

#[test]
fn kind_is_the_channels() {
    for (reliable, kind) in [(true, Kind::Reliable), (false, Kind::Lossy)] {
        let claimed = DataPacket { kind: if reliable { 1 } else { 0 }, ..packet(chat()) }.encode_to_vec();
        let verdict = DataRelay::default().relay(ANN, &mut Sequence::default(), reliable, &claimed);
        let Verdict::Relay(relay) = verdict else { panic!("dropped") };
        assert_eq!((relay.reliable, relay.active_only), (reliable, !reliable));
        assert_eq!(DataPacket::decode(relay.bytes).unwrap().kind(), kind);
    }
}

#[test]
fn user_packets_carry_names_and_destinations_inside_and_outside() {
    let old = UserPacket {
        participant_identity: "eve".into(),
        participant_sid: "PA_eve".into(),
        destination_identities: vec!["bob".into()],
        destination_sids: vec!["PA_joe".into()],
        ..user(b"x")
    };
    let inside = packet(Value::User(old));
    let outside = DataPacket { destination_identities: vec!["bob".into()], ..packet(Value::User(user(b"x"))) };
    for (packet, sids) in [(inside, vec!["PA_joe".to_owned()]), (outside, vec![])] {
        let (out, destinations) = sent(relayed(ANN, &packet));
        let Some(Value::User(user)) = out.value else { panic!("no user packet") };
        assert_eq!((user.participant_identity.as_str(), user.participant_sid.as_str()), ("ann", "PA_ann"));
        assert_eq!(
            (&user.destination_identities, &out.destination_identities),
            (&vec!["bob".to_owned()], &vec!["bob".to_owned()])
        );
        assert_eq!(user.payload, b"x");
        assert_eq!(destinations, Destinations::Listed([vec!["bob".to_owned()], sids].concat()));
    }
    let (out, _) = sent(relayed(HIDDEN, &packet(Value::User(user(b"x")))));
    let Some(Value::User(user)) = out.value else { panic!("no user packet") };
    assert_eq!((user.participant_identity, user.participant_sid), (String::new(), String::new()));
}

#[test]
fn payloads_of_the_future_pass_unharmed() {
    let future = [0xa2, 0x06, 3, 1, 2, 3];
    let mut bytes = DataPacket { participant_identity: "eve".into(), ..Default::default() }.encode_to_vec();
    bytes.extend_from_slice(&future);
    let Verdict::Relay(relay) = relayed_bytes(ANN, &bytes) else { panic!("dropped") };
    assert!(relay.bytes.windows(future.len()).any(|w| w == future));
    assert_eq!(DataPacket::decode(relay.bytes).unwrap().participant_identity, "ann");
}

#[test]
fn destinations_match_identity_or_sid() {
    let listed = Destinations::Listed(vec!["bob".into(), "PA_joe".into()]);
    let asked = [("bob", "PA_1"), ("joe", "PA_joe"), ("ann", "PA_2")];
    assert_eq!(asked.map(|(identity, sid)| listed.include(identity, sid)), [true, true, false]);
    assert!(Destinations::AllButSender.include("anyone", "PA_9"));
}

#[test]
fn repeated_numbers_are_dropped() {
    let mut relay = DataRelay::default();
    let mut sequence = Sequence::default();
    let mut passes = |number, reliable| {
        let bytes = DataPacket { sequence: number, ..packet(chat()) }.encode_to_vec();
        relay.relay(ANN, &mut sequence, reliable, &bytes) != Verdict::Dropped(DataDrop::Repeated)
    };
    let script = [(1, true), (2, true), (2, false), (1, false), (0, true), (5, true), (3, false)];
    for (step, (number, expected)) in script.into_iter().enumerate() {
        assert_eq!(passes(number, true), expected, "step {step}");
    }
    assert!(passes(1, false), "lossy packets are not numbered");
    assert_eq!(sequence.last(), 5);
}

#[test]
fn nonces_are_seen_once_among_the_last_hundred() {
    let mut relay = DataRelay::default();
    let mut passes = |nonce: &[u8]| {
        let bytes = packet(Value::User(UserPacket { nonce: nonce.to_vec(), ..user(b"x") })).encode_to_vec();
        relay.relay(ANN, &mut Sequence::default(), true, &bytes) != Verdict::Dropped(DataDrop::SameNonce)
    };
    assert!(passes(&[0; 16]) && !passes(&[0; 16]));
    assert!(passes(&[1; 3]) && passes(&[1; 3]), "not a nonce");
    for i in 1..=DATA_NONCES_MAX {
        assert!(passes(&(i as u128).to_be_bytes()));
    }
    assert!(passes(&[0; 16]), "forgotten");
    assert!(!passes(&(DATA_NONCES_MAX as u128).to_be_bytes()));
}

#[test]
fn the_api_sends_user_packets_of_nobody() {
    let request = SendDataRequest {
        data: b"x".to_vec(),
        kind: Kind::Lossy as i32,
        destination_identities: vec!["bob".into()],
        destination_sids: vec!["PA_joe".into()],
        topic: Some("t".into()),
        nonce: vec![7; 16],
        ..Default::default()
    };
    let mut relay = DataRelay::default();
    let sent = relay.send_data(&request).unwrap();
    assert_eq!(sent.destinations, Destinations::Listed(vec!["bob".into(), "PA_joe".into()]));
    assert!(!sent.reliable && sent.sequence == 0);
    let packet = DataPacket::decode(sent.bytes).unwrap();
    assert_eq!((packet.kind(), packet.participant_identity.as_str()), (Kind::Lossy, ""));
    let Some(Value::User(user)) = packet.value else { panic!("no user packet") };
    assert_eq!(
        (user.payload.as_slice(), user.topic.as_deref(), user.participant_identity.as_str()),
        (&b"x"[..], Some("t"), "")
    );
    assert_eq!(relay.send_data(&request), None);
}

#[test]
fn raw_bytes_become_user_packets() {
    let mut relay = DataRelay::default();
    assert_eq!(relay.relay_unlabeled(MUTE, true, b"x"), Verdict::Dropped(DataDrop::NotAllowed));
    let Verdict::Relay(sent) = relay.relay_unlabeled(ANN, true, &[0xff; 9]) else { panic!("dropped") };
    assert!(sent.active_only && sent.reliable);
    let Some(Value::User(user)) = DataPacket::decode(sent.bytes).unwrap().value else { panic!("no user packet") };
    assert_eq!((user.payload.as_slice(), user.participant_identity.as_str()), (&[0xff; 9][..], "ann"));
}

/// Any instant will do: nothing here waits.
#[allow(clippy::disallowed_methods)]
fn epoch() -> Instant {
    Instant::now()
}

#[test]
fn answers_to_the_servers_own_calls_go_no_further() {
    let mut relay = DataRelay::default();
    let call = rpc::RpcCall { id: "1".into(), destination_identity: "ann".into(), ..Default::default() };
    relay.rpcs.start(call, epoch()).unwrap();
    let ack = |id: &str| packet(Value::RpcAck(RpcAck { request_id: id.into() })).encode_to_vec();
    let value = Some(rpc_response::Value::Payload("3".into()));
    let answer = |id: &str| {
        packet(Value::RpcResponse(RpcResponse { request_id: id.into(), value: value.clone() })).encode_to_vec()
    };
    let mut send = |sender, bytes: Vec<u8>| relay.relay(sender, &mut Sequence::default(), true, &bytes);
    assert!(matches!(send(ANN, ack("other")), Verdict::Relay(_)));
    assert!(matches!(send(AGENT, ack("1")), Verdict::Relay(_)));
    assert_eq!(send(ANN, ack("1")), Verdict::Rpc(None));
    assert!(matches!(send(AGENT, answer("1")), Verdict::Relay(_)));
    let outcome = RpcOutcome { id: "1".into(), result: Ok("3".into()) };
    assert_eq!(send(ANN, answer("1")), Verdict::Rpc(Some(outcome)));
    assert!(matches!(send(ANN, answer("1")), Verdict::Relay(_)));
}
