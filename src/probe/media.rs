//! Media across the room: one side publishes, the other subscribes and measures. Called by `run`.

use super::joiner::Joiner;
use super::meter::{Measured, Meter};
use super::report::{Fault, Report, Step, Trouble, ms};
use super::sending::Sending;
use crate::client::clock;
use crate::client::stamp::Stamp;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

/// For the server to take a track or answer an offer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);
/// For the first packet and the first picture.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// For what is still on its way when sending ends: longer than any round trip with a retransmission.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);

/// What came of one track so far.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    first_packet: Option<Instant>,
    /// The first whole picture.
    first_frame: Option<Instant>,
    packets: u64,
}

/// A track being received.
struct Receiving {
    meter: Mutex<Meter>,
    came: watch::Sender<Came>,
}

impl Receiving {
    fn new(clock_hz: u32) -> Arc<Receiving> {
        let meter = Mutex::new(Meter::new(clock_hz));
        Arc::new(Receiving { meter, came: watch::Sender::new(Came::default()) })
    }

    async fn run(self: Arc<Self>, track: Arc<dyn TrackRemote>) {
        let mut picture = Picture::default();
        while let Some(event) = track.poll().await {
            let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
            let (now, now_us) = (clock::now(), clock::unix_us());
            // Padding the server put in has no stamp.
            let Some(stamp) = Stamp::read(&packet.payload) else { continue };
            self.meter().take(&stamp, packet.header.timestamp, now_us);
            let is_whole = picture.take(&stamp);
            self.came.send_modify(|came| {
                came.packets += 1;
                came.first_packet.get_or_insert(now);
                if is_whole {
                    came.first_frame.get_or_insert(now);
                }
            });
        }
    }

    fn meter(&self) -> std::sync::MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, limit: Duration, holds: impl Fn(&Came) -> bool) -> Option<Came> {
        let mut came = self.came.subscribe();
        timeout(limit, came.wait_for(holds)).await.ok()?.ok().map(|came| *came)
    }

    /// The figures once everything has come, or nothing more can.
    async fn finish(&self, sent: u32) -> Option<Measured> {
        self.until(TAIL_PATIENCE, |_| self.meter().is_complete(sent)).await;
        self.meter().measured(sent)
    }
}

/// Tells when a key frame is whole.
#[derive(Default)]
struct Picture {
    frame: u32,
    packets: u16,
}

impl Picture {
    fn take(&mut self, stamp: &Stamp) -> bool {
        if stamp.frame != self.frame {
            *self = Picture { frame: stamp.frame, packets: 0 };
        }
        self.packets += u16::from(stamp.key_frame);
        stamp.key_frame && self.packets == stamp.count
    }
}

/// A microphone and a camera that are sent and received.
pub struct Media {
    audio: (Arc<Sending>, Arc<Receiving>),
    video: (Arc<Sending>, Arc<Receiving>),
    tasks: JoinSet<()>,
}

fn local(error: webrtc::error::Error) -> Trouble {
    Trouble::at(Fault::Local, Step::Publish, format!("cannot send a track: {error}"))
}

/// Publishes both tracks, and writes down how long the server took.
pub async fn publish(sender: &Joiner, report: &mut Report) -> Result<Media, Trouble> {
    let begun = clock::now();
    let (audio, video) = (Arc::new(Sending::audio()), Arc::new(Sending::video()));
    for track in [&audio, &video] {
        sender.announce(track.announcement(), ANSWER_PATIENCE).await?;
        sender.publisher.peer().add_track(track.local()).await.map_err(local)?;
    }
    sender.negotiate(ANSWER_PATIENCE).await?;
    report.took(Step::Publish, clock::now() - begun, "Opus and VP8 360p");
    let mut tasks = JoinSet::new();
    tasks.spawn(audio.clone().run());
    tasks.spawn(video.clone().run());
    Ok(Media { audio: (audio, Receiving::new(48_000)), video: (video, Receiving::new(90_000)), tasks })
}

impl Media {
    /// Waits for both tracks at the other side, and for their first packet and picture.
    pub async fn arrive(&mut self, receiver: &mut Joiner, report: &mut Report) -> Result<(), Trouble> {
        let begun = clock::now();
        let limit = tokio::time::Instant::now() + FIRST_PATIENCE;
        let (mut missing_audio, mut missing_video) = (true, true);
        while missing_audio || missing_video {
            let Ok(Some(track)) = timeout_at(limit, receiver.tracks.recv()).await else { break };
            let is_audio = track.kind().await == RtpCodecKind::Audio;
            let receiving = if is_audio { &self.audio.1 } else { &self.video.1 };
            self.tasks.spawn(receiving.clone().run(track));
            if is_audio { missing_audio = false } else { missing_video = false }
        }
        let lacking = |what: &str| self.nothing(what, receiver);
        let first = self.audio.1.until(FIRST_PATIENCE, |came| came.first_packet.is_some()).await;
        let first = first.and_then(|came| came.first_packet).ok_or_else(|| lacking("audio"))?;
        report.is_in(first);
        report.took(Step::FirstPacket, first.saturating_duration_since(begun), "audio");
        let frame = self.video.1.until(FIRST_PATIENCE, |came| came.first_frame.is_some()).await;
        let frame = frame.and_then(|came| came.first_frame).ok_or_else(|| lacking("video"))?;
        report.took(Step::FirstFrame, frame.saturating_duration_since(begun), "VP8 key frame");
        Ok(())
    }

    fn nothing(&self, what: &str, receiver: &Joiner) -> Trouble {
        let sent = if what == "audio" { self.audio.0.sent() } else { self.video.0.sent() };
        let because = receiver.ended().map(|why| format!("; {why}")).unwrap_or_default();
        let message = format!("no {what} came though {sent} packets were sent{because}");
        let trouble = Trouble::at(Fault::NoMedia, Step::FirstPacket, message).of(receiver.role);
        trouble.hinting("the connections stand, so this is the server's: look for the room in its log")
    }

    /// Lets it go on for that long, then sums up.
    pub async fn measure(&self, duration: Duration, report: &mut Report) -> Result<(), Trouble> {
        let begun = clock::now();
        tokio::time::sleep(duration).await;
        for (sending, _) in [&self.audio, &self.video] {
            sending.stop();
        }
        let ((audio, hearing), (video, watching)) = (&self.audio, &self.video);
        (report.audio, report.video) = tokio::join!(hearing.finish(audio.sent()), watching.finish(video.sent()));
        let took = clock::now() - begun;
        let lost = |measured: &Option<Measured>| measured.map_or(100.0, |m| m.loss_percent);
        let detail = format!("loss: audio {:.2} %, video {:.2} %", lost(&report.audio), lost(&report.video));
        if lost(&report.audio) >= GONE_PERCENT || lost(&report.video) >= GONE_PERCENT {
            let after = ms(duration);
            let trouble =
                Trouble::at(Fault::NoMedia, Step::Media, format!("media stopped within {after:.0} ms: {detail}"));
            return Err(trouble.hinting("a firewall or NAT may forget the path, or the server ended the session"));
        }
        report.took(Step::Media, took, detail);
        Ok(())
    }
}

/// With more lost than this there is no call.
const GONE_PERCENT: f64 = 80.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(frame: u32, index: u16, count: u16, key_frame: bool) -> Stamp {
        Stamp { number: 0, frame, index, count, layer: 0, scalable: false, key_frame, sent_us: 0 }
    }

    #[test]
    fn a_picture_is_whole_with_all_packets_of_a_key_frame() {
        let mut picture = Picture::default();
        let all = [
            (stamp(4, 1, 2, false), false),
            (stamp(5, 0, 2, true), false),
            (stamp(6, 0, 2, true), false),
            (stamp(6, 1, 2, true), true),
            (stamp(7, 0, 1, false), false),
        ];
        for (stamp, whole) in all {
            assert_eq!(picture.take(&stamp), whole, "{stamp:?}");
        }
    }
}
