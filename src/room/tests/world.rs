//! A room without a shard thread: clients' requests go in, their responses and the shard's commands come out, and time
//! passes when told to.

use crate::config::{Config, EnabledCodec};
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{AddTrackRequest, ClientInfo, SessionDescription, SignalRequest, TrackSource, TrackType};
use crate::room::clock::unix_ms;
use crate::room::context::{Node, RoomContext};
use crate::room::incoming::Incoming;
use crate::room::registry::Registry;
use crate::room::session::{OpenError, Session, SessionStart};
use crate::room::settings::RoomSettings;
use crate::room::state::Room;
use crate::shard::{CandidatePair, Channel, Command, Event, LegSetup, PeerKey, Shard, Shards, TrackSetup};
use crate::token::{Claims, VideoGrant};
use futures_util::{FutureExt, StreamExt};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::time::Instant;

const FINGERPRINT: &str =
    "0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0:0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0";

pub struct World {
    pub room: Room,
    commands: Receiver<Command>,
    incoming: Vec<Incoming>,
}

/// A client of the room, as far as signalling goes.
pub struct Client {
    session: Option<Session>,
    pub identity: String,
    pub publisher: PeerKey,
    pub subscriber: PeerKey,
}

pub fn config() -> Config {
    let mut config = Config::default();
    config.keys.insert("key".into(), "secret".into());
    config.enable_data_tracks = true;
    config.room.empty_timeout = 300;
    config.room.departure_timeout = 20;
    config.audio.update_interval = 400;
    let mimes = ["audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/rtx"];
    let codec = |mime: &str| EnabledCodec { mime: mime.into(), fmtp_line: String::new() };
    config.room.enabled_codecs = mimes.into_iter().map(codec).collect();
    config
}

/// A v0 client with two connections and the newest protocol.
pub fn dual(identity: &str) -> SessionStart {
    let video = VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() };
    SessionStart {
        room: "r".into(),
        identity: identity.into(),
        claims: Claims { sub: identity.into(), video: Some(video), ..Claims::default() },
        client: ClientInfo { protocol: 16, ..ClientInfo::default() },
        auto_subscribe: true,
        ..SessionStart::default()
    }
}

/// A v1 client with one connection.
pub fn single(identity: &str) -> SessionStart {
    SessionStart { single_peer_connection: true, ..dual(identity) }
}

pub fn with_protocol(mut start: SessionStart, protocol: i32) -> SessionStart {
    start.client.protocol = protocol;
    start
}

pub fn granted(mut start: SessionStart, change: impl FnOnce(&mut VideoGrant)) -> SessionStart {
    change(start.claims.video.as_mut().unwrap());
    start
}

impl World {
    pub fn new() -> World {
        World::with(config(), |_| ())
    }

    pub fn with(config: Config, change: impl FnOnce(&mut RoomSettings)) -> World {
        let (shard, commands) = Shard::unstarted();
        let node = Node { id: "ND_test".into(), region: "here".into(), version: "1.0".into() };
        let mut settings = RoomSettings::defaults(&config.room, "r");
        change(&mut settings);
        let ctx = RoomContext {
            config: Arc::new(config),
            shards: Shards::new(vec![shard]),
            node,
            ice_servers: Arc::new(|_| Vec::new()),
            ledger: Default::default(),
        };
        let (events, _) = tokio::sync::mpsc::channel(1);
        let seat = Arc::new(Registry::default()).seat("r");
        World { room: Room::new(Arc::new(ctx), settings, seat, events), commands, incoming: Vec::new() }
    }

    pub fn try_join(&mut self, start: SessionStart) -> Result<Client, OpenError> {
        let identity = start.identity.clone();
        let session = self.room.open(start)?;
        self.incoming.extend(self.room.poll_incoming());
        let peers: Vec<PeerKey> = self.commands.try_iter().filter_map(added_peer).collect();
        let first = peers.first().copied().unwrap_or(PeerKey(0));
        let second = peers.get(1).copied().unwrap_or(first);
        Ok(Client { session: Some(session), identity, publisher: first, subscriber: second })
    }

    pub fn join(&mut self, start: SessionStart) -> Client {
        self.try_join(start).unwrap()
    }

    /// Joined, answered the first offer if there was one, and ACTIVE.
    pub fn join_active(&mut self, start: SessionStart) -> Client {
        let mut client = self.join(start);
        self.settle(&mut client);
        self.connect(client.subscriber);
        if client.publisher != client.subscriber {
            self.connect(client.publisher);
        }
        for (channel, label) in [(Channel::Reliable, "_reliable"), (Channel::Lossy, "_lossy")] {
            let label = label.to_owned();
            let (peer, channel) = (client.subscriber, Some(channel));
            self.room.handle_event(Event::ChannelOpen { peer, label, channel, ordered: true, reliable: true });
        }
        self.settle(&mut client);
        client.heard();
        client
    }

    pub fn connect(&mut self, peer: PeerKey) {
        let addr = "127.0.0.1:7".parse().unwrap();
        let pair = CandidatePair { local: addr, remote: addr, tcp: false };
        self.room.handle_event(Event::IceConnected { peer, pair });
        self.room.handle_event(Event::Connected { peer, took: Duration::from_millis(10) });
    }

    /// Answers every offer the client got; returns all else it heard.
    pub fn settle(&mut self, client: &mut Client) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let messages = client.heard();
            if messages.is_empty() {
                return heard;
            }
            for message in messages {
                match message {
                    Message::Offer(offer) => self.answer(client, &offer),
                    other => heard.push(other),
                }
            }
        }
    }

    /// As a browser that takes everything.
    pub fn answer(&mut self, client: &Client, offer: &SessionDescription) {
        let sdp = answer_to(&offer.sdp);
        let answer = SessionDescription { r#type: "answer".into(), sdp, id: offer.id, ..Default::default() };
        self.say(client, Ask::Answer(answer));
    }

    pub fn say(&mut self, client: &Client, message: Ask) {
        let session = client.session.as_ref().expect("hung up");
        session.requests.try_send(SignalRequest { message: Some(message) }).unwrap();
        self.pump();
    }

    /// The signal connection goes without a word.
    pub fn hang_up(&mut self, client: &mut Client) {
        client.session = None;
        self.pump();
    }

    fn pump(&mut self) {
        for incoming in &mut self.incoming {
            while let Some(Some((session, request))) = incoming.next().now_or_never() {
                self.room.handle_request(session, request);
            }
        }
    }

    /// Lets time pass, with everything that falls due on the way.
    pub async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(wake) = self.room.wake_at().filter(|at| *at <= end) {
            tokio::time::advance(wake.saturating_duration_since(Instant::now())).await;
            self.room.handle_time(Instant::now());
        }
        tokio::time::advance(end.saturating_duration_since(Instant::now())).await;
    }

    pub async fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms)).await;
    }

    pub fn commands(&mut self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    pub fn added_tracks(&mut self) -> Vec<TrackSetup> {
        let tracks = |c| if let Command::AddTrack(setup) = c { Some(*setup) } else { None };
        self.commands().into_iter().filter_map(tracks).collect()
    }

    pub fn added_legs(&mut self) -> Vec<LegSetup> {
        let legs = |c| if let Command::AddLeg(setup) = c { Some(*setup) } else { None };
        self.commands().into_iter().filter_map(legs).collect()
    }

    /// (receiver, channel, bytes) of data sent since the last look.
    pub fn sent_data(&mut self) -> Vec<(PeerKey, Channel, Vec<u8>)> {
        let data = |c| match c {
            Command::SendData { peer, channel, bytes } => Some((peer, channel, bytes.to_vec())),
            _ => None,
        };
        self.commands().into_iter().filter_map(data).collect()
    }

    /// Announces and offers a track of one kind on a dual client's publisher connection; its sid.
    pub fn publish(&mut self, client: &mut Client, source: TrackSource) -> String {
        let cid = format!("cid-{}", source.as_str_name());
        self.say(client, Ask::AddTrack(add_track(&cid, source)));
        let sid = client.heard().into_iter().find_map(|m| match m {
            Message::TrackPublished(p) => Some(p.track.unwrap().sid),
            _ => None,
        });
        let sdp = publisher_offer(&[(source, &cid)]);
        self.say(client, Ask::Offer(offer(&sdp, 1)));
        sid.expect("no track_published")
    }
}

impl Client {
    /// Everything received since the last look.
    pub fn heard(&mut self) -> Vec<Message> {
        let Some(session) = &mut self.session else { return Vec::new() };
        std::iter::from_fn(|| session.responses.try_recv().ok()).filter_map(|r| r.message).collect()
    }

    /// The room let go of the connection.
    pub fn is_closed(&mut self) -> bool {
        self.heard();
        self.is_closed_unheard()
    }

    /// The same, leaving what is queued.
    pub fn is_closed_unheard(&self) -> bool {
        self.session.as_ref().is_none_or(|s| s.responses.is_closed())
    }
}

fn added_peer(command: Command) -> Option<PeerKey> {
    match command {
        Command::AddPeer(setup) => Some(setup.peer),
        _ => None,
    }
}

pub fn kind_of(source: TrackSource) -> TrackType {
    match source {
        TrackSource::Microphone | TrackSource::ScreenShareAudio => TrackType::Audio,
        _ => TrackType::Video,
    }
}

pub fn add_track(cid: &str, source: TrackSource) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.into(),
        name: "track".into(),
        r#type: kind_of(source) as i32,
        source: source as i32,
        width: 1280,
        height: 720,
        ..AddTrackRequest::default()
    }
}

pub fn offer(sdp: &str, id: u32) -> SessionDescription {
    SessionDescription { r#type: "offer".into(), sdp: sdp.into(), id, ..SessionDescription::default() }
}

/// What a client offers that sends these tracks, one section each, after a data section.
pub fn publisher_offer(tracks: &[(TrackSource, &str)]) -> String {
    let section = |(mid, (source, cid)): (usize, &(TrackSource, &str))| match kind_of(*source) {
        TrackType::Audio => audio_section(mid, "sendonly", cid),
        _ => video_section(mid, "sendonly", cid),
    };
    let sections: String = (1..).zip(tracks).map(section).collect();
    format!("{}{}{sections}", session_lines("actpass"), DATA_SECTION)
}

/// What a single-connection client offers before it publishes: data, and a receive section of each kind.
pub fn single_offer() -> String {
    let (audio, video) = (audio_section(1, "recvonly", ""), video_section(2, "recvonly", ""));
    format!("{}{}{audio}{video}", session_lines("actpass"), DATA_SECTION)
}

const DATA_SECTION: &str =
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sctp-port:5000\r\n";

fn session_lines(setup: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:peer\r\na=ice-pwd:peerpwdpeerpwdpeerpwdpee\r\n\
         a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:{setup}\r\n"
    )
}

fn audio_section(mid: usize, direction: &str, cid: &str) -> String {
    format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\n{}a=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n",
        sender_lines(mid, cid)
    )
}

fn video_section(mid: usize, direction: &str, cid: &str) -> String {
    format!(
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\n{}a=rtcp-mux\r\n\
         a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
        sender_lines(mid, cid)
    )
}

fn sender_lines(mid: usize, cid: &str) -> String {
    match cid {
        "" => String::new(),
        cid => format!("a=msid:stream {cid}\r\na=ssrc:{} cname:c\r\n", 1000 + mid),
    }
}

/// A browser that takes everything offered.
fn answer_to(offer: &str) -> String {
    let kept = |line: &&str| !["a=ssrc", "a=msid", "a=ice-lite"].iter().any(|p| line.starts_with(p));
    let turned = |line: &str| match line {
        "a=sendonly" => "a=recvonly".to_owned(),
        "a=setup:actpass" => "a=setup:active".to_owned(),
        l if l.starts_with("a=ice-ufrag") => "a=ice-ufrag:peer".to_owned(),
        l if l.starts_with("a=ice-pwd") => "a=ice-pwd:peerpwdpeerpwdpeerpwdpee".to_owned(),
        l if l.starts_with("a=fingerprint") => format!("a=fingerprint:sha-256 {FINGERPRINT}"),
        l => l.to_owned(),
    };
    offer.lines().filter(kept).map(|l| turned(l) + "\r\n").collect()
}

/// Short names of messages, for checking their order.
pub fn names(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(name).collect()
}

fn name(message: &Message) -> &'static str {
    match message {
        Message::Join(_) => "join",
        Message::Answer(_) => "answer",
        Message::Offer(_) => "offer",
        Message::Trickle(_) => "trickle",
        Message::Update(_) => "update",
        Message::TrackPublished(_) => "track_published",
        Message::Leave(_) => "leave",
        Message::Mute(_) => "mute",
        Message::SpeakersChanged(_) => "speakers_changed",
        Message::RoomUpdate(_) => "room_update",
        Message::ConnectionQuality(_) => "connection_quality",
        Message::SubscribedQualityUpdate(_) => "subscribed_quality_update",
        Message::SubscriptionPermissionUpdate(_) => "subscription_permission_update",
        Message::RefreshToken(_) => "refresh_token",
        Message::TrackUnpublished(_) => "track_unpublished",
        Message::Reconnect(_) => "reconnect",
        Message::SubscriptionResponse(_) => "subscription_response",
        Message::RequestResponse(_) => "request_response",
        Message::TrackSubscribed(_) => "track_subscribed",
        Message::MediaSectionsRequirement(_) => "media_sections_requirement",
        Message::DataTrackSubscriberHandles(_) => "data_track_subscriber_handles",
        Message::PublishDataTrackResponse(_) => "publish_data_track_response",
        other => panic!("no name for {other:?}"),
    }
}

/// Participants in all updates heard, by identity.
pub fn updated(messages: &[Message]) -> Vec<crate::proto::ParticipantInfo> {
    let updates = messages.iter().filter_map(|m| if let Message::Update(u) = m { Some(u) } else { None });
    updates.flat_map(|u| u.participants.clone()).collect()
}

#[test]
fn the_wall_clock_is_past_2020() {
    assert!(unix_ms() > 1_577_836_800_000);
}
