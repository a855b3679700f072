//! A participant to hold: joins, publishes, waits for what the server tells, and counts what arrives. The public face of
//! this module; the work is done by `session` and the media threads.

use super::engine::{Engine, Loss, Message};
use super::media::{AudioSource, Video, VideoCodec, VideoSource};
use super::outgoing::Source;
use super::session::{Ask, PING_INTERVAL, Session};
use super::signal::{Dial, Signal, SignalError};
use super::stats::Stats;
use super::view::View;
use crate::limits::{CLIENT_EVENTS_MAX, CLIENT_MESSAGES_MAX};
use crate::proto::signal_response::Message as Response;
use crate::proto::{
    AddTrackRequest, DataPacket, DisconnectReason, JoinResponse, SimulcastCodec, TrackSource, TrackType, UserPacket,
    VideoLayer, VideoQuality, data_packet, signal_request, video_layer,
};
use crate::transport::Proto;
use bytes::Bytes;
use prost::Message as _;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How many peer connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One to send and one to receive (v0).
    #[default]
    Dual,
    /// One for both (v1).
    Single,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// `ws://` or `http://`.
    pub url: String,
    pub token: String,
    pub mode: Mode,
    pub auto_subscribe: bool,
    pub adaptive_stream: bool,
    /// Stops encodings nobody watches.
    pub dynacast: bool,
    /// Candidates of the other protocol are not used.
    pub proto: Proto,
    /// Media goes by the TURN server the join response names, over UDP (RFC 8656).
    pub relay: bool,
    /// Address of media sockets; absent: the one signalling uses.
    pub local: Option<IpAddr>,
    /// Without it descriptions are exchanged and nothing ever comes of them.
    pub ice: bool,
    /// Without it ICE comes up and the subscriber connection then waits for a handshake that nobody begins.
    pub dtls: bool,
    /// What the server is told it may send, in bits per second.
    pub downlink_bps: u64,
    pub loss: Loss,
    /// Datagrams are sent and received in runs where the kernel can. Without it a participant's packets cost the server
    /// what those of a browser behind an ordinary network cost.
    pub offload: bool,
    /// Received media is counted by its headers and not decrypted: a crowd of receivers that costs little itself.
    pub light: bool,
    pub ping_interval: Duration,
}

impl Options {
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Options {
        Options {
            url: url.into(),
            token: token.into(),
            mode: Mode::Dual,
            auto_subscribe: true,
            adaptive_stream: false,
            dynacast: false,
            proto: Proto::Udp,
            relay: false,
            local: None,
            ice: true,
            dtls: true,
            downlink_bps: 100_000_000,
            loss: Loss::default(),
            offload: true,
            light: false,
            ping_interval: PING_INTERVAL,
        }
    }
}

/// Why a participant is not in the room, or what it asked did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error("the server sent the participant away: {0:?}")]
    Dismissed(DisconnectReason),
    #[error("the server's first message was no join response")]
    Protocol,
    #[error("not within {limit:?}: {what}")]
    TimedOut { what: String, limit: Duration },
    #[error("the server refused the track: {0}")]
    Refused(String),
    #[error("the session is over")]
    Over,
}

/// A participant in a room. Dropping it hangs up without a word.
pub struct Participant {
    asks: mpsc::Sender<Ask>,
    view: watch::Receiver<View>,
    messages: mpsc::Receiver<Message>,
}

/// How long a published track or an open channel is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Participant {
    /// Joins a room: answers when the server has, before media can flow; see [`Participant::connected`].
    pub async fn join(engine: &Engine, options: Options) -> Result<Participant, ClientError> {
        let (asks, asked) = mpsc::channel(CLIENT_EVENTS_MAX);
        let (message_sender, messages) = mpsc::channel(CLIENT_MESSAGES_MAX);
        let (view_sender, view) = watch::channel(View::default());
        let mut session = Session::new(engine.clone(), options.clone(), asked, view_sender, message_sender);
        let (signal, join) = dial(&options, &mut session).await?;
        session.begin(signal, join).await?;
        tokio::spawn(session.run());
        Ok(Participant { asks, view, messages })
    }

    /// What signalling told so far; not to be held over an await, because the session waits to write it.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// The same, to wait for changes of.
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Waits until that holds.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl FnMut(&View) -> bool,
    ) -> Result<(), ClientError> {
        let mut view = self.view.clone();
        match timeout(limit, view.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ClientError::Over),
            Err(_) => Err(ClientError::TimedOut { what: what.to_owned(), limit }),
        }
    }

    /// Waits until media can flow.
    pub async fn connected(&self, limit: Duration) -> Result<(), ClientError> {
        self.until("connected", limit, View::is_connected).await
    }

    /// Publishes a microphone; answers the track's sid when the server took it. `cid` must be new.
    pub async fn publish_audio(&self, cid: &str, source: AudioSource) -> Result<String, ClientError> {
        let request = AddTrackRequest {
            cid: cid.to_owned(),
            name: cid.to_owned(),
            r#type: TrackType::Audio as i32,
            source: TrackSource::Microphone as i32,
            disable_red: true,
            ..AddTrackRequest::default()
        };
        self.publish(request, Source::Audio(source)).await
    }

    /// Publishes a camera, likewise.
    pub async fn publish_video(&self, cid: &str, source: VideoSource) -> Result<String, ClientError> {
        self.publish_video_as(cid, source.into()).await
    }

    /// Publishes a camera or a display in any codec, likewise.
    pub async fn publish_video_as(&self, cid: &str, video: Video) -> Result<String, ClientError> {
        let top = video.source.layers.last().copied();
        let source = if video.is_screen { TrackSource::ScreenShare } else { TrackSource::Camera };
        let layers = layers(&video.source);
        let mode = if video.is_scalable() {
            video_layer::Mode::MultipleSpatialLayersPerStream
        } else {
            video_layer::Mode::OneSpatialLayerPerStream
        };
        let codec = SimulcastCodec {
            codec: video.codec.name().to_ascii_lowercase(),
            cid: cid.to_owned(),
            layers: layers.clone(),
            video_layer_mode: mode as i32,
        };
        let request = AddTrackRequest {
            cid: cid.to_owned(),
            name: cid.to_owned(),
            r#type: TrackType::Video as i32,
            source: source as i32,
            width: top.map_or(0, |layer| layer.width.into()),
            height: top.map_or(0, |layer| layer.height.into()),
            layers,
            // Servers take VP8 for granted.
            simulcast_codecs: if video.codec == VideoCodec::Vp8 { Vec::new() } else { vec![codec] },
            ..AddTrackRequest::default()
        };
        self.publish(request, Source::Video(video)).await
    }

    async fn publish(&self, request: AddTrackRequest, source: Source) -> Result<String, ClientError> {
        let cid = request.cid.clone();
        self.ask(Ask::Publish(Box::new(request), source)).await?;
        self.until("the server takes a track", PATIENCE, |view| {
            view.published.contains_key(&cid) || view.refused.contains_key(&cid) || view.ended.is_some()
        })
        .await?;
        let view = self.view();
        match (view.published.get(&cid), view.refused.get(&cid)) {
            (Some(track), _) => Ok(track.sid.clone()),
            (None, Some(why)) => Err(ClientError::Refused(why.clone())),
            (None, None) => Err(ClientError::Over),
        }
    }

    pub async fn unpublish(&self, cid: &str) -> Result<(), ClientError> {
        self.ask(Ask::Unpublish(cid.to_owned())).await
    }

    /// Sends a user packet to all, or only to those identities.
    pub async fn send_data(
        &self,
        reliable: bool,
        topic: &str,
        payload: Vec<u8>,
        to: &[&str],
    ) -> Result<(), ClientError> {
        let label = if reliable { "_reliable" } else { "_lossy" };
        self.ask(Ask::OpenPublisher).await?;
        let open = |view: &View| view.publisher.channels.iter().any(|l| l == label);
        self.until("a data channel opens", PATIENCE, open).await?;
        let user = UserPacket { payload, topic: Some(topic.to_owned()), ..UserPacket::default() };
        let packet = DataPacket {
            destination_identities: to.iter().map(|identity| (*identity).to_owned()).collect(),
            value: Some(data_packet::Value::User(user)),
            ..DataPacket::default()
        };
        self.ask(Ask::Send(label, packet.encode_to_vec())).await
    }

    /// The next data packet, with the label of its channel; `None` when the session is over. Bytes that are no packet are
    /// passed over.
    pub async fn next_data(&mut self) -> Option<(String, DataPacket)> {
        self.next_data_timed().await.map(|(label, packet, _)| (label, packet))
    }

    /// The same, with the time its datagram came at, in microseconds since 1970.
    pub async fn next_data_timed(&mut self) -> Option<(String, DataPacket, u64)> {
        loop {
            let Message { label, bytes, taken_us } = self.messages.recv().await?;
            if let Ok(packet) = DataPacket::decode(Bytes::clone(&bytes)) {
                return Some((label, packet, taken_us));
            }
        }
    }

    /// Sends any request as it is.
    pub async fn request(&self, message: signal_request::Message) -> Result<(), ClientError> {
        self.ask(Ask::Request(Box::new(message))).await
    }

    /// Restarts ICE of the connection on which this side offers.
    pub async fn restart_ice(&self) -> Result<(), ClientError> {
        self.ask(Ask::RestartIce).await
    }

    /// Moves all media to new UDP sockets, as a NAT that forgets its mappings would.
    pub async fn rebind(&self) -> Result<(), ClientError> {
        self.ask(Ask::Rebind).await
    }

    /// Sends bytes as they are from the media sockets to the server's.
    pub async fn inject(&self, bytes: Vec<u8>) -> Result<(), ClientError> {
        self.ask(Ask::Inject(bytes)).await
    }

    /// Media of the moment.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Stats(reply)).await?;
        answer.await.map_err(|_| ClientError::Over)
    }

    /// Media statistics count from here on; latencies and extremes begin anew.
    pub async fn mark(&self) -> Result<(), ClientError> {
        self.ask(Ask::Mark).await
    }

    /// Says goodbye; answers when the session is over.
    pub async fn leave(self) -> Result<(), ClientError> {
        self.ask(Ask::Leave).await?;
        self.until("the session ends", PATIENCE, |view| view.ended.is_some()).await
    }

    async fn ask(&self, ask: Ask) -> Result<(), ClientError> {
        self.asks.send(ask).await.map_err(|_| ClientError::Over)
    }
}

async fn dial(options: &Options, session: &mut Session) -> Result<(Signal, JoinResponse), ClientError> {
    let offer = (options.mode == Mode::Single).then(|| session.first_offer());
    let Options { url, token, auto_subscribe, adaptive_stream, .. } = options;
    let (auto_subscribe, adaptive_stream) = (*auto_subscribe, *adaptive_stream);
    let mut signal = Signal::dial(&Dial { url, token, auto_subscribe, adaptive_stream, offer }).await?;
    match signal.next().await? {
        Response::Join(join) => Ok((signal, join)),
        Response::Leave(leave) => Err(ClientError::Dismissed(leave.reason())),
        _ => Err(ClientError::Protocol),
    }
}

/// As LiveKit's clients name them: a single encoding is the highest quality, several count from the lowest up.
fn layers(source: &VideoSource) -> Vec<VideoLayer> {
    let qualities = match source.layers.len() {
        1 => &[VideoQuality::High][..],
        _ => &[VideoQuality::Low, VideoQuality::Medium, VideoQuality::High],
    };
    let layer = |(layer, quality): (&super::media::Layer, &VideoQuality)| VideoLayer {
        quality: *quality as i32,
        width: layer.width.into(),
        height: layer.height.into(),
        bitrate: layer.bitrate_bps,
        ..VideoLayer::default()
    };
    source.layers.iter().zip(qualities).map(layer).collect()
}
