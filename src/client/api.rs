//! The server API from a client's side: Twirp calls in proto JSON over plain HTTP, and the tokens they and joins need
//! (WIRE.md §1.6, §5.0). Called by the load tester and tests.

use super::clock;
use super::reach::{ReachError, place, reach};
use crate::limits::CLIENT_ANSWER_BYTES_MAX;
use crate::proto::{
    CreateRoomRequest, DeleteRoomRequest, DeleteRoomResponse, ListParticipantsRequest, ListParticipantsResponse,
    ListRoomsRequest, ListRoomsResponse, ParticipantInfo, RemoveParticipantResponse, Room, RoomParticipantIdentity,
};
use crate::token::{Claims, VideoGrant, mint};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, Uri, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};

/// A key of the server.
#[derive(Clone, Debug)]
pub struct Keys {
    pub key: String,
    pub secret: String,
}

/// How long minted tokens last.
const TOKEN_S: i64 = 6 * 3600;

impl Keys {
    /// A token to join a room.
    pub fn join(&self, room: &str, identity: &str) -> String {
        self.mint(identity, VideoGrant { room_join: true, room: room.to_owned(), ..VideoGrant::default() })
    }

    /// A token with those grants.
    pub fn mint(&self, identity: &str, video: VideoGrant) -> String {
        let exp = Some(clock::unix_s() + TOKEN_S);
        mint(
            &Claims { sub: identity.to_owned(), exp, video: Some(video), ..Claims::default() },
            &self.key,
            &self.secret,
        )
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the server broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server's answer is unreadable: {0}")]
    Answer(String),
    /// A Twirp error.
    #[error("{code}: {message}")]
    Refused { status: u16, code: String, message: String },
}

/// A server's RoomService.
#[derive(Clone, Debug)]
pub struct Api {
    uri: Uri,
    /// Host and port as requests name them.
    authority: String,
    keys: Keys,
}

impl Api {
    /// `url` is the one participants join by.
    pub fn new(url: &str, keys: Keys) -> Result<Api, ApiError> {
        let uri: Uri = url.parse().map_err(|_| ReachError::Url(url.to_owned()))?;
        let (_, port) = place(&uri)?;
        let authority = format!("{}:{port}", uri.host().unwrap_or_default());
        Ok(Api { uri, authority, keys })
    }

    pub async fn create_room(&self, request: &CreateRoomRequest) -> Result<Room, ApiError> {
        self.room_service("CreateRoom", "", request).await
    }

    /// All rooms.
    pub async fn list_rooms(&self) -> Result<Vec<Room>, ApiError> {
        let answer: ListRoomsResponse = self.room_service("ListRooms", "", &ListRoomsRequest::default()).await?;
        Ok(answer.rooms)
    }

    pub async fn delete_room(&self, room: &str) -> Result<(), ApiError> {
        let request = DeleteRoomRequest { room: room.to_owned() };
        self.room_service("DeleteRoom", room, &request).await.map(|_: DeleteRoomResponse| ())
    }

    pub async fn list_participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, ApiError> {
        let request = ListParticipantsRequest { room: room.to_owned() };
        let answer: ListParticipantsResponse = self.room_service("ListParticipants", room, &request).await?;
        Ok(answer.participants)
    }

    pub async fn remove_participant(&self, room: &str, identity: &str) -> Result<(), ApiError> {
        let (room_name, identity) = (room.to_owned(), identity.to_owned());
        let request = RoomParticipantIdentity { room: room_name, identity, ..RoomParticipantIdentity::default() };
        self.room_service("RemoveParticipant", room, &request).await.map(|_: RemoveParticipantResponse| ())
    }

    /// Any method of the RoomService, with all rights over that room.
    pub async fn room_service<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: &str,
        room: &str,
        request: &Q,
    ) -> Result<A, ApiError> {
        let body = serde_json::to_vec(request).map_err(|e| ApiError::Answer(e.to_string()))?;
        let (status, answer) = self.post(&format!("/twirp/livekit.RoomService/{method}"), room, body).await?;
        if status != StatusCode::OK {
            return Err(refusal(status, &answer));
        }
        serde_json::from_slice(&answer).map_err(|e| ApiError::Answer(e.to_string()))
    }

    /// The page of that URL, which need not be this server's API.
    pub async fn page(url: &str) -> Result<String, ApiError> {
        let uri: Uri = url.parse().map_err(|_| ReachError::Url(url.to_owned()))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let request = Request::get(path)
            .header(header::HOST, host)
            .body(Full::new(Bytes::new()))
            .map_err(|e| ApiError::Answer(e.to_string()))?;
        match exchange(&uri, request).await? {
            (StatusCode::OK, page) => Ok(String::from_utf8_lossy(&page).into_owned()),
            (status, page) => Err(refusal(status, &page)),
        }
    }

    async fn post(&self, path: &str, room: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), ApiError> {
        let request = Request::post(path)
            .header(header::HOST, self.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(room)))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| ApiError::Answer(e.to_string()))?;
        exchange(&self.uri, request).await
    }

    fn token(&self, room: &str) -> String {
        let grant = VideoGrant {
            room_create: true,
            room_list: true,
            room_admin: true,
            room: room.to_owned(),
            ..VideoGrant::default()
        };
        self.keys.mint("", grant)
    }
}

/// One request over a connection of its own.
async fn exchange(uri: &Uri, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ApiError> {
    let stream = reach(uri, clock::now()).await?.stream;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are told to the request too.
    tokio::spawn(connection);
    read(sender.send_request(request).await?).await
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Bytes), ApiError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), CLIENT_ANSWER_BYTES_MAX).collect().await;
    Ok((status, body.map_err(|e| ApiError::Answer(e.to_string()))?.to_bytes()))
}

fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| json.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    ApiError::Refused {
        status: status.as_u16(),
        code: text("code").unwrap_or_else(|| status.to_string()),
        message: text("msg").unwrap_or_else(|| first_line(body)),
    }
}

/// What is no Twirp error may be a whole page.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys { key: "k".into(), secret: "s".into() }
    }

    #[test]
    fn urls_of_both_sorts() {
        let place = |url| Api::new(url, keys()).map(|api| place(&api.uri).unwrap()).map_err(|e| e.to_string());
        assert_eq!(place("ws://127.0.0.1:7880"), Ok(("127.0.0.1".into(), 7880)));
        assert_eq!(place("http://[::1]:7880/"), Ok(("::1".into(), 7880)));
        assert_eq!(place("http://host"), Ok(("host".into(), 80)));
        assert!(place("ftp://host").is_err() && place("host:1").is_err());
    }

    #[test]
    fn refusals_tell_code_and_message() {
        let error = refusal(StatusCode::NOT_FOUND, br#"{"code":"not_found","msg":"no room"}"#);
        assert_eq!(error.to_string(), "not_found: no room");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"oops").to_string(), "502 Bad Gateway: oops");
    }

    #[test]
    fn join_tokens_name_room_and_identity() {
        let keys = keys();
        let known = std::collections::BTreeMap::from([(keys.key.clone(), keys.secret.clone())]);
        let claims = crate::token::verify(&keys.join("r", "ann"), &known, clock::unix_s()).unwrap();
        assert_eq!((claims.identity(), claims.video.as_ref().unwrap().room.as_str()), ("ann", "r"));
    }
}
