//! Where a room is, or is to be (CLUSTER.md §6).

use super::chooser::Chooser;
use super::neighbours::Watchers;
use super::owner::Neighbours;
use super::ownership::{self, Owner};
use super::redis::{Redis, StoreError};
use super::select::{LimitReached, NoNode, is_limited, limit_reached};
use super::store::Store;
use crate::config::Limit;
use crate::limits::{NODE_FRESH_SECONDS, PLACE_ATTEMPTS};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    There(String),
}

/// Why a room has no place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// No node takes rooms.
    #[error(transparent)]
    NoNode(#[from] NoNode),
    /// Redis is away, and another node could have the room.
    #[error("cannot tell whether another node has the room: {0}")]
    Unknown(StoreError),
    /// The node that has it takes nobody in.
    #[error(transparent)]
    Full(#[from] LimitReached),
    /// Its owner changed each time it was asked for.
    #[error("other nodes take the room at the same time")]
    Contended,
}

/// What a node knows without asking, for when nobody answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// There was no other node when Redis was last asked.
    pub is_alone: bool,
    /// The map gave us this name when we last looked.
    pub is_ours: bool,
    /// How long others have not heard of us.
    pub unheard: Option<Duration>,
}

impl Memory {
    /// Whether it is certain that nobody else has, or takes, the room: there was nobody else, or it was ours and nobody
    /// takes rooms from a node heard of so recently.
    pub fn proves_ours(self) -> bool {
        let fresh = Duration::from_secs(NODE_FRESH_SECONDS.unsigned_abs());
        self.is_alone || (self.is_ours && self.unheard.is_some_and(|age| age < fresh))
    }
}

pub struct Finder<'a> {
    pub redis: &'a Redis,
    pub store: &'a Store,
    pub watchers: &'a Watchers,
    pub chooser: &'a Chooser,
    pub limit: &'a Limit,
    pub node: &'a str,
}

impl Finder<'_> {
    /// The node that has the room; where none has, one is chosen and the room given to it. `wanted` is taken unasked.
    pub async fn place(&self, room: &str, wanted: Option<&str>) -> Result<Place, PlaceError> {
        for _ in 0..PLACE_ATTEMPTS {
            let (holder, place) = self.look(room).await?;
            if let Some(place) = place {
                self.check_limit(&place).await?;
                return Ok(place);
            }
            let chosen = match wanted {
                Some(node) => node.to_owned(),
                None => self.choose().await?,
            };
            let claim = ownership::claim(self.redis, room, &chosen, holder.as_deref()).await;
            if let Owner::Ours(_) = claim.map_err(PlaceError::Unknown)? {
                return Ok(self.place_of(chosen));
            }
        }
        Err(PlaceError::Contended)
    }

    /// The node that has the room, if one that lives has it.
    pub async fn find(&self, room: &str) -> Result<Option<Place>, PlaceError> {
        Ok(self.look(room).await?.1)
    }

    /// Whom the map names, and the place that is if they live.
    async fn look(&self, room: &str) -> Result<(Option<String>, Option<Place>), PlaceError> {
        let holder = self.store.node_of(room).await.map_err(PlaceError::Unknown)?;
        let Some(node) = holder.clone() else { return Ok((None, None)) };
        let lives = node == self.node || self.watchers.lives(&node).await.map_err(PlaceError::Unknown)?;
        Ok((holder, lives.then(|| self.place_of(node))))
    }

    /// Our limits, held against the other node's own numbers, as the reference does. This node's are looked at by the gate.
    async fn check_limit(&self, place: &Place) -> Result<(), PlaceError> {
        let Place::There(node) = place else { return Ok(()) };
        if !is_limited(self.limit) {
            return Ok(());
        }
        match self.store.node(node).await.map_err(PlaceError::Unknown)? {
            Some(node) => Ok(limit_reached(self.limit, &node)?),
            None => Ok(()),
        }
    }

    async fn choose(&self) -> Result<String, PlaceError> {
        let nodes = self.store.nodes().await.map_err(PlaceError::Unknown)?;
        let now_s = self.redis.clock().unix_s();
        Ok(self.chooser.choose(&nodes, now_s)?)
    }

    /// Gives a room of this node to another.
    pub async fn hand_over(&self, room: &str) -> Result<String, PlaceError> {
        let nodes = self.store.nodes().await.map_err(PlaceError::Unknown)?;
        let others: Vec<_> = nodes.into_iter().filter(|node| node.id != self.node).collect();
        let chosen = self.chooser.choose(&others, self.redis.clock().unix_s())?;
        match ownership::claim(self.redis, room, &chosen, Some(self.node)).await.map_err(PlaceError::Unknown)? {
            Owner::Ours(_) => Ok(chosen),
            // Somebody took it meanwhile, so that is where it goes.
            Owner::Other { node, .. } => Ok(node),
        }
    }

    fn place_of(&self, node: String) -> Place {
        if node == self.node { Place::Here } else { Place::There(node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ours_stays_ours_for_as_long_as_others_think_us_alive() {
        let heard = |s| Some(Duration::from_secs(s));
        let cases = [
            (Memory { is_alone: true, ..Memory::default() }, true),
            (Memory { is_ours: true, unheard: heard(4), ..Memory::default() }, true),
            (Memory { is_ours: true, unheard: heard(5), ..Memory::default() }, false),
            (Memory { is_ours: true, ..Memory::default() }, false),
            (Memory { unheard: heard(0), ..Memory::default() }, false),
        ];
        for (memory, expected) in cases {
            assert_eq!(memory.proves_ours(), expected, "{memory:?}");
        }
    }
}
