//! Loading as a whole: which source wins, and the files a configuration names.

use super::*;
use proptest::prelude::*;
use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const SECRET: &str = "a-secret-that-is-longer-than-32-bytes";

fn with_body(body: &str) -> Sources {
    Sources { body: Some(body.to_owned()), ..Default::default() }
}

impl Sources {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.insert(name.to_owned(), value.to_owned());
        self
    }

    fn serve(mut self) -> Self {
        self.purpose = Purpose::Serve;
        self
    }

    fn loaded(&self) -> Loaded {
        load(self).unwrap_or_else(|complaints| panic!("{complaints:#?}"))
    }

    fn complaints(&self) -> Vec<String> {
        let complaints = load(self).expect_err("the configuration is wrong");
        complaints.iter().map(Complaint::to_string).collect()
    }
}

fn origin(loaded: &Loaded, path: &str) -> String {
    loaded.settings.find(path).expect(path).origin.to_string()
}

/// A file of this text and mode in a directory that goes with the answer.
fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.yaml");
    write(&path, text).unwrap();
    set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

#[test]
fn each_source_yields_to_the_next() {
    let (_dir, path) = file("region: from-file\n", 0o600);
    let mut sources = Sources { file: Some(path.clone()), ..Default::default() };
    let expect = |sources: &Sources, region: &str, origin_text: &str| {
        let loaded = sources.loaded();
        assert_eq!((loaded.config.region.as_str(), origin(&loaded, "region").as_str()), (region, origin_text));
    };
    expect(&Sources::default(), "", "default");
    expect(&sources, "from-file", &format!("{}:1", path.display()));
    sources = sources.env("LIVEKIT_CONFIG", "region: from-env-body");
    expect(&sources, "from-env-body", "LIVEKIT_CONFIG:1");
    sources.body = Some("\nregion: from-body".into());
    expect(&sources, "from-body", "--config-body:2");
    sources = sources.env("LIVEKIT_REGION", "from-env");
    expect(&sources, "from-env", "env LIVEKIT_REGION");
    sources = sources.flag("region", "from-flag");
    expect(&sources, "from-flag", "flag --region");
}

#[test]
fn generated_flags_win_over_yaml_and_named_flags_over_generated_ones() {
    let sources = with_body("redis: {address: yaml}").env("LIVEKIT_REDIS_ADDRESS", "generated-env");
    assert_eq!(sources.loaded().config.redis.address, "generated-env");
    let sources = sources.flag("redis.address", "generated-flag");
    assert_eq!(sources.loaded().config.redis.address, "generated-flag");
    let sources = sources.env("REDIS_HOST", "named-env");
    assert_eq!(sources.loaded().config.redis.address, "named-env");
    let sources = sources.flag("redis-host", "named-flag");
    assert_eq!(sources.loaded().config.redis.address, "named-flag");
}

#[test]
fn a_body_wins_over_a_file_that_is_then_not_read() {
    let mut sources = with_body("port: 1234");
    sources.file = Some("/nonexistent/livekit.yaml".into());
    assert_eq!(sources.loaded().config.port, 1234);
    sources.body = Some(String::new());
    assert_eq!(sources.complaints(), ["/nonexistent/livekit.yaml: No such file or directory (os error 2)"]);
}

#[test]
fn empty_variables_are_unset() {
    let loaded = with_body("port: 1234").env("LIVEKIT_PORT", "").env("LIVEKIT_KEYS", "").loaded();
    assert_eq!((loaded.config.port, origin(&loaded, "port").as_str()), (1234, "--config-body:1"));
}

#[test]
fn generated_flags_convert_by_kind() {
    let sources = Sources::default()
        .flag("rtc.tcp_port", "0")
        .flag("rtc.use_ice_lite", "1")
        .flag("rtc.pli_throttle.low_quality", "250000000")
        .flag("signal_relay.retry_timeout", "9s")
        .flag("limit.bytes_per_sec", "1e6")
        .flag("rtc.allow_tcp_fallback", "false");
    let config = sources.loaded().config;
    assert_eq!(config.rtc.tcp_port, 0);
    assert!(config.rtc.use_ice_lite);
    assert_eq!(config.rtc.pli_throttle.low_quality.as_millis(), 250);
    assert_eq!(config.signal_relay.retry_timeout.as_secs(), 9);
    assert_eq!(config.limit.bytes_per_sec, 1e6);
    assert_eq!(config.rtc.allow_tcp_fallback, Some(false));
}

#[test]
fn bad_flags_and_variables_are_all_named() {
    let sources = Sources::default()
        .flag("rtc.tcp_port", "x")
        .flag("udp-port", "2-1")
        .env("LIVEKIT_PORT", "tcp://10.0.0.1:7880")
        .env("NODE_IP", "here")
        .env("LIVEKIT_KEYS", "APIone:no-space");
    let expected = [
        "env LIVEKIT_PORT: port: `tcp://10.0.0.1:7880` must be a whole number from 0 to 65535; kubernetes sets it for a \
         service of that name: set enableServiceLinks: false on the pod",
        "flag --rtc.tcp_port: `x` must be a whole number from 0 to 65535",
        "env LIVEKIT_KEYS: keys: Could not parse keys, it needs to be exactly, \"key: secret\", including the space",
        "env NODE_IP: rtc.node_ip: invalid ip here",
        "flag --udp-port: rtc.udp_port: end port 1 must be greater than start port 2",
    ];
    assert_eq!(sources.complaints(), expected);
}

#[test]
fn named_flags_set_their_keys() {
    let mut sources = Sources::default()
        .flag("keys", "APIone: one\nAPItwo: two")
        .flag("node-ip", "192.0.2.1,2001:db8::1")
        .flag("udp-port", "7000-7010")
        .flag("redis-password", "p")
        .flag("turn-cert", "c.pem")
        .flag("turn-key", "k.pem");
    (sources.bind, sources.dev) = (vec!["192.0.2.1".into()], true);
    let config = sources.loaded().config;
    assert_eq!(config.keys, [("APIone", "one"), ("APItwo", "two")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(config.rtc.node_ip.v4, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(config.rtc.node_ip.v6, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(config.rtc.udp_port, Some((7000, 7010)));
    assert_eq!((config.redis.password.as_str(), config.turn.cert_file.as_str()), ("p", "c.pem"));
    assert_eq!((config.turn.key_file.as_str(), config.development), ("k.pem", true));
    assert_eq!(config.bind_addresses, ["192.0.2.1"]);
}

#[test]
fn keys_that_are_not_text_are_left_out_and_told() {
    let loaded = Sources::default().env("LIVEKIT_KEYS", "APIone: secret\nAPItwo: [x]\nAPInull: ~").loaded();
    assert_eq!(loaded.config.keys.keys().collect::<Vec<_>>(), ["APIone"]);
    assert!(loaded.notices[0].contains("`APItwo`"), "{:?}", loaded.notices);
}

#[test]
fn unknown_keys_pass_when_asked_to_but_wrong_values_never_do() {
    let mut sources = with_body("prot: 1\nrtc: {tcp_prt: 2}\nport: x\n");
    sources.lenient = true;
    assert_eq!(sources.complaints(), ["--config-body:3: port: `x` must be a whole number from 0 to 65535"]);
}

#[test]
fn a_key_file_replaces_keys() {
    let (_dir, path) = file(&format!("APIfile: {SECRET}\n"), 0o640);
    let body = format!("keys: {{APIyaml: {SECRET}}}\nkey_file: {}\n", path.display());
    let loaded = with_body(&body).serve().loaded();
    assert_eq!(loaded.config.keys.keys().collect::<Vec<_>>(), ["APIfile"]);
    assert_eq!(origin(&loaded, "keys"), path.display().to_string());
}

#[test]
fn a_key_file_may_be_named_by_variable_or_home() {
    let (dir, _path) = file(&format!("APIfile: {SECRET}\n"), 0o600);
    for named in ["~/file.yaml", "$HOME/file.yaml", "${HOME}/file.yaml"] {
        let sources = with_body("").flag("key-file", named).env("HOME", dir.path().to_str().unwrap()).serve();
        assert!(sources.loaded().config.keys.contains_key("APIfile"), "{named}");
    }
}

#[test]
fn a_key_file_others_can_read_is_refused() {
    let (_dir, path) = file("APIfile: secret\n", 0o644);
    let sources = with_body(&format!("key_file: {}", path.display())).serve();
    let refusal =
        format!("--config-body:1: key_file: key file others permissions must be set to 0: chmod o= {}", path.display());
    assert_eq!(sources.complaints(), [refusal]);
    assert!(load(&Sources { purpose: Purpose::Inspect, ..sources }).is_ok(), "ports does not read it");
}

#[test]
fn a_key_file_without_keys_is_refused() {
    let (_dir, path) = file("- a list\n", 0o600);
    let found = with_body(&format!("key_file: {}", path.display())).serve().complaints();
    assert!(found[0].ends_with("file.yaml:1: must be lines of `key: secret`, with the space"), "{found:?}");
}

#[test]
fn a_turn_secret_comes_from_its_file() {
    let (_dir, path) = file("  shared \n", 0o600);
    let body = |extra: &str| {
        let server = format!("{{host: turn.example.com, secret_file: {}{extra}}}", path.display());
        with_body(&format!("keys: {{APIone: {SECRET}}}\nrtc: {{turn_servers: [{server}]}}")).serve()
    };
    assert_eq!(body("").loaded().config.rtc.turn_servers[0].secret, "shared");
    let both = body(", secret: inline").loaded();
    assert_eq!(both.config.rtc.turn_servers[0].secret, "inline");
    assert!(both.notices[0].contains("both secret and secret_file"));
    write(&path, " \n").unwrap();
    assert!(body("").complaints()[0].contains("turn secret is empty"));
    set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    assert!(body("").complaints()[0].contains("turn secret file others permissions must be set to 0"));
}

#[test]
fn turn_lifetimes_stay_within_a_day() {
    for (given, used) in [("0", 300), ("-5", 300), ("1", 1), ("86400", 86_400), ("999999", 86_400)] {
        assert_eq!(
            with_body(&format!("turn: {{ttl_seconds: {given}}}")).loaded().config.turn.ttl_seconds,
            used,
            "{given}"
        );
    }
    for (given, used) in [("0", 0), ("-5", 300), ("999999", 86_400)] {
        let loaded = with_body(&format!("rtc: {{turn_servers: [{{host: h, ttl: {given}}}]}}")).loaded();
        assert_eq!(loaded.config.rtc.turn_servers[0].ttl, used, "{given}");
    }
}

#[test]
fn rtc_ports_follow_mode_and_what_is_given() {
    let ports = |body: &str| {
        let rtc = with_body(body).loaded().config.rtc;
        (rtc.udp_port, rtc.port_range_start, rtc.port_range_end)
    };
    assert_eq!(ports(""), (None, 50_000, 60_000));
    assert_eq!(ports("development: true"), (Some((7882, 7882)), 0, 0));
    assert_eq!(ports("rtc: {udp_port: 7000-7001}"), (Some((7000, 7001)), 0, 0));
    assert_eq!(ports("rtc: {port_range_start: 1000, port_range_end: 2000}"), (None, 1000, 2000));
}

#[test]
fn development_binds_loopback_only_with_placeholder_keys() {
    let config = |body: &str| with_body(body).loaded().config;
    let placeholder = config("development: true");
    assert_eq!(placeholder.keys["devkey"], "secret");
    assert_eq!(placeholder.bind_addresses, ["127.0.0.1", "::1"]);
    let own = config(&format!("development: true\nkeys: {{APIone: {SECRET}}}"));
    assert!(own.bind_addresses.is_empty() && !own.keys.contains_key("devkey"));
    let loopback = config("development: true\nbind_addresses: [127.0.0.1, 0.0.0.0]");
    assert!(loopback.rtc.ips.includes.is_empty());
    let reachable = config("development: true\nbind_addresses: [192.0.2.7, 127.0.0.1]");
    assert_eq!(reachable.rtc.ips.includes, ["192.0.2.7/24", "127.0.0.1/24"]);
}

#[test]
fn defaults_are_livekits() {
    let config = Config::default();
    assert_eq!((config.port, config.rtc.tcp_port), (7880, 7881));
    assert_eq!((config.rtc.packet_buffer_size_video, config.rtc.packet_buffer_size_audio), (500, 200));
    let codecs: Vec<&str> = config.room.enabled_codecs.iter().map(|codec| codec.mime.as_str()).collect();
    assert_eq!(codecs[..3], ["audio/PCMU", "audio/PCMA", "audio/opus"]);
    assert_eq!(codecs.len(), 10);
    assert_eq!((config.room.empty_timeout, config.room.departure_timeout), (300, 20));
    assert_eq!(config.limit.max_metadata_size, 512 * 1024);
    assert_eq!(config.limit.max_api_request_body_size, 10 << 20);
    assert_eq!(config.signal_relay.retry_timeout.as_millis(), 7500);
    assert_eq!(config.logging.level, "info");
    let tracker = &config.video.stream_tracker_manager;
    assert_eq!(tracker.video.packet_tracker[&1].cycles_required, 20);
    assert_eq!(tracker.screenshare.frame_tracker[&2].min_fps, 0.5);
    let detector = &config.rtc.congestion_control.send_side_bwe.congestion_detector;
    assert_eq!(detector.probe_packet_group.packet_group.min_packets, 16_384);
    assert_eq!(detector.congested_ctr_trend.downward_trend_threshold, -0.5);
    assert_eq!(Room::default(), config.room);
}

#[test]
fn neither_settings_nor_debug_show_a_secret() {
    let body = format!(
        "keys: {{APIone: {SECRET}}}\nredis: {{address: r, password: {SECRET}}}\nprometheus: {{username: u, password: {SECRET}}}\n\
         rtc: {{turn_servers: [{{host: t, secret: {SECRET}, credential: {SECRET}}}]}}\nwebhook: {{urls: ['https://u:{SECRET}@h']}}\n"
    );
    let sources = with_body(&body);
    let loaded = sources.loaded();
    assert!(loaded.config.keys.values().any(|secret| secret == SECRET));
    for debug in [format!("{sources:?}"), format!("{:?}", loaded.config), format!("{:?}", loaded.config.redis)] {
        assert!(!debug.contains(SECRET), "{debug}");
    }
    for (path, setting) in loaded.settings.iter() {
        assert!(!setting.value.to_string().contains(SECRET), "{path}");
        assert!(!setting.value.for_reader().to_string().contains(SECRET), "{path}");
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused_whole() {
    let (_dir, path) = file("\u{0}\u{1}binary: [", 0o600);
    let sources = Sources { file: Some(path), ..Default::default() };
    assert_eq!(sources.complaints().len(), 1);
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "[a-z:{}\\[\\],&*<'\"|>!#~ \n-]{0,80}") {
        let _ = load(&with_body(&text));
    }

    #[test]
    fn no_value_of_any_key_makes_loading_panic(at in 0..keys::all().len(), value in "[0-9a-z:{}\\[\\],.~'\" -]{0,20}") {
        let path = &keys::all()[at].path;
        let depth = path.matches('.').count();
        let body = format!("{{{}: {value}{}", path.replace('.', ": {"), "}".repeat(depth + 1));
        let _ = load(&with_body(&body).env(&keys::all()[at].env(), &value).serve());
    }
}
