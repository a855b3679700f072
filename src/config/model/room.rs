//! `room`, `limit`, `audio`, `video`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    pub auto_create: bool,
    pub enabled_codecs: Vec<EnabledCodec>,
    /// 0 is no limit.
    pub max_participants: u32,
    /// Seconds.
    pub empty_timeout: u32,
    /// Seconds.
    pub departure_timeout: u32,
    pub enable_remote_unmute: bool,
    pub playout_delay: PlayoutDelay,
    pub sync_streams: bool,
    pub create_room_timeout: Duration,
    pub create_room_attempts: u32,
    pub enable_full_room_in_webhooks: bool,
    /// Bytes.
    pub update_batch_target_size: usize,
    /// Deprecated; `limit` has it already.
    pub max_metadata_size: u32,
    /// Deprecated; `limit` has it already.
    pub max_room_name_length: usize,
    /// Deprecated; `limit` has it already.
    pub max_participant_identity_length: usize,
    /// Presets by name, each a RoomConfiguration.
    pub room_configurations: BTreeMap<String, crate::proto::RoomConfiguration>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayoutDelay {
    pub enabled: bool,
    pub min: u32,
    pub max: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnabledCodec {
    pub mime: String,
    pub fmtp_line: String,
}

/// 0 is no limit, everywhere. Sizes and lengths are bytes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub num_tracks: u32,
    pub bytes_per_sec: f32,
    pub subscription_limit_video: u32,
    pub subscription_limit_audio: u32,
    pub max_metadata_size: usize,
    pub max_attributes_size: usize,
    pub max_room_name_length: usize,
    pub max_participant_identity_length: usize,
    pub max_participant_name_length: usize,
    pub max_data_blob_key_length: usize,
    pub max_data_blobs_size: usize,
    pub max_data_track_custom_encoding_length: usize,
    pub signal_message_size_limit: usize,
    pub agent_signal_message_size_limit: usize,
    pub max_api_request_body_size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// 0 (loudest) to 127.
    pub active_level: u8,
    pub min_percentile: u8,
    /// Milliseconds; 0 disables levels.
    pub update_interval: u32,
    pub smooth_intervals: u32,
    pub active_red_encoding: bool,
    pub enable_loss_proxying: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Video {
    pub dynacast_pause_delay: Duration,
    pub codec_regression_threshold: u32,
    pub stream_tracker_manager: StreamTrackerManager,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamTrackerManager {
    pub video: StreamTracker,
    pub screenshare: StreamTracker,
}

/// Maps are by spatial layer, 0 the lowest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamTracker {
    /// `packet` or `frame`.
    pub stream_tracker_type: String,
    pub bitrate_report_interval: BTreeMap<i32, Duration>,
    pub packet_tracker: BTreeMap<i32, PacketTracker>,
    pub frame_tracker: BTreeMap<i32, FrameTracker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketTracker {
    pub samples_required: u32,
    pub cycles_required: u32,
    pub cycle_duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameTracker {
    pub min_fps: f64,
}
