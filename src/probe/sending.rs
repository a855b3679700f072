//! Synthetic Opus and VP8 that a probe publishes: what the load tester's participants send too, as tracks of the `webrtc`
//! crate. Called by `media`.

use super::connection::{OPUS, VP8, opus, vp8};
use crate::client::clock;
use crate::client::encoder::Encoder;
use crate::client::media::{AudioSource, OPUS_FRAME, OPUS_FRAME_TICKS, Opus, VideoCodec, VideoSource};
use crate::proto::{AddTrackRequest, TrackSource, TrackType, VideoLayer, VideoQuality};
use bytes::Bytes;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::time::{MissedTickBehavior, interval};
use webrtc::media_stream::MediaStreamTrack;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// Client track ids.
pub const MICROPHONE: &str = "probe-microphone";
pub const CAMERA: &str = "probe-camera";

const BITRATE_BPS: u32 = 400_000;
/// Key frames come so often without being asked for: a new subscriber waits half a second at most.
const KEY_FRAME_FRAMES: u32 = 15;
/// Ticks of the 90 kHz clock.
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// What is sent, and how much of it has been.
pub struct Sending {
    pub track: Arc<TrackLocalStaticRTP>,
    kind: RtpCodecKind,
    ssrc: u32,
    sent: AtomicU32,
    stopped: AtomicBool,
}

fn camera() -> VideoSource {
    VideoSource::p360(BITRATE_BPS)
}

impl Sending {
    pub fn audio() -> Sending {
        Sending::new(MICROPHONE, RtpCodecKind::Audio, opus())
    }

    pub fn video() -> Sending {
        Sending::new(CAMERA, RtpCodecKind::Video, vp8())
    }

    fn new(cid: &str, kind: RtpCodecKind, codec: RTCRtpCodec) -> Sending {
        let ssrc = rand::random::<u32>();
        let rtp_coding_parameters = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
        let coding = RTCRtpEncodingParameters { rtp_coding_parameters, codec, ..Default::default() };
        let track = MediaStreamTrack::new("probe".into(), cid.into(), cid.into(), kind, vec![coding]);
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        Sending { track, kind, ssrc, sent: AtomicU32::new(0), stopped: AtomicBool::new(false) }
    }

    /// How the server is told of it.
    pub fn announcement(&self) -> AddTrackRequest {
        if self.kind == RtpCodecKind::Audio {
            return AddTrackRequest {
                cid: MICROPHONE.to_owned(),
                name: MICROPHONE.to_owned(),
                r#type: TrackType::Audio as i32,
                source: TrackSource::Microphone as i32,
                disable_red: true,
                ..AddTrackRequest::default()
            };
        }
        let layer = camera().layers[0];
        let (width, height) = (u32::from(layer.width), u32::from(layer.height));
        let quality = VideoQuality::High as i32;
        let layers = vec![VideoLayer { quality, width, height, bitrate: layer.bitrate_bps, ..VideoLayer::default() }];
        AddTrackRequest {
            cid: CAMERA.to_owned(),
            name: CAMERA.to_owned(),
            r#type: TrackType::Video as i32,
            source: TrackSource::Camera as i32,
            width,
            height,
            layers,
            ..AddTrackRequest::default()
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Acquire)
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Sends until told to stop or until nothing can be sent any more.
    pub async fn run(self: Arc<Self>) {
        // The connection is gone; its owner knows.
        let _ = match self.kind {
            RtpCodecKind::Audio => self.run_audio().await,
            _ => self.run_video().await,
        };
    }

    async fn run_audio(&self) -> Result<(), webrtc::error::Error> {
        let mut opus = Opus::new(&AudioSource::default());
        let mut frames = interval(OPUS_FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut timestamp, mut payload) = (rand::random::<u32>(), Vec::new());
        let mut sequence_number = rand::random::<u16>();
        while !self.stopped.load(Ordering::Acquire) {
            frames.tick().await;
            opus.next(clock::unix_us(), &mut payload);
            self.send(OPUS, sequence_number, timestamp, false, &payload).await?;
            timestamp = timestamp.wrapping_add(OPUS_FRAME_TICKS);
            sequence_number = sequence_number.wrapping_add(1);
        }
        Ok(())
    }

    async fn run_video(&self) -> Result<(), webrtc::error::Error> {
        let source = camera();
        let mut encoder = Encoder::new(VideoCodec::Vp8, &source, source.layers[0], 0, rand::random());
        let mut frames = interval(source.frame_interval());
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut timestamp, mut payload, mut count) = (rand::random::<u32>(), Vec::new(), 0_u32);
        let mut sequence_number = rand::random::<u16>();
        while !self.stopped.load(Ordering::Acquire) {
            frames.tick().await;
            if count.is_multiple_of(KEY_FRAME_FRAMES) {
                encoder.request_key_frame();
            }
            let frame = encoder.next_frame();
            for index in 0..frame.packets {
                encoder.packet(&frame, index, clock::unix_us(), &mut payload);
                self.send(VP8, sequence_number, timestamp, index + 1 == frame.packets, &payload).await?;
                sequence_number = sequence_number.wrapping_add(1);
            }
            timestamp = timestamp.wrapping_add(VIDEO_CLOCK_HZ / source.fps);
            count += 1;
        }
        Ok(())
    }

    async fn send(
        &self,
        payload_type: u8,
        sequence_number: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Result<(), webrtc::error::Error> {
        let header = rtp::header::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        let payload = Bytes::copy_from_slice(payload);
        self.track.write_rtp(rtp::packet::Packet { header, payload }).await?;
        self.sent.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// The track as connections take it.
    pub fn local(&self) -> Arc<dyn TrackLocal> {
        self.track.clone()
    }
}
