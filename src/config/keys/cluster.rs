//! Keys of a node among others: `redis`, `node_selector`, `signal_relay` and `psrpc`.

use super::{COUNT, TEXTS, Table, U32};
use crate::config::kind::{Field, Kind};

const REGION: Kind = Kind::Fields(&[
    Field { name: "name", kind: Kind::Text, doc: "Name, as nodes give in region." },
    Field { name: "lat", kind: Kind::Float, doc: "Latitude in degrees." },
    Field { name: "lon", kind: Kind::Float, doc: "Longitude in degrees." },
]);

pub(super) fn rows(t: &mut Table) {
    redis(t);
    selector(t);
    t.section("signal_relay");
    t.key("retry_timeout", Kind::Duration, "7.5s", "How long a signalling message is tried.");
    t.key("min_retry_interval", Kind::Duration, "500ms", "First pause between tries.");
    t.key("max_retry_interval", Kind::Duration, "4s", "Longest pause between tries.");
    t.key("stream_buffer_size", COUNT, "1000", "Messages that may wait.");
    t.key("connect_attempts", COUNT, "3", "How often a node is asked to take a participant.");
    t.section("psrpc");
    t.key("max_attempts", COUNT, "3", "How often a call to another node is tried.");
    t.key("timeout", Kind::Duration, "3s", "How long the first try waits.");
    t.key("backoff", Kind::Duration, "2s", "How much longer each further try waits.");
    t.key("buffer_size", COUNT, "1000", "Messages that may wait.");
}

fn redis(t: &mut Table) {
    t.section("redis");
    t.key("address", Kind::Text, "", "host:port; without any Redis address the node stands alone.")
        .example("127.0.0.1:6379");
    t.key("username", Kind::Text, "", "User.");
    t.key("password", Kind::Secret, "", "Password.");
    t.key("db", COUNT, "0", "Database number; a cluster has only 0.");
    t.key("use_tls", Kind::Bool, "false", "Deprecated: use redis.tls.enabled.");
    t.key("sentinel_master_name", Kind::Text, "", "Name of the master Sentinel watches.");
    t.key("sentinel_username", Kind::Text, "", "User at Sentinel.");
    t.key("sentinel_password", Kind::Secret, "", "Password at Sentinel.");
    t.key("sentinel_addresses", TEXTS, "", "host:port of each Sentinel.").example("['127.0.0.1:26379']");
    t.key("cluster_addresses", TEXTS, "", "host:port of nodes of a Redis cluster.").example("['127.0.0.1:6379']");
    t.key("dial_timeout", COUNT, "0", "Milliseconds to connect; 0 is the client's default.");
    t.key("read_timeout", COUNT, "0", "Milliseconds until a command without an answer failed; 0 is 3,000.");
    t.key("write_timeout", COUNT, "0", "The same, sending included: the larger of the two counts.");
    t.key("max_redirects", U32, "~", "Redirects to follow in a cluster; unset is 2.");
    t.key("pool_timeout", Kind::Duration, "", "Without effect: nobody waits for a connection.");
    t.key("pool_size", COUNT, "0", "Without effect: a node has two connections, for commands and for messages.");
    t.section("redis.tls");
    t.key("enabled", Kind::Bool, "false", "Connect with TLS.");
    t.key("insecure", Kind::Bool, "false", "Do not check the server's certificate.");
    t.key("server_name", Kind::Text, "", "Name the certificate must have; empty is the host's.");
    t.key("ca_cert_file", Kind::Text, "", "Certificates to trust, PEM; empty is the system's.");
    t.key("client_cert_file", Kind::Text, "", "Our certificate, PEM.");
    t.key("client_key_file", Kind::Text, "", "Its key, PEM.");
}

fn selector(t: &mut Table) {
    t.section("node_selector");
    t.key("kind", Kind::Text, "any", "any, cpuload, sysload or regionaware.");
    t.key("sort_by", Kind::Text, "random", "random, sysload, cpuload, rooms, clients, tracks or bytespersec.");
    t.key("algorithm", Kind::Text, "lowest", "lowest or twochoice.");
    t.key("cpu_load_limit", Kind::Float, "0.9", "CPU load, 0 to 1, above which a node gets no new room.");
    t.key("sysload_limit", Kind::Float, "0.9", "System load per core above which a node gets no new room.");
    t.key("regions", Kind::List(&REGION), "", "Where regions are, for regionaware.")
        .example("[{name: eu-west, lat: 53.3, lon: -6.2}]");
}
