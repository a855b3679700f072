//! Calls on other nodes and workers (CLUSTER.md §1.4, §1.10): request, choice among offers, response, further tries.

use super::bus::Bus;
use super::channel;
use super::claim::{Selection, Verdict};
use super::method::{CALLED, Flags, Method};
use super::table::{Registration, Sink};
use crate::config::Psrpc;
use crate::limits::{CALL_HEARD_MAX, MULTI_ANSWERS_MAX};
use crate::proto::id;
use crate::proto::psrpc::{ClaimRequest, ClaimResponse, ErrorCode, Request, Response, Wrapped};
use prost::Message;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    pub code: ErrorCode,
    pub message: String,
}

impl RpcError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into() }
    }

    pub(super) fn no_response() -> RpcError {
        RpcError::new(ErrorCode::Unavailable, "no response from servers")
    }

    pub(super) fn overdue() -> RpcError {
        RpcError::new(ErrorCode::DeadlineExceeded, "request timed out")
    }

    /// Whether another try may help.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.code, ErrorCode::DeadlineExceeded | ErrorCode::Unavailable)
    }
}

/// How often a call is tried, and how long each try waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub attempts: u32,
    pub timeout: Duration,
    /// Each further try waits so much longer.
    pub backoff: Duration,
}

impl Patience {
    pub fn once(timeout: Duration) -> Patience {
        Patience { attempts: 1, timeout, backoff: Duration::ZERO }
    }
}

impl From<&Psrpc> for Patience {
    fn from(config: &Psrpc) -> Patience {
        Patience { attempts: config.max_attempts, timeout: config.timeout, backoff: config.backoff }
    }
}

/// What comes back to a caller.
enum Heard {
    Offer(ClaimRequest),
    Response(Response),
}

type Pending = Arc<Mutex<HashMap<String, mpsc::Sender<Heard>>>>;

/// The calling side of a node.
#[derive(Clone)]
pub struct Caller {
    bus: Bus,
    client_id: String,
    pending: Pending,
    _answers: Arc<Registration>,
}

/// A call under way; its answers find it by the request's id.
struct Waiting {
    pending: Pending,
    request_id: String,
    heard: mpsc::Receiver<Heard>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.pending).remove(&self.request_id);
    }
}

impl Caller {
    pub fn new(bus: Bus) -> Caller {
        let client_id = id::random("CLI_");
        let pending = Pending::default();
        let sinks = CALLED.iter().flat_map(|service| answers(service, &client_id, &pending));
        let answers = bus.subscribe(sinks.collect());
        Caller { bus, client_id, pending, _answers: Arc::new(answers) }
    }

    /// Tries again where that may help; the callee may then see the request twice.
    pub async fn call<Req: Message, Res: Message + Default>(
        &self,
        method: &Method<Req, Res>,
        topic: &[&str],
        request: &Req,
        patience: Patience,
    ) -> Result<Res, RpcError> {
        let raw = request.encode_to_vec();
        let mut attempt_timeout = patience.timeout;
        for _ in 1..patience.attempts.max(1) {
            match self.attempt(method, topic, &raw, attempt_timeout).await {
                Err(error) if error.is_transient() => attempt_timeout += patience.backoff,
                result => return result,
            }
        }
        self.attempt(method, topic, &raw, attempt_timeout).await
    }

    async fn attempt<Req, Res: Message + Default>(
        &self,
        method: &Method<Req, Res>,
        topic: &[&str],
        raw: &[u8],
        patience: Duration,
    ) -> Result<Res, RpcError> {
        let deadline = Instant::now() + patience;
        let to = channel::request(method.service, method.name, topic);
        let mut waiting = self.send(to, raw, patience, false);
        if let Some(chosen) = waiting.choose(method.flags, deadline).await? {
            let grant = ClaimResponse { request_id: waiting.request_id.clone(), server_id: chosen };
            self.bus.publish(channel::grant(method.service, method.name, topic), grant.wrap());
        }
        decode(waiting.response(deadline).await?)
    }

    /// Everybody's answers until the time is over; errors among them are left out.
    pub async fn call_all<Req: Message, Res: Message + Default>(
        &self,
        method: &Method<Req, Res>,
        topic: &[&str],
        request: &Req,
        patience: Duration,
    ) -> Vec<Res> {
        let mut answers = self.ask_all(method, topic, request, patience);
        let mut all = Vec::new();
        while let Some(answer) = answers.next().await {
            all.push(answer);
        }
        all
    }

    /// The same, one by one as they come.
    pub fn ask_all<Req: Message, Res: Message + Default>(
        &self,
        method: &Method<Req, Res>,
        topic: &[&str],
        request: &Req,
        patience: Duration,
    ) -> Answers<Res> {
        let deadline = Instant::now() + patience;
        let to = channel::request(method.service, method.name, topic);
        let waiting = self.send(to, &request.encode_to_vec(), patience, true);
        Answers { waiting, deadline, left: MULTI_ANSWERS_MAX, of: PhantomData }
    }

    fn send(&self, to: String, raw: &[u8], patience: Duration, multi: bool) -> Waiting {
        let request_id = id::random("REQ_");
        let (sender, heard) = mpsc::channel(CALL_HEARD_MAX);
        lock(&self.pending).insert(request_id.clone(), sender);
        let sent_at = self.bus.clock().unix_ns();
        let request = Request {
            request_id: request_id.clone(),
            client_id: self.client_id.clone(),
            sent_at,
            expiry: sent_at.saturating_add(nanos(patience)),
            multi,
            raw_request: raw.to_vec(),
            ..Request::default()
        };
        self.bus.publish(to, request.wrap());
        Waiting { pending: self.pending.clone(), request_id, heard }
    }
}

/// What comes back when everybody was asked.
pub struct Answers<Res> {
    waiting: Waiting,
    deadline: Instant,
    left: usize,
    of: PhantomData<fn() -> Res>,
}

impl<Res: Message + Default> Answers<Res> {
    /// `None` when the time is over.
    pub async fn next(&mut self) -> Option<Res> {
        while self.left > 0 {
            self.left -= 1;
            if let Ok(answer) = decode(self.waiting.response(self.deadline).await.ok()?) {
                return Some(answer);
            }
        }
        None
    }
}

impl Waiting {
    /// The server that is to do it; `None` where nobody is asked.
    async fn choose(&mut self, flags: Flags, deadline: Instant) -> Result<Option<String>, RpcError> {
        let Some(rule) = flags.claim else { return Ok(None) };
        let mut selection = Selection::new(rule, Instant::now(), deadline);
        let mut refused = None;
        loop {
            let until = match selection.poll(Instant::now()) {
                Verdict::Chosen(server) => return Ok(Some(server)),
                Verdict::Nobody(offers) => return Err(refused.unwrap_or_else(|| nobody(offers))),
                Verdict::Wait(until) => until,
            };
            match timeout_at(until, self.heard.recv()).await {
                Ok(Some(Heard::Offer(offer))) => {
                    selection.handle_offer(offer.server_id, offer.affinity, Instant::now());
                }
                // Only a request nobody can read is answered before it is granted.
                Ok(Some(Heard::Response(response))) => refused = error_of(&response).or(refused),
                Ok(None) => return Err(RpcError::no_response()),
                Err(_) => (),
            }
        }
    }

    async fn response(&mut self, deadline: Instant) -> Result<Response, RpcError> {
        loop {
            match timeout_at(deadline, self.heard.recv()).await {
                Ok(Some(Heard::Response(response))) => return Ok(response),
                Ok(Some(Heard::Offer(_))) => (),
                Ok(None) | Err(_) => return Err(RpcError::overdue()),
            }
        }
    }
}

fn nobody(offers: usize) -> RpcError {
    match offers {
        0 => RpcError::no_response(),
        n => RpcError::new(ErrorCode::Unavailable, format!("no servers available (received {n} responses)")),
    }
}

fn decode<Res: Message + Default>(response: Response) -> Result<Res, RpcError> {
    if let Some(error) = error_of(&response) {
        return Err(error);
    }
    let malformed = |e: prost::DecodeError| RpcError::new(ErrorCode::MalformedResult, e.to_string());
    Res::decode(response.raw_response.as_slice()).map_err(malformed)
}

/// A code without a text is no error.
fn error_of(response: &Response) -> Option<RpcError> {
    let error = || RpcError::new(ErrorCode::named(&response.code), response.error.clone());
    (!response.error.is_empty()).then(error)
}

fn answers(service: &str, client_id: &str, pending: &Pending) -> [(String, Sink); 2] {
    let (offers, responses) = (pending.clone(), pending.clone());
    let offer: Sink = Arc::new(move |payload| {
        if let Some(offer) = ClaimRequest::unwrap(payload) {
            tell(&offers, &offer.request_id.clone(), Heard::Offer(offer));
        }
    });
    let response: Sink = Arc::new(move |payload| {
        if let Some(response) = Response::unwrap(payload) {
            tell(&responses, &response.request_id.clone(), Heard::Response(response));
        }
    });
    [(channel::claims(service, client_id), offer), (channel::responses(service, client_id), response)]
}

/// What comes late, or more than anybody reads, is dropped.
fn tell(pending: &Pending, request_id: &str, heard: Heard) {
    if let Some(call) = lock(pending).get(request_id) {
        let _ = call.try_send(heard);
    }
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Heard>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
