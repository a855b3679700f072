//! A front of the test's own, byte by byte as in the recordings (CLUSTER.md §8, 11-foreign-front), against a real node.

use super::world::World;
use lkops::proto::psrpc::{Stream, StreamAck, StreamBody, StreamClose, StreamMessage, StreamOpen, Wrapped};
use lkops::proto::rpc::{RelaySignalRequest, RelaySignalResponse};
use lkops::proto::{SignalRequest, SignalResponse, StartSession, signal_request, signal_response};
use prost::Message;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, PushInfo, PushKind, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::timeout;

const FRONT: &str = "ND_front";
const GRANTS: &str = r#"{"identity":"ann","video":{"roomJoin":true,"room":"r"}}"#;

struct Front {
    world: World,
    node: String,
    connection: MultiplexedConnection,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
    stream: String,
    serial: u32,
}

#[allow(clippy::disallowed_methods)]
fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

impl Front {
    /// Room `r` is given to the node.
    #[allow(clippy::disallowed_methods)] // as many as the test lets come
    async fn new() -> Front {
        let world = World::of(1).await;
        let node = world.redis.ask::<Vec<String>>(&Cmd::hkeys("nodes")).await.remove(0);
        world.redis.ask::<()>(&Cmd::hset("room_node_map", "r", &node)).await;
        let (sender, heard) = mpsc::unbounded_channel();
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if let (PushKind::Message, Some(Value::BulkString(payload))) = (push.kind, push.data.into_iter().nth(1)) {
                let _ = sender.send(payload);
            }
            Ok::<(), ()>(())
        });
        let client = world.redis.client();
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        connection.subscribe(format!("Signal|{FRONT}|STR")).await.unwrap();
        Front { world, node, connection, heard, stream: "STR_1".into(), serial: 0 }
    }

    /// Another stream.
    fn start_over(&mut self) {
        self.serial += 1;
        self.stream = format!("STR_again{}", self.serial);
    }

    async fn send(&mut self, body: StreamBody, lives_ms: i64) -> Stream {
        self.serial += 1;
        let sent_at = now_ns();
        let (request_id, expiry) = (format!("REQ_{}", self.serial), sent_at + lives_ms * 1_000_000);
        let envelope = Stream { stream_id: self.stream.clone(), request_id, sent_at, expiry, body: Some(body) };
        self.publish(&envelope).await;
        envelope
    }

    async fn publish(&mut self, envelope: &Stream) {
        let channel = format!("Signal|RelaySignal|{}|STR", self.node);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(envelope.wrap()).query_async::<()>(&mut self.connection).await.unwrap();
    }

    async fn open(&mut self) {
        let open = StreamOpen { node_id: FRONT.into(), ..StreamOpen::default() };
        let sent = self.send(StreamBody::Open(open), 3000).await;
        self.acknowledged(&sent).await;
    }

    async fn say(&mut self, request: &RelaySignalRequest) -> Stream {
        let raw_message = request.encode_to_vec();
        self.send(StreamBody::Message(StreamMessage { raw_message }), 3000).await
    }

    async fn begin(&mut self, grants: &str, room: &str) {
        self.open().await;
        let start = StartSession {
            room_name: room.into(),
            identity: "ann".into(),
            grants_json: grants.into(),
            ..StartSession::default()
        };
        let first = RelaySignalRequest { start_session: Some(start), ..RelaySignalRequest::default() };
        let sent = self.say(&first).await;
        self.acknowledged(&sent).await;
    }

    async fn next(&mut self) -> Stream {
        let heard = timeout(Duration::from_secs(5), self.heard.recv()).await;
        let payload = heard.unwrap_or_else(|_| panic!("nothing comes\n{}", self.world.text())).unwrap();
        Stream::unwrap(&payload).expect("a stream message")
    }

    /// The same ids and times come back.
    async fn acknowledged(&mut self, sent: &Stream) {
        let expected = Stream { body: Some(StreamBody::Ack(StreamAck {})), ..sent.clone() };
        assert_eq!(self.next().await, expected);
    }

    /// The next batch, acknowledged or not.
    async fn batch(&mut self, acknowledge: bool) -> (Stream, RelaySignalResponse) {
        let envelope = self.next().await;
        let Some(StreamBody::Message(message)) = &envelope.body else { panic!("{envelope:?}") };
        let batch = RelaySignalResponse::decode(message.raw_message.as_slice()).unwrap();
        if acknowledge {
            self.publish(&Stream { body: Some(StreamBody::Ack(StreamAck {})), ..envelope.clone() }).await;
        }
        (envelope, batch)
    }

    async fn closed(&mut self) -> StreamClose {
        let envelope = self.next().await;
        match envelope.body {
            Some(StreamBody::Close(close)) => close,
            other => panic!("{other:?}"),
        }
    }
}

fn requests(seq: u64, count: usize) -> RelaySignalRequest {
    let ping = SignalRequest { message: Some(signal_request::Message::Ping(1)) };
    RelaySignalRequest { requests: vec![ping.encode_to_vec(); count], seq, ..RelaySignalRequest::default() }
}

fn messages(batch: &RelaySignalResponse) -> Vec<signal_response::Message> {
    let decode = |raw: &Vec<u8>| SignalResponse::decode(raw.as_slice()).unwrap().message.unwrap();
    batch.responses.iter().map(decode).collect()
}

#[tokio::test]
async fn a_session_is_numbered_and_what_nobody_took_comes_again_with_the_rest() {
    let mut front = Front::new().await;
    front.begin(GRANTS, "r").await;
    let (first, batch) = front.batch(false).await;
    assert_eq!((batch.seq, batch.close), (0, false));
    assert!(matches!(messages(&batch)[0], signal_response::Message::Join(_)));
    let (second, again) = front.batch(true).await;
    assert_eq!((again.seq, first.request_id == second.request_id), (0, false));
    assert!(again.responses.len() >= batch.responses.len() && again.responses.starts_with(&batch.responses));
    // Half a second, then one.
    assert_eq!(((first.expiry - first.sent_at) / 1_000_000, (second.expiry - second.sent_at) / 1_000_000), (500, 1000));
    let mut expected = again.responses.len() as u64;
    let ping = front.say(&requests(0, 2)).await;
    let mut acknowledged = false;
    while !acknowledged {
        let envelope = front.next().await;
        match &envelope.body {
            Some(StreamBody::Ack(_)) => acknowledged = envelope.request_id == ping.request_id,
            Some(StreamBody::Message(message)) => {
                let batch = RelaySignalResponse::decode(message.raw_message.as_slice()).unwrap();
                assert_eq!(batch.seq, expected);
                expected += batch.responses.len() as u64;
                front.publish(&Stream { body: Some(StreamBody::Ack(StreamAck {})), ..envelope }).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Duplicates are taken without effect; numbers that are missing end a session that has no media.
#[tokio::test]
async fn duplicates_are_acknowledged_and_a_gap_ends_the_session() {
    let mut front = Front::new().await;
    front.begin(GRANTS, "r").await;
    front.batch(true).await;
    for (seq, count) in [(0, 2), (0, 2), (1, 3), (9, 1)] {
        let sent = front.say(&requests(seq, count)).await;
        loop {
            let envelope = front.next().await;
            match &envelope.body {
                Some(StreamBody::Ack(_)) if envelope.request_id == sent.request_id => break,
                Some(StreamBody::Message(_)) => {
                    front.publish(&Stream { body: Some(StreamBody::Ack(StreamAck {})), ..envelope }).await;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let gone = async |w: &World| !w.redis.ask::<bool>(&Cmd::hexists("room_participants:r", "ann")).await;
    front.world.until("ann is gone", gone).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let mut front = Front::new().await;
    front.begin("{", "r").await;
    let close = front.closed().await;
    assert!(!close.error.is_empty() && close.code == "unknown", "{close:?}");

    front.start_over();
    front.open().await;
    let sent = front.say(&requests(0, 1)).await;
    front.acknowledged(&sent).await;
    assert_eq!(front.closed().await.code, "unknown");

    front.start_over();
    front.begin(GRANTS, "elsewhere").await;
    let (_, batch) = front.batch(true).await;
    assert_eq!((batch.responses.len(), batch.seq, batch.close), (0, 0, true));
    assert_eq!(front.closed().await, StreamClose { error: "stream closed".into(), code: "canceled".into() });
}

/// Neither what is too old nor what is for nobody is answered.
#[tokio::test]
async fn old_news_and_strangers_are_passed_over() {
    let mut front = Front::new().await;
    front.open().await;
    front.send(StreamBody::Message(StreamMessage::default()), -1000).await;
    front.start_over();
    front.say(&requests(0, 1)).await;
    front.open().await;
}
