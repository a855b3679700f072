//! One person of a probe: the signalling of a session with a connection to publish on and one to subscribe on, as
//! LiveKit's clients have them (WIRE.md §2.3). Called by `run`; a task of its own carries descriptions and candidates to and
//! fro.

use super::access::Role;
use super::candidate::Candidate;
use super::connection::{Connection, Event};
use super::path::Path;
use super::report::{Fault, Step, Trouble};
use crate::client::clock;
use crate::client::signal::{Dial, Signal, SignalError};
use crate::limits::PROBE_EVENTS_MAX;
use crate::proto::{
    AddTrackRequest, JoinResponse, LeaveRequest, Ping, SessionDescription, SignalTarget, TrickleRequest,
    signal_request::Message as Request, signal_response::Message as Response,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::RTCIceCandidateInit;

/// For the WebSocket and the JoinResponse together.
const JOIN_PATIENCE: Duration = Duration::from_secs(8);
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// For the last words of a session.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// A session the server has let in.
pub struct Entered {
    pub role: Role,
    pub signal: Signal,
    pub join: Box<JoinResponse>,
    /// From dialling to the open WebSocket, and from there to the JoinResponse.
    pub upgraded: Duration,
    pub joined: Duration,
}

/// What is known of the session.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Tracks the server took, by client track id.
    pub published: BTreeMap<String, String>,
    pub refused: Option<String>,
    /// Offers of ours the server has answered.
    pub answers: u32,
    pub ended: Option<String>,
}

enum Ask {
    Publish(Box<AddTrackRequest>),
    Offer,
    Leave,
}

pub struct Joiner {
    pub role: Role,
    pub publisher: Arc<Connection>,
    pub subscriber: Arc<Connection>,
    /// The channel data is sent on.
    pub outgoing: Arc<dyn DataChannel>,
    pub tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
    /// Messages of the channels the server opened.
    pub messages: mpsc::Receiver<Vec<u8>>,
    asks: mpsc::Sender<Ask>,
    seen: watch::Receiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

/// Dials and waits for the JoinResponse.
pub async fn enter(url: &str, token: &str, role: Role) -> Result<Entered, Trouble> {
    let entering = timeout(JOIN_PATIENCE, try_enter(url, token, role)).await;
    let late = || Trouble::at(Fault::Signalling, Step::Join, "the server sends no JoinResponse");
    entering
        .unwrap_or_else(|_| Err(late().hinting("look into the server's log; Redis may be away")))
        .map_err(|t| t.of(role))
}

async fn try_enter(url: &str, token: &str, role: Role) -> Result<Entered, Trouble> {
    let begun = clock::now();
    let dial = Dial { url, token, auto_subscribe: role == Role::Receiver, adaptive_stream: false, offer: None };
    let mut signal = Signal::dial(&dial).await.map_err(|error| refused(error, token))?;
    let upgraded = clock::now() - begun;
    let first = signal
        .next()
        .await
        .map_err(|error| Trouble::at(Fault::Signalling, Step::Join, format!("no JoinResponse: {error}")))?;
    let joined = clock::now() - begun - upgraded;
    match first {
        Response::Join(join) => Ok(Entered { role, signal, join: Box::new(join), upgraded, joined }),
        Response::Leave(leave) => {
            let reason = leave.reason().as_str_name();
            Err(Trouble::at(Fault::Refused, Step::Join, format!("the server sent us away: {reason}")))
        }
        _ => Err(Trouble::at(Fault::Signalling, Step::Join, "the server's first message is no JoinResponse")),
    }
}

/// Some servers repeat the token they refuse; it is nobody else's business.
fn refused(error: SignalError, token: &str) -> Trouble {
    let text = error.to_string().replace(token, "(the token)");
    let at = |fault, hint: &str| Trouble::at(fault, Step::Websocket, text.trim_end()).hinting(hint);
    match error {
        SignalError::Refused { status: 401 | 403, .. } => {
            at(Fault::Refused, "check API key and secret, that this machine's clock is right, and the token's room")
        }
        SignalError::Refused { status: 404, .. } => {
            at(Fault::Refused, "check the URL's path, and that the proxy before the server passes WebSockets on")
        }
        SignalError::Refused { status: 500.., .. } => at(Fault::Signalling, "look into the server's log"),
        SignalError::Refused { .. } => {
            at(Fault::Refused, "check that the proxy before the server passes WebSockets on")
        }
        SignalError::Reach(_) => at(Fault::Unreachable, "the server was reached a moment ago; try again"),
        _ => at(Fault::Signalling, "check that the proxy before the server passes WebSockets on"),
    }
}

impl Entered {
    pub fn local(&self) -> IpAddr {
        self.signal.local()
    }

    /// Says goodbye without having connected.
    pub async fn leave(mut self) {
        let goodbye = async {
            // It is over either way.
            let _ = self.signal.send(Request::Leave(LeaveRequest::default())).await;
            self.signal.close().await;
        };
        let _ = timeout(LEAVE_PATIENCE, goodbye).await;
    }

    /// Makes both connections and offers the one to publish on, with data channels alone at first.
    pub async fn connect(self, path: &Path) -> Result<Joiner, Trouble> {
        let role = self.role;
        let failed = |error: webrtc::error::Error| {
            Trouble::at(Fault::Local, Step::Ice, format!("cannot make a connection: {error}")).of(role)
        };
        let (event_sender, events) = mpsc::channel(PROBE_EVENTS_MAX);
        let publisher = Connection::open(path, SignalTarget::Publisher, event_sender.clone()).await.map_err(failed)?;
        let subscriber = Connection::open(path, SignalTarget::Subscriber, event_sender).await.map_err(failed)?;
        let outgoing = publisher.channel("_reliable", true).await.map_err(failed)?;
        publisher.channel("_lossy", false).await.map_err(failed)?;
        let (publisher, subscriber) = (Arc::new(publisher), Arc::new(subscriber));
        let (asks, asked) = mpsc::channel(PROBE_EVENTS_MAX);
        let (track_sender, tracks) = mpsc::channel(PROBE_EVENTS_MAX);
        let (message_sender, messages) = mpsc::channel(PROBE_EVENTS_MAX);
        let (seen_sender, seen) = watch::channel(Seen::default());
        let session = Session {
            signal: self.signal,
            publisher: publisher.clone(),
            subscriber: subscriber.clone(),
            events,
            asks: asked,
            tracks: track_sender,
            messages: message_sender,
            seen: seen_sender,
        };
        let task = tokio::spawn(session.run());
        let joiner = Joiner { role, publisher, subscriber, outgoing, tracks, messages, asks, seen, task };
        joiner.ask(Ask::Offer).await;
        Ok(joiner)
    }
}

impl Joiner {
    async fn ask(&self, ask: Ask) {
        // A session that is over says so in what is seen.
        let _ = self.asks.send(ask).await;
    }

    /// Announces a track and waits until the server takes it.
    pub async fn announce(&self, track: AddTrackRequest, limit: Duration) -> Result<(), Trouble> {
        let cid = track.cid.clone();
        self.ask(Ask::Publish(Box::new(track))).await;
        self.until("the server does not take our track", limit, |seen| seen.published.contains_key(&cid)).await
    }

    /// Offers again and waits for the answer.
    pub async fn negotiate(&self, limit: Duration) -> Result<(), Trouble> {
        let answers = self.seen.borrow().answers;
        self.ask(Ask::Offer).await;
        self.until("the server does not answer our offer", limit, |seen| seen.answers > answers).await
    }

    async fn until(&self, late: &str, limit: Duration, holds: impl Fn(&Seen) -> bool) -> Result<(), Trouble> {
        let mut seen = self.seen.clone();
        let over = |seen: &Seen| seen.refused.clone().or_else(|| seen.ended.clone());
        let _ = timeout(limit, seen.wait_for(|seen| holds(seen) || over(seen).is_some())).await;
        let seen = self.seen.borrow();
        if holds(&seen) {
            return Ok(());
        }
        let message = over(&seen).unwrap_or_else(|| late.to_owned());
        Err(Trouble::at(Fault::Signalling, Step::Publish, message).of(self.role))
    }

    /// Why the session is over, if it is.
    pub fn ended(&self) -> Option<String> {
        self.seen.borrow().ended.clone()
    }

    /// Says goodbye and closes everything.
    pub async fn leave(mut self) {
        self.ask(Ask::Leave).await;
        if timeout(LEAVE_PATIENCE, &mut self.task).await.is_err() {
            self.task.abort();
        }
        let closing = async { tokio::join!(self.publisher.close(), self.subscriber.close()) };
        // A connection that does not close is dropped.
        let _ = timeout(LEAVE_PATIENCE, closing).await;
    }
}

/// The task's side.
struct Session {
    signal: Signal,
    publisher: Arc<Connection>,
    subscriber: Arc<Connection>,
    events: mpsc::Receiver<Event>,
    asks: mpsc::Receiver<Ask>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
    messages: mpsc::Sender<Vec<u8>>,
    seen: watch::Sender<Seen>,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error("the server's description is of no use: {0}")]
    Description(#[from] webrtc::error::Error),
    #[error("the server sent us away: {0}")]
    Leave(&'static str),
}

impl Session {
    async fn run(mut self) {
        let ended = match self.serve().await {
            Ok(()) => "we left".to_owned(),
            Err(broken) => broken.to_string(),
        };
        self.signal.close().await;
        self.seen.send_modify(|seen| seen.ended = Some(ended));
    }

    async fn serve(&mut self) -> Result<(), Broken> {
        let mut pings = interval(PING_INTERVAL);
        loop {
            tokio::select! {
                response = self.signal.next() => self.handle(response?).await?,
                Some(event) = self.events.recv() => self.handle_event(event).await?,
                ask = self.asks.recv() => match ask {
                    Some(Ask::Publish(track)) => self.signal.send(Request::AddTrack(*track)).await?,
                    Some(Ask::Offer) => self.offer().await?,
                    Some(Ask::Leave) | None => {
                        self.signal.send(Request::Leave(LeaveRequest::default())).await?;
                        return Ok(());
                    }
                },
                _ = pings.tick() => self.ping().await?,
            }
        }
    }

    async fn ping(&mut self) -> Result<(), SignalError> {
        let timestamp = i64::try_from(clock::unix_us() / 1000).unwrap_or(i64::MAX);
        self.signal.send(Request::PingReq(Ping { timestamp, rtt: 0 })).await
    }

    async fn offer(&mut self) -> Result<(), Broken> {
        let sdp = self.publisher.offer().await?;
        Ok(self.signal.send(Request::Offer(described("offer", sdp, 0))).await?)
    }

    async fn handle(&mut self, response: Response) -> Result<(), Broken> {
        match response {
            Response::Offer(offer) => {
                let sdp = self.subscriber.answer(&offer.sdp).await?;
                self.signal.send(Request::Answer(described("answer", sdp, offer.id))).await?;
            }
            Response::Answer(answer) => {
                self.publisher.take_answer(&answer.sdp).await?;
                self.seen.send_modify(|seen| seen.answers += 1);
            }
            Response::Trickle(trickle) => self.trickle(&trickle).await?,
            Response::TrackPublished(published) => self.seen.send_modify(|seen| {
                seen.published.insert(published.cid, published.track.unwrap_or_default().sid);
            }),
            Response::RequestResponse(answer) if answer.reason != 0 => {
                let why = format!("the server refused: {} {}", answer.reason().as_str_name(), answer.message);
                self.seen.send_modify(|seen| seen.refused = Some(why));
            }
            Response::Leave(leave) => return Err(Broken::Leave(leave.reason().as_str_name())),
            _ => {}
        }
        Ok(())
    }

    async fn trickle(&mut self, trickle: &TrickleRequest) -> Result<(), Broken> {
        let init: RTCIceCandidateInit = match serde_json::from_str(&trickle.candidate_init) {
            Ok(init) => init,
            Err(_) => return Ok(()),
        };
        let side = if trickle.target() == SignalTarget::Publisher { &self.publisher } else { &self.subscriber };
        match Candidate::parse(&init.candidate) {
            Some(candidate) => Ok(side.trickle(candidate).await?),
            None => Ok(()),
        }
    }

    async fn handle_event(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Candidate(target, init) => {
                let candidate_init = serde_json::to_string(&init).unwrap_or_default();
                let trickle = TrickleRequest { candidate_init, target: target as i32, r#final: false };
                self.signal.send(Request::Trickle(trickle)).await?;
            }
            // Nobody may be waiting for it.
            Event::Track(track) => drop(self.tracks.try_send(track)),
            // It ends with the connection.
            Event::Channel(channel) => drop(tokio::spawn(read(channel, self.messages.clone()))),
        }
        Ok(())
    }
}

async fn read(channel: Arc<dyn DataChannel>, messages: mpsc::Sender<Vec<u8>>) {
    while let Some(event) = channel.poll().await {
        if let DataChannelEvent::OnMessage(message) = event
            && messages.send(message.data.to_vec()).await.is_err()
        {
            return;
        }
    }
}

fn described(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.to_owned(), sdp, id, ..SessionDescription::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_told_apart_from_a_broken_server() {
        let fault = |status| refused(SignalError::Refused { status, text: "why".into() }, "t.o.k").fault;
        assert_eq!(
            [401, 404, 400, 503].map(fault),
            [Fault::Refused, Fault::Refused, Fault::Refused, Fault::Signalling]
        );
        let trouble = refused(SignalError::Refused { status: 401, text: "invalid API key: t.o.k\n".into() }, "t.o.k");
        assert_eq!(trouble.message, "the server refused the connection: 401 invalid API key: (the token)");
    }
}
