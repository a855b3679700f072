use super::lkops::lkops;

#[test]
fn help_names_the_commands_and_hides_the_deprecated_one() {
    let help = lkops(&["--help"]).ok();
    for command in ["serve", "generate-keys", "ports", "token", "help-verbose", "docs"] {
        assert!(help.contains(&format!("  {command} ")), "{command} is missing:\n{help}");
    }
    assert!(!help.contains("create-join-token"));
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(lkops(&["--version"]).ok(), format!("lkops {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_of_serve_shows_variables_but_not_generated_flags() {
    let help = lkops(&["serve", "--help"]).ok();
    assert!(help.contains("[env: LIVEKIT_CONFIG]") && help.contains("--print-config"));
    assert!(!help.contains("--rtc.tcp_port") && !help.contains("--disable-strict-config"));
}

#[test]
fn verbose_help_shows_them_with_default_and_variable() {
    let help = lkops(&["help-verbose"]).ok();
    assert!(help.contains("--rtc.tcp_port <NUMBER>"), "{help}");
    assert!(help.contains("[default: 7881] [env: LIVEKIT_RTC_TCP_PORT]"));
    assert!(help.contains("--rtc.use_ice_lite[=<BOOL>]") && help.contains("--udp-port <PORTS>"));
    assert!(!help.contains("--rtc.turn_servers"), "lists have no flag");
}

#[test]
fn usage_errors_are_code_2() {
    for args in [&["serf"][..], &["serve", "--no-such-flag"], &["token", "create", "--valid-for", "soon"], &[]] {
        assert_eq!(lkops(args).code, Some(2), "{args:?}");
    }
}
