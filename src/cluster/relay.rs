//! Relayed signalling (CLUSTER.md §3): the node that has a participant's WebSocket carries its messages to the node that has
//! the room, and back. What they say is not looked at here.

use super::call::RpcError;
use super::delivery::{Inbox, Outbox, Terms};
use super::redis::Status;
use super::stream::{Heard, STREAM_CLOSED, Stream, StreamSender, Streams};
use crate::limits::RELAY_QUEUE_MAX;
use crate::proto::StartSession;
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::{RelaySignalRequest, RelaySignalResponse};
use prost::Message;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// How long the first message may take to be acknowledged.
const START_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the node with the room waits for the first message.
const ARRIVAL_TIMEOUT: Duration = Duration::from_millis(7500);

/// How long the node with the WebSocket waits for the other to end as well.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(3);

/// The two queues of a relayed participant. Dropping `outgoing` ends it from here; `incoming` ends with the other side.
pub struct Relayed<Out, In> {
    pub outgoing: mpsc::Sender<Out>,
    pub incoming: mpsc::Receiver<In>,
}

/// A participant of another node that wants to come in. Dropped, it is sent away.
pub struct Arrival {
    pub start: Box<StartSession>,
    stream: Stream,
    route: Route,
}

/// What all relays of a node share.
#[derive(Clone)]
pub struct Route {
    pub terms: Terms,
    pub status: watch::Receiver<Status>,
}

/// A batch in either direction.
trait Batch: Message + Default {
    fn of(seq: u64, messages: Vec<Vec<u8>>, close: bool) -> Self;
    fn into_parts(self) -> (u64, Vec<Vec<u8>>, bool);
}

impl Batch for RelaySignalRequest {
    fn of(seq: u64, requests: Vec<Vec<u8>>, close: bool) -> Self {
        RelaySignalRequest { start_session: None, requests, seq, close }
    }

    fn into_parts(self) -> (u64, Vec<Vec<u8>>, bool) {
        (self.seq, self.requests, self.close)
    }
}

impl Batch for RelaySignalResponse {
    fn of(seq: u64, responses: Vec<Vec<u8>>, close: bool) -> Self {
        RelaySignalResponse { responses, seq, close }
    }

    fn into_parts(self) -> (u64, Vec<Vec<u8>>, bool) {
        (self.seq, self.responses, self.close)
    }
}

/// Why a relay ended before both sides had closed it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Broken {
    /// The other side takes nothing any more.
    Silent,
    /// It closed the stream.
    Closed,
    /// Its node died.
    Dead,
}

/// Starts a session on that node. `farewell` is what the client is told should the node die later; `death` ends then.
pub async fn open<Out, In>(
    streams: &Streams,
    node: &str,
    start: StartSession,
    farewell: In,
    route: Route,
    death: oneshot::Receiver<()>,
) -> Result<Relayed<Out, In>, RpcError>
where
    Out: Message + 'static,
    In: Message + Default + 'static,
{
    let stream = streams.open(node).await?;
    let first = RelaySignalRequest { start_session: Some(start), ..RelaySignalRequest::default() };
    if let Err(error) = stream.sender.send(first.encode_to_vec(), START_TIMEOUT).await {
        stream.sender.close(STREAM_CLOSED, ErrorCode::Canceled);
        return Err(error);
    }
    let (outgoing, requests) = mpsc::channel(RELAY_QUEUE_MAX);
    let (responses, incoming) = mpsc::channel(RELAY_QUEUE_MAX);
    tokio::spawn(front(stream, requests, responses, farewell, route, death));
    Ok(Relayed { outgoing, incoming })
}

async fn front<Out: Message, In: Message + Default>(
    stream: Stream,
    requests: mpsc::Receiver<Out>,
    responses: mpsc::Sender<In>,
    farewell: In,
    route: Route,
    death: oneshot::Receiver<()>,
) {
    let Stream { sender, mut inbox } = stream;
    let mut greeted = false;
    let reading = read::<RelaySignalResponse, In>(&mut inbox, responses.clone(), &mut greeted);
    let writing = async {
        write::<RelaySignalRequest, Out>(&sender, requests, &route, OnSilence::End).await?;
        sleep(LAST_WORD_TIMEOUT).await;
        Ok(())
    };
    let result = tokio::select! {
        biased;
        read = reading => read,
        written = writing => written,
        _ = death => Err(Broken::Dead),
    };
    match result {
        Err(Broken::Silent) => sender.close("signal write failed", ErrorCode::Unknown),
        _ => sender.close(STREAM_CLOSED, ErrorCode::Canceled),
    }
    if greeted && matches!(result, Err(Broken::Dead | Broken::Silent)) {
        let _ = responses.try_send(farewell);
    }
}

/// Waits for who it is that a stream brings; those that say nothing or nonsense are sent away.
pub async fn arrival(mut stream: Stream, route: Route) -> Option<Arrival> {
    let Ok(first) = timeout(ARRIVAL_TIMEOUT, stream.inbox.recv()).await else {
        stream.sender.close("timeout waiting for start session", ErrorCode::Unknown);
        return None;
    };
    let Some(Heard::Message(raw)) = first else { return None };
    let start = RelaySignalRequest::decode(raw.as_slice()).ok().and_then(|r| r.start_session);
    match start {
        Some(start) => Some(Arrival { start: Box::new(start), stream, route }),
        None => {
            stream.sender.close("expected start session", ErrorCode::Unknown);
            None
        }
    }
}

impl Arrival {
    /// Carries its session until either side ends it.
    pub async fn carry<In, Out>(self, incoming: mpsc::Sender<In>, outgoing: mpsc::Receiver<Out>)
    where
        In: Message + Default,
        Out: Message,
    {
        let Stream { sender, mut inbox } = self.stream;
        let mut greeted = false;
        let reading = async {
            let read = read::<RelaySignalRequest, In>(&mut inbox, incoming, &mut greeted).await;
            // The room hears of it and ends the writing, unless there is nobody to write to.
            match read {
                Err(Broken::Closed) => (),
                _ => std::future::pending().await,
            }
        };
        let writing = write::<RelaySignalResponse, Out>(&sender, outgoing, &self.route, OnSilence::GoOn);
        tokio::select! {
            biased;
            () = reading => (),
            _ = writing => (),
        }
        sender.close(STREAM_CLOSED, ErrorCode::Canceled);
    }

    /// The room is not here: an empty batch, then the end. The other node will look again.
    pub async fn send_away(self) {
        let last = RelaySignalResponse::of(0, Vec::new(), true);
        let _ = self.stream.sender.send(last.encode_to_vec(), self.route.terms.interval_min).await;
        self.stream.sender.close(STREAM_CLOSED, ErrorCode::Canceled);
    }

    /// It cannot be: the reason goes along.
    pub fn refuse(self, why: &str) {
        self.stream.sender.close(why, ErrorCode::Unknown);
    }
}

/// What a sender does whose batches nobody takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnSilence {
    End,
    /// Drops them; the client may resume through another node.
    GoOn,
}

/// Sends all there is, then says that it was all.
async fn write<B: Batch, Out: Message>(
    sender: &StreamSender,
    mut outgoing: mpsc::Receiver<Out>,
    route: &Route,
    on_silence: OnSilence,
) -> Result<(), Broken> {
    let mut outbox = Outbox::new(route.terms);
    let mut status = route.status.clone();
    let mut is_last = false;
    loop {
        if outbox.is_empty() && !is_last {
            match outgoing.recv().await {
                Some(message) => outbox.push(message.encode_to_vec()),
                None => is_last = true,
            }
        }
        while let Ok(message) = outgoing.try_recv() {
            outbox.push(message.encode_to_vec());
        }
        is_last |= outgoing.is_closed() && outgoing.is_empty();
        if !status.borrow_and_update().is_up() {
            // Nobody is to lose a call because Redis is away.
            let _ = status.wait_for(Status::is_up).await;
            outbox.start_over();
        }
        let (seq, batch, patience) = outbox.poll_batch(Instant::now());
        let length = batch.len();
        match sender.send(B::of(seq, batch, is_last).encode_to_vec(), patience).await {
            Ok(()) => {
                outbox.handle_ack(length);
                if is_last {
                    return Ok(());
                }
            }
            Err(error) if error.code == ErrorCode::Canceled => return Err(Broken::Closed),
            Err(_) if outbox.handle_silence(Instant::now()).is_err() => match on_silence {
                OnSilence::GoOn if !is_last => outbox.abandon(),
                _ => return Err(Broken::Silent),
            },
            Err(_) => (),
        }
    }
}

/// Ends well when the other side has said all.
async fn read<B: Batch, In: Message + Default>(
    inbox: &mut mpsc::Receiver<Heard>,
    incoming: mpsc::Sender<In>,
    greeted: &mut bool,
) -> Result<(), Broken> {
    let mut numbers = Inbox::default();
    loop {
        let raw = match inbox.recv().await {
            Some(Heard::Message(raw)) => raw,
            Some(Heard::Closed { .. }) | None => return Err(Broken::Closed),
        };
        let Ok(batch) = B::decode(raw.as_slice()) else { continue };
        let (seq, messages, close) = batch.into_parts();
        let new = numbers.take(seq, messages).map_err(|gap| {
            tracing::info!(?gap, "signal messages of another node are missing");
            Broken::Silent
        })?;
        for message in new.filter_map(|raw| In::decode(raw.as_slice()).ok()) {
            *greeted = true;
            // Whoever has gone says so by closing the other queue.
            let _ = incoming.send(message).await;
        }
        if close {
            return Ok(());
        }
    }
}
