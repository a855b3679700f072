//! Clients that say anything at any time: the room must neither fail nor keep what is gone.

use super::world::*;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{
    LeaveRequest, MuteTrackRequest, ParticipantPermission, SessionDescription, SimulateScenario,
    SubscriptionPermission, SyncState, TrackSource, TrickleRequest, UpdateParticipantRequest, UpdateSubscription,
    UpdateTrackSettings, simulate_scenario::Scenario,
};
use crate::room::close::CloseReason;
use crate::room::session::SessionStart;
use crate::shard::{Channel, Event, PeerFailure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 24;
const STEPS: usize = 250;

struct Disorder {
    world: World,
    clients: Vec<Client>,
    offers: Vec<SessionDescription>,
    rng: StdRng,
}

impl Disorder {
    fn new(seed: u64) -> Disorder {
        let rng = StdRng::seed_from_u64(seed);
        Disorder { world: World::new(), clients: Vec::new(), offers: Vec::new(), rng }
    }

    async fn step(&mut self) {
        self.clients.retain(|c| !c.is_closed_unheard());
        match self.rng.random_range(0..40) {
            0 => self.join(),
            1..4 if self.clients.len() < 3 => self.join(),
            4..8 => {
                let ms = self.rng.random_range(0..1_500);
                self.world.pass_ms(ms).await;
            }
            8..15 => self.event(),
            15 => self.operate(),
            16..20 => self.publish(),
            20..24 => self.answer_last(),
            _ => self.speak(),
        }
        self.listen();
        self.world.commands();
    }

    fn join(&mut self) {
        let identity = ["ann", "bob", "cat", "dan"][self.rng.random_range(0..4)];
        let single_peer_connection = self.rng.random();
        let protocol = self.rng.random_range(1..17);
        let publisher_offer = self.rng.random_bool(0.3).then(|| offer(&single_offer(), 1));
        let start = SessionStart {
            single_peer_connection,
            publisher_offer,
            reconnect: self.rng.random_bool(0.3),
            auto_subscribe_data_track: true,
            ..with_protocol(dual(identity), protocol)
        };
        if self.rng.random_bool(0.7) && !start.reconnect && start.publisher_offer.is_none() {
            let client = self.world.join_active(start);
            return self.clients.push(client);
        }
        let reconnect = start.reconnect;
        let mut client = self.world.join(start);
        if let Some(before) = self.clients.iter().find(|c| c.identity == identity).filter(|_| reconnect) {
            (client.publisher, client.subscriber) = (before.publisher, before.subscriber);
        }
        self.clients.push(client);
    }

    fn client(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.rng.random_range(0..self.clients.len()))
    }

    fn sid(&mut self) -> String {
        let infos = self.world.room.participant_infos();
        let sids: Vec<String> = infos.into_iter().flat_map(|p| p.tracks).map(|t| t.sid).collect();
        match sids.len() {
            0 => "TR_none".to_owned(),
            n => sids[self.rng.random_range(0..n)].clone(),
        }
    }

    fn source(&mut self) -> TrackSource {
        [TrackSource::Microphone, TrackSource::Camera, TrackSource::ScreenShare][self.rng.random_range(0..3)]
    }

    fn description(&mut self) -> SessionDescription {
        let (source, other) = (self.source(), self.source());
        let whole = publisher_offer(&[(source, "a"), (other, "b")]);
        let stopped = whole.replace("sendonly", "inactive");
        let cut = whole[..self.rng.random_range(0..whole.len())].to_owned();
        let choices = [whole, stopped, cut, single_offer(), String::new()];
        offer(&choices[self.rng.random_range(0..choices.len())], self.rng.random())
    }

    fn publish(&mut self) {
        let (Some(index), source) = (self.client(), self.source()) else { return };
        let sdp = publisher_offer(&[(source, "a")]);
        self.world.say(&self.clients[index], Ask::AddTrack(add_track("a", source)));
        self.world.say(&self.clients[index], Ask::Offer(offer(&sdp, 1)));
    }

    /// Everybody answers what it was asked last.
    fn answer_last(&mut self) {
        for client in &mut self.clients {
            if !client.is_closed_unheard() {
                self.world.settle(client);
            }
        }
    }

    fn speak(&mut self) {
        let Some(index) = self.client() else { return };
        let (sid, source) = (self.sid(), self.source());
        let cid = ["a", "b", ""][self.rng.random_range(0..3)];
        let subscribe = self.rng.random();
        let ask = match self.rng.random_range(0..15) {
            0 | 1 => Ask::Offer(self.description()),
            2 => Ask::Answer(self.description()),
            3..=5 => Ask::AddTrack(add_track(cid, source)),
            6 => Ask::Mute(MuteTrackRequest { sid, muted: subscribe }),
            7 => Ask::Subscription(UpdateSubscription { track_sids: vec![sid], subscribe, ..Default::default() }),
            8 => Ask::TrackSetting(UpdateTrackSettings {
                track_sids: vec![sid],
                disabled: subscribe,
                ..Default::default()
            }),
            9 => Ask::SubscriptionPermission(SubscriptionPermission {
                all_participants: subscribe,
                ..Default::default()
            }),
            10 => Ask::Trickle(TrickleRequest {
                candidate_init: r#"{"candidate":"x"}"#.into(),
                target: 1,
                ..Default::default()
            }),
            11 => Ask::SyncState(SyncState { track_sids_disabled: vec![sid], ..Default::default() }),
            12 if self.rng.random_bool(0.3) => Ask::Leave(LeaveRequest::default()),
            13 => Ask::Simulate(SimulateScenario { scenario: Some(Scenario::SpeakerUpdate(1)) }),
            _ => {
                let offers = self.offers.len();
                if offers > 0 {
                    let offer = self.offers[self.rng.random_range(0..offers)].clone();
                    self.world.answer(&self.clients[index], &offer);
                }
                return;
            }
        };
        self.world.say(&self.clients[index], ask);
    }

    fn event(&mut self) {
        let Some(index) = self.client() else { return };
        let client = &self.clients[index];
        let peer = if self.rng.random() { client.publisher } else { client.subscriber };
        let label = String::new();
        let channel = [None, Some(Channel::Reliable), Some(Channel::Lossy), Some(Channel::DataTrack)];
        let channel = channel[self.rng.random_range(0..4)];
        let event = match self.rng.random_range(0..12) {
            0 => Event::IceLost { peer },
            1 if self.rng.random_bool(0.3) => Event::Failed { peer, why: PeerFailure::Ice { tried: Vec::new() } },
            2 if self.rng.random_bool(0.2) => Event::Failed { peer, why: PeerFailure::Dtls { why: "no".into() } },
            3 | 4 => Event::ChannelOpen { peer, label, channel, ordered: true, reliable: true },
            5 => Event::Data { peer, channel, reliable: true, binary: true, bytes: vec![self.rng.random(); 20].into() },
            6 if self.rng.random_bool(0.3) => return self.world.hang_up(&mut self.clients[index]),
            _ => return self.world.connect(peer),
        };
        self.world.room.handle_event(event);
    }

    fn operate(&mut self) {
        let identity = ["ann", "bob", "cat", "dan"][self.rng.random_range(0..4)].to_owned();
        let (can_publish, can_subscribe) = (self.rng.random_bool(0.7), self.rng.random_bool(0.7));
        let permission = Some(ParticipantPermission { can_publish, can_subscribe, ..Default::default() });
        let request = UpdateParticipantRequest { identity, permission, ..Default::default() };
        let _ = self.world.room.update_participant(request);
    }

    fn listen(&mut self) {
        for client in &mut self.clients {
            let heard = if self.rng.random_bool(0.05) { client.heard() } else { Vec::new() };
            self.offers
                .extend(heard.into_iter().filter_map(|m| if let Message::Offer(o) = m { Some(o) } else { None }));
        }
        let excess = self.offers.len().saturating_sub(8);
        self.offers.drain(..excess);
    }

    fn check(&self, seed: u64, step: usize) {
        let room = &self.world.room;
        let at = format!("seed {seed} step {step}");
        for (leg, (key, sid)) in &room.legs {
            let subscription = room.people.get(key).and_then(|p| p.subscriptions.get(sid));
            let own = subscription.and_then(|s| s.leg.as_ref()).unwrap_or_else(|| panic!("{at}: a leg of nobody"));
            assert_eq!(own.key, *leg, "{at}");
            assert!(own.bound.is_none_or(|track| room.sources.contains_key(&track)), "{at}: a leg of an ended track");
        }
        let legs = room.people.values().flat_map(|p| p.subscriptions.values()).filter(|s| s.leg.is_some()).count();
        assert_eq!(legs, room.legs.len(), "{at}");
        let published: usize = room.people.values().map(|p| p.published.len()).sum();
        assert_eq!(published, room.tracks.len(), "{at}");
        assert!(room.sources.values().all(|sid| room.tracks.contains_key(sid)), "{at}");
        assert_eq!(room.info().num_participants as usize, room.people.len(), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_survives_disorder_and_forgets_everybody() {
    for seed in 0..SEEDS {
        let mut disorder = Disorder::new(seed);
        for step in 0..STEPS {
            disorder.step().await;
            if disorder.world.room.is_closed() {
                break;
            }
            disorder.check(seed, step);
        }
        disorder.world.room.close(CloseReason::Deleted);
        let room = &disorder.world.room;
        let left = [room.people.len(), room.peers.len(), room.tracks.len(), room.legs.len(), room.sources.len()];
        assert_eq!((left, room.demands.len()), ([0; 5], 0), "seed {seed}");
    }
}
