use super::world::*;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{
    LeaveRequest, MuteTrackRequest, SubscriptionPermission, TrackPermission, TrackSource, UpdateSubscription,
    UpdateTrackSettings,
};
use crate::shard::{Command, Event};

#[tokio::test(start_paused = true)]
async fn a_track_reaches_who_is_there_and_who_comes_later() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Microphone);
    let tracks = world.added_tracks();
    assert_eq!(tracks.len(), 1);
    assert!(tracks[0].is_microphone && tracks[0].peer == ann.publisher && tracks[0].mid == "1");
    assert_eq!(tracks[0].encodings[0].ssrc, Some(1001));
    let info = world.room.participant_info("ann").unwrap();
    assert!(info.is_publisher);
    assert_eq!((info.tracks[0].sid.as_str(), info.tracks[0].mime_type.as_str()), (sid.as_str(), "audio/opus"));
    assert_eq!(info.tracks[0].mid, "1");

    world.pass_ms(150).await;
    let heard = bob.heard();
    let order = names(&heard);
    let (update, offer) = (order.iter().position(|n| *n == "update"), order.iter().position(|n| *n == "offer"));
    assert!(update.unwrap() < offer.unwrap(), "{order:?}");
    let Message::Offer(offer) = &heard[offer.unwrap()] else { panic!() };
    assert!(offer.sdp.contains(&format!("{}|{sid}", info.sid)));
    assert!(offer.mid_to_track_id.values().any(|t| *t == sid));

    let mut cat = world.join(dual("cat"));
    let heard = cat.heard();
    assert_eq!(
        names(&heard),
        ["join", "subscription_permission_update", "offer", "trickle", "refresh_token"],
        "existing tracks are in the first offer"
    );
    let Message::Offer(offer) = &heard[2] else { panic!() };
    assert!(offer.mid_to_track_id.values().any(|t| *t == sid));
}

#[tokio::test(start_paused = true)]
async fn legs_start_when_the_client_accepts_and_the_publisher_hears_once() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Camera);
    let track = world.added_tracks()[0].track;
    world.pass_ms(150).await;
    assert!(world.added_legs().is_empty());
    ann.heard();
    world.settle(&mut bob);
    let legs = world.added_legs();
    assert_eq!(legs.len(), 1);
    assert_eq!((legs[0].track, legs[0].peer), (track, bob.subscriber));
    assert_eq!((legs[0].target.spatial, legs[0].target.paused), (2, false));
    assert!(legs[0].cname.ends_with(&sid));
    let heard = ann.heard();
    assert!(names(&heard).contains(&"track_subscribed") && names(&heard).contains(&"subscribed_quality_update"));
    let mut cat = world.join_active(dual("cat"));
    world.pass_ms(200).await;
    world.settle(&mut cat);
    assert!(!names(&ann.heard()).contains(&"track_subscribed"));
}

#[tokio::test(start_paused = true)]
async fn sections_wait_for_active_and_for_their_announcement() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    world.settle(&mut ann);
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&[(TrackSource::Camera, "cam")]), 1)));
    assert!(world.added_tracks().is_empty());
    world.connect(ann.subscriber);
    assert!(world.added_tracks().is_empty());
    world.say(&ann, Ask::AddTrack(add_track("cam", TrackSource::Camera)));
    assert_eq!(world.added_tracks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_track_id_falls_back_to_the_first_of_its_kind() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.say(&ann, Ask::AddTrack(add_track("mic", TrackSource::Microphone)));
    world.say(&ann, Ask::AddTrack(add_track("cam", TrackSource::Camera)));
    ann.heard();
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&[(TrackSource::Camera, "other")]), 1)));
    let info = world.room.participant_info("ann").unwrap();
    assert_eq!(info.tracks.len(), 1);
    assert_eq!(info.tracks[0].source(), TrackSource::Camera);
}

#[tokio::test(start_paused = true)]
async fn a_section_that_stops_unpublishes_and_gives_its_cid_to_the_next() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Microphone);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    world.say(&ann, Ask::AddTrack(add_track("cid-MICROPHONE", TrackSource::Microphone)));
    let Some(Message::RequestResponse(queued)) = ann.heard().pop() else { panic!() };
    assert_eq!(queued.reason(), crate::proto::request_response::Reason::Queued);
    world.commands();
    let stopped = publisher_offer(&[(TrackSource::Microphone, "cid-MICROPHONE")]).replace("sendonly", "inactive");
    world.say(&ann, Ask::Offer(offer(&stopped, 2)));
    assert!(world.commands().iter().any(|c| matches!(c, Command::RemoveTrack { .. })));
    assert!(world.room.participant_info("ann").unwrap().tracks.is_empty());
    assert!(names(&ann.heard()).contains(&"track_published"));
    let last = updated(&bob.heard()).pop().unwrap();
    assert!(last.tracks.is_empty() && last.identity == "ann");
    world.pass_ms(260).await;
    let Some(Message::Offer(offer)) = bob.heard().pop() else { panic!() };
    assert!(!offer.mid_to_track_id.values().any(|t| *t == sid));
}

#[tokio::test(start_paused = true)]
async fn muting_reaches_the_shard_and_everybody() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Microphone);
    ann.heard();
    bob.heard();
    world.commands();
    world.say(&ann, Ask::Mute(MuteTrackRequest { sid: sid.clone(), muted: true }));
    assert!(world.commands().iter().any(|c| matches!(c, Command::MuteTrack { muted: true, .. })));
    for client in [&mut ann, &mut bob] {
        assert!(updated(&client.heard())[0].tracks[0].muted, "{}", client.identity);
    }
    world.say(&ann, Ask::Mute(MuteTrackRequest { sid: "TR_none".into(), muted: true }));
    assert_eq!(names(&ann.heard()), ["request_response"]);
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_ends_a_leg_and_subscribing_brings_it_back() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    let leg = world.added_legs()[0].leg;
    let update = |subscribe| {
        Ask::Subscription(UpdateSubscription { track_sids: vec![sid.clone()], subscribe, ..Default::default() })
    };
    world.say(&bob, update(false));
    assert!(world.commands().iter().any(|c| matches!(c, Command::RemoveLeg { leg: l } if *l == leg)));
    world.pass_ms(200).await;
    world.settle(&mut bob);
    world.say(&bob, update(true));
    world.pass_ms(200).await;
    world.settle(&mut bob);
    assert_eq!(world.added_legs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wished_for_track_that_never_comes_is_given_up() {
    let mut world = World::new();
    let mut bob = world.join_active(dual("bob"));
    let wish = UpdateSubscription { track_sids: vec!["TR_none".into()], subscribe: true, ..Default::default() };
    world.say(&bob, Ask::Subscription(wish));
    world.pass_ms(59_000).await;
    assert!(!names(&bob.heard()).contains(&"subscription_response"));
    world.pass_ms(4_000).await;
    let heard = bob.heard();
    let error = heard.iter().find_map(|m| if let Message::SubscriptionResponse(r) = m { Some(r.err()) } else { None });
    assert_eq!(error, Some(crate::proto::SubscriptionError::SeTrackNotfound));
}

#[tokio::test(start_paused = true)]
async fn settings_become_targets_and_hiding_applies_at_once() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    world.commands();
    ann.heard();
    let settings = |disabled, quality| {
        Ask::TrackSetting(UpdateTrackSettings {
            track_sids: vec![sid.clone()],
            disabled,
            quality,
            ..Default::default()
        })
    };
    let targets = |world: &mut World| {
        let target = |c| if let Command::SetLeg { target, .. } = c { Some(target) } else { None };
        world.commands().into_iter().filter_map(target).collect::<Vec<_>>()
    };
    world.say(&bob, settings(false, 0));
    assert!(targets(&mut world).is_empty());
    world.pass_ms(100).await;
    assert_eq!(targets(&mut world)[0].spatial, 0);
    world.say(&bob, settings(true, 0));
    assert!(targets(&mut world)[0].paused);
    world.pass_ms(10_000).await;
    let heard = ann.heard();
    let last =
        heard.iter().rev().find_map(|m| if let Message::SubscribedQualityUpdate(u) = m { Some(u) } else { None });
    assert!(last.unwrap().subscribed_codecs[0].qualities.iter().all(|q| !q.enabled), "nobody wants it");
}

#[tokio::test(start_paused = true)]
async fn publishers_choose_who_may_subscribe() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Microphone);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    assert_eq!(world.added_legs().len(), 1);
    let allowed = |client: &mut Client| {
        client.heard().into_iter().rev().find_map(|m| match m {
            Message::SubscriptionPermissionUpdate(u) => Some((u.track_sid, u.allowed)),
            _ => None,
        })
    };
    world.say(&ann, Ask::SubscriptionPermission(SubscriptionPermission::default()));
    assert_eq!(allowed(&mut bob), Some((sid.clone(), false)));
    assert!(world.commands().iter().any(|c| matches!(c, Command::RemoveLeg { .. })));
    world.pass_ms(200).await;
    world.settle(&mut bob);
    let bobs = TrackPermission { participant_identity: "bob".into(), all_tracks: true, ..Default::default() };
    let open = SubscriptionPermission { track_permissions: vec![bobs], ..Default::default() };
    world.say(&ann, Ask::SubscriptionPermission(open));
    assert_eq!(allowed(&mut bob), Some((sid, true)));
    world.pass_ms(200).await;
    world.settle(&mut bob);
    assert_eq!(world.added_legs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_single_client_uses_its_sections_and_is_asked_for_more() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.publish(&mut ann, TrackSource::Microphone);
    world.commands();
    let mut start = single("bob");
    start.publisher_offer = Some(offer(&single_offer(), 1));
    let mut bob = world.join(start);
    let heard = bob.heard();
    let Some(Message::Answer(answer)) = heard.iter().find(|m| matches!(m, Message::Answer(_))) else { panic!() };
    assert_eq!(answer.mid_to_track_id.len(), 1);
    let sources = [TrackSource::Camera, TrackSource::ScreenShare];
    for (i, source) in sources.into_iter().enumerate() {
        world.say(&ann, Ask::AddTrack(add_track(&format!("v{i}"), source)));
    }
    let all =
        [(TrackSource::Microphone, "cid-MICROPHONE"), (TrackSource::Camera, "v0"), (TrackSource::ScreenShare, "v1")];
    world.connect(bob.publisher);
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&all), 2)));
    assert_eq!(world.room.participant_info("ann").unwrap().tracks.len(), 3);
    world.pass_ms(150).await;
    let heard = bob.heard();
    let asked = heard.iter().find_map(|m| if let Message::MediaSectionsRequirement(r) = m { Some(*r) } else { None });
    assert_eq!(asked.map(|r| (r.num_audios, r.num_videos)), Some((0, 1)), "one video section is free already");
}

#[tokio::test(start_paused = true)]
async fn a_leaving_publisher_takes_its_tracks_along() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    world.publish(&mut ann, TrackSource::Microphone);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    world.say(&ann, Ask::Leave(LeaveRequest::default()));
    let updates = updated(&bob.heard());
    assert_eq!(updates.len(), 1, "a publisher's departure is told at once, in one update");
    world.pass_ms(240).await;
    assert!(!names(&bob.heard()).contains(&"offer"), "the blank frames come first");
    world.pass_ms(20).await;
    let Some(Message::Offer(offer)) = bob.heard().pop() else { panic!() };
    assert!(offer.mid_to_track_id.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_renegotiation_that_changes_nothing_disturbs_nobody() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    world.settle(&mut bob);
    world.commands();
    let same = publisher_offer(&[(TrackSource::Camera, "cid-CAMERA")]);
    world.say(&ann, Ask::Offer(offer(&same, 2)));
    assert!(world.commands().iter().all(|c| matches!(c, Command::SetRemote { .. })));
    let changed = same.replace("a=ssrc:1001", "a=ssrc:2001");
    world.say(&ann, Ask::Offer(offer(&changed, 3)));
    let commands = world.commands();
    assert!(commands.iter().any(|c| matches!(c, Command::AddTrack(t) if t.encodings[0].ssrc == Some(2001))));
    assert!(commands.iter().any(|c| matches!(c, Command::RemoveTrack { .. })));
    world.pass_ms(200).await;
    world.settle(&mut bob);
    assert_eq!(world.added_legs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_restarts_ice_gets_new_credentials() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let ufrag = |client: &mut Client| {
        let heard = client.heard();
        let answer = heard.iter().find_map(|m| if let Message::Answer(a) = m { Some(a.sdp.clone()) } else { None });
        let trickles = names(&heard).iter().filter(|n| **n == "trickle").count();
        let sdp = answer.unwrap();
        (sdp.lines().find(|l| l.starts_with("a=ice-ufrag")).unwrap().to_owned(), trickles)
    };
    let sdp = publisher_offer(&[]);
    world.say(&ann, Ask::Offer(offer(&sdp, 1)));
    let (first, trickles) = ufrag(&mut ann);
    assert_eq!(trickles, 1);
    world.say(&ann, Ask::Offer(offer(&sdp, 2)));
    assert_eq!(ufrag(&mut ann), (first.clone(), 0));
    world.commands();
    world.say(&ann, Ask::Offer(offer(&sdp.replace("a=ice-ufrag:peer", "a=ice-ufrag:anew"), 3)));
    let (second, trickles) = ufrag(&mut ann);
    assert!(second != first && trickles == 1);
    assert!(matches!(world.commands()[0], Command::RestartIce { .. }));
}

#[tokio::test(start_paused = true)]
async fn changes_during_an_offer_make_the_next_one() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    world.publish(&mut ann, TrackSource::Microphone);
    world.pass_ms(150).await;
    let first = bob.heard().into_iter().find(|m| matches!(m, Message::Offer(_)));
    let Some(Message::Offer(first)) = first else { panic!() };
    world.say(&ann, Ask::AddTrack(add_track("cam", TrackSource::Camera)));
    let both = [(TrackSource::Microphone, "cid-MICROPHONE"), (TrackSource::Camera, "cam")];
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&both), 2)));
    world.pass_ms(1000).await;
    assert!(!names(&bob.heard()).contains(&"offer"), "one offer at a time");
    world.answer(&bob, &first);
    let second = bob.heard().into_iter().find_map(|m| if let Message::Offer(o) = m { Some(o) } else { None }).unwrap();
    assert_eq!((second.id, second.mid_to_track_id.len()), (first.id + 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_track_no_client_codec_fits_is_refused() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    let Some(Message::Offer(mut asked)) = bob.heard().into_iter().find(|m| matches!(m, Message::Offer(_))) else {
        panic!()
    };
    asked.sdp = asked.sdp.replace("VP8/90000", "NONE/90000");
    world.answer(&bob, &asked);
    let heard = bob.heard();
    let refused =
        heard.iter().find_map(|m| if let Message::SubscriptionResponse(r) = m { Some(r.clone()) } else { None });
    let refused = refused.unwrap();
    assert_eq!((refused.track_sid, refused.err), (sid, crate::proto::SubscriptionError::SeCodecUnsupported as i32));
    assert!(world.added_legs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_recorded_simulcast_offer_becomes_three_layers() {
    use crate::proto::{AddTrackRequest, VideoLayer, VideoQuality};
    let sdp = include_str!("../../../fixtures/sdp/chromium-publisher-simulcast.sdp");
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let layer = |quality: VideoQuality, height| VideoLayer {
        quality: quality as i32,
        width: height * 16 / 9,
        height,
        ..VideoLayer::default()
    };
    let camera = AddTrackRequest {
        layers: vec![layer(VideoQuality::Low, 180), layer(VideoQuality::Medium, 360), layer(VideoQuality::High, 720)],
        ..add_track("82d43488-9bea-4720-8d3d-d9dc0646a420", TrackSource::Camera)
    };
    world.say(&ann, Ask::AddTrack(camera));
    world.say(&ann, Ask::AddTrack(add_track("f4f0d618-575a-4ead-a3c8-80a378bbdfc8", TrackSource::Microphone)));
    world.say(&ann, Ask::Offer(offer(sdp, 1)));
    let tracks = world.added_tracks();
    assert_eq!(tracks.len(), 2);
    let video = tracks.iter().find(|t| !t.is_microphone).unwrap();
    let layers: Vec<_> = video.encodings.iter().map(|e| (e.rid.as_deref(), e.spatial)).collect();
    assert_eq!(layers, [(Some("q"), 0), (Some("h"), 1), (Some("f"), 2)]);
    assert_eq!(video.layer_sizes, [(320, 180), (640, 360), (1280, 720)]);
    ann.heard();
}

#[tokio::test(start_paused = true)]
async fn subscriptions_beyond_the_limit_wait_for_a_place() {
    let mut limited = config();
    limited.limit.subscription_limit_audio = 1;
    let mut world = World::with(limited, |_| ());
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let mut cat = world.join_active(dual("cat"));
    world.publish(&mut ann, TrackSource::Microphone);
    world.publish(&mut bob, TrackSource::Microphone);
    world.pass_ms(200).await;
    world.commands();
    world.settle(&mut cat);
    assert_eq!(world.added_legs().len(), 1);
    world.say(&ann, Ask::Leave(LeaveRequest::default()));
    world.pass_ms(3200).await;
    world.settle(&mut cat);
    assert_eq!(world.added_legs().iter().filter(|l| l.peer == cat.subscriber).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn plain_opus_goes_as_red_only_where_that_is_configured() {
    for wanted in [false, true] {
        let mut changed = config();
        changed.audio.active_red_encoding = wanted;
        let mut world = World::with(changed, |_| ());
        let mut ann = world.join_active(dual("ann"));
        let mut bob = world.join_active(dual("bob"));
        world.publish(&mut ann, TrackSource::Microphone);
        world.pass_ms(150).await;
        world.commands();
        world.settle(&mut bob);
        let legs = world.added_legs();
        let first = legs[0].payloads[0].codec;
        let expected = if wanted { crate::shard::Codec::Red } else { crate::shard::Codec::Opus };
        assert_eq!((legs[0].adds_red, first), (wanted, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_hears_what_congestion_pauses_and_resumes() {
    use crate::proto::StreamState;
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let sid = world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    world.commands();
    world.settle(&mut bob);
    let leg = world.added_legs()[0].leg;
    for (paused, state) in [(true, StreamState::Paused), (false, StreamState::Active)] {
        let stranger = crate::shard::LegKey::fresh();
        world
            .room
            .handle_event(Event::StreamState { peer: bob.subscriber, legs: vec![(leg, paused), (stranger, true)] });
        let heard = bob.heard();
        let [Message::StreamStateUpdate(update)] = &heard[..] else { panic!("{heard:?}") };
        let [told] = &update.stream_states[..] else { panic!("{update:?}") };
        let publisher = world.room.participant_info("ann").unwrap().sid;
        assert_eq!((told.participant_sid.as_str(), told.track_sid.as_str()), (publisher.as_str(), sid.as_str()));
        assert_eq!(told.state(), state);
    }
    assert!(ann.heard().iter().all(|m| !matches!(m, Message::StreamStateUpdate(_))), "it is the subscriber's matter");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_stops_what_an_overloaded_node_forwards_to_nobody() {
    use crate::proto::VideoQuality::{High, Low, Medium};
    use crate::shard::Kept;
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bobs = [world.join_active(dual("bob")), world.join_active(dual("bert"))];
    world.publish(&mut ann, TrackSource::Camera);
    world.pass_ms(150).await;
    world.commands();
    let mut legs = Vec::new();
    for bob in &mut bobs {
        world.settle(bob);
        legs.push((bob.subscriber, world.added_legs()[0].leg));
    }
    world.pass_ms(6_000).await;
    let mut told = async |world: &mut World, kept: [Kept; 2]| {
        ann.heard();
        for ((peer, leg), kept) in legs.iter().zip(kept) {
            world.room.handle_event(Event::Kept { peer: *peer, leg: *leg, kept });
        }
        world.pass_ms(6_000).await;
        let update = |m| if let Message::SubscribedQualityUpdate(u) = m { Some(u) } else { None };
        let last = ann.heard().into_iter().filter_map(update).next_back()?;
        let enabled = last.subscribed_codecs[0].qualities.iter().filter(|q| q.enabled);
        Some(enabled.map(|q| q.quality()).collect::<Vec<_>>())
    };
    assert_eq!(told(&mut world, [Kept::UpTo(1), Kept::All]).await, None, "one still gets all");
    assert_eq!(told(&mut world, [Kept::UpTo(1); 2]).await, Some(vec![Low, Medium]));
    assert_eq!(told(&mut world, [Kept::Nothing; 2]).await, Some(vec![]));
    assert_eq!(told(&mut world, [Kept::UpTo(0), Kept::Nothing]).await, Some(vec![Low]));
    assert_eq!(told(&mut world, [Kept::All; 2]).await, Some(vec![Low, Medium, High]));
}

#[tokio::test(start_paused = true)]
async fn streams_are_named_alike_for_players_that_sync_them() {
    for sync in [false, true] {
        let mut world = World::with(config(), |settings| settings.sync_streams = sync);
        let mut ann = world.join_active(dual("ann"));
        let mut bob = world.join_active(with_protocol(dual("bob"), 15));
        let sid = world.publish(&mut ann, TrackSource::Camera);
        world.pass_ms(150).await;
        let sdp = |m| if let Message::Offer(offer) = m { Some(offer.sdp) } else { None };
        let offers: String = bob.heard().into_iter().filter_map(sdp).collect();
        let stream = world.room.participant_info("ann").unwrap().tracks[0].stream.clone();
        assert!(!stream.is_empty());
        let named = |second: &str| offers.contains(&format!("|{second} {sid}"));
        assert_eq!((named(&stream), named(&sid)), (sync, !sync), "{offers}");
    }
}
