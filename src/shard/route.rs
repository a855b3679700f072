//! Which peer a datagram belongs to: by the sender's address once ICE has validated it, before that by the local username
//! fragment in a connectivity check.

use crate::limits::{PEER_ADDRESSES_MAX, ROUTES_FOREIGN_MAX};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Who answers for a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A peer of this shard.
    Peer(usize),
    /// Another shard that shares this socket's port.
    Shard(u8),
}

#[derive(Default)]
pub struct Routes {
    by_address: FxHashMap<SocketAddr, Owner>,
    /// Peer-chosen strings would invite collisions; these keys are ours, but the look-ups are not.
    by_ufrag: HashMap<String, usize>,
    foreign: usize,
}

impl Routes {
    pub fn owner(&self, from: SocketAddr) -> Option<Owner> {
        self.by_address.get(&from).copied()
    }

    pub fn peer_of_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.by_ufrag.get(ufrag).copied()
    }

    pub fn add_ufrag(&mut self, ufrag: String, peer: usize) {
        self.by_ufrag.insert(ufrag, peer);
    }

    pub fn remove_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// ICE validated `from` for this peer. `addresses` is the peer's own list, for [`Routes::forget`].
    pub fn learn(&mut self, from: SocketAddr, peer: usize, addresses: &mut Vec<SocketAddr>) {
        if self.owner(from) == Some(Owner::Peer(peer)) {
            return;
        }
        if addresses.len() >= PEER_ADDRESSES_MAX {
            let oldest = addresses.remove(0);
            self.release(oldest, peer);
        }
        addresses.push(from);
        self.insert(from, Owner::Peer(peer));
    }

    /// Remembers that another shard answers for this address.
    pub fn learn_foreign(&mut self, from: SocketAddr, shard: u8) {
        if self.foreign >= ROUTES_FOREIGN_MAX {
            self.by_address.retain(|_, owner| matches!(owner, Owner::Peer(_)));
            self.foreign = 0;
        }
        self.insert(from, Owner::Shard(shard));
    }

    fn insert(&mut self, from: SocketAddr, owner: Owner) {
        let foreign = |o: &Owner| usize::from(matches!(o, Owner::Shard(_)));
        self.foreign += foreign(&owner);
        if let Some(old) = self.by_address.insert(from, owner) {
            self.foreign -= foreign(&old);
        }
    }

    /// The peer is gone: its addresses and fragments mean nothing any more.
    pub fn forget(&mut self, peer: usize, addresses: &[SocketAddr], ufrags: &[String]) {
        addresses.iter().for_each(|a| self.release(*a, peer));
        ufrags.iter().for_each(|u| self.remove_ufrag(u));
    }

    fn release(&mut self, address: SocketAddr, peer: usize) {
        if self.owner(address) == Some(Owner::Peer(peer)) {
            self.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn an_address_follows_its_last_owner() {
        let (mut routes, mut one, mut two) = (Routes::default(), Vec::new(), Vec::new());
        routes.learn(at(1), 1, &mut one);
        routes.learn(at(1), 2, &mut two);
        assert_eq!(routes.owner(at(1)), Some(Owner::Peer(2)));
        routes.forget(1, &one, &[]);
        assert_eq!(routes.owner(at(1)), Some(Owner::Peer(2)));
        routes.forget(2, &two, &[]);
        assert_eq!(routes.owner(at(1)), None);
    }

    #[test]
    fn a_peer_holds_a_bounded_number_of_addresses() {
        let (mut routes, mut held) = (Routes::default(), Vec::new());
        (0..100).for_each(|port| routes.learn(at(port), 7, &mut held));
        assert_eq!(held.len(), PEER_ADDRESSES_MAX);
        assert_eq!(routes.owner(at(0)), None);
        assert_eq!(routes.owner(at(99)), Some(Owner::Peer(7)));
    }

    #[test]
    fn foreign_routes_are_bounded() {
        let mut routes = Routes::default();
        for n in 0..=ROUTES_FOREIGN_MAX {
            routes.learn_foreign(SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 9)), 1);
        }
        assert!(routes.by_address.len() <= ROUTES_FOREIGN_MAX);
        assert_eq!(routes.foreign, routes.by_address.len());
    }
}
