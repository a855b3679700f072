//! A worker that has nothing of ours but the envelopes: it asks as psrpc does (CLUSTER.md §1.4).

use super::redis_server::RedisServer;
use lkops::proto::psrpc::{ClaimRequest, ClaimResponse, Request, Response, Wrapped};
use prost::Message;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::timeout;

const ID: &str = "CLI_worker";

pub struct Asker {
    connection: MultiplexedConnection,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
    serial: u32,
}

impl Asker {
    #[allow(clippy::disallowed_methods)] // as many as the test lets come
    pub async fn new(redis: &RedisServer) -> Asker {
        let (sender, heard) = mpsc::unbounded_channel();
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if let (PushKind::Message, Some(Value::BulkString(payload))) = (push.kind, push.data.into_iter().nth(1)) {
                let _ = sender.send(payload);
            }
            Ok::<(), ()>(())
        });
        let mut connection = redis.client().get_multiplexed_async_connection_with_config(&config).await.unwrap();
        for channel in [format!("IOInfo|{ID}|RES"), format!("IOInfo|{ID}|CLAIM")] {
            connection.subscribe(channel).await.unwrap();
        }
        Asker { connection, heard, serial: 0 }
    }

    /// What whichever node answers says to a question of IOInfo; an error as code and text.
    #[allow(clippy::disallowed_methods)]
    pub async fn ask<Res: Message + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Result<Res, (String, String)> {
        self.serial += 1;
        let (request_id, now) = (format!("REQ_{}", self.serial), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let sent_at = now.as_nanos() as i64;
        let envelope = Request {
            request_id: request_id.clone(),
            client_id: ID.into(),
            sent_at,
            expiry: sent_at + 10_000_000_000,
            raw_request: request.encode_to_vec(),
            ..Request::default()
        };
        self.publish(format!("IOInfo|{method}|REQ"), envelope.wrap()).await;
        loop {
            let payload = timeout(Duration::from_secs(10), self.heard.recv()).await.expect("an answer").unwrap();
            if let Some(offer) = ClaimRequest::unwrap(&payload).filter(|offer| offer.request_id == request_id) {
                let grant = ClaimResponse { request_id: request_id.clone(), server_id: offer.server_id };
                self.publish(format!("IOInfo|{method}|RCLAIM"), grant.wrap()).await;
            } else if let Some(response) = Response::unwrap(&payload) {
                assert_eq!(response.request_id, request_id);
                return match response.error.as_str() {
                    "" => Ok(Res::decode(response.raw_response.as_slice()).unwrap()),
                    error => Err((response.code, error.to_owned())),
                };
            }
        }
    }

    async fn publish(&mut self, channel: String, payload: Vec<u8>) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(payload).query_async::<()>(&mut self.connection).await.unwrap();
    }
}
