//! Twirp over axum (WIRE.md §5.0): finds the method, reads its request in JSON or protobuf, answers in kind.
//! <https://twitchtv.github.io/twirp/docs/spec_v7.html>

use super::error::{Code, TwirpError};
use super::permission::Caller;
use crate::limits::API_BODY_BYTES_CEILING;
use crate::proto::json::{self, Shaped};
use crate::token::Claims;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prost::Message;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long a request's body may take to come in.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The services of this node by path.
#[derive(Default)]
pub struct Twirp {
    methods: HashMap<String, Handler>,
    body_bytes_max: usize,
}

/// One service under construction: its methods are functions of `S`.
pub struct Service<S> {
    name: &'static str,
    state: Arc<S>,
    methods: HashMap<String, Handler>,
}

type Handler = Box<dyn Fn(Call) -> BoxFuture<'static, Result<Bytes, TwirpError>> + Send + Sync>;

struct Call {
    caller: Caller,
    encoding: Encoding,
    body: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Protobuf,
}

impl<S: Send + Sync + 'static> Service<S> {
    /// `name` with its package, `livekit.RoomService`.
    pub fn new(name: &'static str, state: Arc<S>) -> Service<S> {
        Service { name, state, methods: HashMap::new() }
    }

    pub fn method<Req, Res, F, Fut>(mut self, name: &str, run: F) -> Service<S>
    where
        Req: Message + Default + DeserializeOwned + 'static,
        Res: Message + Shaped,
        F: Fn(Arc<S>, Caller, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Res, TwirpError>> + Send + 'static,
    {
        let state = self.state.clone();
        let handler = move |call: Call| {
            let request = call.encoding.decode::<Req>(&call.body);
            let answer = request.map(|request| run(state.clone(), call.caller, request));
            async move { call.encoding.encode(&answer?.await?) }.boxed()
        };
        self.methods.insert(format!("/twirp/{}/{name}", self.name), Box::new(handler));
        self
    }
}

impl Twirp {
    /// `body_bytes_max` 0 stands for no limit but the program's own.
    pub fn new(body_bytes_max: usize) -> Twirp {
        let body_bytes_max = if body_bytes_max == 0 { API_BODY_BYTES_CEILING } else { body_bytes_max };
        Twirp { methods: HashMap::new(), body_bytes_max }
    }

    pub fn with<S>(mut self, service: Service<S>) -> Twirp {
        self.methods.extend(service.methods);
        self
    }

    pub fn routes(self) -> Router {
        Router::new().route("/twirp/{*path}", any(answer)).with_state(Arc::new(self))
    }

    async fn run(&self, claims: Option<Claims>, request: Request) -> Result<Response, TwirpError> {
        let (parts, body) = request.into_parts();
        let (handler, encoding) = self.route(&parts)?;
        let body = read(body, self.body_bytes_max, encoding).await?;
        let call = handler(Call { caller: Caller::of(claims), encoding, body });
        let bytes = within(time_allowed(&parts.headers), call).await?;
        Ok(([(header::CONTENT_TYPE, encoding.content_type())], bytes).into_response())
    }

    fn route(&self, parts: &Parts) -> Result<(&Handler, Encoding), TwirpError> {
        let bad_route = |why: String| TwirpError::bad_route(why, format!("{} {}", parts.method, parts.uri.path()));
        if parts.method != Method::POST {
            return Err(bad_route(format!("unsupported method \"{}\" (only POST is allowed)", parts.method)));
        }
        let path = parts.uri.path();
        let handler = self.methods.get(path).ok_or_else(|| bad_route(format!("no handler for path \"{path}\"")))?;
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let encoding = Encoding::of(content_type)
            .ok_or_else(|| bad_route(format!("unexpected Content-Type: \"{content_type}\"")))?;
        Ok((handler, encoding))
    }
}

async fn answer(State(twirp): State<Arc<Twirp>>, claims: Option<Extension<Claims>>, request: Request) -> Response {
    let claims = claims.map(|Extension(claims)| claims);
    twirp.run(claims, request).await.into_response()
}

/// A body beyond the limit cannot be decoded, as far as it was read.
async fn read(body: Body, bytes_max: usize, encoding: Encoding) -> Result<Bytes, TwirpError> {
    let whole = async { to_bytes(body, bytes_max).await.map_err(|_| encoding.malformed()) };
    within(Some(BODY_TIMEOUT), whole).await
}

/// `X-Twirp-Timeout-Ms`.
fn time_allowed(headers: &HeaderMap) -> Option<Duration> {
    let ms = headers.get("x-twirp-timeout-ms")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(ms)).filter(|d| !d.is_zero())
}

async fn within<T>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, TwirpError>>,
) -> Result<T, TwirpError> {
    let Some(limit) = limit else { return call.await };
    let late = |_| Err(TwirpError::new(Code::DeadlineExceeded, "context deadline exceeded"));
    tokio::time::timeout(limit, call).await.unwrap_or_else(late)
}

impl Encoding {
    fn of(content_type: &str) -> Option<Encoding> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Some(Encoding::Json),
            "application/protobuf" => Some(Encoding::Protobuf),
            _ => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/protobuf",
        }
    }

    fn decode<T: Message + Default + DeserializeOwned>(self, body: &Bytes) -> Result<T, TwirpError> {
        match self {
            Encoding::Json => json::parse(body).map_err(|_| self.malformed()),
            Encoding::Protobuf => T::decode(body.clone()).map_err(|_| self.malformed()),
        }
    }

    fn encode<T: Message + Shaped>(self, message: &T) -> Result<Bytes, TwirpError> {
        match self {
            Encoding::Json => json::complete(message)
                .map(Bytes::from)
                .map_err(|e| TwirpError::new(Code::Internal, format!("failed to marshal json response: {e}"))),
            Encoding::Protobuf => Ok(message.encode_to_vec().into()),
        }
    }

    fn malformed(self) -> TwirpError {
        let name = match self {
            Encoding::Json => "json",
            Encoding::Protobuf => "protobuf",
        };
        TwirpError::new(Code::Malformed, format!("the {name} request could not be decoded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{DeleteRoomRequest, ListRoomsRequest, ListRoomsResponse, Room, SendDataResponse};
    use axum::http::StatusCode;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    /// Echoes.
    struct Rooms;

    impl Rooms {
        async fn list(self: Arc<Self>, _: Caller, request: ListRoomsRequest) -> Result<ListRoomsResponse, TwirpError> {
            let room = |name| Room { name, ..Room::default() };
            Ok(ListRoomsResponse { rooms: request.names.into_iter().map(room).collect() })
        }

        async fn never(self: Arc<Self>, _: Caller, _: DeleteRoomRequest) -> Result<SendDataResponse, TwirpError> {
            std::future::pending().await
        }
    }

    fn app() -> Router {
        let rooms = Service::new("livekit.Rooms", Arc::new(Rooms));
        Twirp::new(64).with(rooms.method("List", Rooms::list).method("Never", Rooms::never)).routes()
    }

    type Headers<'a> = &'a [(&'a str, &'a str)];

    async fn send(
        method: &str,
        path: &str,
        headers: Headers<'_>,
        body: impl Into<Body>,
    ) -> (StatusCode, String, Bytes) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = app().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let content_type = response.headers().get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap().to_owned());
        let status = response.status();
        (status, content_type.unwrap_or_default(), to_bytes(response.into_body(), 1 << 20).await.unwrap())
    }

    const JSON: (&str, &str) = ("content-type", "application/json");
    const PROTOBUF: (&str, &str) = ("content-type", "application/protobuf");
    const LIST: &str = "/twirp/livekit.Rooms/List";

    async fn fails(method: &str, path: &str, headers: Headers<'_>, body: &'static [u8]) -> (u16, Value) {
        let (status, content_type, body) = send(method, path, headers, body).await;
        assert_eq!(content_type, "application/json");
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn answers_in_the_encoding_of_the_request() {
        for content_type in ["application/json", "application/json; charset=utf-8"] {
            let (status, kind, body) =
                send("POST", LIST, &[("content-type", content_type)], r#"{"names":["a"]}"#).await;
            assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (answer["rooms"][0]["name"].as_str(), &answer["rooms"][0]["num_participants"]),
                (Some("a"), &json!(0))
            );
        }
        let request = ListRoomsRequest { names: vec!["a".into()] }.encode_to_vec();
        let (status, kind, body) = send("POST", LIST, &[PROTOBUF], request).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/protobuf"));
        assert_eq!(ListRoomsResponse::decode(body).unwrap().rooms[0].name, "a");
        assert_eq!(send("POST", LIST, &[PROTOBUF], "").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn bad_routes() {
        let unknown = "/twirp/livekit.Rooms/Nope";
        let cases: [(&str, &str, Headers, &str); 5] = [
            ("GET", LIST, &[JSON], "unsupported method \"GET\" (only POST is allowed)"),
            ("PUT", LIST, &[JSON], "unsupported method \"PUT\" (only POST is allowed)"),
            ("POST", unknown, &[JSON], "no handler for path \"/twirp/livekit.Rooms/Nope\""),
            ("POST", LIST, &[("content-type", "text/plain")], "unexpected Content-Type: \"text/plain\""),
            ("POST", LIST, &[], "unexpected Content-Type: \"\""),
        ];
        for (method, path, headers, message) in cases {
            let expected = json!({"code": "bad_route", "msg": message, "meta": {"twirp_invalid_route": format!("{method} {path}")}});
            assert_eq!(fails(method, path, headers, b"{}").await, (404, expected));
        }
    }

    #[tokio::test]
    async fn bodies_that_cannot_be_decoded() {
        let long: &[u8] = &[b' '; 65];
        let cases = [
            (JSON, &b"{"[..], "json"),
            (JSON, long, "json"),
            (PROTOBUF, b"\xff\xff", "protobuf"),
            (PROTOBUF, b"\0", "protobuf"),
        ];
        for (encoding, body, name) in cases {
            let expected = json!({"code": "malformed", "msg": format!("the {name} request could not be decoded")});
            assert_eq!(fails("POST", LIST, &[encoding], body).await, (400, expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(send("POST", LIST, &[JSON], never).await.0, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_callers_timeout_is_kept() {
        let headers = [JSON, ("x-twirp-timeout-ms", "50")];
        let (status, error) = fails("POST", "/twirp/livekit.Rooms/Never", &headers, b"{}").await;
        assert_eq!((status, error["code"].as_str()), (408, Some("deadline_exceeded")));
    }
}
