use super::lkops::{file, lkops, lkops_with};

const KEYS: &str = "keys: {APIone: a-secret-that-is-longer-than-32-bytes}\n";

#[test]
fn a_wrong_configuration_is_code_2_with_a_line_per_complaint() {
    let (_file, path) = file("port: x\nrtc:\n  tcp_prt: 1\n");
    let errors = lkops_with(&["serve", "--config", &path, "--rtc.tcp_port", "y"], &[("NODE_IP", "z")]).failed(2);
    let expected = [
        format!("error: {path}:1: port: `x` must be a whole number from 0 to 65535"),
        format!("error: {path}:3: rtc.tcp_prt: unknown key; did you mean rtc.tcp_port?"),
        "error: flag --rtc.tcp_port: `y` must be a whole number from 0 to 65535".to_owned(),
        "error: env NODE_IP: rtc.node_ip: invalid ip z".to_owned(),
        "error: one of key-file or keys must be provided".to_owned(),
    ];
    assert_eq!(errors, expected);
}

#[test]
fn unknown_keys_pass_with_the_flag() {
    let (_file, path) = file(&format!("{KEYS}future_key: 1\n"));
    let args = ["serve", "--print-config", "--config", &path];
    assert_eq!(lkops(&args).code, Some(2));
    lkops(&[&args[..], &["--disable-strict-config"]].concat()).ok();
}

#[test]
fn the_printed_configuration_says_where_each_value_came_from() {
    let (_file, path) = file(&format!("{KEYS}rtc:\n  udp_port: 7000-7001\n"));
    let args =
        ["serve", "--print-config", "--config", &path, "--rtc.use_ice_lite", "--bind", "::1", "--bind", "127.0.0.1"];
    let printed = lkops_with(&args, &[("LIVEKIT_RTC_TCP_PORT", "7999")]).ok();
    let expected = [
        "port = 7880  # default".to_owned(),
        "bind_addresses = [\"::1\",\"127.0.0.1\"]  # flag --bind".to_owned(),
        "rtc.tcp_port = 7999  # env LIVEKIT_RTC_TCP_PORT".to_owned(),
        "rtc.use_ice_lite = true  # flag --rtc.use_ice_lite".to_owned(),
        format!("rtc.udp_port = 7000-7001  # {path}:3"),
        format!("keys = {{\"APIone\":\"<redacted>\"}}  # {path}:1"),
    ];
    for line in expected {
        assert!(printed.lines().any(|printed| printed == line), "{line} is missing:\n{printed}");
    }
    assert!(!printed.contains("a-secret"));
}

#[test]
fn the_printed_configuration_is_json_on_demand() {
    let args = ["serve", "--print-config", "-o", "json"];
    let printed = lkops_with(&args, &[("LIVEKIT_KEYS", "APIone: hidden-secret"), ("REDIS_PASSWORD", "hidden-too")]);
    assert!(!printed.out.contains("hidden"));
    let rows = printed.json();
    let row = |key: &str| rows.as_array().unwrap().iter().find(|row| row["key"] == key).expect(key).clone();
    assert_eq!(row("keys")["origin"], "env LIVEKIT_KEYS");
    assert_eq!(row("redis.password")["value"], "<redacted>");
    assert_eq!(row("rtc.pli_throttle.low_quality")["value"], "500ms");
    assert_eq!(row("rtc.allow_tcp_fallback")["value"], serde_json::Value::Null);
}

#[test]
fn a_body_in_the_environment_is_enough() {
    let printed = lkops_with(&["serve", "--print-config"], &[("LIVEKIT_CONFIG", &format!("{KEYS}port: 7070\n"))]).ok();
    assert!(printed.starts_with("port = 7070  # LIVEKIT_CONFIG:2\n"), "{printed}");
}

#[test]
fn development_mode_says_that_its_keys_are_placeholders() {
    let run = lkops(&["serve", "--dev", "--print-config"]);
    assert!(run.err.contains("placeholder keys"), "{}", run.err);
    assert!(run.ok().contains("development = true  # flag --dev\n"));
}

#[test]
fn a_missing_file_is_named() {
    let errors = lkops(&["serve", "--config", "/nonexistent/livekit.yaml"]).failed(2);
    assert_eq!(errors, ["error: /nonexistent/livekit.yaml: No such file or directory (os error 2)"]);
}
