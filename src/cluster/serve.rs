//! Calls of other nodes on this one (CLUSTER.md §1.4, §1.6): the message's lock, the offer, the work, the answer.

use super::bus::Bus;
use super::call::RpcError;
use super::channel;
use super::method::{Flags, Method};
use super::redis::Redis;
use super::table::{Registration, Sink};
use crate::limits::{BUS_REQUESTS_MAX, QUEUE_LOCK_SECONDS};
use crate::proto::id;
use crate::proto::psrpc::{ClaimRequest, ClaimResponse, ErrorCode, Request, Response, Wrapped};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use prost::Message;
use rand::Rng;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;

type Answer = Result<Vec<u8>, RpcError>;

/// The serving side of a node.
#[derive(Clone)]
pub struct Server {
    desk: Arc<Desk>,
}

/// What all methods share.
struct Desk {
    bus: Bus,
    redis: Redis,
    server_id: String,
    grants: Grants,
    room_for: Arc<Semaphore>,
}

/// By request: who waits to hear which server got it.
type Grants = Arc<Mutex<HashMap<String, oneshot::Sender<String>>>>;

/// How well this server would do with a request: above 0 it may be chosen, below it stays silent. `None` if the request cannot
/// be read.
type Affinity = Box<dyn Fn(&[u8]) -> Option<f32> + Send + Sync>;

/// One method of one topic.
struct Endpoint {
    desk: Arc<Desk>,
    service: &'static str,
    flags: Flags,
    affinity: Affinity,
    handler: Box<dyn Fn(Vec<u8>) -> BoxFuture<'static, Answer> + Send + Sync>,
}

/// Methods to be served together: one registration, so that Redis is told once.
pub struct Methods {
    desk: Arc<Desk>,
    sinks: Vec<(String, Sink)>,
}

impl Server {
    pub fn new(bus: Bus, redis: Redis) -> Server {
        let room_for = Arc::new(Semaphore::new(BUS_REQUESTS_MAX));
        let server_id = id::random("SRV_");
        Server { desk: Arc::new(Desk { bus, redis, server_id, grants: Grants::default(), room_for }) }
    }

    pub fn methods(&self) -> Methods {
        Methods { desk: self.desk.clone(), sinks: Vec::new() }
    }

    /// Returns when the calls under way are answered and the answers have left; takes no further ones.
    pub async fn finish(&self) {
        // Nobody closes the semaphore.
        let all = self.desk.room_for.acquire_many(BUS_REQUESTS_MAX as u32).await;
        self.desk.bus.flushed().await;
        all.into_iter().for_each(SemaphorePermit::forget);
    }
}

impl Methods {
    pub fn with<Req, Res, Fut>(
        self,
        method: &Method<Req, Res>,
        topic: &[&str],
        handler: impl Fn(Req) -> Fut + Send + Sync + 'static,
    ) -> Methods
    where
        Req: Message + Default + 'static,
        Res: Message,
        Fut: Future<Output = Result<Res, RpcError>> + Send + 'static,
    {
        self.with_affinity(method, topic, |_| 1.0, handler)
    }

    /// A method whose caller compares what the servers offer.
    pub fn with_affinity<Req, Res, Fut>(
        mut self,
        method: &Method<Req, Res>,
        topic: &[&str],
        affinity: impl Fn(&Req) -> f32 + Send + Sync + 'static,
        handler: impl Fn(Req) -> Fut + Send + Sync + 'static,
    ) -> Methods
    where
        Req: Message + Default + 'static,
        Res: Message,
        Fut: Future<Output = Result<Res, RpcError>> + Send + 'static,
    {
        let handler = move |raw: Vec<u8>| -> BoxFuture<'static, Answer> {
            match Req::decode(raw.as_slice()) {
                Ok(request) => {
                    let answer = handler(request);
                    Box::pin(async move { Ok(answer.await?.encode_to_vec()) })
                }
                Err(error) => Box::pin(async move { Err(malformed(&error.to_string())) }),
            }
        };
        let endpoint = Arc::new(Endpoint {
            desk: self.desk.clone(),
            service: method.service,
            flags: method.flags,
            affinity: Box::new(move |raw| Req::decode(raw).ok().map(|request| affinity(&request))),
            handler: Box::new(handler),
        });
        self.sinks.push((channel::request(method.service, method.name, topic), endpoint.sink()));
        if method.flags.claim.is_some() {
            let grants = self.desk.grants.clone();
            let sink: Sink = Arc::new(move |payload| note_grant(&grants, payload));
            self.sinks.push((channel::grant(method.service, method.name, topic), sink));
        }
        self
    }

    /// Served until the registration is dropped.
    pub fn serve(self) -> Registration {
        self.desk.bus.subscribe(self.sinks)
    }
}

impl Endpoint {
    fn sink(self: &Arc<Self>) -> Sink {
        let endpoint = self.clone();
        Arc::new(move |payload| endpoint.handle_payload(payload))
    }

    /// More than can be worked on at a time is left to other nodes, or to the caller's next try.
    fn handle_payload(self: &Arc<Self>, payload: &[u8]) {
        let Some(request) = Request::unwrap(payload) else { return };
        let Ok(permit) = self.desk.room_for.clone().try_acquire_owned() else { return };
        let lock = self.flags.queue.then(|| lock_key(payload));
        let endpoint = self.clone();
        tokio::spawn(async move {
            if let Some(answer) = endpoint.work(&request, lock).await {
                endpoint.answer(&request, answer);
            }
            drop(permit);
        });
    }

    /// `None` where somebody else answers, or nobody waits any more.
    async fn work(&self, request: &Request, lock: Option<String>) -> Option<Answer> {
        if let Some(key) = lock
            && !self.desk.wins(&key).await
        {
            return None;
        }
        let left = Duration::from_nanos(
            u64::try_from(request.expiry.saturating_sub(self.desk.bus.clock().unix_ns())).ok().filter(|n| *n > 0)?,
        );
        let Some(affinity) = (self.affinity)(&request.raw_request) else {
            return Some(Err(malformed("the request cannot be decoded")));
        };
        let work = async {
            if self.flags.claim.is_some() && (affinity < 0.0 || !self.is_granted(request, affinity).await) {
                return None;
            }
            Some((self.handler)(request.raw_request.clone()).await)
        };
        timeout(left, work).await.ok().flatten()
    }

    async fn is_granted(&self, request: &Request, affinity: f32) -> bool {
        let granted = Granted::await_for(&self.desk.grants, &request.request_id);
        let offer =
            ClaimRequest { request_id: request.request_id.clone(), server_id: self.desk.server_id.clone(), affinity };
        self.desk.bus.publish(channel::claims(self.service, &request.client_id), offer.wrap());
        granted.server().await.is_some_and(|server| server == self.desk.server_id)
    }

    fn answer(&self, request: &Request, answer: Answer) {
        let response = Response {
            request_id: request.request_id.clone(),
            server_id: self.desk.server_id.clone(),
            sent_at: self.desk.bus.clock().unix_ns(),
            ..Response::default()
        };
        let response = match answer {
            Ok(raw_response) => Response { raw_response, ..response },
            Err(RpcError { code, message }) => Response { error: message, code: code.name().to_owned(), ..response },
        };
        self.desk.bus.publish(channel::responses(self.service, &request.client_id), response.wrap());
    }
}

impl Desk {
    /// Takes the message's lock; whoever gets no answer from Redis has not got it.
    async fn wins(&self, key: &str) -> bool {
        let value = rand::rng().random_range(0..i64::MAX);
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("EX").arg(QUEUE_LOCK_SECONDS).arg("NX");
        matches!(self.redis.query::<Option<String>>(&set).await, Ok(Some(_)))
    }
}

/// The key of a message's lock: over the bytes as they came, wrapper included.
pub fn lock_key(payload: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, payload))
}

/// Waits for one grant; forgotten when dropped.
struct Granted {
    grants: Grants,
    request_id: String,
    server: oneshot::Receiver<String>,
}

impl Granted {
    fn await_for(grants: &Grants, request_id: &str) -> Granted {
        let (sender, server) = oneshot::channel();
        lock(grants).insert(request_id.to_owned(), sender);
        Granted { grants: grants.clone(), request_id: request_id.to_owned(), server }
    }

    async fn server(mut self) -> Option<String> {
        (&mut self.server).await.ok()
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        lock(&self.grants).remove(&self.request_id);
    }
}

fn note_grant(grants: &Grants, payload: &[u8]) {
    let Some(grant) = ClaimResponse::unwrap(payload) else { return };
    if let Some(waiting) = lock(grants).remove(&grant.request_id) {
        let _ = waiting.send(grant.server_id);
    }
}

fn lock(grants: &Grants) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<String>>> {
    grants.lock().unwrap_or_else(PoisonError::into_inner)
}

fn malformed(what: &str) -> RpcError {
    RpcError::new(ErrorCode::MalformedRequest, what)
}
