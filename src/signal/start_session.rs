//! A session start as nodes hand it to each other (CLUSTER.md §3.1). The node with the room trusts it: the token was checked
//! where the client came in.

use crate::proto::{CreateRoomRequest, StartSession, id};
use crate::room::session::SessionStart;
use crate::room::settings::configuration;
use crate::token::Claims;
use serde_json::{Map, Value};

/// Claims that are not grants.
const NOT_GRANTS: [&str; 5] = ["iss", "sub", "jti", "exp", "nbf"];

pub fn to_proto(start: &SessionStart) -> StartSession {
    StartSession {
        room_name: start.room.clone(),
        identity: start.identity.clone(),
        connection_id: id::random("CO_"),
        reconnect: start.reconnect,
        auto_subscribe: start.auto_subscribe,
        auto_subscribe_data_track: Some(start.auto_subscribe_data_track),
        client: Some(start.client.clone()),
        name: start.claims.name.clone(),
        grants_json: grants_json(&start.claims),
        adaptive_stream: start.adaptive_stream,
        participant_id: start.participant_sid.clone(),
        reconnect_reason: start.reconnect_reason,
        subscriber_allow_pause: start.subscriber_allow_pause,
        disable_ice_lite: start.disable_ice_lite,
        create_room: Some(create_room(start)),
        add_track_requests: start.add_track_requests.clone(),
        publisher_offer: start.publisher_offer.clone(),
        use_single_peer_connection: start.single_peer_connection,
        token_expires_at: start.claims.exp.unwrap_or_default(),
        ..StartSession::default()
    }
}

pub fn from_proto(start: StartSession) -> Result<SessionStart, serde_json::Error> {
    let mut claims = claims(&start)?;
    if claims.room_config.is_none() {
        claims.room_config = start.create_room.as_ref().map(configuration);
    }
    Ok(SessionStart {
        room: start.room_name,
        identity: start.identity,
        claims,
        client: start.client.unwrap_or_default(),
        single_peer_connection: start.use_single_peer_connection,
        auto_subscribe: start.auto_subscribe,
        auto_subscribe_data_track: start.auto_subscribe_data_track.unwrap_or(true),
        adaptive_stream: start.adaptive_stream,
        disable_ice_lite: start.disable_ice_lite,
        subscriber_allow_pause: start.subscriber_allow_pause,
        reconnect: start.reconnect,
        reconnect_reason: start.reconnect_reason,
        participant_sid: start.participant_id,
        add_track_requests: start.add_track_requests,
        publisher_offer: start.publisher_offer,
        inherited: None,
    })
}

/// The token's grants, identity among them.
fn grants_json(claims: &Claims) -> String {
    let mut grants = match serde_json::to_value(claims) {
        Ok(Value::Object(grants)) => grants,
        _ => Map::new(),
    };
    NOT_GRANTS.iter().for_each(|name| drop(grants.remove(*name)));
    grants.insert("identity".to_owned(), claims.identity().into());
    Value::Object(grants).to_string()
}

fn claims(start: &StartSession) -> Result<Claims, serde_json::Error> {
    let mut grants: Map<String, Value> = serde_json::from_str(&start.grants_json)?;
    grants.remove("identity");
    let mut claims: Claims = serde_json::from_value(Value::Object(grants))?;
    claims.sub.clone_from(&start.identity);
    claims.exp = (start.token_expires_at != 0).then_some(start.token_expires_at);
    Ok(claims)
}

/// So that the first to join configures the room.
fn create_room(start: &SessionStart) -> CreateRoomRequest {
    let own = start.claims.room_config.clone().unwrap_or_default();
    CreateRoomRequest {
        name: start.room.clone(),
        room_preset: start.claims.room_preset.clone(),
        empty_timeout: own.empty_timeout,
        departure_timeout: own.departure_timeout,
        max_participants: own.max_participants,
        metadata: own.metadata,
        egress: own.egress,
        min_playout_delay: own.min_playout_delay,
        max_playout_delay: own.max_playout_delay,
        sync_streams: own.sync_streams,
        agents: own.agents,
        ..CreateRoomRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AddTrackRequest, ClientInfo, RoomConfiguration};
    use crate::token::VideoGrant;

    fn start() -> SessionStart {
        let video = VideoGrant { room_join: true, room: "r".into(), can_publish: Some(false), ..VideoGrant::default() };
        let claims = Claims {
            sub: "ann".into(),
            exp: Some(9),
            name: "Ann".into(),
            metadata: "m".into(),
            attributes: [("k".to_owned(), "v".to_owned())].into(),
            video: Some(video),
            room_config: Some(RoomConfiguration { empty_timeout: 7, ..RoomConfiguration::default() }),
            ..Claims::default()
        };
        SessionStart {
            room: "r".into(),
            identity: "ann".into(),
            claims,
            client: ClientInfo { protocol: 16, address: "192.0.2.1".into(), ..ClientInfo::default() },
            single_peer_connection: true,
            auto_subscribe: true,
            add_track_requests: vec![AddTrackRequest { cid: "c".into(), ..AddTrackRequest::default() }],
            ..SessionStart::default()
        }
    }

    #[test]
    fn a_session_start_survives_the_way() {
        let sent = start();
        let arrived = from_proto(to_proto(&sent)).unwrap();
        assert_eq!(format!("{arrived:?}"), format!("{sent:?}"));
    }

    #[test]
    fn explicit_refusals_are_kept_and_empty_values_left_out() {
        let json: Value = serde_json::from_str(&to_proto(&start()).grants_json).unwrap();
        assert_eq!(json["video"]["canPublish"], false);
        assert_eq!((json.get("exp"), json.get("sub"), json["identity"].as_str()), (None, None, Some("ann")));
        assert_eq!(json["video"].get("canSubscribe"), None);
    }

    #[test]
    fn grants_that_are_no_json_are_refused() {
        for grants_json in ["", "nonsense", "[]"] {
            assert!(from_proto(StartSession { grants_json: grants_json.into(), ..StartSession::default() }).is_err());
        }
        assert!(from_proto(StartSession { grants_json: "{}".into(), ..StartSession::default() }).is_ok());
    }

    /// A stock node says in `create_room` what the first to join wants of the room.
    #[test]
    fn the_room_is_configured_by_its_first_participant() {
        let create_room = CreateRoomRequest { max_participants: 3, ..CreateRoomRequest::default() };
        let start =
            StartSession { grants_json: "{}".into(), create_room: Some(create_room), ..StartSession::default() };
        assert_eq!(from_proto(start).unwrap().claims.room_config.unwrap().max_participants, 3);
    }
}
