//! Keys under `rtc`, except congestion control.

use super::{COUNT, PORT, SIZE, TEXTS, Table};
use crate::config::kind::{Field, Kind};

const TURN_SERVER: Kind = Kind::Fields(&[
    Field { name: "host", kind: Kind::Text, doc: "Host name." },
    Field { name: "port", kind: PORT, doc: "Port." },
    Field { name: "protocol", kind: Kind::Text, doc: "udp, tcp or tls." },
    Field { name: "username", kind: Kind::Text, doc: "Static user." },
    Field { name: "credential", kind: Kind::Secret, doc: "Static password." },
    Field { name: "secret", kind: Kind::Secret, doc: "Shared secret for credentials made per participant." },
    Field { name: "secret_file", kind: Kind::Text, doc: "File with that secret." },
    Field { name: "ttl", kind: super::INT, doc: "Seconds such credentials are valid; 0 is 14400, at most 86400." },
]);

pub(super) fn rows(t: &mut Table) {
    ports(t);
    addresses(t);
    servers(t);
    sockets(t);
    buffers(t);
    fallback(t);
}

fn ports(t: &mut Table) {
    t.section("rtc");
    t.key("udp_port", Kind::Ports, "", "UDP port, or range of ports, that all participants share.")
        .example("7882-7892");
    t.key("tcp_port", PORT, "7881", "TCP port of ICE/TCP; 0 turns it off.");
    t.key(
        "port_range_start",
        PORT,
        "0",
        "First UDP port when participants have ports of their own; 50000 if udp_port is not set.",
    );
    t.key("port_range_end", PORT, "0", "Last of those ports; 60000 if udp_port is not set.");
    t.key("use_stun_port_as_ice", Kind::Bool, "false", "Also take media on UDP port 3478; needs udp_port.");
    t.key("force_tcp", Kind::Bool, "false", "Offer no UDP candidates.");
}

fn addresses(t: &mut Table) {
    t.key("node_ip", Kind::NodeIp, "", "Address told to clients; found by itself when empty.").example("203.0.113.7");
    t.key("use_external_ip", Kind::Bool, "false", "Find the public address by STUN and tell it to clients.");
    t.key("skip_external_ip_validation", Kind::Bool, "false", "Trust the address found without a packet to ourselves.");
    t.key("advertise_internal_ip", Kind::Bool, "false", "Tell internal addresses too when use_external_ip is set.");
    t.key("external_ip_only", Kind::Bool, "false", "Tell only the external address when use_external_ip is set.");
    t.key("use_ice_lite", Kind::Bool, "false", "Use ICE lite.");
    t.key("use_mdns", Kind::Bool, "false", "Take mDNS candidates.");
    t.key("enable_loopback_candidate", Kind::Bool, "false", "Offer loopback addresses.");
    t.section("rtc.interfaces");
    t.key("includes", TEXTS, "", "Interfaces to use; empty is all.").example("[eth0]");
    t.key("excludes", TEXTS, "", "Interfaces not to use.").example("[docker0]");
    t.section("rtc.ips");
    t.key("includes", TEXTS, "", "Networks whose addresses to use, as CIDR; empty is all.").example("[10.0.0.0/16]");
    t.key("excludes", TEXTS, "", "Networks whose addresses not to use.").example("[192.168.1.0/24]");
}

fn servers(t: &mut Table) {
    t.section("rtc");
    t.key("stun_servers", TEXTS, "", "STUN servers told to clients, host:port.").example("['stun.example.com:3478']");
    t.key("turn_servers", Kind::List(&TURN_SERVER), "", "TURN servers told to clients.")
        .example("[{host: turn.example.com, port: 443, protocol: tls, secret: shared}]");
    t.key("enable_warp", Kind::Bool, "false", "Experimental: shorter DTLS and SCTP handshakes.");
}

fn sockets(t: &mut Table) {
    t.section("rtc.batch_io");
    t.key("batch_size", COUNT, "0", "Packets written together; 0 lets the server decide.");
    t.key("max_flush_interval", Kind::Duration, "", "Longest a packet waits for such a batch.");
    t.section("rtc");
    t.key("sctp_min_cwnd", COUNT, "0", "Least SCTP congestion window in bytes; 0 is the stack's.");
    t.key("sctp_fast_rtx_wnd", COUNT, "0", "SCTP fast retransmission window in bytes; 0 is the stack's.");
    t.key("sctp_cwnd_ca_step", COUNT, "0", "SCTP window growth in congestion avoidance in bytes; 0 is the stack's.");
    t.key("host_acceptance_min_wait", Kind::Duration, "", "Wait before a host candidate pair is nominated.");
    t.key("srflx_acceptance_min_wait", Kind::Duration, "", "The same for server-reflexive pairs.");
    t.key("prflx_acceptance_min_wait", Kind::Duration, "", "The same for peer-reflexive pairs.");
    t.key("relay_acceptance_min_wait", Kind::Duration, "", "The same for relayed pairs.");
}

fn buffers(t: &mut Table) {
    t.key("packet_buffer_size_video", COUNT, "500", "Packets of each video track kept for retransmission.");
    t.key("packet_buffer_size_audio", COUNT, "200", "Packets of each audio track kept for retransmission.");
    t.key("packet_buffer_size", COUNT, "500", "Deprecated and without effect.");
    t.key("strict_acks", Kind::Bool, "false", "Deprecated and without effect.");
    t.key("data_channel_max_buffered_amount", SIZE, "0", "Deprecated and without effect.");
    t.key(
        "datachannel_slow_threshold",
        COUNT,
        "0",
        "Bits per second under which a data channel counts as slow; 0 is off.",
    );
    t.key(
        "datachannel_lossy_target_latency",
        Kind::Duration,
        "",
        "Latency a lossy data channel drops packets to keep; 0s is off.",
    );
    t.key("datachannel_data_track_target_latency", Kind::Duration, "100ms", "The same for data tracks.");
    t.section("rtc.pli_throttle");
    t.key("low_quality", Kind::Duration, "500ms", "Least time between key frame requests, low layer.");
    t.key("mid_quality", Kind::Duration, "1s", "The same, middle layer.");
    t.key("high_quality", Kind::Duration, "1s", "The same, high layer.");
    t.section("rtc.forward_stats");
    t.key("summary_interval", Kind::Duration, "", "Time between summaries of forwarding latency; 0s is off.");
    t.key("report_interval", Kind::Duration, "", "Time between its reports; 0s is off.");
    t.key("report_window", Kind::Duration, "", "Time a report looks back.");
}

fn fallback(t: &mut Table) {
    t.section("rtc");
    t.key("allow_tcp_fallback", Kind::Bool, "~", "Fall back to TCP and TURN/TLS where UDP fails; unset is true.");
    t.key(
        "tcp_fallback_rtt_threshold",
        COUNT,
        "0",
        "Signalling round trip in ms above which ICE/TCP is skipped; 0 is never.",
    );
    t.key(
        "allow_udp_unstable_fallback",
        Kind::Bool,
        "false",
        "Fall back from lossy UDP too; needs tcp_fallback_rtt_threshold.",
    );
    t.key(
        "reconnect_on_publication_error",
        Kind::Bool,
        "~",
        "A failed publication makes the client reconnect; unset is false.",
    );
    t.key(
        "reconnect_on_subscription_error",
        Kind::Bool,
        "~",
        "A failed subscription makes the client reconnect; unset is false.",
    );
    t.key(
        "reconnect_on_data_channel_error",
        Kind::Bool,
        "~",
        "A failed data channel makes the client reconnect; unset is false.",
    );
    t.key("enable_rtp_stream_restart_detection", Kind::Bool, "false", "Recognise restarted RTP streams.");
}
