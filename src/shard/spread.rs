//! The shards a room is on: where each of its transports, tracks and legs lives, so that the room need not know. A room
//! begins on one shard; when that has many of its transports, newcomers go to the others, and tracks are mirrored there.
//! Called by `room`.

use super::command::MirrorSetup;
use super::run::shard_of_ufrag;
use super::{Command, EventSender, LegKey, LegSetup, PeerKey, Shard, Shards, TrackKey, TrackSetup};
use rustc_hash::{FxHashMap, FxHashSet};
use tracing::Span;

pub struct Spread {
    shards: Shards,
    home: Shard,
    /// Transports of the room on its first shard, from which on newcomers go where there are fewest; 0 is never.
    wide_at: usize,
    events: EventSender,
    peers: FxHashMap<PeerKey, Seat>,
    tracks: FxHashMap<TrackKey, Source>,
    legs: FxHashMap<LegKey, (TrackKey, PeerKey)>,
}

/// Where a transport is, and the legs on it.
struct Seat {
    shard: Shard,
    legs: FxHashSet<LegKey>,
}

/// Where a track comes from and where else it is.
struct Source {
    shard: Shard,
    /// As last told.
    setup: TrackSetup,
    mirrors: Vec<Mirrored>,
}

struct Mirrored {
    shard: Shard,
    legs: usize,
}

impl Spread {
    /// `events` is the room's queue.
    pub fn new(shards: Shards, wide_at: usize, events: EventSender) -> Spread {
        Spread {
            home: shards.place(),
            shards,
            wide_at,
            events,
            peers: FxHashMap::default(),
            tracks: FxHashMap::default(),
            legs: FxHashMap::default(),
        }
    }

    /// Where the next participant goes, with all its transports.
    pub fn seat(&self) -> Shard {
        let is_home = |seat: &&Seat| seat.shard.index() == self.home.index();
        let is_wide = self.wide_at > 0 && self.peers.values().filter(is_home).count() >= self.wide_at;
        if is_wide { self.shards.place() } else { self.home.clone() }
    }

    /// The shard of a transport; of one that is not there any more, the room's first.
    pub fn of(&self, peer: PeerKey) -> &Shard {
        self.peers.get(&peer).map_or(&self.home, |seat| &seat.shard)
    }

    /// Queues a command where it belongs. Waits while a queue is full: shards never wait for rooms, so this ends.
    pub fn send(&mut self, command: Command) {
        match command {
            Command::AddPeer(setup) => {
                let named = shard_of_ufrag(&setup.creds.ufrag).and_then(|index| self.shards.of_index(index));
                let shard = named.unwrap_or(&self.home).clone();
                self.peers.insert(setup.peer, Seat { shard: shard.clone(), legs: FxHashSet::default() });
                shard.send(Command::AddPeer(setup));
            }
            Command::RemovePeer { peer, span } => self.remove_peer(peer, span),
            Command::AddTrack(setup) => self.add_track(*setup),
            Command::MuteTrack { track, muted } => self.mute_track(track, muted),
            Command::RemoveTrack { track } => self.remove_track(track),
            Command::AddLeg(setup) => self.add_leg(setup),
            Command::SetLeg { leg, .. } => self.send_to_leg(leg, command),
            Command::RemoveLeg { leg } => self.remove_leg(leg),
            Command::SetRemote { peer, .. }
            | Command::AddCandidate { peer, .. }
            | Command::RestartIce { peer, .. }
            | Command::SetCapacity { peer, .. }
            | Command::OpenChannel { peer, .. }
            | Command::SendData { peer, .. } => self.of(peer).send(command),
            // A node's, not a room's; and what follows from the others.
            Command::Degrade(_)
            | Command::MirrorTrack(_)
            | Command::FeedMirror { .. }
            | Command::StarveMirror { .. } => {}
        }
    }

    fn remove_peer(&mut self, peer: PeerKey, span: Span) {
        let gone: Vec<TrackKey> =
            self.tracks.iter().filter(|(_, t)| t.setup.peer == peer).map(|(key, _)| *key).collect();
        gone.into_iter().for_each(|track| self.remove_track(track));
        let legs: Vec<LegKey> = self.peers.get(&peer).into_iter().flat_map(|seat| seat.legs.iter().copied()).collect();
        legs.into_iter().for_each(|leg| self.forget_leg(leg));
        if let Some(seat) = self.peers.remove(&peer) {
            seat.shard.send(Command::RemovePeer { peer, span });
        }
    }

    /// A track, or one with a later description.
    fn add_track(&mut self, setup: TrackSetup) {
        let shard = self.of(setup.peer).clone();
        let before = self.tracks.remove(&setup.track);
        let mirrors = before.map(|before| before.mirrors).unwrap_or_default();
        shard.send(Command::AddTrack(Box::new(setup.clone())));
        let source = Source { shard, setup, mirrors };
        source.mirrors.iter().for_each(|mirror| source.mirror_on(&mirror.shard, &self.events));
        self.tracks.insert(source.setup.track, source);
    }

    fn mute_track(&mut self, track: TrackKey, muted: bool) {
        let Some(source) = self.tracks.get_mut(&track) else { return };
        source.setup.muted = muted;
        source.everywhere(|| Command::MuteTrack { track, muted });
    }

    fn remove_track(&mut self, track: TrackKey) {
        if let Some(source) = self.tracks.remove(&track) {
            source.everywhere(|| Command::RemoveTrack { track });
        }
    }

    fn add_leg(&mut self, setup: Box<LegSetup>) {
        self.forget_leg(setup.leg);
        let Some(seat) = self.peers.get_mut(&setup.peer) else { return };
        seat.legs.insert(setup.leg);
        let shard = seat.shard.clone();
        self.legs.insert(setup.leg, (setup.track, setup.peer));
        if let Some(source) = self.tracks.get_mut(&setup.track) {
            source.reach(&shard, &self.events);
        }
        shard.send(Command::AddLeg(setup));
    }

    fn remove_leg(&mut self, leg: LegKey) {
        self.send_to_leg(leg, Command::RemoveLeg { leg });
        self.forget_leg(leg);
    }

    fn send_to_leg(&self, leg: LegKey, command: Command) {
        if let Some((_, peer)) = self.legs.get(&leg) {
            self.of(*peer).send(command);
        }
    }

    fn forget_leg(&mut self, leg: LegKey) {
        let Some((track, peer)) = self.legs.remove(&leg) else { return };
        let Some(seat) = self.peers.get_mut(&peer) else { return };
        seat.legs.remove(&leg);
        if let Some(source) = self.tracks.get_mut(&track) {
            source.leave(&seat.shard);
        }
    }
}

impl Source {
    /// One more leg there: a mirror, if the track is not there already.
    fn reach(&mut self, shard: &Shard, events: &EventSender) {
        if shard.index() == self.shard.index() {
            return;
        }
        if let Some(mirror) = self.mirrors.iter_mut().find(|mirror| mirror.shard.index() == shard.index()) {
            mirror.legs += 1;
            return;
        }
        self.mirror_on(shard, events);
        self.shard.send(Command::FeedMirror { track: self.setup.track, shard: shard.index() });
        self.mirrors.push(Mirrored { shard: shard.clone(), legs: 1 });
    }

    fn mirror_on(&self, shard: &Shard, events: &EventSender) {
        let (setup, from, events) = (self.setup.clone(), self.shard.index(), events.clone());
        shard.send(Command::MirrorTrack(Box::new(MirrorSetup { setup, from, events })));
    }

    /// One leg less there: a mirror nobody looks into ends.
    fn leave(&mut self, shard: &Shard) {
        let Some(at) = self.mirrors.iter().position(|mirror| mirror.shard.index() == shard.index()) else { return };
        self.mirrors[at].legs -= 1;
        if self.mirrors[at].legs == 0 {
            let (track, mirror) = (self.setup.track, self.mirrors.swap_remove(at));
            self.shard.send(Command::StarveMirror { track, shard: mirror.shard.index() });
            mirror.shard.send(Command::RemoveTrack { track });
        }
    }

    fn everywhere(&self, command: impl Fn() -> Command) {
        std::iter::once(&self.shard)
            .chain(self.mirrors.iter().map(|mirror| &mirror.shard))
            .for_each(|s| s.send(command()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{CandidatePolicy, ExtensionIds, LayerMode, LegTarget, PeerSetup};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::collections::{HashMap, HashSet};
    use std::sync::mpsc::Receiver;
    use tokio::sync::mpsc::channel;

    /// A room on two shards, wide from two transports on.
    struct World {
        spread: Spread,
        queues: Vec<Receiver<Command>>,
    }

    impl World {
        fn new() -> World {
            let (shards, queues): (Vec<_>, Vec<_>) = (0..2).map(Shard::unstarted_at).unzip();
            World { spread: Spread::new(Shards::new(shards), 2, channel(1).0), queues }
        }

        fn join(&mut self, shard: &Shard) -> PeerKey {
            let (peer, creds) = (PeerKey::fresh(), shard.credentials());
            let (events, candidates) = (channel(1).0, CandidatePolicy::All);
            let setup = PeerSetup { peer, creds, ice_lite: true, candidates, events, allow_pause: None };
            self.spread.send(Command::AddPeer(Box::new(setup)));
            peer
        }

        fn publish(&mut self, peer: PeerKey) -> TrackKey {
            let track = TrackKey::fresh();
            self.spread.send(Command::AddTrack(Box::new(track_setup(track, peer))));
            track
        }

        fn watch(&mut self, peer: PeerKey, track: TrackKey) -> LegKey {
            let leg = LegKey::fresh();
            self.spread.send(Command::AddLeg(Box::new(leg_setup(leg, track, peer))));
            leg
        }

        /// What each shard was told since the last look.
        fn told(&self) -> [Vec<&'static str>; 2] {
            [0, 1].map(|n| self.queues[n].try_iter().map(|command| name(&command)).collect())
        }
    }

    fn name(command: &Command) -> &'static str {
        match command {
            Command::AddPeer(_) => "peer",
            Command::RemovePeer { .. } => "no peer",
            Command::AddTrack(_) => "track",
            Command::MuteTrack { .. } => "mute",
            Command::RemoveTrack { .. } => "no track",
            Command::MirrorTrack(_) => "mirror",
            Command::FeedMirror { shard: 1, .. } => "feed",
            Command::StarveMirror { shard: 1, .. } => "starve",
            Command::AddLeg(_) => "leg",
            Command::RemoveLeg { .. } => "no leg",
            Command::AddCandidate { .. } => "candidate",
            _ => "other",
        }
    }

    fn track_setup(track: TrackKey, peer: PeerKey) -> TrackSetup {
        TrackSetup {
            track,
            peer,
            mid: "0".to_owned(),
            payloads: Vec::new(),
            extensions: ExtensionIds::default(),
            encodings: Vec::new(),
            layer_mode: LayerMode::OnePerStream,
            layer_sizes: [(0, 0); 3],
            encrypted: false,
            is_microphone: false,
            is_screen_share: false,
            muted: false,
        }
    }

    fn leg_setup(leg: LegKey, track: TrackKey, peer: PeerKey) -> LegSetup {
        LegSetup {
            leg,
            track,
            peer,
            mid: "0".to_owned(),
            ssrc: 1,
            rtx_ssrc: 2,
            payloads: Vec::new(),
            extensions: ExtensionIds::default(),
            target: LegTarget { spatial: 2, temporal: 3, paused: false, priority: 0 },
            cname: String::new(),
            encrypted: None,
            adds_red: false,
            playout_delay_ms: (0, 0),
        }
    }

    #[test]
    fn a_room_grows_beyond_its_first_shard() {
        let mut world = World::new();
        let home = world.spread.seat();
        let _peers = [(); 2].map(|()| world.join(&home));
        // Which has fewest, the shards say themselves; these two have no thread that would count.
        assert_eq!(world.spread.seat().index(), world.spread.shards.place().index());
        assert_eq!(world.told(), [vec!["peer", "peer"], vec![]]);
    }

    #[test]
    fn a_track_is_mirrored_where_it_is_watched() {
        let mut world = World::new();
        let [first, second] = [0, 1].map(|n| world.spread.shards.of_index(n).unwrap().clone());
        let (camera, near, far) = (world.join(&first), world.join(&first), world.join(&second));
        let track = world.publish(camera);
        world.watch(near, track);
        assert_eq!(world.told(), [vec!["peer", "peer", "track", "leg"], vec!["peer"]]);
        let legs = [0, 1].map(|_| world.watch(far, track));
        assert_eq!(world.told(), [vec!["feed"], vec!["mirror", "leg", "leg"]]);
        world.spread.send(Command::MuteTrack { track, muted: true });
        world.spread.send(Command::AddTrack(Box::new(track_setup(track, camera))));
        assert_eq!(world.told(), [vec!["mute", "track"], vec!["mute", "mirror"]]);
        world.spread.send(Command::RemoveLeg { leg: legs[0] });
        assert_eq!(world.told(), [vec![], vec!["no leg"]]);
        world.spread.send(Command::RemoveLeg { leg: legs[1] });
        assert_eq!(world.told(), [vec!["starve"], vec!["no leg", "no track"]]);
    }

    #[test]
    fn a_publisher_takes_its_mirrors_along() {
        let mut world = World::new();
        let [first, second] = [0, 1].map(|n| world.spread.shards.of_index(n).unwrap().clone());
        let (camera, far) = (world.join(&first), world.join(&second));
        let track = world.publish(camera);
        let leg = world.watch(far, track);
        world.told();
        world.spread.send(Command::RemovePeer { peer: camera, span: Span::none() });
        assert_eq!(world.told(), [vec!["no track", "no peer"], vec!["no track"]]);
        world.spread.send(Command::RemoveLeg { leg });
        world.spread.send(Command::AddCandidate { peer: far, candidate: String::new() });
        assert_eq!(world.told(), [vec![], vec!["no leg", "candidate"]]);
    }

    /// What the shards would hold after what they were told.
    #[derive(Default)]
    struct Held {
        tracks: HashSet<TrackKey>,
        mirrors: HashSet<TrackKey>,
        fed: HashSet<(TrackKey, u8)>,
        legs: HashMap<LegKey, TrackKey>,
    }

    impl Held {
        fn take(&mut self, command: Command) {
            match command {
                Command::AddTrack(setup) => drop(self.tracks.insert(setup.track)),
                Command::MirrorTrack(mirror) => {
                    self.tracks.insert(mirror.setup.track);
                    self.mirrors.insert(mirror.setup.track);
                }
                Command::RemoveTrack { track } => {
                    assert!(self.tracks.remove(&track), "it was there");
                    self.mirrors.remove(&track);
                    self.fed.retain(|(fed, _)| *fed != track);
                    self.legs.retain(|_, of| *of != track);
                }
                Command::FeedMirror { track, shard } => assert!(self.fed.insert((track, shard)), "once"),
                Command::StarveMirror { track, shard } => assert!(self.fed.remove(&(track, shard)), "it was fed"),
                Command::AddLeg(setup) => {
                    assert!(self.tracks.contains(&setup.track), "a leg finds its track");
                    self.legs.insert(setup.leg, setup.track);
                }
                Command::RemoveLeg { leg } => drop(self.legs.remove(&leg)),
                _ => {}
            }
        }
    }

    /// Each shard has what its legs need and nothing beyond, and is fed exactly that.
    #[test]
    fn whatever_happens_mirrors_are_where_legs_are() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (shards, queues): (Vec<_>, Vec<_>) = (0..3).map(Shard::unstarted_at).unzip();
            let mut world = World { spread: Spread::new(Shards::new(shards.clone()), 2, channel(1).0), queues };
            let mut held: [Held; 3] = Default::default();
            let (mut peers, mut tracks, mut legs) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..300 {
                let some = |of: usize, rng: &mut StdRng| (of > 0).then(|| rng.random_range(0..of));
                match rng.random_range(0..12) {
                    0 | 1 => peers.push(world.join(&shards[rng.random_range(0..3)])),
                    2 | 3 => tracks.extend(some(peers.len(), &mut rng).map(|n| world.publish(peers[n]))),
                    4..8 => {
                        let at = some(peers.len(), &mut rng).zip(some(tracks.len(), &mut rng));
                        legs.extend(at.map(|(peer, track)| world.watch(peers[peer], tracks[track])));
                    }
                    8 | 9 => {
                        if let Some(n) = some(legs.len(), &mut rng) {
                            world.spread.send(Command::RemoveLeg { leg: legs.swap_remove(n) });
                        }
                    }
                    10 => {
                        if let Some(n) = some(tracks.len(), &mut rng) {
                            world.spread.send(Command::RemoveTrack { track: tracks.swap_remove(n) });
                        }
                    }
                    _ => {
                        if let Some(n) = some(peers.len(), &mut rng) {
                            let peer = peers.swap_remove(n);
                            world.spread.send(Command::RemovePeer { peer, span: Span::none() });
                            tracks.retain(|track| world.spread.tracks.contains_key(track));
                        }
                    }
                }
                for (shard, queue) in held.iter_mut().zip(&world.queues) {
                    queue.try_iter().for_each(|command| shard.take(command));
                }
                let fed: HashSet<(TrackKey, u8)> = held.iter().flat_map(|shard| shard.fed.iter().copied()).collect();
                let kept = (0..).zip(&held).flat_map(|(n, shard)| shard.mirrors.iter().map(move |track| (*track, n)));
                assert_eq!(fed, kept.collect::<HashSet<_>>(), "seed {seed}");
            }
        }
    }
}
