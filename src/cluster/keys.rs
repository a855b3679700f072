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

/// Hash: egress id → `livekit.EgressInfo`.
pub const EGRESS: &str = "egress";

/// Hash: egress id → `room|unix nanoseconds`, of those that have ended.
pub const ENDED_EGRESS: &str = "ended_egress";

/// Hash: ingress id → `livekit.IngressInfo` without its state. The braces below are hash tags: a Redis cluster keeps all that
/// is of ingress in one slot with this.
pub const INGRESS: &str = "ingress";

/// Hash: stream key → ingress id.
pub const STREAM_KEYS: &str = "{ingress}_stream_key";

/// Hash: trunk id → `livekit.SIPTrunkInfo`, of before there were two kinds.
pub const SIP_TRUNKS: &str = "sip_trunk";

/// Hash: trunk id → `livekit.SIPInboundTrunkInfo`.
pub const SIP_INBOUND_TRUNKS: &str = "sip_inbound_trunk";

/// Hash: trunk id → `livekit.SIPOutboundTrunkInfo`.
pub const SIP_OUTBOUND_TRUNKS: &str = "sip_outbound_trunk";

/// Hash: rule id → `livekit.SIPDispatchRuleInfo`.
pub const SIP_DISPATCH_RULES: &str = "sip_dispatch_rule";

/// String, our own: which node sweeps.
pub const SWEEPER: &str = "lkops_sweeper";

/// String, our own: that this node was found dead and struck from the list. The braces keep it in one slot with the list.
pub fn struck(node: &str) -> String {
    format!("{{nodes}}_lkops_struck:{node}")
}

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

/// Set: egress ids; of those without a room, too.
pub fn room_egress(room: &str) -> String {
    format!("egress:room:{room}")
}

/// Set: ingress ids.
pub fn room_ingress(room: &str) -> String {
    format!("room_{{ingress}}:{room}")
}

/// String: `livekit.IngressState`.
pub fn ingress_state(id: &str) -> String {
    format!("{{ingress}}_state:{id}")
}
