//! The running side of a participant: one task that reads the signal connection, negotiates, and carries its holder's
//! wishes to the server and to the media threads. Started by `participant`.

use super::clock;
use super::description::{self, Local, Offerer};
use super::engine::{Act, Engine, Event, Link, Message, Setup};
use super::media::VideoCodec;
use super::outgoing::Source;
use super::participant::{Mode, Options};
use super::relay::TurnServer;
use super::signal::{Signal, SignalError};
use super::stats::Stats;
use super::view::{Ended, LinkView, Timing, View};
use crate::limits::CLIENT_EVENTS_MAX;
use crate::proto::request_response::{Reason, Request};
use crate::proto::signal_response::Message as Response;
use crate::proto::{
    AddTrackRequest, IceServer, JoinResponse, LeaveRequest, Ping, RequestResponse, SessionDescription, SignalTarget,
    SubscribedQualityUpdate, TrickleRequest, VideoQuality, signal_request,
};
use crate::sdp;
use crate::transport::RemoteParams;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

/// What the holder asks.
pub(super) enum Ask {
    Request(Box<signal_request::Message>),
    Publish(Box<AddTrackRequest>, Source),
    Unpublish(String),
    /// The connection data is sent on is wanted.
    OpenPublisher,
    Send(&'static str, Vec<u8>),
    RestartIce,
    Rebind,
    Inject(Vec<u8>),
    Stats(oneshot::Sender<Stats>),
    Mark,
    Leave,
}

/// Sections a single peer connection begins with, as LiveKit's JS client does.
const FIRST_RECEIVERS: u32 = 3;

/// One transport from signalling's point of view.
struct Side {
    link: Option<Link>,
    local: Local,
    /// Its present username fragment there.
    remote_ufrag: Option<String>,
    /// Where our socket is, and the fragment of the description it was told for.
    bound: Option<SocketAddr>,
    told_for: Option<String>,
    events: mpsc::Receiver<Event>,
    event_sender: mpsc::Sender<Event>,
}

pub(super) struct Session {
    signal: Option<Signal>,
    /// Media goes by it.
    turn: Option<TurnServer>,
    engine: Engine,
    options: Options,
    begun: Instant,
    asks: mpsc::Receiver<Ask>,
    view: watch::Sender<View>,
    messages: mpsc::Sender<Message>,
    /// The connection on which we offer; the only one of a single peer connection.
    publisher: Side,
    subscriber: Side,
    offerer: Offerer,
    offer_id: u32,
    /// An offer has no answer yet.
    offering: bool,
    /// Something changed since the last offer.
    wants_offer: bool,
    /// Announced tracks the server has not taken yet.
    announced: HashMap<String, Source>,
    started: HashSet<String>,
    /// Codec of each published video, and whether it has several encodings, by client track id.
    videos: HashMap<String, (VideoCodec, bool)>,
}

impl Side {
    fn new(engine: &Engine) -> Side {
        let (event_sender, events) = mpsc::channel(CLIENT_EVENTS_MAX);
        let local = Local { creds: credentials(), fingerprint: fingerprint(engine) };
        Side { link: None, local, remote_ufrag: None, bound: None, told_for: None, events, event_sender }
    }

    fn act(&self, act: Act) {
        if let Some(link) = &self.link {
            link.act(act);
        }
    }

    /// Notes the server's fragment; true if it restarts ICE by that.
    fn restarts(&mut self, ufrag: &str) -> bool {
        self.remote_ufrag.replace(ufrag.to_owned()).is_some_and(|old| old != ufrag)
    }
}

/// The engine writes it, so it can be read.
fn fingerprint(engine: &Engine) -> sdp::Fingerprint {
    let empty = || sdp::Fingerprint { hash: "sha-256".to_owned(), digest: Vec::new() };
    sdp::fingerprint(&format!("sha-256 {}", engine.fingerprint())).unwrap_or_else(empty)
}

/// The first TURN server over UDP of our address family, if the server names one (RFC 7065).
async fn turn_server(servers: &[IceServer], local: IpAddr) -> Option<TurnServer> {
    for server in servers {
        for place in server.urls.iter().filter_map(|url| turn_place(url)) {
            let found = tokio::net::lookup_host(place).await.ok();
            if let Some(address) = found.and_then(|mut all| all.find(|a| a.is_ipv4() == local.is_ipv4())) {
                let (username, password) = (server.username.clone(), server.credential.clone());
                return Some(TurnServer { address, username, password });
            }
        }
    }
    None
}

/// Host and port of `turn:host:port?transport=udp`.
fn turn_place(url: &str) -> Option<(&str, u16)> {
    let (place, query) = url.strip_prefix("turn:")?.split_once('?').unwrap_or((url.get(5..)?, ""));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (place, TURN_PORT),
    };
    matches!(query, "" | "transport=udp").then(|| (host.trim_matches(['[', ']']), port))
}

/// RFC 8656 §18.5.
const TURN_PORT: u16 = 3478;

/// Random ICE credentials (RFC 8839 §5.4).
fn credentials() -> (String, String) {
    (crate::proto::id::random("c"), crate::proto::id::random("client-pwd-"))
}

impl Session {
    pub fn new(
        engine: Engine,
        options: Options,
        asks: mpsc::Receiver<Ask>,
        view: watch::Sender<View>,
        messages: mpsc::Sender<Message>,
    ) -> Session {
        Session {
            signal: None,
            turn: None,
            begun: clock::now(),
            asks,
            view,
            messages,
            publisher: Side::new(&engine),
            subscriber: Side::new(&engine),
            offerer: Offerer::new(),
            offer_id: 0,
            offering: false,
            wants_offer: false,
            announced: HashMap::new(),
            started: HashSet::new(),
            videos: HashMap::new(),
            engine,
            options,
        }
    }

    /// The offer that goes with a join request.
    pub fn first_offer(&mut self) -> SessionDescription {
        self.offerer.add_receivers(FIRST_RECEIVERS, FIRST_RECEIVERS);
        self.next_offer()
    }

    fn next_offer(&mut self) -> SessionDescription {
        self.offer_id += 1;
        self.offering = true;
        self.wants_offer = false;
        let sdp = self.offerer.offer(&self.publisher.local);
        SessionDescription { r#type: "offer".to_owned(), sdp, id: self.offer_id, ..SessionDescription::default() }
    }

    /// Takes over the connection with its first response.
    pub async fn begin(&mut self, signal: Signal, join: JoinResponse) -> Result<(), SignalError> {
        let (local, stages) = (signal.local(), signal.stages());
        self.signal = Some(signal);
        let joined = self.begun.elapsed();
        self.view.send_modify(|view| {
            view.room = join.room.unwrap_or_default();
            view.me = join.participant.unwrap_or_default();
            view.update(join.other_participants);
            view.subscriber_primary = join.subscriber_primary;
            view.at_join = view.remote_tracks().map(|(_, track)| track.sid.clone()).collect();
            view.timing = Timing { begun: Some(self.begun), joined, ..stages };
        });
        let local = *self.options.local.get_or_insert(local);
        if self.options.relay {
            self.turn = Some(turn_server(&join.ice_servers, local).await.ok_or(SignalError::NoRelay)?);
        }
        if self.options.mode == Mode::Single {
            self.open_publisher();
            return Ok(());
        }
        self.subscriber.link = self.open(&self.subscriber.event_sender, false);
        if join.subscriber_primary { Ok(()) } else { self.want_offer().await }
    }

    fn open(&self, events: &mpsc::Sender<Event>, channels: bool) -> Option<Link> {
        let wanted = [("_reliable", true, None), ("_lossy", false, Some(0)), ("_data_track", false, Some(0))];
        let local = self.options.local.filter(|_| self.options.ice)?;
        Some(self.engine.open(Setup {
            local,
            proto: self.options.proto,
            relay: self.turn.clone(),
            controlling: channels,
            creds: if channels { &self.publisher } else { &self.subscriber }.local.creds.clone(),
            channels: if channels { wanted.to_vec() } else { Vec::new() },
            downlink_bps: self.options.downlink_bps,
            loss: self.options.loss,
            offload: self.options.offload,
            light: self.options.light,
            events: events.clone(),
            messages: self.messages.clone(),
        }))
    }

    fn open_publisher(&mut self) {
        if self.publisher.link.is_none() {
            self.publisher.link = self.open(&self.publisher.event_sender, true);
        }
    }

    /// Runs to the end of the session.
    pub async fn run(mut self) {
        let ended = match self.serve().await {
            Ok(ended) => ended,
            Err(error) => Ended::SignalLost(error.to_string()),
        };
        if let Some(signal) = &mut self.signal {
            signal.close().await;
        }
        self.view.send_modify(|view| view.ended = Some(ended));
    }

    async fn serve(&mut self) -> Result<Ended, SignalError> {
        let mut pings = interval(self.options.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        loop {
            let Some(signal) = &mut self.signal else { return Err(SignalError::Closed) };
            let end = tokio::select! {
                response = signal.next() => self.handle_response(response?).await?,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.handle_ask(ask).await?,
                    None => Some(Ended::Left),
                },
                Some(event) = self.publisher.events.recv() => self.handle_event(SignalTarget::Publisher, event).await?,
                Some(event) = self.subscriber.events.recv() => self.handle_event(SignalTarget::Subscriber, event).await?,
                _ = pings.tick() => self.ping().await?,
            };
            if let Some(ended) = end {
                return Ok(ended);
            }
        }
    }

    async fn send(&mut self, message: signal_request::Message) -> Result<(), SignalError> {
        self.signal.as_mut().ok_or(SignalError::Closed)?.send(message).await
    }

    async fn ping(&mut self) -> Result<Option<Ended>, SignalError> {
        let timestamp = i64::try_from(clock::unix_us() / 1000).unwrap_or(i64::MAX);
        self.send(signal_request::Message::PingReq(Ping { timestamp, rtt: 0 })).await?;
        Ok(None)
    }

    async fn handle_ask(&mut self, ask: Ask) -> Result<Option<Ended>, SignalError> {
        match ask {
            Ask::Request(message) => self.send(*message).await?,
            Ask::Publish(request, source) => {
                if let Source::Video(video) = &source {
                    self.videos.insert(request.cid.clone(), (video.codec, video.source.layers.len() > 1));
                }
                self.announced.insert(request.cid.clone(), source);
                self.send(signal_request::Message::AddTrack(*request)).await?;
            }
            Ask::Unpublish(cid) => self.unpublish(cid).await?,
            Ask::OpenPublisher if self.publisher.link.is_none() => self.want_offer().await?,
            Ask::OpenPublisher => {}
            Ask::Send(label, bytes) => self.publisher.act(Act::Send { label, bytes }),
            Ask::RestartIce => self.restart_ice().await?,
            Ask::Rebind => [&self.publisher, &self.subscriber].iter().for_each(|side| side.act(Act::Rebind)),
            Ask::Inject(bytes) => {
                [&self.publisher, &self.subscriber].iter().for_each(|side| side.act(Act::Inject(bytes.clone())));
            }
            // Nobody may be waiting any more.
            Ask::Stats(reply) => drop(reply.send(self.stats().await)),
            Ask::Mark => [&self.publisher, &self.subscriber].iter().for_each(|side| side.act(Act::Mark)),
            Ask::Leave => {
                self.send(signal_request::Message::Leave(LeaveRequest::default())).await?;
                return Ok(Some(Ended::Left));
            }
        }
        Ok(None)
    }

    async fn unpublish(&mut self, cid: String) -> Result<(), SignalError> {
        self.offerer.end_sender(&cid);
        self.view.send_modify(|view| drop(view.published.remove(&cid)));
        self.publisher.act(Act::Unpublish(cid));
        self.want_offer().await
    }

    /// On the connection we offer on; the server restarts the other (WIRE.md §2.11).
    async fn restart_ice(&mut self) -> Result<(), SignalError> {
        if self.publisher.link.is_some() {
            self.publisher.local.creds = credentials();
            self.publisher.act(Act::RestartIce(self.publisher.local.creds.clone()));
            self.want_offer().await?;
        }
        Ok(())
    }

    async fn stats(&self) -> Stats {
        let mut all = Stats::default();
        for link in [&self.publisher, &self.subscriber].into_iter().filter_map(|side| side.link.as_ref()) {
            let stats = link.stats().await.unwrap_or_default();
            all.received.extend(stats.received);
            all.sent.extend(stats.sent);
            all.connections.extend(stats.connections);
        }
        all
    }

    /// Offers now, or as soon as the offer under way is answered.
    async fn want_offer(&mut self) -> Result<(), SignalError> {
        self.wants_offer = true;
        if self.offering {
            return Ok(());
        }
        self.open_publisher();
        let offer = self.next_offer();
        self.send(signal_request::Message::Offer(offer)).await
    }

    async fn handle_response(&mut self, response: Response) -> Result<Option<Ended>, SignalError> {
        match response {
            Response::Answer(answer) => self.handle_answer(&answer).await?,
            Response::Offer(offer) => self.handle_offer(&offer).await?,
            Response::Trickle(trickle) => self.handle_trickle(&trickle),
            Response::TrackPublished(published) => {
                let track = published.track.unwrap_or_default();
                self.view.send_modify(|view| drop(view.published.insert(published.cid.clone(), track)));
                if let Some(source) = self.announced.remove(&published.cid) {
                    self.offerer.add_sender(published.cid, source);
                    self.want_offer().await?;
                }
            }
            Response::MediaSectionsRequirement(more) => {
                self.offerer.add_receivers(more.num_audios, more.num_videos);
                self.want_offer().await?;
            }
            Response::SubscribedQualityUpdate(update) => self.handle_qualities(&update),
            Response::Mute(mute) => {
                if let Some(cid) = self.cid_of(&mute.sid) {
                    self.publisher.act(Act::SetMuted(cid, mute.muted));
                }
            }
            Response::Leave(leave) => return Ok(Some(self.handle_leave(leave))),
            other => self.view.send_modify(|view| note(view, other)),
        }
        Ok(None)
    }

    async fn handle_answer(&mut self, answer: &SessionDescription) -> Result<(), SignalError> {
        self.offering = false;
        match sdp::parse(&answer.sdp)
            .map_err(Into::into)
            .and_then(|read| Ok((description::remote(&read, false)?, read)))
        {
            Ok((remote, read)) => {
                let restarts = self.publisher.restarts(&remote.params.ufrag);
                self.publisher.act(Act::SetRemote(Box::new(remote.params), remote.candidates));
                self.start_accepted(&read);
                if self.options.mode == Mode::Single {
                    self.expect(SignalTarget::Publisher, &read, &answer.mid_to_track_id);
                }
                self.note_negotiated(SignalTarget::Publisher, restarts);
            }
            Err(error) => self.note_useless(SignalTarget::Publisher, &error),
        }
        self.trickle(SignalTarget::Publisher).await?;
        if self.wants_offer { self.want_offer().await } else { Ok(()) }
    }

    fn start_accepted(&mut self, answer: &sdp::Session) {
        for setup in self.offerer.accepted(answer) {
            if self.started.insert(setup.cid.clone()) {
                self.publisher.act(Act::Publish(Box::new(setup)));
            }
        }
    }

    async fn handle_offer(&mut self, offer: &SessionDescription) -> Result<(), SignalError> {
        let read = sdp::parse(&offer.sdp).map_err(description::DescriptionError::from);
        let remote = read.and_then(|read| Ok((description::remote(&read, true)?, read)));
        let (remote, read) = match remote {
            Ok(both) => both,
            Err(error) => {
                self.note_useless(SignalTarget::Subscriber, &error);
                return Ok(());
            }
        };
        let restarts = self.subscriber.restarts(&remote.params.ufrag);
        if restarts {
            self.subscriber.local.creds = credentials();
            self.subscriber.act(Act::RestartIce(self.subscriber.local.creds.clone()));
        }
        let sdp = description::answer(&read, &self.subscriber.local);
        let params = RemoteParams { dtls_active: remote.params.dtls_active && self.options.dtls, ..remote.params };
        self.subscriber.act(Act::SetRemote(Box::new(params), remote.candidates));
        self.expect(SignalTarget::Subscriber, &read, &offer.mid_to_track_id);
        self.note_negotiated(SignalTarget::Subscriber, restarts);
        let answer =
            SessionDescription { r#type: "answer".to_owned(), sdp, id: offer.id, ..SessionDescription::default() };
        self.send(signal_request::Message::Answer(answer)).await?;
        self.trickle(SignalTarget::Subscriber).await
    }

    fn side(&self, target: SignalTarget) -> &Side {
        if target == SignalTarget::Publisher { &self.publisher } else { &self.subscriber }
    }

    fn expect(&self, target: SignalTarget, read: &sdp::Session, track_of_mid: &HashMap<String, String>) {
        let tracks = description::incoming(read, track_of_mid);
        self.view.send_modify(|view| view.described = tracks.iter().map(|t| t.track_sid.clone()).collect());
        self.side(target).act(Act::Expect(tracks));
    }

    fn note_negotiated(&self, target: SignalTarget, restarts: bool) {
        self.view.send_modify(|view| {
            let link = link_view(view, target);
            link.negotiations += 1;
            link.ice_restarts += u64::from(restarts);
        });
    }

    fn note_useless(&self, target: SignalTarget, error: &description::DescriptionError) {
        self.view.send_modify(|view| link_view(view, target).failed = Some(error.to_string()));
    }

    fn handle_trickle(&self, trickle: &TrickleRequest) {
        let init: serde_json::Value = serde_json::from_str(&trickle.candidate_init).unwrap_or_default();
        if let Some(line) = init.get("candidate").and_then(serde_json::Value::as_str) {
            self.side(trickle.target()).act(Act::AddCandidate(line.to_owned()));
        }
    }

    fn cid_of(&self, sid: &str) -> Option<String> {
        self.view.borrow().published.iter().find(|(_, track)| track.sid == sid).map(|(cid, _)| cid.clone())
    }

    /// Dynacast: sends only what somebody watches.
    fn handle_qualities(&self, update: &SubscribedQualityUpdate) {
        let Some(cid) = self.cid_of(&update.track_sid).filter(|_| self.options.dynacast) else { return };
        let Some((codec, layered)) = self.videos.get(&cid).copied() else { return };
        let told = update.subscribed_codecs.iter().find(|c| VideoCodec::from_name(&c.codec) == Some(codec));
        let Some(told) = told else { return };
        let enabled = |quality: VideoQuality| told.qualities.iter().any(|q| q.quality() == quality && q.enabled);
        let three = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High].map(enabled);
        let active = if layered { three.to_vec() } else { vec![three.contains(&true)] };
        self.publisher.act(Act::SetActive(cid, active));
    }

    fn handle_leave(&self, leave: LeaveRequest) -> Ended {
        let ended = Ended::Dismissed { reason: leave.reason(), action: leave.action() };
        self.view.send_modify(|view| view.leave = Some(leave));
        ended
    }

    async fn handle_event(&mut self, target: SignalTarget, event: Event) -> Result<Option<Ended>, SignalError> {
        if let Event::Bound(address) = event {
            self.side_mut(target).bound = Some(address);
            return self.trickle(target).await.map(|()| None);
        }
        let primary = if self.is_publisher_primary() { SignalTarget::Publisher } else { SignalTarget::Subscriber };
        let since = self.begun.elapsed();
        self.view.send_modify(|view| {
            match &event {
                Event::IceConnected(_) if target == primary => drop(view.timing.ice.get_or_insert(since)),
                Event::Connected if target == primary => drop(view.timing.connected.get_or_insert(since)),
                _ => {}
            }
            note_event(link_view(view, target), event);
        });
        Ok(None)
    }

    /// Tells our candidate once for each description of the server's: a full agent takes what it finds out by itself only
    /// after a second.
    async fn trickle(&mut self, target: SignalTarget) -> Result<(), SignalError> {
        let side = self.side_mut(target);
        if side.remote_ufrag.is_none() || side.told_for == side.remote_ufrag {
            return Ok(());
        }
        let Some(address) = side.bound else { return Ok(()) };
        side.told_for.clone_from(&side.remote_ufrag);
        let line = description::candidate(address, self.options.proto, self.turn.is_some());
        let init = serde_json::json!({ "candidate": line, "sdpMid": "0", "sdpMLineIndex": 0 });
        let trickle =
            TrickleRequest { candidate_init: init.to_string(), target: target as i32, ..TrickleRequest::default() };
        self.send(signal_request::Message::Trickle(trickle)).await
    }

    fn side_mut(&mut self, target: SignalTarget) -> &mut Side {
        if target == SignalTarget::Publisher { &mut self.publisher } else { &mut self.subscriber }
    }

    fn is_publisher_primary(&self) -> bool {
        self.options.mode == Mode::Single || !self.view.borrow().subscriber_primary
    }
}

fn link_view(view: &mut View, target: SignalTarget) -> &mut LinkView {
    if target == SignalTarget::Publisher { &mut view.publisher } else { &mut view.subscriber }
}

fn note_event(link: &mut LinkView, event: Event) {
    match event {
        Event::IceConnected(pair) | Event::PairChanged(pair) => {
            link.pair = format!("{:?} {}", pair.proto, pair.remote);
            link.ice_lost = false;
        }
        Event::IceLost => link.ice_lost = true,
        Event::Connected => link.connected = true,
        Event::Failed(why) => link.failed = Some(why),
        Event::ChannelOpen(label) => link.channels.push(label),
        Event::Bound(_) => {}
    }
}

/// Responses that only inform.
fn note(view: &mut View, response: Response) {
    match response {
        Response::Update(update) => view.update(update.participants),
        Response::RoomUpdate(update) => view.room = update.room.unwrap_or_default(),
        Response::Pong(_) | Response::PongResp(_) => view.pongs += 1,
        Response::RefreshToken(token) => view.token = Some(token),
        Response::RequestResponse(answer) => note_refusal(view, answer),
        Response::TrackUnpublished(gone) => view.published.retain(|_, track| track.sid != gone.track_sid),
        _ => {}
    }
}

/// Of tracks; other requests are their sender's to follow.
fn note_refusal(view: &mut View, answer: RequestResponse) {
    let is_refusal = !matches!(answer.reason(), Reason::Ok | Reason::Queued);
    let why = format!("{} {}", answer.reason().as_str_name(), answer.message);
    if let Some(Request::AddTrack(request)) = answer.request.filter(|_| is_refusal) {
        view.refused.insert(request.cid, why.trim_end().to_owned());
    }
}

/// How often the server is pinged, as it tells its clients (WIRE.md §1.10).
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_urls_over_udp_are_places() {
        assert_eq!(turn_place("turn:turn.example:443?transport=udp"), Some(("turn.example", 443)));
        assert_eq!(turn_place("turn:192.0.2.1"), Some(("192.0.2.1", 3478)));
        assert_eq!(turn_place("turn:[2001:db8::1]:5000"), Some(("2001:db8::1", 5000)));
        assert_eq!(turn_place("turn:[2001:db8::1]"), Some(("2001:db8::1", 3478)));
        assert_eq!(turn_place("turn:h:443?transport=tcp"), None);
        assert_eq!([turn_place("turns:h:443"), turn_place("stun:h:443"), turn_place("turn:h:x")], [None; 3]);
    }
}
