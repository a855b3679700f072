//! One client's WebSocket (WIRE.md §1.10): its frames go to the session as requests, the session's responses go out as
//! frames, pings are answered on the spot. Called by the routes once a session is open; ends with the connection.

use super::codec::{self, Mode};
use crate::limits::{SIGNAL_BUFFER_BYTES, SIGNAL_FRAME_BYTES_CEILING, SIGNAL_PONGS_MAX};
use crate::proto::{Pong, SignalRequest, SignalResponse, signal_request, signal_response};
use crate::room::clock::unix_ms;
use crate::room::session::Session;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A client that takes no byte for this long has stopped reading; its queue would only grow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is queued when the request side ends still goes out for this long: mostly a Leave.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a client may take to answer our close frame. Hanging up at once could overtake what was just sent.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client closed, or the network did.
    ClientGone,
    /// The client stopped reading.
    Stuck,
    /// A frame above `limit.signal_message_size_limit`.
    TooBig,
    /// A frame that is no message.
    Unreadable,
    /// The session takes no more requests.
    SessionGone,
    /// The session ended and everything it said is written.
    SessionDone,
}

/// The client's last kind of frame, read by one half and obeyed by the other.
#[derive(Default)]
struct Answers {
    in_text: AtomicBool,
}

impl Answers {
    fn follow(&self, mode: Mode) {
        self.in_text.store(mode == Mode::Text, Ordering::Relaxed);
    }

    fn mode(&self) -> Mode {
        if self.in_text.load(Ordering::Relaxed) { Mode::Text } else { Mode::Binary }
    }
}

/// Bounds what a connection may send and hold. `message_bytes_max` is `limit.signal_message_size_limit`.
pub fn bound(upgrade: WebSocketUpgrade, message_bytes_max: usize) -> WebSocketUpgrade {
    let bytes_max = match message_bytes_max {
        0 => SIGNAL_FRAME_BYTES_CEILING,
        limit => limit.min(SIGNAL_FRAME_BYTES_CEILING),
    };
    upgrade
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max)
        .read_buffer_size(SIGNAL_BUFFER_BYTES)
        .write_buffer_size(0)
}

/// Carries the session until either side ends it. `first` is the session's first response, taken before the upgrade.
pub async fn run(socket: WebSocket, first: SignalResponse, session: Session) {
    let Session { requests, responses } = session;
    let (mut sink, mut stream) = socket.split();
    let end = pump(&mut sink, &mut stream, first, requests, responses).await;
    tracing::debug!(?end, "signal connection ended");
    match end {
        End::ClientGone | End::Stuck => (),
        End::TooBig => close(&mut sink, &mut stream, close_code::SIZE).await,
        End::Unreadable | End::SessionGone | End::SessionDone => {
            close(&mut sink, &mut stream, close_code::NORMAL).await
        }
    }
}

async fn pump(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    first: SignalResponse,
    requests: mpsc::Sender<SignalRequest>,
    responses: mpsc::Receiver<SignalResponse>,
) -> End {
    let answers = Answers::default();
    let (pong, pongs) = mpsc::channel(SIGNAL_PONGS_MAX);
    let mut writing = pin!(Writer { sink, answers: &answers, responses, pongs, pings: pings() }.run(first));
    let mut reading = pin!(Reader { stream, answers: &answers, requests, pong }.run());
    let end = tokio::select! {
        end = &mut reading => end,
        end = &mut writing => {
            // Who hung up can be written to no more, yet what it said last may wait here: mostly a Leave.
            if end == End::Stuck {
                let _ = timeout(FLUSH_TIMEOUT, reading).await;
            }
            return end;
        }
    };
    if matches!(end, End::Unreadable | End::SessionGone) {
        // The requests' sender is gone by now, so the session ends, and with it the writing.
        let _ = timeout(FLUSH_TIMEOUT, writing).await;
    }
    end
}

struct Reader<'a> {
    stream: &'a mut SplitStream<WebSocket>,
    answers: &'a Answers,
    requests: mpsc::Sender<SignalRequest>,
    pong: mpsc::Sender<SignalResponse>,
}

impl Reader<'_> {
    async fn run(mut self) -> End {
        loop {
            let frame = match self.stream.next().await {
                None => return End::ClientGone,
                Some(Err(error)) => return read_end(error),
                Some(Ok(Message::Close(_))) => return End::ClientGone,
                Some(Ok(frame)) => frame,
            };
            if let Err(end) = self.handle_frame(&frame).await {
                return end;
            }
        }
    }

    async fn handle_frame(&mut self, frame: &Message) -> Result<(), End> {
        let decoded = codec::decode(frame).map_err(|error| {
            tracing::info!(%error, "signal connection dropped");
            End::Unreadable
        })?;
        let Some((mode, request)) = decoded else { return Ok(()) };
        self.answers.follow(mode);
        if let Some(pong) = answer_ping(&request) {
            self.pong.send(pong).await.map_err(|_| End::SessionGone)?;
        }
        self.requests.send(request).await.map_err(|_| End::SessionGone)
    }
}

fn read_end(error: axum::Error) -> End {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => End::TooBig,
        Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => End::Unreadable,
        _ => End::ClientGone,
    }
}

fn answer_ping(request: &SignalRequest) -> Option<SignalResponse> {
    let timestamp = unix_ms();
    let message = match request.message.as_ref()? {
        signal_request::Message::Ping(_) => signal_response::Message::Pong(timestamp),
        signal_request::Message::PingReq(ping) => {
            signal_response::Message::PongResp(Pong { last_ping_timestamp: ping.timestamp, timestamp })
        }
        _ => return None,
    };
    Some(SignalResponse { message: Some(message) })
}

struct Writer<'a> {
    sink: &'a mut SplitSink<WebSocket, Message>,
    answers: &'a Answers,
    responses: mpsc::Receiver<SignalResponse>,
    pongs: mpsc::Receiver<SignalResponse>,
    pings: Interval,
}

impl Writer<'_> {
    /// The first response is always binary.
    async fn run(mut self, first: SignalResponse) -> End {
        let mut frame = codec::encode(Mode::Binary, &first);
        while write(self.sink, frame).await {
            match self.next_frame().await {
                Some(next) => frame = next,
                None => return End::SessionDone,
            }
        }
        End::Stuck
    }

    /// `None` when the session has said everything.
    async fn next_frame(&mut self) -> Option<Message> {
        tokio::select! {
            response = self.responses.recv() => response.map(|r| codec::encode(self.answers.mode(), &r)),
            Some(pong) = self.pongs.recv() => Some(codec::encode(self.answers.mode(), &pong)),
            _ = self.pings.tick() => Some(Message::Ping(Default::default())),
        }
    }
}

fn pings() -> Interval {
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    pings
}

/// Whether the client took it.
async fn write(sink: &mut SplitSink<WebSocket, Message>, frame: Message) -> bool {
    matches!(timeout(WRITE_TIMEOUT, sink.send(frame)).await, Ok(Ok(())))
}

async fn close(sink: &mut SplitSink<WebSocket, Message>, stream: &mut SplitStream<WebSocket>, code: u16) {
    let frame = CloseFrame { code, reason: Default::default() };
    if write(sink, Message::Close(Some(frame))).await {
        let answered = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = timeout(LINGER, answered).await;
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
