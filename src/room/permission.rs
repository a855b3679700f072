//! What a participant may do, and who may subscribe to its tracks (WIRE.md §1.6, §9.4, §2.7). Pure values; the room asks.

use crate::proto::{ParticipantPermission, SubscriptionPermission, TrackPermission, TrackSource};
use crate::token::VideoGrant;
use std::collections::{HashMap, HashSet};

/// A participant's permissions, with the token's defaults resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    pub can_subscribe: bool,
    pub can_publish: bool,
    pub can_publish_data: bool,
    /// Empty: every source. An unknown name in a token stands as `Unknown`, so that it never opens the list.
    pub sources: Vec<TrackSource>,
    pub can_update_metadata: bool,
    pub hidden: bool,
    pub recorder: bool,
    pub agent: bool,
    pub can_subscribe_metrics: bool,
    pub can_manage_agent_session: bool,
}

impl Permissions {
    /// Whether a track of that source may be published.
    pub fn may_publish(&self, source: TrackSource) -> bool {
        self.can_publish && (self.sources.is_empty() || self.sources.contains(&source))
    }

    /// As stored in ParticipantInfo.
    #[allow(deprecated)]
    pub fn to_proto(&self) -> ParticipantPermission {
        ParticipantPermission {
            can_subscribe: self.can_subscribe,
            can_publish: self.can_publish,
            can_publish_data: self.can_publish_data,
            can_publish_sources: self.sources.iter().map(|&s| s as i32).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_metadata,
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics,
            can_manage_agent_session: self.can_manage_agent_session,
        }
    }

    /// Writes the whole set into a grant, so that a refreshed token carries it.
    pub fn write_to(&self, grant: &mut VideoGrant) {
        grant.can_subscribe = Some(self.can_subscribe);
        grant.can_publish = Some(self.can_publish);
        grant.can_publish_data = Some(self.can_publish_data);
        grant.can_publish_sources = self.sources.iter().map(|&s| source_name(s).to_owned()).collect();
        grant.can_update_own_metadata = Some(self.can_update_metadata);
        grant.hidden = self.hidden;
        grant.recorder = self.recorder;
        grant.agent = self.agent;
        grant.can_subscribe_metrics = Some(self.can_subscribe_metrics);
        grant.can_manage_agent_session = Some(self.can_manage_agent_session);
    }
}

impl From<&VideoGrant> for Permissions {
    fn from(grant: &VideoGrant) -> Permissions {
        Permissions {
            can_subscribe: grant.may_subscribe(),
            can_publish: grant.may_publish(),
            can_publish_data: grant.may_publish_data(),
            sources: grant.can_publish_sources.iter().map(|s| source_named(s)).collect(),
            can_update_metadata: grant.may_update_own_metadata(),
            hidden: grant.hidden,
            recorder: grant.recorder,
            agent: grant.agent,
            can_subscribe_metrics: grant.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: grant.can_manage_agent_session.unwrap_or(false),
        }
    }
}

impl From<&ParticipantPermission> for Permissions {
    #[allow(deprecated)]
    fn from(proto: &ParticipantPermission) -> Permissions {
        Permissions {
            can_subscribe: proto.can_subscribe,
            can_publish: proto.can_publish,
            can_publish_data: proto.can_publish_data,
            sources: proto.can_publish_sources().collect(),
            can_update_metadata: proto.can_update_metadata,
            hidden: proto.hidden,
            recorder: proto.recorder,
            agent: proto.agent,
            can_subscribe_metrics: proto.can_subscribe_metrics,
            can_manage_agent_session: proto.can_manage_agent_session,
        }
    }
}

fn source_named(name: &str) -> TrackSource {
    TrackSource::from_str_name(&name.to_ascii_uppercase()).unwrap_or(TrackSource::Unknown)
}

fn source_name(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Unknown => "unknown",
        TrackSource::Camera => "camera",
        TrackSource::Microphone => "microphone",
        TrackSource::ScreenShare => "screen_share",
        TrackSource::ScreenShareAudio => "screen_share_audio",
    }
}

/// Who may subscribe to one publisher's tracks. The default, never sent, lets everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackPermissions {
    listed: Option<Listed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listed {
    by_identity: HashMap<String, Tracks>,
    by_sid: HashMap<String, Tracks>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tracks {
    All,
    These(HashSet<String>),
}

impl TrackPermissions {
    /// Whether that subscriber may have that track. Recorders are exempt: ask no question for them (WIRE.md §9.4).
    pub fn allows(&self, identity: &str, participant_sid: &str, track_sid: &str) -> bool {
        let Some(listed) = &self.listed else { return true };
        let rules = [listed.by_identity.get(identity), listed.by_sid.get(participant_sid)];
        rules.into_iter().flatten().any(|tracks| tracks.has(track_sid))
    }
}

impl Tracks {
    fn of(permission: &TrackPermission) -> Tracks {
        if permission.all_tracks { Tracks::All } else { Tracks::These(permission.track_sids.iter().cloned().collect()) }
    }

    fn has(&self, track_sid: &str) -> bool {
        match self {
            Tracks::All => true,
            Tracks::These(sids) => sids.contains(track_sid),
        }
    }
}

impl From<&SubscriptionPermission> for TrackPermissions {
    fn from(request: &SubscriptionPermission) -> TrackPermissions {
        let listed = (!request.all_participants).then(|| Listed::from(request.track_permissions.as_slice()));
        TrackPermissions { listed }
    }
}

impl From<&[TrackPermission]> for Listed {
    fn from(permissions: &[TrackPermission]) -> Listed {
        let mut listed = Listed::default();
        for permission in permissions {
            listed.add(permission);
        }
        listed
    }
}

impl Listed {
    fn add(&mut self, permission: &TrackPermission) {
        let tracks = Tracks::of(permission);
        if !permission.participant_identity.is_empty() {
            self.by_identity.insert(permission.participant_identity.clone(), tracks);
        } else if !permission.participant_sid.is_empty() {
            self.by_sid.insert(permission.participant_sid.clone(), tracks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackSource::*;

    fn grant(change: impl FnOnce(&mut VideoGrant)) -> VideoGrant {
        let mut grant = VideoGrant::default();
        change(&mut grant);
        grant
    }

    #[test]
    fn defaults_of_an_empty_grant() {
        let permissions = Permissions::from(&VideoGrant::default());
        assert!(permissions.can_subscribe && permissions.can_publish && permissions.can_publish_data);
        assert!(!permissions.can_update_metadata && !permissions.hidden && !permissions.can_subscribe_metrics);
    }

    #[test]
    fn publishing_by_source() {
        let cases: [(&str, VideoGrant, &[TrackSource]); 5] = [
            ("all", grant(|_| ()), &[Unknown, Camera, Microphone, ScreenShare, ScreenShareAudio]),
            ("none", grant(|g| g.can_publish = Some(false)), &[]),
            (
                "listed",
                grant(|g| g.can_publish_sources = vec!["microphone".into(), "screen_share".into()]),
                &[Microphone, ScreenShare],
            ),
            ("unknown name", grant(|g| g.can_publish_sources = vec!["hologram".into()]), &[Unknown]),
            (
                "listed but forbidden",
                grant(|g| {
                    g.can_publish = Some(false);
                    g.can_publish_sources = vec!["camera".into()];
                }),
                &[],
            ),
        ];
        for (name, grant, allowed) in cases {
            let permissions = Permissions::from(&grant);
            for source in [Unknown, Camera, Microphone, ScreenShare, ScreenShareAudio] {
                assert_eq!(permissions.may_publish(source), allowed.contains(&source), "{name}: {source:?}");
            }
        }
    }

    #[test]
    fn data_follows_publish_unless_said() {
        let cases = [
            (None, None, true),
            (Some(false), None, false),
            (Some(false), Some(true), true),
            (None, Some(false), false),
        ];
        for (publish, data, expected) in cases {
            let grant = grant(|g| (g.can_publish, g.can_publish_data) = (publish, data));
            assert_eq!(Permissions::from(&grant).can_publish_data, expected, "{publish:?} {data:?}");
        }
    }

    #[test]
    fn proto_and_grant_round_trip() {
        let odd = Permissions {
            sources: vec![Camera, ScreenShareAudio],
            hidden: true,
            agent: true,
            can_publish: true,
            ..Default::default()
        };
        let even = Permissions { recorder: true, can_subscribe: true, can_update_metadata: true, ..Default::default() };
        for permissions in [odd, even, Permissions::from(&VideoGrant::default())] {
            assert_eq!(Permissions::from(&permissions.to_proto()), permissions);
            let grant = grant(|g| permissions.write_to(g));
            assert_eq!(Permissions::from(&grant), permissions);
        }
    }

    fn rule(identity: &str, sid: &str, all: bool, tracks: &[&str]) -> TrackPermission {
        TrackPermission {
            participant_identity: identity.into(),
            participant_sid: sid.into(),
            all_tracks: all,
            track_sids: tracks.iter().map(|t| t.to_string()).collect(),
        }
    }

    fn request(all_participants: bool, track_permissions: Vec<TrackPermission>) -> TrackPermissions {
        TrackPermissions::from(&SubscriptionPermission { all_participants, track_permissions })
    }

    #[test]
    fn subscription_permission_table() {
        let all = rule("ann", "", true, &[]);
        let one = rule("ann", "", false, &["TR_1"]);
        let by_sid = rule("", "PA_ann", false, &["TR_1"]);
        let both = rule("bob", "PA_ann", true, &[]);
        let cases = [
            ("never sent", TrackPermissions::default(), [true, true, true]),
            ("open", request(true, vec![]), [true, true, true]),
            ("open wins over the list", request(true, vec![one.clone()]), [true, true, true]),
            ("closed", request(false, vec![]), [false, false, false]),
            ("all tracks", request(false, vec![all]), [true, true, false]),
            ("one track", request(false, vec![one]), [true, false, false]),
            ("by sid", request(false, vec![by_sid]), [true, false, false]),
            ("identity wins over sid", request(false, vec![both]), [false, false, true]),
            ("nobody named", request(false, vec![rule("", "", true, &[])]), [false, false, false]),
        ];
        for (name, permissions, expected) in cases {
            let asked = [("ann", "PA_ann", "TR_1"), ("ann", "PA_ann", "TR_2"), ("bob", "PA_bob", "TR_1")];
            let got = asked.map(|(identity, sid, track)| permissions.allows(identity, sid, track));
            assert_eq!(got, expected, "{name}");
        }
    }
}
