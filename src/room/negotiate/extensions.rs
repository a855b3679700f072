//! Which header extensions are taken on a section (WIRE.md §3.3).

use super::{Flow, Kind, Role};
use crate::sdp;
use crate::shard::ExtensionIds;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Mid,
    Rid,
    RepairedRid,
    AudioLevel,
    TransportCc,
    AbsSendTime,
    AbsCaptureTime,
    DependencyDescriptor,
    FrameMarking,
    PlayoutDelay,
}

const ALL: [(Extension, &str); 10] = [
    (Extension::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    (Extension::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    (Extension::RepairedRid, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
    (Extension::AudioLevel, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    (Extension::TransportCc, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    (Extension::AbsSendTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    (Extension::AbsCaptureTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"),
    (
        Extension::DependencyDescriptor,
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    ),
    (Extension::FrameMarking, "urn:ietf:params:rtp-hdrext:framemarking"),
    (Extension::PlayoutDelay, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"),
];

/// What our own offers list, with ids that are the same in all sections of a bundle (RFC 8285 §5).
const OFFERED: [(u8, Extension); 5] = [
    (1, Extension::AbsSendTime),
    (2, Extension::DependencyDescriptor),
    (3, Extension::AbsCaptureTime),
    (4, Extension::PlayoutDelay),
    (5, Extension::TransportCc),
];

impl Extension {
    fn from_uri(uri: &str) -> Option<Extension> {
        ALL.iter().find(|(_, known)| *known == uri).map(|(extension, _)| *extension)
    }

    fn uri(self) -> &'static str {
        ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, uri)| uri)
    }
}

/// Decides which extensions a section takes.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub role: Role,
    pub flow: Flow,
    pub kind: Kind,
    pub playout_delay: bool,
}

impl Taken {
    /// An offered list without what we do not take, as the answer repeats it.
    pub fn answered(self, offered: &[sdp::Extension]) -> Vec<sdp::Extension> {
        let taken = |e: &&sdp::Extension| Extension::from_uri(&e.uri).is_some_and(|known| self.takes(known));
        let reversed =
            |e: &sdp::Extension| sdp::Extension { direction: e.direction.map(sdp::Direction::reversed), ..e.clone() };
        offered.iter().filter(taken).map(reversed).collect()
    }

    /// The list of our own offer.
    pub fn offered(self) -> Vec<sdp::Extension> {
        let line = |(id, extension): &(u8, Extension)| sdp::Extension {
            id: *id,
            uri: extension.uri().to_owned(),
            direction: None,
        };
        OFFERED.iter().filter(|(_, extension)| self.takes(*extension)).map(line).collect()
    }

    fn takes(self, extension: Extension) -> bool {
        match (self.flow, self.kind) {
            (Flow::Receive, Kind::Audio) => {
                matches!(extension, Extension::Mid | Extension::Rid | Extension::AudioLevel | Extension::AbsCaptureTime)
            }
            (Flow::Receive, Kind::Video) => self.receives_video(extension),
            (Flow::Send, Kind::Audio) => extension == Extension::AbsCaptureTime,
            (Flow::Send, Kind::Video) => match extension {
                Extension::TransportCc | Extension::AbsSendTime => true,
                Extension::DependencyDescriptor | Extension::AbsCaptureTime => true,
                Extension::PlayoutDelay => self.playout_delay,
                _ => false,
            },
        }
    }

    fn receives_video(self, extension: Extension) -> bool {
        match extension {
            Extension::AudioLevel => false,
            Extension::AbsSendTime => self.role == Role::Single,
            Extension::PlayoutDelay => self.role == Role::Single && self.playout_delay,
            _ => true,
        }
    }
}

/// The ids of a negotiated list.
pub(super) fn ids(extensions: &[sdp::Extension]) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for extension in extensions {
        if let Some(slot) = Extension::from_uri(&extension.uri).and_then(|known| slot(&mut ids, known)) {
            *slot = Some(extension.id);
        }
    }
    ids
}

/// Frame marking is taken and passed on by nobody.
fn slot(ids: &mut ExtensionIds, extension: Extension) -> Option<&mut Option<u8>> {
    Some(match extension {
        Extension::Mid => &mut ids.mid,
        Extension::Rid => &mut ids.rid,
        Extension::RepairedRid => &mut ids.repaired_rid,
        Extension::AudioLevel => &mut ids.audio_level,
        Extension::TransportCc => &mut ids.transport_cc,
        Extension::AbsSendTime => &mut ids.abs_send_time,
        Extension::AbsCaptureTime => &mut ids.abs_capture_time,
        Extension::DependencyDescriptor => &mut ids.dependency_descriptor,
        Extension::PlayoutDelay => &mut ids.playout_delay,
        Extension::FrameMarking => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(role: Role, flow: Flow, kind: Kind, playout_delay: bool) -> Vec<Extension> {
        let taken = Taken { role, flow, kind, playout_delay };
        ALL.iter().map(|(extension, _)| *extension).filter(|e| taken.takes(*e)).collect()
    }

    #[test]
    fn the_table_of_sections_and_extensions_holds() {
        use Extension::*;
        let video = [Mid, Rid, RepairedRid, TransportCc, AbsCaptureTime, DependencyDescriptor, FrameMarking];
        assert_eq!(names(Role::Publisher, Flow::Receive, Kind::Video, true), video);
        let single = [
            Mid,
            Rid,
            RepairedRid,
            TransportCc,
            AbsSendTime,
            AbsCaptureTime,
            DependencyDescriptor,
            FrameMarking,
            PlayoutDelay,
        ];
        assert_eq!(names(Role::Single, Flow::Receive, Kind::Video, true), single);
        assert_eq!(names(Role::Publisher, Flow::Receive, Kind::Audio, true), [Mid, Rid, AudioLevel, AbsCaptureTime]);
        let sent = [TransportCc, AbsSendTime, AbsCaptureTime, DependencyDescriptor];
        assert_eq!(names(Role::Subscriber, Flow::Send, Kind::Video, false), sent);
        assert_eq!(names(Role::Single, Flow::Send, Kind::Audio, true), [AbsCaptureTime]);
    }

    #[test]
    fn answers_keep_the_ids_of_the_offer_and_turn_directions_round() {
        let uri = Extension::Mid.uri().to_owned();
        let offered = [
            sdp::Extension { id: 9, uri: uri.clone(), direction: Some(sdp::Direction::SendOnly) },
            sdp::Extension { id: 2, uri: "urn:unknown".into(), direction: None },
        ];
        let taken = Taken { role: Role::Publisher, flow: Flow::Receive, kind: Kind::Audio, playout_delay: false };
        let want = [sdp::Extension { id: 9, uri, direction: Some(sdp::Direction::RecvOnly) }];
        assert_eq!(taken.answered(&offered), want);
        assert_eq!(ids(&want), ExtensionIds { mid: Some(9), ..ExtensionIds::default() });
    }
}
