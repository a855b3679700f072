//! Tracks a participant announced, and those it sends.

use super::negotiate::{Kind, PendingTrack, ReceivingSection};
use super::participant::ParticipantKey;
use crate::proto::{AudioTrackFeature, TrackInfo, TrackType, encryption};
use crate::shard::{Codec, PeerKey, TrackKey};

/// Announced by AddTrack, not yet sent.
#[derive(Clone, Debug)]
pub struct Announced {
    pub cid: String,
    pub info: TrackInfo,
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
    /// Everybody gets the backup codec, whoever took the first one too.
    pub regressed: bool,
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

    /// In the order subscribers should take them.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs = self.announced_first();
        let first = self.receivers.first().map(|r| r.codec);
        if let Some(first) = first.filter(|_| self.regressed && self.receivers.len() > 1) {
            codecs.retain(|codec| *codec != first);
            codecs.push(first);
        }
        codecs
    }

    /// What it is sent in, then what it was announced in and may be sent in once a subscriber needs it. RED carries Opus,
    /// so who cannot take it gets Opus.
    pub fn announced_first(&self) -> Vec<Codec> {
        let sent = self.receivers.iter().map(|r| r.codec);
        let opus = self.receivers.iter().filter(|r| r.codec == Codec::Red).map(|_| Codec::Opus);
        let announced = self.info.codecs.iter().filter_map(|c| Codec::from_name(&c.mime_type));
        let mut codecs = Vec::new();
        for codec in sent.chain(opus).chain(announced.filter(|c| c.is_audio() == (self.kind() == Kind::Audio))) {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        codecs
    }

    /// The receiver whose packets suit a subscriber that takes `codec`; none if the publisher does not send it yet.
    pub fn receiver_for(&self, codec: Codec) -> Option<&Receiver> {
        let suits = |r: &&Receiver| r.codec == codec || (is_opus(r.codec) && is_opus(codec));
        self.receivers.iter().find(suits)
    }
}

fn is_opus(codec: Codec) -> bool {
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

    #[test]
    fn an_answer_knows_all_cids_and_codecs() {
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
        let track = Announced { cid: "a".into(), info };
        let pending = track.for_answer();
        assert_eq!(pending.codecs, ["VP9", "VP8"]);
        assert!(pending.cids.contains(&"b".to_owned()));
        assert!(pending.disable_dtx && !pending.stereo);
        assert!(track.has_cid("b") && !track.has_cid("") && !track.has_cid("c"));
    }
}
