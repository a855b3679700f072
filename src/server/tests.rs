//! The assembled server: requests through all its layers, and its life over real sockets.

use super::assemble::Server;
use super::listen;
use super::peers::Peers;
use crate::config::Config;
use crate::metrics::ShardCounters;
use crate::room;
use crate::shard::{Command, Shard, Shards};
use crate::token::{Claims, VideoGrant, mint};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::ServiceExt;

const ROOMS: &str = "/twirp/livekit.RoomService/";
const SECRET: &str = "secretsecretsecretsecretsecretsecret";

fn config(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config { keys: [("key".to_owned(), SECRET.to_owned())].into(), ..Config::default() };
    change(&mut config);
    Arc::new(config)
}

/// Its commands are never read.
fn shards() -> (Shards, Receiver<Command>) {
    let (shard, commands) = Shard::unstarted();
    (Shards::new(vec![shard]), commands)
}

/// Without other nodes. A full one has a track, of which `config` allows none more.
fn server(config: Arc<Config>, shards: Shards, is_full: bool) -> Server {
    let counters = Arc::new(ShardCounters::default());
    counters.tracks_in.set(if is_full { u64::from(config.limit.num_tracks.max(1)) } else { 0 });
    let mut config = config;
    if is_full {
        Arc::make_mut(&mut config).limit.num_tracks = 1;
    }
    Server::new(config, room::Node::default(), shards, vec![counters], Peers::none())
}

struct Node {
    app: Router,
    _commands: Receiver<Command>,
}

impl Node {
    fn with(config: Arc<Config>, is_full: bool) -> Node {
        let (shards, commands) = shards();
        let server = server(config, shards, is_full);
        Node { app: server.into_app(), _commands: commands }
    }

    fn new() -> Node {
        Node::with(config(|_| ()), false)
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn fetch(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    async fn call(&self, method: &str, token: &str, body: Value) -> (u16, Value) {
        let request = Request::post(format!("{ROOMS}{method}"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let answer = self.send(request.body(body.to_string().into()).unwrap()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn token(change: impl FnOnce(&mut Claims, &mut VideoGrant)) -> String {
    let mut grant = VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() };
    let mut claims = Claims { sub: "ann".into(), exp: Some(i64::MAX / 2), ..Claims::default() };
    change(&mut claims, &mut grant);
    claims.video = Some(grant);
    mint(&claims, "key", SECRET)
}

fn good() -> String {
    token(|_, _| ())
}

fn join_request(bytes: &[u8]) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;
    use prost::Message;
    let wrapped = crate::proto::WrappedJoinRequest { join_request: bytes.to_vec(), ..Default::default() };
    URL_SAFE.encode(wrapped.encode_to_vec())
}

const DENIED: &str = "no permissions to access the room";

#[tokio::test]
async fn validation_through_all_layers() {
    let node = Node::new();
    let (good, v1) = (good(), join_request(&[0x38, 0])); // reconnect: false
    let long = token(|c, _| c.sub = "x".repeat(300));
    let long_room = token(|_, g| g.room = "x".repeat(300));
    let no_join = token(|_, g| g.room_join = false);
    let cases = [
        ("/rtc/validate".to_owned(), 401, DENIED),
        (format!("/rtc/validate?access_token={good}"), 200, "success"),
        (format!("/rtc/v1/validate?access_token={good}"), 400, "join_request is required"),
        (format!("/rtc/v1/validate?access_token={good}&join_request={v1}"), 200, "success"),
        (format!("/rtc/validate?access_token={good}&join_request=*"), 400, "cannot base64 decode wrapped join request"),
        (format!("/rtc/validate?access_token={good}&attributes=*"), 400, "cannot decode attributes"),
        (format!("/rtc/validate?access_token={no_join}"), 401, "permissions denied"),
        (
            format!("/rtc/validate?access_token={long}"),
            400,
            "participant identity length exceeds limits: max length 256",
        ),
        (format!("/rtc/validate?access_token={long_room}"), 400, "room name length exceeds limits: max length 256"),
        ("/rtc/validate?access_token=zz".to_owned(), 401, "invalid authorization token"),
    ];
    for (uri, status, body) in cases {
        let answer = node.fetch(&uri).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{uri}");
    }
}

#[tokio::test]
async fn what_the_node_has_no_room_for() {
    let uri = format!("/rtc/validate?access_token={}", good());
    let closed = Node::with(config(|c| c.room.auto_create = false), false).fetch(&uri).await;
    assert_eq!((closed.status, closed.body.as_str()), (404, "requested room does not exist"));
    let full = Node::with(config(|_| ()), true).fetch(&uri).await;
    assert_eq!((full.status, full.body.as_str()), (503, "node has exceeded its configured limit"));
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let node = Node::new();
    let signalling = format!("/rtc?access_token={}", good());
    let cases = [
        ("/nope", "404 page not found\n"),
        (&signalling, ""),
        ("/rtc/v1", ""),
        ("/settings/regions", "404 page not found\n"),
    ];
    for (uri, body) in cases {
        let answer = node.fetch(uri).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, body), "{uri}");
    }
}

#[tokio::test]
async fn regions_are_listed_for_those_who_may_join() {
    let region = |name: &str, lon| crate::config::PublicRegion {
        name: name.into(),
        url: format!("wss://{name}.example.com"),
        lat: 0.0,
        lon,
        networks: Vec::new(),
    };
    let regions = vec![region("far", 90.0), region("near", 0.0)];
    let node = Node::with(config(|c| (c.region, c.lkops.regions) = ("near".into(), regions)), false);
    assert_eq!(node.fetch("/settings/regions").await.status, 401);
    let request = Request::get("/settings/regions").header("authorization", format!("Bearer {}", good()));
    let answer = node.send(request.body(Body::empty()).unwrap()).await;
    let listed: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &listed["regions"][0]["url"]), (200, &json!("wss://near.example.com")));
    assert_eq!(answer.headers["cache-control"], "private, max-age=60");
}

#[tokio::test]
async fn health_answers_every_method() {
    let node = Node::new();
    for method in ["GET", "POST", "PUT"] {
        let answer = node.send(Request::builder().method(method).uri("/").body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    }
}

#[tokio::test]
async fn errors_carry_cors_headers() {
    let request = Request::get("/rtc/validate").header("origin", "http://app.example").body(Body::empty()).unwrap();
    let answer = Node::new().send(request).await;
    assert_eq!(
        (answer.status, &answer.headers["access-control-allow-origin"]),
        (401, &"http://app.example".parse().unwrap())
    );
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let node = Node::with(config(|c| c.limit.max_api_request_body_size = 10), false);
    let request =
        Request::post(format!("{ROOMS}ListRooms")).header("content-length", "11").body(Body::empty()).unwrap();
    let answer = node.send(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "request body too large"));
}

#[tokio::test]
async fn every_method_wants_its_grant() {
    let node = Node::new();
    let wrong_room = token(|_, g| (g.room_admin, g.room) = (true, "other".into()));
    let joiner = good();
    let others = token(|_, g| (g.room_create, g.room_list, g.room_record) = (true, true, true));
    let body = json!({"room": "r", "identity": "x", "name": "r", "destinationRoom": "d"});
    let of_a_room = [
        "ListParticipants",
        "GetParticipant",
        "RemoveParticipant",
        "MutePublishedTrack",
        "UpdateParticipant",
        "UpdateSubscriptions",
        "SendData",
        "UpdateRoomMetadata",
        "ForwardParticipant",
        "MoveParticipant",
        "PerformRpc",
    ];
    let denied = (401, json!({"code": "unauthenticated", "msg": "permissions denied"}));
    for method in of_a_room {
        for token in [&wrong_room, &joiner, &others] {
            assert_eq!(node.call(method, token, body.clone()).await, denied, "{method}");
        }
    }
    for method in ["CreateRoom", "ListRooms", "DeleteRoom"] {
        assert_eq!(node.call(method, &joiner, body.clone()).await, denied, "{method}");
    }
}

#[tokio::test]
async fn refusals_that_need_no_room() {
    let node = Node::new();
    let all = token(|_, g| {
        (g.room_admin, g.room_create, g.room_list) = (true, true, true);
        g.destination_room = "d".into();
    });
    let to_itself = token(|_, g| (g.room_admin, g.destination_room) = (true, "r".into()));
    let long = "x".repeat(513 << 10);
    let cases = [
        ("DeleteRoom", &all, json!({"room": "r"}), 404, "not_found", "requested room does not exist"),
        ("GetParticipant", &all, json!({"room": "r", "identity": "a"}), 404, "not_found", "participant does not exist"),
        ("UpdateRoomMetadata", &all, json!({"room": "r"}), 404, "not_found", "requested room does not exist"),
        (
            "UpdateRoomMetadata",
            &good(),
            json!({"room": "r", "metadata": long}),
            400,
            "invalid_argument",
            "metadata size exceeds limits 524288",
        ),
        (
            "UpdateParticipant",
            &good(),
            json!({"room": "r", "name": "x".repeat(300)}),
            400,
            "invalid_argument",
            "name length exceeds limits 256",
        ),
        (
            "CreateRoom",
            &all,
            json!({"name": "x".repeat(300)}),
            400,
            "invalid_argument",
            "room name length exceeds limits 256",
        ),
        (
            "CreateRoom",
            &all,
            json!({"name": "r", "egress": {}}),
            500,
            "internal",
            "egress not connected (redis required)",
        ),
        ("SendData", &all, json!({"room": "r", "nonce": "AAAA"}), 400, "invalid_argument", "nonce must be 16 bytes"),
        ("MoveParticipant", &all, json!({"room": "r", "destinationRoom": "d"}), 500, "unknown", "not implemented"),
        (
            "MoveParticipant",
            &to_itself,
            json!({"room": "r", "destinationRoom": "r"}),
            400,
            "invalid_argument",
            "destination room cannot be the same as source room",
        ),
        ("PerformRpc", &all, json!({"room": "r"}), 400, "invalid_argument", "destination identity is required"),
    ];
    for (method, token, body, status, code, msg) in cases {
        let (found, error) = node.call(method, token, body).await;
        assert_eq!((found, error["code"].as_str(), error["msg"].as_str()), (status, Some(code), Some(msg)), "{method}");
    }
    assert_eq!(node.call("ListRooms", &all, json!({})).await, (200, json!({"rooms": []})));
    assert_eq!(node.call("ListParticipants", &all, json!({"room": "r"})).await, (200, json!({"participants": []})));
}

/// A running server; dropping `stop` does not end it.
struct Running {
    port: u16,
    stop: mpsc::Sender<&'static str>,
    ended: tokio::task::JoinHandle<()>,
    _commands: Receiver<Command>,
}

async fn start(config: Arc<Config>) -> Running {
    let (shards, _commands) = shards();
    let listeners = listen::bind(&["127.0.0.1".to_owned()], 0).await.unwrap();
    let port = listeners[0].local_addr().unwrap().port();
    let (stop, stops) = mpsc::channel(2);
    let server = server(config, shards, false);
    Running { port, stop, ended: tokio::spawn(server.live(listeners, stops)), _commands }
}

impl Running {
    /// What the server answers to these bytes until it closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn upgrade(&self, path: &str) -> String {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ))
        .await
    }
}

#[tokio::test]
async fn refused_handshakes_are_plain_answers() {
    let server = start(config(|c| c.room.auto_create = false)).await;
    let cases = [
        ("/rtc".to_owned(), "HTTP/1.1 401 ", DENIED),
        ("/rtc?access_token=zz".to_owned(), "HTTP/1.1 401 ", "invalid authorization token"),
        (format!("/rtc/v1?access_token={}", good()), "HTTP/1.1 400 ", "join_request is required"),
        (format!("/rtc?access_token={}", good()), "HTTP/1.1 404 ", "requested room does not exist"),
    ];
    for (path, status, body) in cases {
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), server.upgrade(&path)).await;
        let answer = answer.expect("the server keeps the connection open");
        assert!(answer.starts_with(status) && answer.ends_with(body), "{path}: {answer}");
    }
}

#[tokio::test]
async fn it_serves_and_stops() {
    let server = start(config(|_| ())).await;
    let answer = server.raw("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("OK"), "{answer}");
    let answer = server.raw("GET //rtc/validate HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with(DENIED), "{answer}");
    server.stop.send("SIGTERM").await.unwrap();
    server.ended.await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}
