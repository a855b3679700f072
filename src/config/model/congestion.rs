//! `rtc.congestion_control` (WIRE.md §4.8, §7.9).

use serde::Deserialize;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CongestionControl {
    pub enabled: bool,
    pub allow_pause: bool,
    pub use_send_side_bwe_interceptor: bool,
    pub use_send_side_bwe: bool,
    pub send_side_bwe_pacer: String,
    pub stream_allocator: StreamAllocator,
    pub remote_bwe: RemoteBwe,
    pub send_side_bwe: SendSideBwe,
}

impl Default for CongestionControl {
    fn default() -> Self {
        super::Rtc::default().congestion_control
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamAllocator {
    /// Bits per second.
    pub min_channel_capacity: u64,
    /// Spelt as in LiveKit.
    pub disable_etimation_unmanaged_tracks: bool,
    pub probe_mode: String,
    pub probe_overage_pct: u64,
    /// Bits per second.
    pub probe_min_bps: u64,
    pub paused_min_wait: Duration,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteBwe {
    pub nack_ratio_attenuator: f64,
    pub expected_usage_threshold: f64,
    pub channel_observer_probe: ChannelObserver,
    pub channel_observer_non_probe: ChannelObserver,
    pub probe_controller: ProbeController,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelObserver {
    pub estimate: TrendDetector,
    pub nack: NackTracker,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrendDetector {
    pub required_samples: u32,
    pub required_samples_min: u32,
    /// -1 to 1.
    pub downward_trend_threshold: f64,
    pub downward_trend_max_wait: Duration,
    /// Zero is off.
    pub collapse_threshold: Duration,
    pub validity_window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NackTracker {
    pub window_min_duration: Duration,
    pub window_max_duration: Duration,
    pub ratio_threshold: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeController {
    pub probe_regulator: ProbeRegulator,
    pub settle_wait_num_rtt: u32,
    pub settle_wait_min: Duration,
    pub settle_wait_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRegulator {
    pub base_interval: Duration,
    pub backoff_factor: f64,
    pub max_interval: Duration,
    pub min_duration: Duration,
    pub max_duration: Duration,
    pub duration_increase_factor: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSideBwe {
    pub congestion_detector: CongestionDetector,
}

/// `jqr` is the joining, `dqr` the draining side of a queue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CongestionDetector {
    pub packet_group: PacketGroup,
    pub packet_group_max_age: Duration,
    pub probe_packet_group: ProbePacketGroup,
    pub probe_regulator: ProbeRegulator,
    pub probe_signal: ProbeSignal,
    pub jqr_min_delay: Duration,
    pub jqr_min_trend_coefficient: f64,
    pub dqr_max_delay: Duration,
    pub weighted_loss: WeightedLoss,
    pub jqr_min_weighted_loss: f64,
    pub dqr_max_weighted_loss: f64,
    pub queuing_delay_early_warning_jqr: CongestionSignal,
    pub queuing_delay_early_warning_dqr: CongestionSignal,
    pub loss_early_warning_jqr: CongestionSignal,
    pub loss_early_warning_dqr: CongestionSignal,
    pub queuing_delay_congested_jqr: CongestionSignal,
    pub queuing_delay_congested_dqr: CongestionSignal,
    pub loss_congested_jqr: CongestionSignal,
    pub loss_congested_dqr: CongestionSignal,
    pub congested_ctr_trend: TrendDetector,
    pub congested_ctr_epsilon: f64,
    pub congested_packet_group: PacketGroup,
    /// Spelt as in LiveKit.
    pub estimaton_window_duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketGroup {
    pub min_packets: u32,
    pub max_window_duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePacketGroup {
    pub packet_group: PacketGroup,
    pub settle_wait_num_rtt: u32,
    pub settle_wait_min: Duration,
    pub settle_wait_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSignal {
    pub min_bytes_ratio: f64,
    pub min_duration_ratio: f64,
    pub jqr_min_delay: Duration,
    pub dqr_max_delay: Duration,
    pub weighted_loss: WeightedLoss,
    pub jqr_min_weighted_loss: f64,
    pub dqr_max_weighted_loss: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedLoss {
    pub min_duration_for_loss_validity: Duration,
    pub base_duration: Duration,
    /// Packets per second.
    pub base_pps: u32,
    pub loss_penalty_factor: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CongestionSignal {
    pub min_number_of_groups: u32,
    pub min_duration: Duration,
}
