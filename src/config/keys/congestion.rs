//! Keys under `rtc.congestion_control` (WIRE.md §4.8, §7.9). Groups that occur more than once are written once.

use super::{COUNT, SIZE, Table, U32};
use crate::config::kind::Kind;

const RTC: &str = "rtc.congestion_control";
const DETECTOR: &str = "rtc.congestion_control.send_side_bwe.congestion_detector";

pub(super) fn rows(t: &mut Table) {
    switches(t);
    stream_allocator(t);
    remote_bwe(t);
    probes(t);
    detector(t);
    signals(t);
}

fn switches(t: &mut Table) {
    t.section(RTC);
    t.key("enabled", Kind::Bool, "true", "Fit what is sent to each subscriber's bandwidth.");
    t.key("allow_pause", Kind::Bool, "false", "Tracks may be paused; otherwise each keeps its lowest layer.");
    t.key("use_send_side_bwe_interceptor", Kind::Bool, "false", "Estimate with Google congestion control.");
    t.key("use_send_side_bwe", Kind::Bool, "false", "Estimate from transport-wide feedback.");
    t.key("send_side_bwe_pacer", Kind::Text, "no-queue", "Pacer of that estimator.");
}

fn stream_allocator(t: &mut Table) {
    t.section(&format!("{RTC}.stream_allocator"));
    t.key("min_channel_capacity", SIZE, "0", "Floor of the estimate in bits per second.");
    t.key(
        "disable_etimation_unmanaged_tracks",
        Kind::Bool,
        "false",
        "Leave tracks out of the estimate that are not adjusted.",
    );
    t.key("probe_mode", Kind::Text, "padding", "padding or media.");
    t.key("probe_overage_pct", SIZE, "120", "Percent of the expected bitrate a probe sends.");
    t.key("probe_min_bps", SIZE, "200000", "Least bits per second a probe adds.");
    t.key("paused_min_wait", Kind::Duration, "5s", "Least time a track stays paused.");
}

fn remote_bwe(t: &mut Table) {
    let bwe = format!("{RTC}.remote_bwe");
    t.section(&bwe);
    t.key("nack_ratio_attenuator", Kind::Float, "0.4", "Weight of the NACK ratio on the estimate.");
    t.key(
        "expected_usage_threshold",
        Kind::Float,
        "0.95",
        "Share of the expected usage that must be used to trust the estimate.",
    );
    trend(t, &format!("{bwe}.channel_observer_probe.estimate"), ["3", "3", "0", "5s", "0s", "10s"]);
    nack(t, &format!("{bwe}.channel_observer_probe.nack"), ["500ms", "1s", "0.04"]);
    trend(t, &format!("{bwe}.channel_observer_non_probe.estimate"), ["12", "8", "-0.6", "5s", "500ms", "10s"]);
    nack(t, &format!("{bwe}.channel_observer_non_probe.nack"), ["2s", "3s", "0.08"]);
    regulator(t, &format!("{bwe}.probe_controller.probe_regulator"));
    settle(t, &format!("{bwe}.probe_controller"));
}

fn probes(t: &mut Table) {
    packet_group(t, &format!("{DETECTOR}.packet_group"), ["30", "500ms"]);
    t.section(DETECTOR);
    t.key("packet_group_max_age", Kind::Duration, "10s", "Age at which packet groups are forgotten.");
    packet_group(t, &format!("{DETECTOR}.probe_packet_group.packet_group"), ["16384", "1m"]);
    settle(t, &format!("{DETECTOR}.probe_packet_group"));
    regulator(t, &format!("{DETECTOR}.probe_regulator"));
    let signal = format!("{DETECTOR}.probe_signal");
    t.section(&signal);
    t.key("min_bytes_ratio", Kind::Float, "0.5", "Least share of a probe's bytes that must be seen.");
    t.key("min_duration_ratio", Kind::Float, "0.5", "Least share of its duration that must be seen.");
    t.key("jqr_min_delay", Kind::Duration, "50ms", "Queuing delay from which a probe shows a queue that forms.");
    t.key("dqr_max_delay", Kind::Duration, "20ms", "Queuing delay up to which it shows a queue that drains.");
    weighted_loss(t, &format!("{signal}.weighted_loss"));
    loss_bounds(t, &signal);
}

fn detector(t: &mut Table) {
    t.section(DETECTOR);
    t.key("jqr_min_delay", Kind::Duration, "50ms", "Queuing delay from which a queue is forming.");
    t.key("jqr_min_trend_coefficient", Kind::Float, "0.8", "Trend from which a queue is forming.");
    t.key("dqr_max_delay", Kind::Duration, "20ms", "Queuing delay up to which a queue is draining.");
    weighted_loss(t, &format!("{DETECTOR}.weighted_loss"));
    loss_bounds(t, DETECTOR);
    trend(t, &format!("{DETECTOR}.congested_ctr_trend"), ["4", "2", "-0.5", "2s", "500ms", "10s"]);
    t.section(DETECTOR);
    t.key("congested_ctr_epsilon", Kind::Float, "0.05", "Change of the captured traffic ratio that counts as none.");
    packet_group(t, &format!("{DETECTOR}.congested_packet_group"), ["20", "150ms"]);
    t.section(DETECTOR);
    t.key("estimaton_window_duration", Kind::Duration, "1s", "Time the bandwidth estimate looks back.");
}

fn signals(t: &mut Table) {
    let signals = [
        ("queuing_delay_early_warning_jqr", ["2", "200ms"]),
        ("queuing_delay_early_warning_dqr", ["3", "300ms"]),
        ("loss_early_warning_jqr", ["3", "300ms"]),
        ("loss_early_warning_dqr", ["4", "400ms"]),
        ("queuing_delay_congested_jqr", ["4", "400ms"]),
        ("queuing_delay_congested_dqr", ["5", "500ms"]),
        ("loss_congested_jqr", ["6", "600ms"]),
        ("loss_congested_dqr", ["6", "600ms"]),
    ];
    for (name, [groups, duration]) in signals {
        t.section(&format!("{DETECTOR}.{name}"));
        t.key("min_number_of_groups", COUNT, groups, "Packet groups that must agree.");
        t.key("min_duration", Kind::Duration, duration, "Time they must span.");
    }
}

fn trend(t: &mut Table, section: &str, default: [&'static str; 6]) {
    t.section(section);
    t.key("required_samples", COUNT, default[0], "Samples a trend needs.");
    t.key("required_samples_min", COUNT, default[1], "Samples an early trend needs.");
    t.key("downward_trend_threshold", Kind::Float, default[2], "Trend, -1 to 1, under which it points down.");
    t.key("downward_trend_max_wait", Kind::Duration, default[3], "Longest wait for a trend.");
    t.key("collapse_threshold", Kind::Duration, default[4], "Time in which equal samples count once; 0s is off.");
    t.key("validity_window", Kind::Duration, default[5], "Age at which samples are forgotten.");
}

fn nack(t: &mut Table, section: &str, default: [&'static str; 3]) {
    t.section(section);
    t.key("window_min_duration", Kind::Duration, default[0], "Least time over which NACKs are counted.");
    t.key("window_max_duration", Kind::Duration, default[1], "Most time over which NACKs are counted.");
    t.key("ratio_threshold", Kind::Float, default[2], "Share of packets asked for again that shows congestion.");
}

fn regulator(t: &mut Table, section: &str) {
    t.section(section);
    t.key("base_interval", Kind::Duration, "3s", "Time between probes.");
    t.key("backoff_factor", Kind::Float, "1.5", "Factor on that time after a probe that failed.");
    t.key("max_interval", Kind::Duration, "2m", "Most time between probes.");
    t.key("min_duration", Kind::Duration, "200ms", "Length of the first probe.");
    t.key("max_duration", Kind::Duration, "20s", "Length of the longest probe.");
    t.key("duration_increase_factor", Kind::Float, "1.5", "Factor on the length after a probe that succeeded.");
}

fn settle(t: &mut Table, section: &str) {
    t.section(section);
    t.key("settle_wait_num_rtt", U32, "5", "Round trips to wait after a probe.");
    t.key("settle_wait_min", Kind::Duration, "250ms", "Least such wait.");
    t.key("settle_wait_max", Kind::Duration, "5s", "Most such wait.");
}

fn packet_group(t: &mut Table, section: &str, default: [&'static str; 2]) {
    t.section(section);
    t.key("min_packets", COUNT, default[0], "Packets that fill a group.");
    t.key("max_window_duration", Kind::Duration, default[1], "Time that fills a group.");
}

fn weighted_loss(t: &mut Table, section: &str) {
    t.section(section);
    t.key("min_duration_for_loss_validity", Kind::Duration, "100ms", "Time from which loss is believed.");
    t.key("base_duration", Kind::Duration, "500ms", "Time over which loss has full weight.");
    t.key("base_pps", COUNT, "30", "Packets per second from which loss has full weight.");
    t.key("loss_penalty_factor", Kind::Float, "0.25", "Weight of loss.");
}

fn loss_bounds(t: &mut Table, section: &str) {
    t.section(section);
    t.key("jqr_min_weighted_loss", Kind::Float, "0.25", "Weighted loss from which a queue is forming.");
    t.key("dqr_max_weighted_loss", Kind::Float, "0.1", "Weighted loss up to which a queue is draining.");
}
