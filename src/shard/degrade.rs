//! An overloaded node's limits on legs of video, beside those of each connection: the lesser counts.

use super::media::MediaState;
use super::state::State;
use super::{Event, Kept, LegKey};
use crate::media::allocate::LegAllowance;
use crate::media::degrade::{Degradation, least_watched, lesser};
use rustc_hash::FxHashSet;
use std::time::Instant;

impl State {
    /// Takes or gives back what that step says. To be repeated while it is not [`Degradation::None`]: tracks and watchers
    /// come and go.
    pub fn degrade(&mut self, now: Instant, step: Degradation) {
        let least = self.media.least_watched();
        let legs: Vec<usize> = self.media.legs.iter().map(|(index, _)| index).collect();
        for index in legs {
            let MediaState { tracks, legs, .. } = &mut self.media;
            let leg = &mut legs[index];
            let up = &tracks[leg.track].up;
            if up.is_video() && !up.is_screen_share() {
                let (wanted, known) = (leg.down.target(), up.layers().known());
                let ladder = up.ladder(now, wanted);
                let spared = step.allowance(known, wanted.spatial, &ladder, least.contains(&leg.track));
                self.spare(now, index, spared);
            }
        }
    }

    /// Limits a leg; its room hears which layers it no longer takes.
    fn spare(&mut self, now: Instant, leg: usize, spared: Option<LegAllowance>) {
        let entry = &mut self.media.legs[leg];
        let [before, after] = [std::mem::replace(&mut entry.spared, spared), spared].map(Kept::of);
        let (key, subscriber) = (entry.key, entry.peer);
        if before != after {
            let event = Event::Kept { peer: self.peers[subscriber].key, leg: key, kept: after };
            self.tell(subscriber, event);
        }
        self.limit_and_tell(now, leg);
    }

    fn limit_and_tell(&mut self, now: Instant, leg: usize) {
        let subscriber = self.media.legs[leg].peer;
        if let Some(change) = self.limit(now, leg) {
            let event = Event::StreamState { peer: self.peers[subscriber].key, legs: vec![change] };
            self.tell(subscriber, event);
        }
    }

    /// Has a leg keep to what its connection and the node leave it; answers whether it is paused now if that has changed.
    pub fn limit(&mut self, now: Instant, leg: usize) -> Option<(LegKey, bool)> {
        let entry = &mut self.media.legs[leg];
        let allowed = lesser(entry.allowed, entry.spared);
        let before = std::mem::replace(&mut entry.limit, allowed);
        if before == allowed {
            return None;
        }
        entry.down.set_allowed(allowed);
        let (key, track) = (entry.key, entry.track);
        let publisher = self.media.tracks[track].peer;
        self.wake(publisher, now);
        let [was, is] = [before, allowed].map(|limit| limit.is_some_and(|limit| limit.paused));
        (was != is).then_some((key, is))
    }
}

impl Kept {
    fn of(spared: Option<LegAllowance>) -> Kept {
        match spared {
            None => Kept::All,
            Some(spared) if spared.paused => Kept::Nothing,
            Some(spared) => Kept::UpTo(spared.spatial),
        }
    }
}

impl MediaState {
    /// Of the cameras somebody wants to see, the half fewest do.
    fn least_watched(&self) -> FxHashSet<usize> {
        let watchers = |legs: &[usize]| legs.iter().filter(|leg| !self.legs[**leg].down.target().paused).count();
        let cameras = self.tracks.iter().filter(|(_, track)| track.up.is_video() && !track.up.is_screen_share());
        let watched: Vec<(usize, usize)> = cameras.map(|(index, track)| (index, watchers(&track.legs))).collect();
        let watched: Vec<(usize, usize)> = watched.into_iter().filter(|(_, watchers)| *watchers > 0).collect();
        let counts: Vec<usize> = watched.iter().map(|(_, watchers)| *watchers).collect();
        let least = least_watched(&counts);
        watched.iter().zip(least).filter(|(_, least)| *least).map(|((index, _), _)| *index).collect()
    }
}
