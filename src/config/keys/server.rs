//! Keys of the process itself: listeners, API keys, logging, statistics, and ours under `lkops`.

use super::{COUNT, PORT, TEXTS, Table, U32};
use crate::config::kind::{Field, Kind};

const PUBLIC_REGION: Kind = Kind::Fields(&[
    Field { name: "name", kind: Kind::Text, doc: "Name, as nodes give in region." },
    Field { name: "url", kind: Kind::Text, doc: "Where its clients connect, ws:// or wss://." },
    Field { name: "lat", kind: Kind::Float, doc: "Latitude in degrees." },
    Field { name: "lon", kind: Kind::Float, doc: "Longitude in degrees." },
    Field { name: "networks", kind: TEXTS, doc: "Whose clients belong there, as CIDR." },
]);

pub(super) fn rows(t: &mut Table) {
    top(t);
    listeners(t);
    logging(t);
    statistics(t);
    t.section("lkops");
    t.key("shards", U32, "0", "Media threads; 0 is one per core.").example("4");
    t.key(
        "spread_rooms_at",
        U32,
        "100",
        "Connections of one room on a media thread from which on newcomers to it go to the thread with the fewest; 0 keeps \
         each room on one thread.",
    )
    .example("200");
    t.key(
        "gather_window",
        Kind::Duration,
        "500us",
        "How long packets of a picture wait for the rest of it, to be sent on together, and how often a busy media thread \
         reads its sockets; 0 is not at all.",
    );
    t.key(
        "receive_offload",
        Kind::Bool,
        "true",
        "The kernel may hand over datagrams of one sender joined (UDP GRO); off if a network card does it wrongly.",
    );
    t.key(
        "overload_cpu",
        Kind::Float,
        "0.95",
        "CPU load, 0 to 1, above which subscribers get less video, sound last of all; 0 is never.",
    );
    t.key(
        "placement",
        Kind::Text,
        "selector",
        "How a node is chosen for a new room: selector (node_selector's sort_by and algorithm), or balanced (the better \
         of two, counting joins that no statistics show yet).",
    )
    .example("balanced");
    t.key(
        "drain_deadline",
        Kind::Duration,
        "",
        "How long a node told to stop by a signal waits for its people before it sends them elsewhere; 0s is for ever.",
    )
    .example("30m");
    t.key("drain_move", Kind::Bool, "false", "A node told to stop by a signal moves its rooms to other nodes at once.");
    t.key("regions", Kind::List(&PUBLIC_REGION), "", "Regions clients are told of at /settings/regions.")
        .example("[{name: eu, url: 'wss://eu.example.com', lat: 50.1, lon: 8.7, networks: [192.0.2.0/24]}]");
}

fn top(t: &mut Table) {
    t.section("");
    t.key("port", PORT, "7880", "TCP port of the HTTP API and the signalling WebSocket.");
    t.key("bind_addresses", TEXTS, "", "Addresses to listen on; empty is all of them.").example("[127.0.0.1]");
    t.key("keys", Kind::Map(&Kind::Secret), "", "API keys and their secrets, each secret 32 characters or longer.")
        .example("{APIkey: a-secret-of-32-characters-or-more}");
    t.key(
        "key_file",
        Kind::Text,
        "",
        "File of `key: secret` lines that replaces `keys`; others must not be able to read it.",
    )
    .example("/etc/livekit/keys.yaml");
    t.key("region", Kind::Text, "", "Region of this node, for the regionaware node selector.").example("eu-west");
    t.key(
        "development",
        Kind::Bool,
        "false",
        "Development mode: placeholder keys, loopback, debug log. Not for production.",
    );
    t.key("enable_data_tracks", Kind::Bool, "true", "Data tracks may be published.");
    t.key("enable_participant_data_blob", Kind::Bool, "false", "Participants may store data blobs.");
    t.key("log_level", Kind::Text, "", "Deprecated: use logging.level.");
    t.key("prometheus_port", PORT, "0", "Deprecated: use prometheus.port.");
}

fn listeners(t: &mut Table) {
    t.section("prometheus");
    t.key("port", PORT, "0", "TCP port of the metrics page; 0 is off.").example("6789");
    t.key("username", Kind::Text, "", "User of the metrics page; set both or neither of username and password.");
    t.key("password", Kind::Secret, "", "Password of the metrics page.");
    t.section("debug_handler");
    t.key("port", PORT, "0", "TCP port of the debug pages; 0 is off.").example("7070");
    t.section("trace");
    t.key("jaeger_url", Kind::Text, "", "Where to send traces; host, host:port or URL.");
    t.section("api");
    t.key("execution_timeout", Kind::Duration, "2s", "How long an API call waits for its effect.");
    t.key("check_interval", Kind::Duration, "100ms", "First pause between looks for that effect.");
    t.key("max_check_interval", Kind::Duration, "300s", "Longest pause between looks.");
    t.key(
        "enable_psrpc_for_get_list_participants",
        Kind::Bool,
        "false",
        "GetParticipant and ListParticipants ask the room's node.",
    );
}

fn logging(t: &mut Table) {
    t.section("logging");
    t.key("level", Kind::Text, "", "debug, info, warn or error; empty is info, or debug in development mode.")
        .example("info");
    t.key("json", Kind::Bool, "false", "Write JSON lines.");
    t.key("pion_level", Kind::Text, "error", "Level of the transport's own messages.");
    t.key("component_levels", Kind::Map(&Kind::Text), "", "Level by component, where it differs.")
        .example("{transport: warn}");
    t.key("sample", Kind::Bool, "false", "Drop repeated messages.");
    t.key("sample_initial", COUNT, "0", "Messages written before sampling begins, per second.");
    t.key("sample_interval", COUNT, "0", "Every how many messages one is written when sampling.");
    t.key("item_sample_seconds", COUNT, "0", "Seconds over which a participant's or track's messages are sampled.");
    t.key("item_sample_initial", COUNT, "0", "As sample_initial, per participant or track.");
    t.key("item_sample_interval", COUNT, "0", "As sample_interval, per participant or track.");
}

fn statistics(t: &mut Table) {
    t.section("metric.timestamper_config");
    t.key(
        "one_way_delay_estimator_min_interval",
        Kind::Duration,
        "5s",
        "Least time between estimates of a client's clock.",
    );
    t.key("one_way_delay_estimator_max_batch", COUNT, "100", "Most samples one estimate uses.");
    t.section("metric.collector");
    t.key("sampling_interval_ms", U32, "3000", "Milliseconds between samples of participant metrics.");
    t.key("batch_interval_ms", U32, "10000", "Milliseconds of samples sent together.");
    t.section("metric.reporter");
    t.key("reporting_interval_ms", U32, "10000", "Milliseconds between reports to subscribers of metrics.");
    t.section("node_stats");
    t.key("stats_update_interval", Kind::Duration, "2s", "Time between measurements of this node.");
    t.key(
        "stats_rate_measurement_intervals",
        Kind::List(&Kind::Duration),
        "[10s]",
        "Windows over which rates are measured.",
    );
    t.key("stats_max_delay", Kind::Duration, "30s", "Age at which a node's measurements count as lost.");
    t.section("agents");
    t.key("enable_user_data_recording", Kind::Bool, "false", "Agents may record user data.");
    t.key("enable_user_data_redaction", Kind::Bool, "false", "Recorded user data is redacted.");
    t.key("target_load", Kind::Float, "0.7", "Load of an agent worker, 0 to 1, above which others are preferred.");
}
