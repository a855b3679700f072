//! The shapes of the messages that the server API answers with. A test holds each against the generated code.

use super::shape::{Field, Shape, Shaped};
use crate::proto::{
    DeleteRoomResponse, ForwardParticipantResponse, ListParticipantsResponse, ListRoomsResponse,
    MoveParticipantResponse, MuteRoomTrackResponse, ParticipantInfo, PerformRpcResponse, RemoveParticipantResponse,
    Room, SendDataResponse, UpdateSubscriptionsResponse,
};

const SCALARS: Shape = &[];

const ROOM: Shape = &[
    Field::text("sid"),
    Field::text("name"),
    Field::number("empty_timeout"),
    Field::number("departure_timeout"),
    Field::number("max_participants"),
    Field::long("creation_time"),
    Field::long("creation_time_ms"),
    Field::text("turn_password"),
    Field::list("enabled_codecs", CODEC),
    Field::text("metadata"),
    Field::number("num_participants"),
    Field::number("num_publishers"),
    Field::flag("active_recording"),
    Field::message("version", TIMED_VERSION),
];

const CODEC: Shape = &[Field::text("mime"), Field::text("fmtp_line")];

const TIMED_VERSION: Shape = &[Field::long("unix_micro"), Field::number("ticks")];

const PARTICIPANT: Shape = &[
    Field::text("sid"),
    Field::text("identity"),
    Field::choice("state", "JOINING"),
    Field::list("tracks", TRACK),
    Field::text("metadata"),
    Field::long("joined_at"),
    Field::long("joined_at_ms"),
    Field::text("name"),
    Field::number("version"),
    Field::message("permission", PERMISSION),
    Field::text("region"),
    Field::flag("is_publisher"),
    Field::choice("kind", "STANDARD"),
    Field::map("attributes"),
    Field::choice("disconnect_reason", "UNKNOWN_REASON"),
    Field::list("kind_details", SCALARS),
    Field::list("data_tracks", DATA_TRACK),
    Field::number("client_protocol"),
    Field::list("capabilities", SCALARS),
];

const PERMISSION: Shape = &[
    Field::flag("can_subscribe"),
    Field::flag("can_publish"),
    Field::flag("can_publish_data"),
    Field::list("can_publish_sources", SCALARS),
    Field::flag("hidden"),
    Field::flag("recorder"),
    Field::flag("can_update_metadata"),
    Field::flag("agent"),
    Field::flag("can_subscribe_metrics"),
    Field::flag("can_manage_agent_session"),
];

const TRACK: Shape = &[
    Field::text("sid"),
    Field::choice("type", "AUDIO"),
    Field::text("name"),
    Field::flag("muted"),
    Field::number("width"),
    Field::number("height"),
    Field::flag("simulcast"),
    Field::flag("disable_dtx"),
    Field::choice("source", "UNKNOWN"),
    Field::list("layers", LAYER),
    Field::text("mime_type"),
    Field::text("mid"),
    Field::list("codecs", SIMULCAST_CODEC),
    Field::flag("stereo"),
    Field::flag("disable_red"),
    Field::choice("encryption", "NONE"),
    Field::text("stream"),
    Field::message("version", TIMED_VERSION),
    Field::list("audio_features", SCALARS),
    Field::choice("backup_codec_policy", "PREFER_REGRESSION"),
    Field::list("packet_trailer_features", SCALARS),
];

const SIMULCAST_CODEC: Shape = &[
    Field::text("mime_type"),
    Field::text("mid"),
    Field::text("cid"),
    Field::list("layers", LAYER),
    Field::choice("video_layer_mode", "MODE_UNUSED"),
    Field::text("sdp_cid"),
];

const LAYER: Shape = &[
    Field::choice("quality", "LOW"),
    Field::number("width"),
    Field::number("height"),
    Field::number("bitrate"),
    Field::number("ssrc"),
    Field::number("spatial_layer"),
    Field::text("rid"),
    Field::number("repair_ssrc"),
];

const DATA_TRACK: Shape = &[
    Field::number("pub_handle"),
    Field::text("sid"),
    Field::text("name"),
    Field::choice("encryption", "NONE"),
    Field::message("frame_encoding", NAMED_OR_CUSTOM),
    Field::message("schema", SCHEMA_ID),
];

const SCHEMA_ID: Shape = &[Field::text("name"), Field::message("encoding", NAMED_OR_CUSTOM)];

const NAMED_OR_CUSTOM: Shape = &[Field::optional("well_known", SCALARS), Field::optional("custom", SCALARS)];

const EMPTY: Shape = &[];

macro_rules! shaped {
    ($($message:ty: $shape:expr;)*) => {
        $(impl Shaped for $message { const SHAPE: Shape = $shape; })*
    };
}

shaped! {
    Room: ROOM;
    ListRoomsResponse: &[Field::list("rooms", ROOM)];
    ListParticipantsResponse: &[Field::list("participants", PARTICIPANT)];
    ParticipantInfo: PARTICIPANT;
    MuteRoomTrackResponse: &[Field::message("track", TRACK)];
    PerformRpcResponse: &[Field::text("payload")];
    DeleteRoomResponse: EMPTY;
    RemoveParticipantResponse: EMPTY;
    UpdateSubscriptionsResponse: EMPTY;
    SendDataResponse: EMPTY;
    ForwardParticipantResponse: EMPTY;
    MoveParticipantResponse: EMPTY;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::{complete, shape::tests::covers};
    use crate::proto::*;
    use serde_json::{Value, json};

    #[test]
    fn shapes_cover_their_messages() {
        covers::<Room>(ROOM);
        covers::<Codec>(CODEC);
        covers::<TimedVersion>(TIMED_VERSION);
        covers::<ParticipantInfo>(PARTICIPANT);
        covers::<ParticipantPermission>(PERMISSION);
        covers::<TrackInfo>(TRACK);
        covers::<SimulcastCodecInfo>(SIMULCAST_CODEC);
        covers::<VideoLayer>(LAYER);
        covers::<DataTrackInfo>(DATA_TRACK);
        covers::<DataTrackSchemaId>(SCHEMA_ID);
        covers::<DataTrackSchemaEncoding>(NAMED_OR_CUSTOM);
        covers::<DataTrackFrameEncoding>(NAMED_OR_CUSTOM);
        covers::<ListRoomsResponse>(ListRoomsResponse::SHAPE);
        covers::<ListParticipantsResponse>(ListParticipantsResponse::SHAPE);
        covers::<MuteRoomTrackResponse>(MuteRoomTrackResponse::SHAPE);
        covers::<PerformRpcResponse>(PerformRpcResponse::SHAPE);
        covers::<DeleteRoomResponse>(EMPTY);
        covers::<RemoveParticipantResponse>(EMPTY);
        covers::<UpdateSubscriptionsResponse>(EMPTY);
        covers::<SendDataResponse>(EMPTY);
        covers::<ForwardParticipantResponse>(EMPTY);
        covers::<MoveParticipantResponse>(EMPTY);
    }

    #[test]
    fn first_values_of_enums_have_their_names() {
        let blank = |shape: Shape| -> Value { crate::proto::json::shape::spell(json!({}), shape) };
        let (participant, track) = (blank(PARTICIPANT), blank(TRACK));
        assert_eq!(participant["state"], participant_info::State::Joining.as_str_name());
        assert_eq!(participant["kind"], participant_info::Kind::Standard.as_str_name());
        assert_eq!(participant["disconnect_reason"], DisconnectReason::UnknownReason.as_str_name());
        assert_eq!(track["type"], TrackType::Audio.as_str_name());
        assert_eq!(track["source"], TrackSource::Unknown.as_str_name());
        assert_eq!(track["encryption"], encryption::Type::None.as_str_name());
        assert_eq!(track["backup_codec_policy"], BackupCodecPolicy::PreferRegression.as_str_name());
        assert_eq!(blank(LAYER)["quality"], VideoQuality::Low.as_str_name());
        assert_eq!(blank(SIMULCAST_CODEC)["video_layer_mode"], video_layer::Mode::Unused.as_str_name());
    }

    #[test]
    fn a_room_is_spelt_out() {
        let codec = Codec { mime: "audio/opus".into(), ..Default::default() };
        let room = Room { name: "r".into(), creation_time: 5, enabled_codecs: vec![codec], ..Default::default() };
        let all: Value = serde_json::from_str(&complete(&ListRoomsResponse { rooms: vec![room] }).unwrap()).unwrap();
        let expected = json!({"rooms": [{
            "sid": "", "name": "r", "empty_timeout": 0, "departure_timeout": 0, "max_participants": 0,
            "creation_time": "5", "creation_time_ms": "0", "turn_password": "",
            "enabled_codecs": [{"mime": "audio/opus", "fmtp_line": ""}], "metadata": "", "num_participants": 0,
            "num_publishers": 0, "active_recording": false, "version": null,
        }]});
        assert_eq!(all, expected);
    }

    #[test]
    fn keys_of_a_map_keep_their_spelling() {
        let attributes = [("myKey_a".to_owned(), "v".to_owned())].into();
        let text = complete(&ParticipantInfo { attributes, ..Default::default() }).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["attributes"], json!({"myKey_a": "v"}));
    }
}
