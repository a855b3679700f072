//! The nodes of a cluster as its store knows them (CLUSTER.md §4, §5).

use crate::cluster::{Store, StoreError};
use crate::limits::NODE_FRESH_SECONDS;
use crate::proto::participant_info;
use crate::proto::{Node, NodeState, NodeStats, ParticipantInfo, Room};
use serde::Serialize;
use std::collections::HashMap;

/// One node, as it last told. Rates are means over the node's first window, 10 s as a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub id: String,
    /// `serving`, `draining`, `cordoned`, `starting`, or `gone` where nothing was heard of it for 5 s.
    pub state: &'static str,
    /// `lkops 0.1.0`, or `livekit <=1.13.5`: stock nodes tell only the highest release of all.
    pub version: String,
    pub region: String,
    pub ip: String,
    pub rooms: i32,
    pub people: i32,
    pub tracks_in: i32,
    pub tracks_out: i32,
    pub cpus: u32,
    /// 0 to 1.
    pub cpu: f32,
    /// Load average of a minute, over all cores.
    pub load: f32,
    pub memory_used_bytes: u64,
    pub memory_total_bytes: u64,
    pub bits_in_per_second: f32,
    pub bits_out_per_second: f32,
    /// Since it started.
    pub age_s: i64,
    /// Since it was last heard of; `null` for a node without statistics.
    pub heard_s: Option<i64>,
}

/// A room and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomSummary {
    pub room: String,
    pub sid: String,
    /// Empty for a room no node has.
    pub node: String,
    pub people: u32,
    pub publishers: u32,
    pub age_s: i64,
}

/// Somebody and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonSummary {
    pub room: String,
    pub identity: String,
    pub sid: String,
    pub name: String,
    pub state: &'static str,
    pub tracks: usize,
    pub joined_s: i64,
}

/// Which node was meant?
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNode {
    #[error("no node `{0}` is registered; `lkops nodes` lists them")]
    Unknown(String),
    #[error("`{0}` could be {1}; give more of the id")]
    Ambiguous(String, String),
}

/// All nodes, by region and id.
pub async fn list(store: &Store, now_s: i64) -> Result<Vec<Summary>, StoreError> {
    let (ours, stock) = (store.versions().await?, store.livekit_version().await?);
    let named = |node: &Node| {
        let version = ours.get(&node.id).cloned().or_else(|| Some(format!("livekit <={}", stock.as_ref()?)));
        Summary { version: version.unwrap_or_default(), ..Summary::of(node, now_s) }
    };
    let mut nodes: Vec<Summary> = store.nodes().await?.iter().map(named).collect();
    nodes.sort_by(|a, b| (&a.region, &a.id).cmp(&(&b.region, &b.id)));
    Ok(nodes)
}

/// The fullest rooms first; of one node, or of all.
pub async fn rooms(store: &Store, node: Option<&str>, now_s: i64) -> Result<Vec<RoomSummary>, StoreError> {
    let (places, rooms) = (store.room_nodes().await?, store.rooms(&[]).await?);
    Ok(summarize_rooms(&rooms, &places, node, now_s))
}

fn summarize_rooms(
    rooms: &[Room],
    places: &HashMap<String, String>,
    node: Option<&str>,
    now_s: i64,
) -> Vec<RoomSummary> {
    let place = |room: &Room| places.get(&room.name).cloned().unwrap_or_default();
    let summary = |room: &Room| RoomSummary {
        room: room.name.clone(),
        sid: room.sid.clone(),
        node: place(room),
        people: room.num_participants,
        publishers: room.num_publishers,
        age_s: (now_s - room.creation_time).max(0),
    };
    let wanted = rooms.iter().filter(|room| node.is_none_or(|node| places.get(&room.name).is_some_and(|p| p == node)));
    let mut found: Vec<RoomSummary> = wanted.map(summary).collect();
    found.sort_by(|a, b| b.people.cmp(&a.people).then_with(|| a.room.cmp(&b.room)));
    found
}

/// By room, in the order they joined.
pub async fn people(store: &Store, rooms: &[String], now_s: i64) -> Result<Vec<PersonSummary>, StoreError> {
    let mut found = Vec::new();
    for room in rooms {
        let mut here = store.participants(room).await?;
        here.sort_by(|a, b| (a.joined_at, &a.identity).cmp(&(b.joined_at, &b.identity)));
        found.extend(here.iter().map(|person| PersonSummary::of(room, person, now_s)));
    }
    Ok(found)
}

/// The node of that id, of the only id that begins so, or of that address.
pub fn find<'n>(nodes: &'n [Node], wanted: &str) -> Result<&'n Node, UnknownNode> {
    if let Some(node) = nodes.iter().find(|node| node.id == wanted) {
        return Ok(node);
    }
    let is_meant = |node: &&Node| (!wanted.is_empty() && node.id.starts_with(wanted)) || node.ip == wanted;
    let meant: Vec<&Node> = nodes.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [node] => Ok(node),
        [] => Err(UnknownNode::Unknown(wanted.to_owned())),
        several => {
            let ids: Vec<&str> = several.iter().map(|node| node.id.as_str()).collect();
            Err(UnknownNode::Ambiguous(wanted.to_owned(), ids.join(" or ")))
        }
    }
}

impl Summary {
    pub fn of(node: &Node, now_s: i64) -> Summary {
        let silent = NodeStats::default();
        let stats = node.stats.as_ref().unwrap_or(&silent);
        let heard_s = node.stats.as_ref().map(|stats| now_s - stats.updated_at);
        let rate = stats.rates.first().cloned().unwrap_or_default();
        Summary {
            id: node.id.clone(),
            state: state(node, heard_s),
            version: String::new(),
            region: node.region.clone(),
            ip: node.ip.clone(),
            rooms: stats.num_rooms,
            people: stats.num_clients,
            tracks_in: stats.num_tracks_in,
            tracks_out: stats.num_tracks_out,
            cpus: node.num_cpus.max(stats.num_cpus),
            cpu: stats.cpu_load,
            load: stats.load_avg_last1min,
            memory_used_bytes: stats.memory_used,
            memory_total_bytes: stats.memory_total,
            bits_in_per_second: rate.bytes_in * 8.0,
            bits_out_per_second: rate.bytes_out * 8.0,
            age_s: if stats.started_at > 0 { (now_s - stats.started_at).max(0) } else { 0 },
            heard_s,
        }
    }

    /// Whether it is there at all.
    pub fn is_here(&self) -> bool {
        self.state != "gone"
    }
}

fn state(node: &Node, heard_s: Option<i64>) -> &'static str {
    if heard_s.is_some_and(|age| age >= NODE_FRESH_SECONDS) {
        return "gone";
    }
    match node.state() {
        NodeState::StartingUp => "starting",
        NodeState::Serving => "serving",
        NodeState::ShuttingDown => "draining",
        NodeState::Suspended => "cordoned",
    }
}

impl PersonSummary {
    fn of(room: &str, person: &ParticipantInfo, now_s: i64) -> PersonSummary {
        PersonSummary {
            room: room.to_owned(),
            identity: person.identity.clone(),
            sid: person.sid.clone(),
            name: person.name.clone(),
            state: match person.state() {
                participant_info::State::Joining => "joining",
                participant_info::State::Joined => "joined",
                participant_info::State::Active => "active",
                participant_info::State::Disconnected => "disconnected",
            },
            tracks: person.tracks.len(),
            joined_s: (now_s - person.joined_at).max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStatsRate;

    fn node(id: &str, ip: &str) -> Node {
        Node { id: id.into(), ip: ip.into(), ..Node::default() }
    }

    #[test]
    fn a_node_is_found_by_what_names_it_alone() {
        let nodes = [node("ND_abc", "10.0.0.1"), node("ND_abd", "10.0.0.2"), node("ND_x", "10.0.0.2")];
        let id = |wanted| find(&nodes, wanted).map(|node| node.id.as_str());
        assert_eq!([id("ND_abc"), id("ND_x"), id("10.0.0.1")], [Ok("ND_abc"), Ok("ND_x"), Ok("ND_abc")]);
        assert_eq!(id("ND_ab"), Err(UnknownNode::Ambiguous("ND_ab".into(), "ND_abc or ND_abd".into())));
        assert!(matches!(id("10.0.0.2"), Err(UnknownNode::Ambiguous(..))));
        assert_eq!(id("ND_z"), Err(UnknownNode::Unknown("ND_z".into())));
        assert!(id("").is_err());
    }

    #[test]
    fn states_are_told_in_an_operators_words() {
        let mut found = Vec::new();
        for (state, updated_at) in [(0, 100), (1, 100), (1, 96), (1, 95), (2, 100), (3, 100)] {
            let stats = Some(NodeStats { updated_at, ..NodeStats::default() });
            found.push(Summary::of(&Node { state, stats, ..Node::default() }, 100).state);
        }
        assert_eq!(found, ["starting", "serving", "serving", "gone", "draining", "cordoned"]);
        let silent = Summary::of(&Node { state: 1, ..Node::default() }, 100);
        assert_eq!((silent.state, silent.heard_s, silent.age_s), ("serving", None, 0));
    }

    #[test]
    fn rates_are_bits() {
        let rates = vec![NodeStatsRate { bytes_in: 10.0, bytes_out: 20.0, ..NodeStatsRate::default() }];
        let stats = Some(NodeStats { rates, started_at: 40, updated_at: 99, ..NodeStats::default() });
        let summary = Summary::of(&Node { stats, ..Node::default() }, 100);
        assert_eq!((summary.bits_in_per_second, summary.bits_out_per_second), (80.0, 160.0));
        assert_eq!((summary.age_s, summary.heard_s), (60, Some(1)));
    }

    #[test]
    fn rooms_of_a_node_come_with_the_fullest_first() {
        let room = |name: &str, num_participants| Room { name: name.into(), num_participants, ..Room::default() };
        let rooms = [room("a", 1), room("b", 3), room("c", 3), room("lost", 9)];
        let places = [("a", "1"), ("b", "1"), ("c", "2")].map(|(r, n)| (r.to_owned(), n.to_owned())).into();
        let names = |node| {
            let found = summarize_rooms(&rooms, &places, node, 0);
            found.into_iter().map(|r| (r.room, r.node)).collect::<Vec<_>>()
        };
        assert_eq!(names(Some("1")), [("b".into(), "1".into()), ("a".into(), "1".into())]);
        assert_eq!(names(None)[0], ("lost".into(), String::new()));
    }
}
