//! psrpc's streams, which carry relayed signalling (CLUSTER.md §1.8): opened by the node with the client, acknowledged
//! message by message, closed by either side. What carries no news any more, or is for nobody, is dropped.

use super::bus::Bus;
use super::call::{RpcError, nanos};
use super::channel;
use super::method::{RELAY_SIGNAL, SIGNAL};
use super::table::{Registration, Sink};
use crate::limits::STREAM_ACCEPTS_MAX;
use crate::proto::id;
use crate::proto::psrpc::{
    ErrorCode, Stream as Envelope, StreamAck, StreamBody, StreamClose, StreamMessage, StreamOpen, Wrapped,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long an open or a close is worth reading.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// The text of a close that is none of anybody's fault.
pub const STREAM_CLOSED: &str = "stream closed";

/// Which end of a stream this node is: the client opened it. With itself a node is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Client,
    Server,
}

/// All streams of a node.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
    _client: Arc<Registration>,
}

struct Shared {
    bus: Bus,
    node: String,
    inbox_max: usize,
    open: Mutex<HashMap<(Side, String), Entry>>,
    accepted: mpsc::Sender<Stream>,
}

struct Entry {
    /// Where its messages go.
    to: String,
    inbox: mpsc::Sender<Heard>,
    acks: HashMap<String, oneshot::Sender<()>>,
}

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Vec<u8>),
    Closed { error: String, code: ErrorCode },
}

/// One end of an open stream.
pub struct Stream {
    pub sender: StreamSender,
    pub inbox: mpsc::Receiver<Heard>,
}

/// Forgets the stream when dropped; messages for it are then for nobody.
pub struct StreamSender {
    shared: Arc<Shared>,
    key: (Side, String),
    to: String,
}

impl Streams {
    /// Streams of others come out of the receiver once [`Streams::serve`] is called.
    pub fn new(bus: Bus, node: &str, inbox_max: usize) -> (Streams, mpsc::Receiver<Stream>) {
        let (accepted, streams) = mpsc::channel(STREAM_ACCEPTS_MAX);
        let inbox_max = inbox_max.max(1);
        let shared = Arc::new(Shared { bus, node: node.to_owned(), inbox_max, open: Mutex::default(), accepted });
        let sink = shared.sink(Side::Client);
        let client = shared.bus.subscribe(vec![(channel::to_client(SIGNAL, node), sink)]);
        (Streams { shared, _client: Arc::new(client) }, streams)
    }

    /// Takes streams of others until the registration is dropped.
    pub fn serve(&self) -> Registration {
        let name = channel::to_server(SIGNAL, RELAY_SIGNAL, &[&self.shared.node]);
        self.shared.bus.subscribe(vec![(name, self.shared.sink(Side::Server))])
    }

    /// A stream to that node.
    pub async fn open(&self, node: &str) -> Result<Stream, RpcError> {
        let to = channel::to_server(SIGNAL, RELAY_SIGNAL, &[node]);
        let stream = self.shared.enter((Side::Client, id::random("STR_")), to);
        let open = StreamOpen { node_id: self.shared.node.clone(), ..StreamOpen::default() };
        stream.sender.deliver(StreamBody::Open(open), OPEN_TIMEOUT).await?;
        Ok(stream)
    }
}

impl StreamSender {
    /// Returns when the other side has queued it. It may have done so even if this fails.
    pub async fn send(&self, raw_message: Vec<u8>, patience: Duration) -> Result<(), RpcError> {
        self.deliver(StreamBody::Message(StreamMessage { raw_message }), patience).await
    }

    /// Not acknowledged.
    pub fn close(&self, error: &str, code: ErrorCode) {
        let close = StreamClose { error: error.to_owned(), code: code.name().to_owned() };
        self.post(id::random("REQ_"), StreamBody::Close(close), OPEN_TIMEOUT);
    }

    async fn deliver(&self, body: StreamBody, patience: Duration) -> Result<(), RpcError> {
        let request_id = id::random("REQ_");
        let (ack, acked) = oneshot::channel();
        match self.shared.lock().get_mut(&self.key) {
            Some(entry) => drop(entry.acks.insert(request_id.clone(), ack)),
            None => return Err(RpcError::new(ErrorCode::Canceled, STREAM_CLOSED)),
        }
        self.post(request_id.clone(), body, patience);
        let result = timeout(patience, acked).await;
        if let Some(entry) = self.shared.lock().get_mut(&self.key) {
            entry.acks.remove(&request_id);
        }
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(RpcError::new(ErrorCode::Canceled, STREAM_CLOSED)),
            Err(_) => Err(RpcError::new(ErrorCode::DeadlineExceeded, "request timed out")),
        }
    }

    fn post(&self, request_id: String, body: StreamBody, patience: Duration) {
        let sent_at = self.shared.bus.clock().unix_ns();
        let expiry = sent_at.saturating_add(nanos(patience));
        let envelope = Envelope { stream_id: self.key.1.clone(), request_id, sent_at, expiry, body: Some(body) };
        self.shared.bus.publish(self.to.clone(), envelope.wrap());
    }
}

impl Drop for StreamSender {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.key);
    }
}

impl Shared {
    fn sink(self: &Arc<Self>, side: Side) -> Sink {
        // Not the whole: the bus, which the whole holds, holds its sinks.
        let shared = Arc::downgrade(self);
        Arc::new(move |payload| {
            if let (Some(shared), Some(envelope)) = (shared.upgrade(), Envelope::unwrap(payload)) {
                shared.handle(side, envelope);
            }
        })
    }

    fn handle(self: &Arc<Self>, side: Side, envelope: Envelope) {
        if self.bus.clock().unix_ns() >= envelope.expiry {
            return;
        }
        let key = (side, envelope.stream_id.clone());
        match envelope.body.clone() {
            Some(StreamBody::Open(open)) if side == Side::Server => self.handle_open(key, &open, envelope),
            Some(StreamBody::Message(message)) => self.handle_message(&key, message.raw_message, envelope),
            Some(StreamBody::Ack(_)) => self.handle_ack(&key, &envelope.request_id),
            Some(StreamBody::Close(close)) => self.handle_close(&key, close),
            _ => (),
        }
    }

    /// Heard twice, it is acknowledged twice.
    fn handle_open(self: &Arc<Self>, key: (Side, String), open: &StreamOpen, envelope: Envelope) {
        let to = channel::to_client(SIGNAL, &open.node_id);
        let is_new = !self.lock().contains_key(&key);
        if is_new {
            let stream = self.enter(key, to.clone());
            if self.accepted.try_send(stream).is_err() {
                return tracing::warn!("too many participants of other nodes at once; one must try again");
            }
        }
        self.acknowledge(to, envelope);
    }

    fn handle_message(&self, key: &(Side, String), raw: Vec<u8>, envelope: Envelope) {
        let queued =
            self.lock().get(key).filter(|e| e.inbox.try_send(Heard::Message(raw)).is_ok()).map(|e| e.to.clone());
        if let Some(to) = queued {
            self.acknowledge(to, envelope);
        }
    }

    fn handle_ack(&self, key: &(Side, String), request_id: &str) {
        if let Some(ack) = self.lock().get_mut(key).and_then(|e| e.acks.remove(request_id)) {
            let _ = ack.send(());
        }
    }

    fn handle_close(&self, key: &(Side, String), close: StreamClose) {
        if let Some(entry) = self.lock().remove(key) {
            // A full inbox ends all the same, without a reason.
            let _ = entry.inbox.try_send(Heard::Closed { error: close.error, code: ErrorCode::named(&close.code) });
        }
    }

    /// The same ids and times as in what is acknowledged.
    fn acknowledge(&self, to: String, envelope: Envelope) {
        self.bus.publish(to, Envelope { body: Some(StreamBody::Ack(StreamAck {})), ..envelope }.wrap());
    }

    fn enter(self: &Arc<Self>, key: (Side, String), to: String) -> Stream {
        let (sender, inbox) = mpsc::channel(self.inbox_max);
        let entry = Entry { to: to.clone(), inbox: sender, acks: HashMap::new() };
        self.lock().insert(key.clone(), entry);
        Stream { sender: StreamSender { shared: self.clone(), key, to }, inbox }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Side, String), Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
