//! Every recorded message is read and written again byte by byte, under the channel name we would give it (fixtures/psrpc,
//! fixtures/redis).

use crate::cluster::agent::Kind;
use crate::cluster::serve::lock_key;
use crate::cluster::{channel, keys, method, sip};
use crate::proto::psrpc::*;
use crate::proto::rpc::{self, *};
use crate::proto::*;
use prost::Message;
use prost::encoding::{self, DecodeContext};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

struct Recorded {
    place: String,
    channel: String,
    kind: String,
    payload: Vec<u8>,
}

fn lines(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files.iter().filter(|f| wanted(&f.file_name().unwrap().to_string_lossy())) {
        for (n, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let place = format!("{} line {}", file.file_name().unwrap().to_string_lossy(), n + 1);
            found.push((place, serde_json::from_str(line).unwrap()));
        }
    }
    found
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn messages() -> Vec<Recorded> {
    let recorded = lines("psrpc", |name| name.starts_with(|c: char| c.is_ascii_digit()));
    let message = |(place, line): (String, Value)| Recorded {
        place,
        channel: line["channel"].as_str().unwrap().to_owned(),
        kind: line["type"].as_str().unwrap().to_owned(),
        payload: hex(&line["payload_hex"]),
    };
    recorded.into_iter().map(message).collect()
}

fn again<T: Wrapped>(message: &Recorded) -> T {
    let read = T::unwrap(&message.payload).unwrap_or_else(|| panic!("{}: not read", message.place));
    assert_eq!(read.wrap(), message.payload, "{}", message.place);
    read
}

fn raw_again<T: Message + Default>(place: &str, raw: &[u8]) -> T {
    let read = T::decode(raw).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(read.encode_to_vec(), raw, "{place}");
    read
}

#[test]
fn every_envelope_is_written_as_it_was_read() {
    let messages = messages();
    assert_eq!(messages.len(), 300);
    for m in &messages {
        match m.kind.as_str() {
            "internal.Request" => drop(again::<Request>(m)),
            "internal.Response" => drop(again::<Response>(m)),
            "internal.ClaimRequest" => drop(again::<ClaimRequest>(m)),
            "internal.ClaimResponse" => drop(again::<ClaimResponse>(m)),
            "internal.Stream" => drop(again::<Stream>(m)),
            "rpc.KeepalivePing" => drop(again::<KeepalivePing>(m)),
            "google.protobuf.Empty" => again::<()>(m),
            other => panic!("{}: {other}", m.place),
        }
    }
}

/// The relayed messages inside are compared as bytes, and once more as the messages they are.
#[test]
fn every_relayed_batch_is_written_as_it_was_read() {
    let (mut starts, mut requests, mut responses) = (0, 0, 0);
    for m in messages().iter().filter(|m| m.kind == "internal.Stream") {
        let Some(StreamBody::Message(body)) = again::<Stream>(m).body else { continue };
        if m.channel.starts_with("Signal|RelaySignal|") {
            let batch: RelaySignalRequest = raw_again(&m.place, &body.raw_message);
            starts += usize::from(batch.start_session.is_some());
            batch.requests.iter().for_each(|raw| drop(raw_again::<SignalRequest>(&m.place, raw)));
            requests += batch.requests.len();
        } else {
            let batch: RelaySignalResponse = raw_again(&m.place, &body.raw_message);
            batch.responses.iter().for_each(|raw| drop(raw_again::<SignalResponse>(&m.place, raw)));
            responses += batch.responses.len();
        }
    }
    assert!(starts > 10 && requests > 10 && responses > 50, "{starts} {requests} {responses}");
}

/// How a recorded call is written by us: its channels from its request, and request and response as messages.
fn check_call(m: &Recorded, request: &Request, response: Option<&Response>) {
    let raw = request.raw_request.as_slice();
    let answer = response.filter(|r| r.error.is_empty()).map(|r| r.raw_response.as_slice());
    macro_rules! call {
        ($method:expr, $req:ty, $res:ty, $topic:expr) => {{
            let message: $req = raw_again(&m.place, raw);
            let topic: Vec<String> = $topic(&message);
            let topic: Vec<&str> = topic.iter().map(String::as_str).collect();
            assert_eq!(channel::request($method.service, $method.name, &topic), m.channel, "{}", m.place);
            if let Some(raw) = answer {
                let _: $res = raw_again(&m.place, raw);
            }
        }};
    }
    let node = m.channel.split('|').nth(2).unwrap_or_default().to_owned();
    let person = |room: &str, identity: &str| vec![method::participant_topic(room, identity)];
    let mut parts = m.channel.split('|');
    match (parts.next().unwrap(), parts.next().unwrap()) {
        ("RoomManager", "CreateRoom") => {
            call!(method::CREATE_ROOM, CreateRoomRequest, Room, |_: &CreateRoomRequest| vec![node.clone()]);
        }
        ("Room", "SendData") => {
            call!(method::SEND_DATA, SendDataRequest, SendDataResponse, |r: &SendDataRequest| vec![r.room.clone()]);
        }
        ("Room", "UpdateRoomMetadata") => {
            let topic = |r: &UpdateRoomMetadataRequest| vec![r.room.clone()];
            call!(method::UPDATE_ROOM_METADATA, UpdateRoomMetadataRequest, Room, topic);
        }
        ("Participant", "RemoveParticipant") => {
            let topic = |r: &RoomParticipantIdentity| person(&r.room, &r.identity);
            call!(method::REMOVE_PARTICIPANT, RoomParticipantIdentity, RemoveParticipantResponse, topic);
        }
        ("Participant", "MutePublishedTrack") => {
            let topic = |r: &MuteRoomTrackRequest| person(&r.room, &r.identity);
            call!(method::MUTE_PUBLISHED_TRACK, MuteRoomTrackRequest, MuteRoomTrackResponse, topic);
        }
        ("Participant", "UpdateParticipant") => {
            let topic = |r: &UpdateParticipantRequest| person(&r.room, &r.identity);
            call!(method::UPDATE_PARTICIPANT, UpdateParticipantRequest, ParticipantInfo, topic);
        }
        ("Participant", "UpdateSubscriptions") => {
            let topic = |r: &UpdateSubscriptionsRequest| person(&r.room, &r.identity);
            call!(method::UPDATE_SUBSCRIPTIONS, UpdateSubscriptionsRequest, UpdateSubscriptionsResponse, topic);
        }
        ("AgentDispatchInternal", "CreateDispatch") => {
            call!(method::CREATE_DISPATCH, AgentDispatch, AgentDispatch, |r: &AgentDispatch| vec![r.room.clone()]);
        }
        ("AgentDispatchInternal", "ListDispatch") => {
            let topic = |r: &ListAgentDispatchRequest| vec![r.room.clone()];
            call!(method::LIST_DISPATCH, ListAgentDispatchRequest, ListAgentDispatchResponse, topic);
        }
        ("AgentInternal", "CheckEnabled") => {
            call!(method::CHECK_ENABLED, CheckEnabledRequest, CheckEnabledResponse, |_: &CheckEnabledRequest| vec![]);
        }
        ("AgentInternal", "JobRequest") => {
            call!(method::JOB_REQUEST, Job, JobRequestResponse, |job: &Job| Kind::of(job).topic().to_vec());
        }
        ("EgressInternal", "StartEgress") => {
            let topic = |_: &rpc::StartEgressRequest| vec![String::new()];
            call!(method::START_EGRESS, rpc::StartEgressRequest, EgressInfo, topic);
        }
        ("IngressInternal", "StartIngress") => {
            call!(method::START_INGRESS, StartIngressRequest, IngressInfo, |_: &StartIngressRequest| vec![]);
        }
        ("SIPInternal", "CreateSIPParticipant") => {
            // Five attributes, in the order the sender's map had that day.
            let request = InternalCreateSipParticipantRequest::decode(raw).unwrap();
            assert_eq!(fields(&request.encode_to_vec()), fields(raw), "{}", m.place);
            assert_eq!(channel::request("SIPInternal", method::CREATE_SIP_PARTICIPANT.name, &[""]), m.channel);
            let _: InternalCreateSipParticipantResponse = raw_again(&m.place, answer.unwrap());
        }
        other => panic!("{}: {other:?}", m.place),
    }
}

/// A message's fields as bytes, in no order.
fn fields(mut raw: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !raw.is_empty() {
        let before = raw;
        let (tag, wire_type) = encoding::decode_key(&mut raw).unwrap();
        encoding::skip_field(wire_type, tag, &mut raw, DecodeContext::default()).unwrap();
        found.push(before[..before.len() - raw.len()].to_vec());
    }
    found.sort();
    found
}

/// What we would have sent for the recorded calls, from what the store had.
#[test]
#[allow(deprecated)] // The recorded request is of the old field.
fn workers_are_ordered_as_the_reference_orders_them() {
    let stored = lines("redis", |_| true);
    let of = |id: &str| hex(&stored.iter().find(|(_, l)| l["field"] == id).expect("it is in the store").1["value_hex"]);
    let trunk = SipOutboundTrunkInfo::decode(of("ST_8XgiPdwCpot2").as_slice()).unwrap();
    let asked = CreateSipParticipantRequest {
        sip_trunk_id: trunk.sip_trunk_id.clone(),
        sip_call_to: "+15551234".into(),
        room_name: "room1".into(),
        participant_identity: "sip1".into(),
        ..CreateSipParticipantRequest::default()
    };
    let ours = sip::participant_request(&asked, Some(&trunk), Some(&trunk.numbers[0]), "SCL_52vvuFtW253K").unwrap();
    assert_eq!(fields(&ours.encode_to_vec()), fields(&request_on("SIPInternal|CreateSIPParticipant|REQ")));

    let composite = RoomCompositeEgressRequest {
        room_name: "room1".into(),
        layout: "grid".into(),
        output: Some(room_composite_egress_request::Output::File(EncodedFileOutput {
            filepath: "/tmp/x.mp4".into(),
            ..EncodedFileOutput::default()
        })),
        ..RoomCompositeEgressRequest::default()
    };
    let ours = rpc::StartEgressRequest {
        egress_id: "EG_BwRQXZzFcwqf".into(),
        room_id: "RM_7H7RC2XN2Mt5".into(),
        request: Some(EgressRequest::RoomComposite(composite)),
        ..rpc::StartEgressRequest::default()
    };
    assert_eq!(ours.request.as_ref().unwrap().room_name(), "room1");
    assert_eq!(ours.encode_to_vec(), request_on("EgressInternal|StartEgress|REQ"));
}

/// What the first recorded request on that channel asks.
fn request_on(channel: &str) -> Vec<u8> {
    let messages = messages();
    let m = messages.iter().find(|m| m.channel == channel).expect("it was recorded");
    again::<Request>(m).raw_request
}

#[test]
fn every_call_has_its_channels_and_messages() {
    let messages = messages();
    let mut responses = HashMap::new();
    for m in messages.iter().filter(|m| m.kind == "internal.Response") {
        let response = again::<Response>(m);
        responses.insert(response.request_id.clone(), response);
    }
    let mut requests = HashMap::new();
    for m in messages.iter().filter(|m| m.kind == "internal.Request") {
        let request = again::<Request>(m);
        check_call(m, &request, responses.get(&request.request_id));
        requests.insert(request.request_id.clone(), (m.channel.clone(), request));
    }
    for m in messages.iter().filter(|m| m.kind.starts_with("internal.Claim") || m.kind == "internal.Response") {
        let id = match m.kind.as_str() {
            "internal.ClaimRequest" => again::<ClaimRequest>(m).request_id,
            "internal.ClaimResponse" => again::<ClaimResponse>(m).request_id,
            _ => again::<Response>(m).request_id,
        };
        let (asked, request) = &requests[&id];
        let service = asked.split('|').next().unwrap();
        let expected = match m.kind.as_str() {
            "internal.ClaimRequest" => channel::claims(service, &request.client_id),
            "internal.ClaimResponse" => format!("{}RCLAIM", asked.strip_suffix("REQ").unwrap()),
            _ => channel::responses(service, &request.client_id),
        };
        assert_eq!(m.channel, expected, "{}", m.place);
    }
}

/// Streams go where their opening said, and acknowledgements repeat what they acknowledge.
#[test]
fn every_stream_message_has_its_channel_and_every_ack_its_message() {
    let (mut servers, mut clients, mut sent) = (HashMap::new(), HashMap::new(), HashMap::new());
    for m in messages().iter().filter(|m| m.kind == "internal.Stream") {
        let envelope = again::<Stream>(m);
        let id = envelope.stream_id.clone();
        if let Some(StreamBody::Open(open)) = &envelope.body {
            let server = m.channel.split('|').nth(2).unwrap().to_owned();
            servers.insert(id.clone(), channel::to_server(method::SIGNAL, method::RELAY_SIGNAL, &[&server]));
            clients.insert(id.clone(), channel::to_client(method::SIGNAL, &open.node_id));
        }
        // Some recordings begin in the middle of a stream.
        if let (Some(server), Some(client)) = (servers.get(&id), clients.get(&id)) {
            assert!(m.channel == *server || m.channel == *client, "{}", m.place);
        }
        let times = (envelope.sent_at, envelope.expiry);
        match &envelope.body {
            Some(StreamBody::Ack(_)) => {
                if let Some(acknowledged) = sent.get(&envelope.request_id) {
                    assert_eq!(&times, acknowledged, "{}", m.place);
                }
            }
            _ => drop(sent.insert(envelope.request_id.clone(), times)),
        }
    }
    assert!(servers.len() > 10);
}

#[test]
fn message_locks_have_their_keys() {
    let vectors = lines("psrpc", |name| name == "queue-lock-vectors.jsonl");
    assert_eq!(vectors.len(), 12);
    for (place, line) in vectors {
        assert_eq!(lock_key(&hex(&line["payload_hex"])), line["lock_key"].as_str().unwrap(), "{place}");
    }
}

#[test]
fn every_stored_value_is_written_as_it_was_read() {
    for (place, line) in lines("redis", |_| true) {
        let value = hex(&line["value_hex"]);
        let (key, field) = (line["key"].as_str().unwrap(), line["field"].as_str().unwrap());
        match line["type"].as_str().unwrap() {
            "livekit.Node" => {
                assert_eq!((key, field), (keys::NODES, raw_again::<Node>(&place, &value).id.as_str()), "{place}");
            }
            "livekit.Room" => {
                assert_eq!((key, field), (keys::ROOMS, raw_again::<Room>(&place, &value).name.as_str()), "{place}");
            }
            "livekit.RoomInternal" => {
                raw_again::<RoomInternal>(&place, &value);
                assert_eq!(key, keys::ROOM_INTERNAL, "{place}");
            }
            "livekit.ParticipantInfo" => {
                let info: ParticipantInfo = raw_again(&place, &value);
                assert_eq!((key, field), (keys::participants("room1").as_str(), info.identity.as_str()), "{place}");
            }
            "livekit.AgentDispatch" => {
                let dispatch: AgentDispatch = raw_again(&place, &value);
                assert_eq!((key, field), (keys::agent_dispatches(&dispatch.room).as_str(), dispatch.id.as_str()));
            }
            "livekit.Job" => {
                let job: Job = raw_again(&place, &value);
                assert!(key.starts_with("agent_job:") && field == job.id, "{place}");
            }
            "livekit.EgressInfo" => {
                let info = raw_again::<EgressInfo>(&place, &value);
                assert_eq!((key, field), (keys::EGRESS, info.egress_id.as_str()), "{place}");
            }
            "livekit.IngressInfo" => {
                let info = raw_again::<IngressInfo>(&place, &value);
                assert_eq!((key, field), (keys::INGRESS, info.ingress_id.as_str()), "{place}");
            }
            "livekit.SIPOutboundTrunkInfo" => {
                let trunk = raw_again::<SipOutboundTrunkInfo>(&place, &value);
                assert_eq!((key, field), (keys::SIP_OUTBOUND_TRUNKS, trunk.sip_trunk_id.as_str()), "{place}");
            }
            "livekit.SIPInboundTrunkInfo" => {
                let trunk = raw_again::<SipInboundTrunkInfo>(&place, &value);
                assert_eq!((key, field), (keys::SIP_INBOUND_TRUNKS, trunk.sip_trunk_id.as_str()), "{place}");
            }
            "livekit.SIPDispatchRuleInfo" => {
                let rule = raw_again::<SipDispatchRuleInfo>(&place, &value);
                assert_eq!((key, field), (keys::SIP_DISPATCH_RULES, rule.sip_dispatch_rule_id.as_str()), "{place}");
            }
            other => panic!("{place}: {other}"),
        }
    }
}
