//! Keys under `room`, `limit`, `audio` and `video`.

use super::{COUNT, SIZE, Table, U8, U32};
use crate::config::kind::{Field, Kind};

const CODEC: Kind = Kind::Fields(&[
    Field { name: "mime", kind: Kind::Text, doc: "MIME type, such as video/VP8." },
    Field { name: "fmtp_line", kind: Kind::Text, doc: "SDP parameters." },
]);

const PACKETS: Kind = Kind::Fields(&[
    Field { name: "samples_required", kind: U32, doc: "Packets a cycle needs." },
    Field { name: "cycles_required", kind: U32, doc: "Cycles until the layer is active." },
    Field { name: "cycle_duration", kind: Kind::Duration, doc: "Length of a cycle." },
]);

const FRAMES: Kind = Kind::Fields(&[Field { name: "min_fps", kind: Kind::Float, doc: "Frames per second needed." }]);

pub(super) fn rows(t: &mut Table) {
    room(t);
    limit(t);
    audio(t);
    video(t);
}

fn room(t: &mut Table) {
    t.section("room");
    t.key("auto_create", Kind::Bool, "true", "Joining a room that is not there creates it.");
    const CODECS: &str = "[{mime: audio/PCMU}, {mime: audio/PCMA}, {mime: audio/opus}, {mime: audio/red}, {mime: video/VP8}, \
                          {mime: video/H264}, {mime: video/VP9}, {mime: video/AV1}, {mime: video/H265}, {mime: video/rtx}]";
    t.key("enabled_codecs", Kind::List(&CODEC), CODECS, "Codecs clients may publish.");
    t.key("max_participants", U32, "0", "Most participants in a room; 0 is no limit.");
    t.key("empty_timeout", U32, "300", "Seconds a room stays that nobody joined.");
    t.key("departure_timeout", U32, "20", "Seconds a room stays after the last participant left.");
    t.key("enable_remote_unmute", Kind::Bool, "false", "The API may unmute tracks.");
    t.key("sync_streams", Kind::Bool, "false", "Keep a participant's audio and video together.");
    t.key("create_room_timeout", Kind::Duration, "10s", "How long creating a room on its node may take.");
    t.key("create_room_attempts", COUNT, "3", "How often it is tried.");
    t.key("enable_full_room_in_webhooks", Kind::Bool, "false", "Track webhooks carry the whole room.");
    t.key("update_batch_target_size", COUNT, "131072", "Bytes of one participant update; longer ones are split.");
    t.key("max_metadata_size", U32, "0", "Deprecated: use limit.max_metadata_size.");
    t.key("max_room_name_length", COUNT, "0", "Deprecated: use limit.max_room_name_length.");
    t.key("max_participant_identity_length", COUNT, "0", "Deprecated: use limit.max_participant_identity_length.");
    t.key(
        "room_configurations",
        Kind::Map(&Kind::RoomConfiguration),
        "",
        "Presets a token may name, each a RoomConfiguration.",
    )
    .example("{webinar: {empty_timeout: 30, max_participants: 500}}");
    t.section("room.playout_delay");
    t.key("enabled", Kind::Bool, "false", "Tell receivers how long to buffer.");
    t.key("min", COUNT, "0", "Least buffer in milliseconds.");
    t.key("max", COUNT, "0", "Most buffer in milliseconds.");
}

fn limit(t: &mut Table) {
    t.section("limit");
    t.key("num_tracks", Kind::Limit, "0", "Tracks in and out on this node; 0 or less is no limit.");
    t.key("bytes_per_sec", Kind::Float, "0", "Bytes per second in and out of this node; 0 is no limit.")
        .example("1_000_000_000");
    t.key(
        "subscription_limit_video",
        Kind::Limit,
        "0",
        "Video tracks one participant may subscribe to; 0 or less is no limit.",
    );
    t.key(
        "subscription_limit_audio",
        Kind::Limit,
        "0",
        "Audio tracks one participant may subscribe to; 0 or less is no limit.",
    );
    t.key("max_metadata_size", U32, "524288", "Bytes of metadata of a room or participant; 0 is no limit.");
    t.key("max_attributes_size", U32, "65536", "Bytes of all attributes of a participant; 0 is no limit.");
    t.key("max_room_name_length", COUNT, "256", "Bytes of a room's name; 0 is no limit.");
    t.key("max_participant_identity_length", COUNT, "256", "Bytes of an identity; 0 is no limit.");
    t.key("max_participant_name_length", COUNT, "256", "Bytes of a participant's name; 0 is no limit.");
    t.key("max_data_blob_key_length", COUNT, "256", "Bytes of a data blob's key; 0 is no limit.");
    t.key("max_data_blobs_size", U32, "64000", "Bytes of all data blobs of a participant; 0 is no limit.");
    t.key(
        "max_data_track_custom_encoding_length",
        COUNT,
        "32",
        "Bytes of a data track's custom encoding; 0 is no limit.",
    );
    t.key("signal_message_size_limit", SIZE, "2097152", "Bytes of one signalling message; 0 is no limit.");
    t.key(
        "agent_signal_message_size_limit",
        SIZE,
        "2097152",
        "Bytes of one message of an agent worker; 0 is no limit.",
    );
    t.key("max_api_request_body_size", SIZE, "10485760", "Bytes of one API request; 0 is no limit.");
}

fn audio(t: &mut Table) {
    t.section("audio");
    t.key("active_level", U8, "35", "Level from which somebody speaks, 0 (loudest) to 127, in -dBov.");
    t.key("min_percentile", U8, "40", "Percent of the interval somebody must speak to count as active.");
    t.key("update_interval", U32, "400", "Milliseconds between speaker updates; 0 turns them off.");
    t.key("smooth_intervals", U32, "2", "Intervals levels are smoothed over; 0 is off.");
    t.key("active_red_encoding", Kind::Bool, "false", "Send RED to subscribers of tracks published as plain Opus.");
    t.key("enable_loss_proxying", Kind::Bool, "false", "Report the worst subscriber's loss to the publisher.");
}

fn video(t: &mut Table) {
    t.section("video");
    t.key("dynacast_pause_delay", Kind::Duration, "5s", "Time before layers nobody wants are paused.");
    t.key(
        "codec_regression_threshold",
        COUNT,
        "5",
        "People in a room from which both codecs of a track are kept, unless its publisher decides; 0 is never.",
    );
    const CAMERA: &str = "{0: {samples_required: 1, cycles_required: 4, cycle_duration: 500ms}, \
                          1: {samples_required: 5, cycles_required: 20, cycle_duration: 500ms}, \
                          2: {samples_required: 5, cycles_required: 20, cycle_duration: 500ms}}";
    const SCREEN: &str = "{0: {samples_required: 1, cycles_required: 1, cycle_duration: 2s}, \
                          1: {samples_required: 1, cycles_required: 1, cycle_duration: 2s}, \
                          2: {samples_required: 1, cycles_required: 1, cycle_duration: 2s}}";
    let camera_fps = "{0: {min_fps: 5}, 1: {min_fps: 5}, 2: {min_fps: 5}}";
    let screen_fps = "{0: {min_fps: 0.5}, 1: {min_fps: 0.5}, 2: {min_fps: 0.5}}";
    tracker(t, "video", ["{0: 1s, 1: 1s, 2: 1s}", CAMERA, camera_fps]);
    tracker(t, "screenshare", ["{0: 4s, 1: 4s, 2: 4s}", SCREEN, screen_fps]);
}

fn tracker(t: &mut Table, source: &str, [report, packets, frames]: [&'static str; 3]) {
    t.section(&format!("video.stream_tracker_manager.{source}"));
    t.key("stream_tracker_type", Kind::Text, "packet", "Whether layers are judged by packet or by frame.");
    t.key("bitrate_report_interval", Kind::Layers(&Kind::Duration), report, "Time between bitrate reports, by layer.");
    t.key("packet_tracker", Kind::Layers(&PACKETS), packets, "Packets that make a layer active, by layer.");
    t.key("frame_tracker", Kind::Layers(&FRAMES), frames, "Frame rate that makes a layer active, by layer.");
}
