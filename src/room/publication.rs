//! Tracks a participant announced, and those it sends.

use super::negotiate::{Kind, PendingTrack, ReceivingSection};
use super::participant::ParticipantKey;
use crate::proto::{AudioTrackFeature, TrackInfo, TrackType, encryption};
use crate::shard::{Codec, PeerKey, TrackKey};
use std::time::Duration;
use tokio::time::Instant;

/// How long an announced track may take to be sent, as in LiveKit.
pub const UNSENT_MAX: Duration = Duration::from_secs(30);

/// Announced by AddTrack, not yet sent.
#[derive(Clone, Debug)]
pub struct Announced {
    pub cid: String,
    pub info: TrackInfo,
    pub since: Instant,
}

/// A track that is sent and that others may subscribe to.
pub struct Publication {
    pub publisher: ParticipantKey,
    pub cid: String,
    pub info: TrackInfo,
    /// One for each codec it is sent in; the first is the one announced first.
    pub receivers: Vec<Receiver>,
    /// The publisher knows that somebody listens.
    pub subscribed_told: bool,
    /// The backup codec that everybody who can is sent, since somebody needed it (WIRE.md §4.7).
    pub regressed: Option<Codec>,
}

/// One codec of a track, on the section that carries it.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub track: TrackKey,
    pub peer: PeerKey,
    pub codec: Codec,
    pub section: ReceivingSection,
}

impl Announced {
    pub fn sid(&self) -> &str {
        &self.info.sid
    }

    pub fn for_answer(&self) -> PendingTrack {
        pending_track(&self.cid, &self.info)
    }

    pub fn has_cid(&self, track_id: &str) -> bool {
        has_cid(&self.cid, &self.info, track_id)
    }

    /// When its publication counts as failed; a muted track may wait for ever.
    pub fn overdue_at(&self) -> Option<Instant> {
        (!self.info.muted).then(|| self.since + UNSENT_MAX)
    }
}

impl Publication {
    /// End-to-end: the server may neither read nor make up its payloads.
    pub fn is_encrypted(&self) -> bool {
        self.info.encryption != encryption::Type::None as i32
    }

    pub fn kind(&self) -> Kind {
        kind(&self.info)
    }

    pub fn for_answer(&self) -> PendingTrack {
        pending_track(&self.cid, &self.info)
    }

    pub fn has_cid(&self, track_id: &str) -> bool {
        has_cid(&self.cid, &self.info, track_id)
    }

    pub fn receiver_on(&self, peer: PeerKey, mid: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|r| r.peer == peer && r.section.mid == mid)
    }

    /// What it is sent in, then what it was announced in and may be sent in once a subscriber needs it. RED carries Opus,
    /// so who cannot take it gets Opus.
    pub fn codecs(&self) -> Vec<Codec> {
        let sent = self.receivers.iter().map(|r| r.codec);
        let opus = self.receivers.iter().filter(|r| r.codec == Codec::Red).map(|_| Codec::Opus);
        let mut codecs = Vec::new();
        for codec in sent.chain(opus).chain(self.codecs_announced()) {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        codecs
    }

    pub fn codecs_announced(&self) -> impl Iterator<Item = Codec> {
        let is_audio = self.kind() == Kind::Audio;
        let known = self.info.codecs.iter().filter_map(|c| Codec::from_name(&c.mime_type));
        known.filter(move |codec| codec.is_audio() == is_audio)
    }

    /// The same as a subscriber is offered them.
    pub fn codecs_offered(&self) -> Vec<Codec> {
        let mut codecs = self.codecs();
        codecs.sort_by_key(|codec| Some(*codec) != self.regressed);
        codecs
    }

    /// Sent as plain Opus, which may go as RED to those who take it.
    pub fn may_become_red(&self) -> bool {
        let codecs = self.codecs();
        let is_plain = codecs.contains(&Codec::Opus) && !codecs.contains(&Codec::Red);
        is_plain && !self.info.disable_red && !self.is_encrypted()
    }

    /// Whether its publisher may be told what to send.
    pub fn has_choice(&self) -> bool {
        self.kind() == Kind::Video || self.info.codecs.len() > 1
    }

    /// The receiver whose packets suit a subscriber that takes `codec`; none if the publisher does not send it yet.
    pub fn receiver_for(&self, codec: Codec) -> Option<&Receiver> {
        let suits = |r: &&Receiver| r.codec == codec || (is_opus(r.codec) && is_opus(codec));
        self.receivers.iter().find(suits)
    }
}

pub fn is_opus(codec: Codec) -> bool {
    matches!(codec, Codec::Opus | Codec::Red)
}

pub fn kind(info: &TrackInfo) -> Kind {
    if info.r#type() == TrackType::Audio { Kind::Audio } else { Kind::Video }
}

fn has_cid(cid: &str, info: &TrackInfo, track_id: &str) -> bool {
    !track_id.is_empty() && (cid == track_id || info.codecs.iter().any(|c| c.cid == track_id))
}

/// What an answer must know of a track.
fn pending_track(cid: &str, info: &TrackInfo) -> PendingTrack {
    let named = || info.codecs.iter().filter(|c| !c.mime_type.is_empty());
    let cids = std::iter::once(cid.to_owned()).chain(named().map(|c| c.cid.clone()));
    let mimes = named().map(|c| &c.mime_type);
    let has = |feature: AudioTrackFeature| info.audio_features.contains(&(feature as i32));
    PendingTrack {
        cids: cids.collect(),
        kind: kind(info),
        codecs: mimes.map(|m| m.rsplit('/').next().unwrap_or(m).to_owned()).collect(),
        stereo: has(AudioTrackFeature::TfStereo),
        disable_dtx: has(AudioTrackFeature::TfNoDtx),
        disable_red: info.disable_red,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::SimulcastCodecInfo;

    #[tokio::test(start_paused = true)]
    async fn an_answer_knows_all_cids_and_codecs() {
        let codec = |mime: &str, cid: &str| SimulcastCodecInfo {
            mime_type: mime.into(),
            cid: cid.into(),
            ..SimulcastCodecInfo::default()
        };
        let info = TrackInfo {
            r#type: TrackType::Video as i32,
            codecs: vec![codec("video/VP9", "a"), codec("video/VP8", "b")],
            audio_features: vec![AudioTrackFeature::TfNoDtx as i32],
            ..TrackInfo::default()
        };
        let track = Announced { cid: "a".into(), info, since: Instant::now() };
        let pending = track.for_answer();
        assert_eq!(pending.codecs, ["VP9", "VP8"]);
        assert!(pending.cids.contains(&"b".to_owned()));
        assert!(pending.disable_dtx && !pending.stereo);
        assert!(track.has_cid("b") && !track.has_cid("") && !track.has_cid("c"));
    }
}
