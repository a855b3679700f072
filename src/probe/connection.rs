//! One connection of the `webrtc` crate to the server: made for a path, with the times of its ICE and DTLS and the
//! candidates of both sides. Made and told of descriptions by `joiner`, waited on by `run`.

use super::candidate::{self, Candidate};
use super::path::Path;
use crate::client::clock;
use crate::proto::SignalTarget;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::error::Error;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidate, RTCIceCandidateInit, RTCIceConnectionState, RTCIceTransportPolicy, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder, register_default_interceptors,
};

/// What a connection tells its owner.
pub enum Event {
    Candidate(SignalTarget, RTCIceCandidateInit),
    Track(Arc<dyn TrackRemote>),
    Channel(Arc<dyn DataChannel>),
}

/// How far it has come.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Both sides' credentials are known: checks begin.
    pub begun: Option<Instant>,
    pub ice: Option<Instant>,
    pub up: Option<Instant>,
    pub failed: bool,
    pub local: Vec<String>,
    pub remote: Vec<Candidate>,
}

/// What did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// The server sent no description.
    Description,
    Ice,
    Dtls,
}

pub struct Connection {
    pc: Arc<dyn PeerConnection>,
    path: Path,
    stages: watch::Sender<Stages>,
    /// Candidates that came before the description they belong to.
    early: Mutex<Option<Vec<Candidate>>>,
}

struct Watcher {
    target: SignalTarget,
    events: mpsc::Sender<Event>,
    stages: watch::Sender<Stages>,
}

impl Watcher {
    /// Callbacks run on the connection's own task, which must not wait for us; the queue holds more than one sends.
    fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Watcher {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let text = told(&event.candidate);
        self.stages.send_modify(|stages| stages.local.push(text));
        if let Ok(init) = event.candidate.to_json() {
            self.tell(Event::Candidate(self.target, init));
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        match state {
            RTCIceConnectionState::Connected | RTCIceConnectionState::Completed => {
                self.stages.send_modify(|stages| _ = stages.ice.get_or_insert_with(clock::now));
            }
            RTCIceConnectionState::Failed => self.stages.send_modify(|stages| stages.failed = true),
            _ => {}
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => {
                self.stages.send_modify(|stages| _ = stages.up.get_or_insert_with(clock::now));
            }
            RTCPeerConnectionState::Failed => self.stages.send_modify(|stages| stages.failed = true),
            _ => {}
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(Event::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.tell(Event::Track(track));
    }
}

fn told(candidate: &RTCIceCandidate) -> String {
    format!("{} {} {}:{}", candidate.typ, candidate.protocol, candidate.address, candidate.port)
}

/// Payload type of Opus, as browsers have it.
pub const OPUS: u8 = 111;
/// Payload type of VP8, likewise.
pub const VP8: u8 = 96;

pub fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/opus".to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

pub fn vp8() -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    RTCRtpCodec {
        mime_type: "video/VP8".to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli")],
    }
}

fn media_engine() -> Result<MediaEngine, Error> {
    let mut media = MediaEngine::default();
    let codec = |rtp_codec, payload_type| RTCRtpCodecParameters { rtp_codec, payload_type };
    media.register_codec(codec(opus(), OPUS), RtpCodecKind::Audio)?;
    media.register_codec(codec(vp8(), VP8), RtpCodecKind::Video)?;
    Ok(media)
}

impl Connection {
    pub async fn open(path: &Path, target: SignalTarget, events: mpsc::Sender<Event>) -> Result<Connection, Error> {
        let stages = watch::Sender::new(Stages::default());
        let watcher = Watcher { target, events, stages: stages.clone() };
        let mut media = media_engine()?;
        let registry = register_default_interceptors(Registry::new(), &mut media)?;
        let policy = if path.is_relay() { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
        let configuration =
            RTCConfigurationBuilder::new().with_ice_servers(path.servers()).with_ice_transport_policy(policy);
        // Servers name addresses, and a multicast socket cannot be opened everywhere. A pair that works is taken at once:
        // what is timed is the server, not the wait for a better pair.
        let at_once = Some(Duration::ZERO);
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_prflx_acceptance_min_wait(at_once)
            .with_relay_acceptance_min_wait(at_once)
            .build();
        let pc = PeerConnectionBuilder::new()
            .with_configuration(configuration.build())
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(watcher))
            .with_udp_addrs(path.udp())
            .with_tcp_addrs(path.tcp())
            .build()
            .await?;
        let early = Mutex::new(Some(Vec::new()));
        Ok(Connection { pc: Arc::new(pc), path: path.clone(), stages, early })
    }

    pub fn peer(&self) -> &Arc<dyn PeerConnection> {
        &self.pc
    }

    pub async fn channel(&self, label: &str, reliable: bool) -> Result<Arc<dyn DataChannel>, Error> {
        let max_retransmits = if reliable { None } else { Some(0) };
        let init = RTCDataChannelInit { ordered: reliable, max_retransmits, ..RTCDataChannelInit::default() };
        self.pc.create_data_channel(label, Some(init)).await
    }

    pub async fn offer(&self) -> Result<String, Error> {
        let offer = self.pc.create_offer(None).await?;
        self.pc.set_local_description(offer.clone()).await?;
        Ok(offer.sdp)
    }

    pub async fn take_answer(&self, sdp: &str) -> Result<(), Error> {
        let (sdp, candidates) = candidate::sift(sdp, |candidate| self.path.heeds(candidate, 0));
        self.take(RTCSessionDescription::answer(sdp)?, candidates).await
    }

    /// Takes the server's offer and answers it.
    pub async fn answer(&self, sdp: &str) -> Result<String, Error> {
        let (sdp, candidates) = candidate::sift(sdp, |candidate| self.path.heeds(candidate, 0));
        self.take(RTCSessionDescription::offer(sdp)?, candidates).await?;
        let answer = self.pc.create_answer(None).await?;
        self.pc.set_local_description(answer.clone()).await?;
        Ok(answer.sdp)
    }

    async fn take(&self, description: RTCSessionDescription, candidates: Vec<Candidate>) -> Result<(), Error> {
        self.pc.set_remote_description(description).await?;
        self.stages.send_modify(|stages| _ = stages.begun.get_or_insert_with(clock::now));
        let early = self.early.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The crate opens TCP connections to candidates it is given one by one, not to those of descriptions.
        let (tcp, udp): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.tcp);
        self.stages.send_modify(|stages| {
            for found in udp {
                if !stages.remote.contains(&found) {
                    stages.remote.push(found);
                }
            }
        });
        for candidate in early.into_iter().flatten().chain(tcp) {
            self.add(candidate).await?;
        }
        Ok(())
    }

    /// A candidate that came by itself.
    pub async fn trickle(&self, candidate: Candidate) -> Result<(), Error> {
        if let Some(early) = &mut *self.early.lock().unwrap_or_else(PoisonError::into_inner) {
            if self.path.heeds(&candidate, early.len()) {
                early.push(candidate);
            }
            return Ok(());
        }
        self.add(candidate).await
    }

    async fn add(&self, candidate: Candidate) -> Result<(), Error> {
        let is_new = |stages: &Stages| {
            let known =
                stages.remote.iter().any(|known| known.address == candidate.address && known.tcp == candidate.tcp);
            !known && self.path.heeds(&candidate, stages.remote.len())
        };
        if !is_new(&self.stages.borrow()) {
            return Ok(());
        }
        let (sdp_mid, sdp_mline_index) = (Some(String::new()), Some(0));
        let init =
            RTCIceCandidateInit { candidate: candidate.line.clone(), sdp_mid, sdp_mline_index, ..Default::default() };
        self.stages.send_modify(|stages| stages.remote.push(candidate));
        self.pc.add_ice_candidate(init).await
    }

    pub fn stages(&self) -> Stages {
        self.stages.borrow().clone()
    }

    /// Waits until ICE found a way; answers how long that took from the first possible check.
    pub async fn ice(&self, limit: Duration) -> Result<Duration, Lacking> {
        let seen = self.until(limit, |stages| stages.ice.is_some()).await;
        match (seen.begun, seen.ice) {
            (Some(begun), Some(ice)) => Ok(ice.saturating_duration_since(begun)),
            (None, _) => Err(Lacking::Description),
            (Some(_), None) => Err(Lacking::Ice),
        }
    }

    /// Waits until keys are agreed; answers how long that took from ICE on.
    pub async fn dtls(&self, limit: Duration) -> Result<Duration, Lacking> {
        let seen = self.until(limit, |stages| stages.up.is_some()).await;
        let both = seen.ice.zip(seen.up).ok_or(Lacking::Dtls)?;
        Ok(both.1.saturating_duration_since(both.0))
    }

    async fn until(&self, limit: Duration, holds: impl Fn(&Stages) -> bool) -> Stages {
        let mut stages = self.stages.subscribe();
        // It is told by what is there then.
        let _ = timeout(limit, stages.wait_for(|stages| stages.failed || holds(stages))).await;
        self.stages()
    }

    /// The pair of candidates in use, as text.
    pub async fn pair(&self) -> Option<String> {
        let ice = self.pc.sctp().await?.transport().ice_transport();
        let pair = ice.get_selected_candidate_pair().await.ok()??;
        Some(format!("{} → {}", told(pair.local()), told(pair.remote())))
    }

    pub async fn close(&self) {
        // It is over either way.
        let _ = self.pc.close().await;
    }
}
