use super::world::*;
use crate::proto::data_packet::Value;
use crate::proto::request_response::Reason;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{
    DataPacket, ParticipantPermission, PerformRpcRequest, PublishDataTrackRequest, RpcResponse, SendDataRequest,
    SimulateScenario, TrackSource, UpdateParticipantMetadata, UpdateParticipantRequest, UserPacket, rpc_response,
    simulate_scenario::Scenario,
};
use crate::room::error::RoomError;
use crate::shard::{Channel, Event, Score, SpeakerLevel};
use prost::Message as _;
use std::collections::HashMap;

fn permission(can_publish: bool, can_subscribe: bool) -> ParticipantPermission {
    ParticipantPermission { can_publish, can_subscribe, can_publish_data: can_publish, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn revoking_publication_takes_tracks_back() {
    for (protocol, told) in [(16, "track_unpublished"), (6, "mute")] {
        let mut world = World::new();
        let mut ann = world.join_active(with_protocol(dual("ann"), protocol));
        let mut bob = world.join_active(dual("bob"));
        world.publish(&mut ann, TrackSource::Microphone);
        ann.heard();
        bob.heard();
        let request = UpdateParticipantRequest {
            identity: "ann".into(),
            permission: Some(permission(false, true)),
            ..Default::default()
        };
        let info = world.room.update_participant(request).unwrap();
        assert!(info.tracks.is_empty() && !info.is_publisher);
        let heard = ann.heard();
        assert!(names(&heard).contains(&told) && names(&heard).contains(&"refresh_token"), "{:?}", names(&heard));
        assert!(updated(&bob.heard()).last().unwrap().tracks.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn gaining_subscription_brings_everything() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(granted(dual("bob"), |v| v.can_subscribe = Some(false)));
    world.publish(&mut ann, TrackSource::Microphone);
    world.pass_ms(3000).await;
    assert!(!names(&bob.heard()).contains(&"offer"));
    let request = UpdateParticipantRequest {
        identity: "bob".into(),
        permission: Some(permission(true, true)),
        ..Default::default()
    };
    world.room.update_participant(request).unwrap();
    world.pass_ms(200).await;
    world.settle(&mut bob);
    assert_eq!(world.added_legs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn profiles_change_and_each_change_is_told() {
    let mut world = World::new();
    let mut ann = world.join_active(granted(dual("ann"), |v| v.can_update_own_metadata = Some(true)));
    let mut bob = world.join_active(dual("bob"));
    world.pass_ms(3000).await;
    ann.heard();
    bob.heard();
    let attributes = HashMap::from([("a".to_owned(), "1".to_owned())]);
    let update = UpdateParticipantMetadata { metadata: "m".into(), name: "n".into(), attributes, request_id: 9 };
    world.say(&ann, Ask::UpdateMetadata(update));
    let heard = ann.heard();
    assert_eq!(names(&heard).iter().filter(|n| **n == "refresh_token").count(), 3);
    let Some(Message::RequestResponse(ok)) = heard.last() else { panic!() };
    assert_eq!((ok.request_id, ok.reason()), (9, Reason::Ok));
    let last = updated(&bob.heard()).pop().unwrap();
    assert_eq!((last.name.as_str(), last.metadata.as_str(), last.attributes["a"].as_str()), ("n", "m", "1"));
    world.say(&bob, Ask::UpdateMetadata(UpdateParticipantMetadata::default()));
    let Some(Message::RequestResponse(refused)) = bob.heard().pop() else { panic!() };
    assert_eq!(refused.reason(), Reason::NotAllowed);
}

#[tokio::test(start_paused = true)]
async fn the_api_mutes_but_unmutes_only_if_allowed() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let sid = world.publish(&mut ann, TrackSource::Microphone);
    ann.heard();
    let muted = world.room.mute_published_track("ann", &sid, true).unwrap().unwrap();
    assert!(muted.muted && muted.sid == sid);
    assert!(names(&ann.heard()).contains(&"mute"));
    assert_eq!(world.room.mute_published_track("ann", &sid, false), Err(RoomError::NO_UNMUTE));
    assert_eq!(world.room.mute_published_track("ann", "TR_none", true), Ok(None));
    assert_eq!(world.room.mute_published_track("bob", &sid, true), Err(RoomError::NO_PARTICIPANT));
}

#[tokio::test(start_paused = true)]
async fn room_metadata_goes_out_at_once() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let room = world.room.update_metadata("m".into()).unwrap();
    assert_eq!(room.metadata, "m");
    let Some(Message::RoomUpdate(update)) = ann.heard().pop() else { panic!() };
    assert_eq!(update.room.unwrap().metadata, "m");
}

fn user(payload: &str) -> Vec<u8> {
    let user = UserPacket { payload: payload.into(), ..UserPacket::default() };
    DataPacket { value: Some(Value::User(user)), ..DataPacket::default() }.encode_to_vec()
}

fn data(peer: crate::shard::PeerKey, channel: Channel, bytes: Vec<u8>) -> Event {
    Event::Data {
        peer,
        channel: Some(channel),
        reliable: channel == Channel::Reliable,
        binary: true,
        bytes: bytes.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn data_goes_to_the_others_on_their_primary_connection() {
    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    let bob = world.join_active(dual("bob"));
    world.commands();
    world.room.handle_event(data(ann.publisher, Channel::Lossy, user("hi")));
    let sent = world.sent_data();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1), (bob.subscriber, Channel::Lossy));
    let packet = DataPacket::decode(sent[0].2.as_slice()).unwrap();
    assert_eq!(packet.participant_identity, "ann");
}

#[tokio::test(start_paused = true)]
async fn reliable_data_waits_for_channels_and_lossy_data_does_not() {
    let mut world = World::new();
    let _ann = world.join_active(dual("ann"));
    let bob = world.join(dual("bob"));
    world.commands();
    let request = |kind| SendDataRequest { data: b"x".to_vec(), kind, ..Default::default() };
    world.room.send_data(request(0)).unwrap();
    world.room.send_data(request(1)).unwrap();
    assert!(world.sent_data().iter().all(|(peer, ..)| *peer != bob.subscriber));
    for channel in [Channel::Reliable, Channel::Lossy] {
        let label = String::new();
        let (peer, channel) = (bob.subscriber, Some(channel));
        world.room.handle_event(Event::ChannelOpen { peer, label, channel, ordered: true, reliable: true });
    }
    let sent = world.sent_data();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1), (bob.subscriber, Channel::Reliable));
    let odd = SendDataRequest { nonce: vec![1], ..Default::default() };
    assert!(world.room.send_data(odd).is_err());
}

#[tokio::test(start_paused = true)]
async fn rpc_calls_are_answered_or_time_out() {
    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    world.commands();
    let request = || PerformRpcRequest { destination_identity: "ann".into(), method: "m".into(), ..Default::default() };
    let mut answer = world.room.perform_rpc(request()).unwrap();
    let (_, _, bytes) = world.sent_data().pop().unwrap();
    let Some(Value::RpcRequest(asked)) = DataPacket::decode(bytes.as_slice()).unwrap().value else { panic!() };
    let value = Some(rpc_response::Value::Payload("done".into()));
    let response = Value::RpcResponse(RpcResponse { request_id: asked.id, value });
    let packet = DataPacket { value: Some(response), ..DataPacket::default() };
    world.room.handle_event(data(ann.publisher, Channel::Reliable, packet.encode_to_vec()));
    assert_eq!(answer.try_recv().unwrap(), Ok("done".to_owned()));
    let mut silent = world.room.perform_rpc(request()).unwrap();
    world.pass_ms(2000).await;
    assert!(matches!(silent.try_recv().unwrap(), Err(RoomError::Rpc { code: 1501, .. })));
    let nobody = PerformRpcRequest { destination_identity: "eve".into(), ..Default::default() };
    assert_eq!(world.room.perform_rpc(nobody).err(), Some(RoomError::NO_PARTICIPANT));
}

#[tokio::test(start_paused = true)]
async fn data_tracks_are_announced_then_confirmed_then_forwarded() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut start = dual("bob");
    start.auto_subscribe_data_track = true;
    let mut bob = world.join_active(start);
    ann.heard();
    world.commands();
    let request = PublishDataTrackRequest { pub_handle: 5, name: "d".into(), ..Default::default() };
    world.say(&ann, Ask::PublishDataTrackRequest(request));
    let order = names(&ann.heard());
    assert_eq!(order.last(), Some(&"publish_data_track_response"));
    let heard = bob.heard();
    let handles =
        heard.iter().find_map(|m| if let Message::DataTrackSubscriberHandles(h) = m { Some(h) } else { None });
    let (handle, track) = handles.unwrap().sub_handles.iter().next().unwrap();
    assert_eq!(track.publisher_identity, "ann");
    let mut packet = vec![0x18, 0, 0, 5, 0, 1, 0, 1, 0, 0, 0, 0, 42];
    world.room.handle_event(data(ann.publisher, Channel::DataTrack, packet.clone()));
    let sent = world.sent_data();
    packet[2..4].copy_from_slice(&u16::try_from(*handle).unwrap().to_be_bytes());
    assert_eq!(sent, [(bob.subscriber, Channel::DataTrack, packet)]);
}

#[tokio::test(start_paused = true)]
async fn speakers_reach_those_who_listen() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let mut deaf = world.join_active(granted(dual("deaf"), |v| v.can_subscribe = Some(false)));
    world.publish(&mut ann, TrackSource::Microphone);
    let track = world.added_tracks()[0].track;
    world.pass_ms(150).await;
    world.settle(&mut bob);
    let levels = vec![SpeakerLevel { track, level: 0.5, active: true }];
    world.room.handle_event(Event::Speakers { peer: ann.publisher, levels });
    world.pass_ms(400).await;
    let speaks = |client: &mut Client| names(&client.heard()).contains(&"speakers_changed");
    assert!(speaks(&mut ann) && speaks(&mut bob) && !speaks(&mut deaf));
    world.room.handle_event(Event::Speakers { peer: ann.publisher, levels: Vec::new() });
    world.pass_ms(400).await;
    assert!(speaks(&mut bob), "silence is told once");
    world.pass_ms(4000).await;
    assert!(!speaks(&mut bob));
}

#[tokio::test(start_paused = true)]
async fn simulated_speakers_begin_and_end() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.say(&ann, Ask::Simulate(SimulateScenario { scenario: Some(Scenario::SpeakerUpdate(2)) }));
    let speakers = |client: &mut Client| {
        let heard = client.heard().into_iter();
        let lists = heard.filter_map(|m| if let Message::SpeakersChanged(s) = m { Some(s.speakers) } else { None });
        lists.flatten().map(|s| s.active).collect::<Vec<_>>()
    };
    assert_eq!(speakers(&mut ann), [true]);
    world.pass_ms(3000).await;
    assert_eq!(speakers(&mut ann), [false]);
}

#[tokio::test(start_paused = true)]
async fn quality_is_reported_when_anybodys_changes() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.pass_ms(5000).await;
    assert!(names(&ann.heard()).contains(&"connection_quality"));
    world.pass_ms(5000).await;
    assert!(!names(&ann.heard()).contains(&"connection_quality"));
    let tracks = vec![(crate::shard::TrackKey(1), Score(30.0))];
    world.room.handle_event(Event::Quality { peer: ann.publisher, tracks, legs: Vec::new() });
    world.pass_ms(5000).await;
    assert!(names(&ann.heard()).contains(&"connection_quality"));
}
