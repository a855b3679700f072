//! Keys under `turn`, `ingress` and `webhook`.

use super::{COUNT, INT, PORT, TEXTS, Table};
use crate::config::kind::Kind;

pub(super) fn rows(t: &mut Table) {
    turn(t);
    t.section("ingress");
    t.key("rtmp_base_url", Kind::Text, "", "Start of the URLs of RTMP ingress.").example("rtmp://example.com/live");
    t.key("whip_base_url", Kind::Text, "", "Start of the URLs of WHIP ingress.").example("https://example.com/whip");
    webhook(t);
}

fn turn(t: &mut Table) {
    t.section("turn");
    t.key("enabled", Kind::Bool, "false", "Run the built-in TURN server.");
    t.key("domain", Kind::Text, "", "Host name of TURN/TLS, as in its certificate.").example("turn.example.com");
    t.key("cert_file", Kind::Text, "", "Certificate of TURN/TLS, PEM.");
    t.key("key_file", Kind::Text, "", "Key of that certificate, PEM.");
    t.key("tls_port", PORT, "0", "Port of TURN/TLS; 0 is off.").example("5349");
    t.key("udp_port", PORT, "0", "Port of TURN/UDP; 0 is off.").example("3478");
    t.key("relay_range_start", PORT, "0", "First relay port; 30000 if either end is not set.");
    t.key("relay_range_end", PORT, "0", "Last relay port; 40000 if either end is not set, 30002 in development mode.");
    t.key("external_tls", Kind::Bool, "false", "A load balancer ends TLS before tls_port.");
    t.key("bind_addresses", TEXTS, "[0.0.0.0]", "Addresses the TURN server listens on.");
    t.key(
        "per_user_relay_allocation_limit",
        Kind::Limit,
        "12",
        "Relays one participant may hold; 0 or less is no limit.",
    );
    t.key("ttl_seconds", INT, "300", "Seconds TURN credentials are valid; 0 or less is 300, at most 86400.");
    t.key("allow_restricted_peer_cidrs", TEXTS, "", "Private networks a relay may reach; none by default.")
        .example("[10.0.0.0/8]");
    t.key("deny_peer_cidrs", TEXTS, "", "Networks a relay may never reach.").example("[192.168.0.0/16]");
}

fn webhook(t: &mut Table) {
    t.section("webhook");
    t.key("urls", TEXTS, "", "Where events are posted to.").example("['https://example.com/hook']");
    t.key("api_key", Kind::Text, "", "API key whose secret signs events; needed with urls.");
    t.section("webhook.url_notifier");
    t.key("num_workers", COUNT, "10", "Events posted at the same time, per URL.");
    t.key("queue_size", COUNT, "100", "Events that may wait, per URL.");
    t.section("webhook.resource_url_notifier");
    t.key("max_age", Kind::Duration, "30s", "Age at which waiting events of a room are dropped.");
    t.key("max_depth", COUNT, "200", "Events of a room that may wait.");
    t.section("webhook.filter_params");
    t.key("include_events", TEXTS, "", "Events to post; empty is all.").example("[room_started]");
    t.key("exclude_events", TEXTS, "", "Events not to post.").example("[track_published]");
}
