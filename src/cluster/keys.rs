//! Names of what a cluster keeps in Redis (CLUSTER.md §4). All are LiveKit's but those marked as our own, which stock nodes
//! never read.

/// Hash: node id → `livekit.Node`.
pub const NODES: &str = "nodes";

/// Hash, our own: node id → the release it runs.
pub const NODE_VERSIONS: &str = "lkops_node_versions";

/// String: the highest LiveKit release that was ever in the cluster.
pub const LIVEKIT_VERSION: &str = "livekit_version";

/// Hash: room → node id.
pub const ROOM_NODES: &str = "room_node_map";

/// Hash, our own: room → `epoch node`. The braces are a hash tag: Redis Cluster keeps it in one slot with the map above, so
/// that one script may change both.
pub const ROOM_EPOCHS: &str = "{room_node_map}_lkops_epoch";

/// Hash: room → `livekit.Room`.
pub const ROOMS: &str = "rooms";

/// Hash: room → `livekit.RoomInternal`.
pub const ROOM_INTERNAL: &str = "room_internal";

/// String, our own: which node sweeps.
pub const SWEEPER: &str = "lkops_sweeper";

/// Hash: identity → `livekit.ParticipantInfo`.
pub fn participants(room: &str) -> String {
    format!("room_participants:{room}")
}

/// Hash: dispatch id → `livekit.AgentDispatch`.
pub fn agent_dispatches(room: &str) -> String {
    format!("agent_dispatch:{room}")
}

/// Hash: job id → `livekit.Job`.
pub fn agent_jobs(room: &str) -> String {
    format!("agent_job:{room}")
}

/// String: whose turn it is to load or create the room's record.
pub fn room_lock(room: &str) -> String {
    format!("room_lock:{room}")
}
