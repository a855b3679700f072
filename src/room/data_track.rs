//! Data tracks: what a participant publishes, what another is subscribed to under which handle, and the change of handle
//! that forwarding is (WIRE.md §2.13, §4.15). Pure; the room finds subscribers and writes to shards.

use crate::config::model::Limit;
use crate::limits::{DATA_SUBSCRIPTIONS_MAX, DATA_TRACK_NAME_BYTES_MAX, DATA_TRACKS_MAX};
use crate::proto::data_track_subscriber_handles::PublishedDataTrack;
use crate::proto::request_response::Reason;
use crate::proto::{
    DataTrackFrameEncoding, DataTrackInfo, DataTrackSchemaId, DataTrackSubscriberHandles, PublishDataTrackRequest,
    UpdateDataSubscription, data_track_frame_encoding, data_track_schema_encoding, id,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Bytes of the header every packet begins with.
const HEADER_BYTES: usize = 12;

/// Where the handle stands in it, big endian.
const HANDLE: Range<usize> = 2..4;

/// A request that was refused; what RequestResponse says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub message: &'static str,
}

pub(super) fn refuse<T>(reason: Reason, message: &'static str) -> Result<T, Refusal> {
    Err(Refusal { reason, message })
}

/// The data tracks of one participant, by publisher handle.
#[derive(Clone, Debug, Default)]
pub struct PublishedDataTracks {
    tracks: BTreeMap<u16, DataTrackInfo>,
}

impl PublishedDataTracks {
    /// Publishes a track. `allowed`: `enable_data_tracks` and the participant may publish data.
    pub fn publish(
        &mut self,
        request: &PublishDataTrackRequest,
        allowed: bool,
        limit: &Limit,
    ) -> Result<DataTrackInfo, Refusal> {
        if !allowed {
            return refuse(Reason::NotAllowed, "does not have permission to publish data");
        }
        let handle = self.free_handle(request, limit)?;
        let info = DataTrackInfo {
            pub_handle: request.pub_handle,
            sid: id::random("DTR_"),
            name: request.name.clone(),
            encryption: request.encryption,
            frame_encoding: request.frame_encoding.clone(),
            schema: request.schema.clone(),
        };
        self.tracks.insert(handle, info.clone());
        Ok(info)
    }

    /// Ends a track.
    pub fn unpublish(&mut self, pub_handle: u32) -> Result<DataTrackInfo, Refusal> {
        let track = u16::try_from(pub_handle).ok().and_then(|handle| self.tracks.remove(&handle));
        track.ok_or(Refusal { reason: Reason::NotFound, message: "unknown data track handle" })
    }

    /// Ends all tracks, when the permission is lost.
    pub fn unpublish_all(&mut self) -> Vec<DataTrackInfo> {
        std::mem::take(&mut self.tracks).into_values().collect()
    }

    /// ParticipantInfo.data_tracks.
    pub fn infos(&self) -> Vec<DataTrackInfo> {
        self.tracks.values().cloned().collect()
    }

    /// The track a packet of this participant belongs to; `None` for a runt or an unknown handle: drop it.
    pub fn track_of(&self, packet: &[u8]) -> Option<&DataTrackInfo> {
        self.tracks.get(&handle(packet)?)
    }

    fn free_handle(&self, request: &PublishDataTrackRequest, limit: &Limit) -> Result<u16, Refusal> {
        let handle = match u16::try_from(request.pub_handle) {
            Ok(handle) if handle > 0 => handle,
            _ => return refuse(Reason::InvalidHandle, "handle must be between 1 and 65535"),
        };
        if request.name.is_empty() || request.name.len() > DATA_TRACK_NAME_BYTES_MAX {
            return refuse(Reason::InvalidName, "name must have between 1 and 256 bytes");
        }
        checked_encodings(request, limit)?;
        if self.tracks.contains_key(&handle) {
            return refuse(Reason::DuplicateHandle, "a data track with this handle is published");
        }
        if self.tracks.values().any(|track| track.name == request.name) {
            return refuse(Reason::DuplicateName, "a data track with this name is published");
        }
        if self.tracks.len() >= DATA_TRACKS_MAX {
            return refuse(Reason::LimitExceeded, "too many data tracks");
        }
        Ok(handle)
    }
}

fn checked_encodings(request: &PublishDataTrackRequest, limit: &Limit) -> Result<(), Refusal> {
    let frame = request.frame_encoding.as_ref().and_then(custom_frame_encoding);
    if !frame.is_none_or(|custom| is_custom_encoding(custom, limit)) {
        return refuse(Reason::InvalidRequest, "custom frame encoding is empty or too long");
    }
    if !request.schema.as_ref().is_none_or(|schema| is_schema(schema, limit)) {
        return refuse(Reason::InvalidRequest, "schema name or custom encoding is empty or too long");
    }
    Ok(())
}

fn custom_frame_encoding(encoding: &DataTrackFrameEncoding) -> Option<&str> {
    match encoding.value.as_ref()? {
        data_track_frame_encoding::Value::Custom(custom) => Some(custom),
        data_track_frame_encoding::Value::WellKnown(_) => None,
    }
}

/// Whether a schema's name and custom encoding are within limits.
pub(super) fn is_schema(schema: &DataTrackSchemaId, limit: &Limit) -> bool {
    let custom = match schema.encoding.as_ref().and_then(|encoding| encoding.value.as_ref()) {
        Some(data_track_schema_encoding::Value::Custom(custom)) => Some(custom),
        _ => None,
    };
    schema.name.len() <= DATA_TRACK_NAME_BYTES_MAX && custom.is_none_or(|custom| is_custom_encoding(custom, limit))
}

fn is_custom_encoding(custom: &str, limit: &Limit) -> bool {
    let longest = limit.max_data_track_custom_encoding_length;
    !custom.is_empty() && (longest == 0 || custom.len() <= longest)
}

/// What one participant is subscribed to, and the handles it knows the tracks by.
#[derive(Clone, Debug)]
pub struct DataSubscriptions {
    wanted: BTreeSet<String>,
    given: BTreeMap<u16, PublishedDataTrack>,
    /// The same by track sid: asked for every packet.
    by_track: HashMap<String, u16>,
    next: u16,
}

impl DataSubscriptions {
    /// Handles begin at `random` + 1, so that nobody relies on their values.
    pub fn new(random: u8) -> DataSubscriptions {
        DataSubscriptions {
            wanted: BTreeSet::new(),
            given: BTreeMap::new(),
            by_track: HashMap::new(),
            next: u16::from(random) + 1,
        }
    }

    /// Takes a request in; options are accepted and ignored. Reconcile afterwards.
    pub fn update(&mut self, request: &UpdateDataSubscription) {
        for update in &request.updates {
            self.want(&update.track_sid, update.subscribe);
        }
    }

    /// Wants a track, published or not yet, or no longer.
    pub fn want(&mut self, track_sid: &str, subscribe: bool) {
        if !subscribe {
            self.wanted.remove(track_sid);
        } else if self.wanted.len() < DATA_SUBSCRIPTIONS_MAX {
            self.wanted.insert(track_sid.to_owned());
        }
    }

    /// Compares what is wanted with what is published and allowed, as `find` tells by track sid. The full set of handles if
    /// that changed it, empty included: to be sent to the participant.
    pub fn reconcile(
        &mut self,
        find: impl Fn(&str) -> Option<PublishedDataTrack>,
    ) -> Option<DataTrackSubscriberHandles> {
        let found: BTreeMap<_, _> = self.wanted.iter().filter_map(|sid| Some((sid.clone(), find(sid)?))).collect();
        let before = self.given.len();
        self.given.retain(|_, track| found.contains_key(&track.track_sid));
        self.by_track.retain(|track_sid, _| found.contains_key(track_sid));
        let mut changed = self.given.len() != before;
        for track in found.into_values() {
            changed |= self.give(track);
        }
        changed.then(|| self.handles())
    }

    /// The handle of a track, for [`with_handle`].
    pub fn handle_of(&self, track_sid: &str) -> Option<u16> {
        self.by_track.get(track_sid).copied()
    }

    pub fn handles(&self) -> DataTrackSubscriberHandles {
        let sub_handles = self.given.iter().map(|(handle, track)| (u32::from(*handle), track.clone())).collect();
        DataTrackSubscriberHandles { sub_handles }
    }

    /// False when it has one already.
    fn give(&mut self, track: PublishedDataTrack) -> bool {
        if self.handle_of(&track.track_sid).is_some() {
            return false;
        }
        let handle = self.free_handle();
        self.by_track.insert(track.track_sid.clone(), handle);
        self.given.insert(handle, track);
        true
    }

    /// Ends because subscriptions are far fewer than handles.
    fn free_handle(&mut self) -> u16 {
        while self.next == 0 || self.given.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        handle
    }
}

/// The packet as a subscriber is to see it; `None` for a runt.
pub fn with_handle(packet: &[u8], handle: u16) -> Option<Bytes> {
    if packet.len() < HEADER_BYTES {
        return None;
    }
    let mut copy = packet.to_vec();
    copy.get_mut(HANDLE)?.copy_from_slice(&handle.to_be_bytes());
    Some(copy.into())
}

fn handle(packet: &[u8]) -> Option<u16> {
    let header = packet.get(..HEADER_BYTES)?;
    Some(u16::from_be_bytes(header.get(HANDLE)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{DataTrackSchemaEncoding, update_data_subscription::Update};

    fn limit() -> Limit {
        Limit { max_data_track_custom_encoding_length: 32, ..Default::default() }
    }

    fn request(pub_handle: u32, name: &str) -> PublishDataTrackRequest {
        PublishDataTrackRequest { pub_handle, name: name.into(), ..Default::default() }
    }

    fn framed(custom: &str) -> PublishDataTrackRequest {
        let value = Some(data_track_frame_encoding::Value::Custom(custom.into()));
        PublishDataTrackRequest { frame_encoding: Some(DataTrackFrameEncoding { value }), ..request(3, "c") }
    }

    fn with_schema(name: &str, custom: &str) -> PublishDataTrackRequest {
        let value = Some(data_track_schema_encoding::Value::Custom(custom.into()));
        let encoding = Some(DataTrackSchemaEncoding { value });
        PublishDataTrackRequest { schema: Some(DataTrackSchemaId { name: name.into(), encoding }), ..request(3, "c") }
    }

    #[test]
    fn publish_checks() {
        let long = "x".repeat(257);
        let cases = [
            (request(2, "b"), None),
            (request(65_535, &long[..256]), None),
            (request(0, "b"), Some(Reason::InvalidHandle)),
            (request(65_536, "b"), Some(Reason::InvalidHandle)),
            (request(2, ""), Some(Reason::InvalidName)),
            (request(2, &long), Some(Reason::InvalidName)),
            (request(1, "b"), Some(Reason::DuplicateHandle)),
            (request(2, "a"), Some(Reason::DuplicateName)),
            (framed("x"), None),
            (framed(""), Some(Reason::InvalidRequest)),
            (framed(&long[..33]), Some(Reason::InvalidRequest)),
            (with_schema("s", "x"), None),
            (with_schema("s", ""), Some(Reason::InvalidRequest)),
            (with_schema(&long, "x"), Some(Reason::InvalidRequest)),
        ];
        for (asked, expected) in cases {
            let mut tracks = PublishedDataTracks::default();
            tracks.publish(&request(1, "a"), true, &limit()).unwrap();
            let reason = tracks.publish(&asked, true, &limit()).err().map(|refusal| refusal.reason);
            assert_eq!(reason, expected, "{asked:?}");
        }
    }

    #[test]
    fn publishing_needs_permission_and_is_bounded() {
        let mut tracks = PublishedDataTracks::default();
        assert_eq!(tracks.publish(&request(1, "a"), false, &limit()).unwrap_err().reason, Reason::NotAllowed);
        for handle in 1..=DATA_TRACKS_MAX as u32 {
            tracks.publish(&request(handle, &handle.to_string()), true, &limit()).unwrap();
        }
        assert_eq!(tracks.publish(&request(60_000, "more"), true, &limit()).unwrap_err().reason, Reason::LimitExceeded);
    }

    #[test]
    fn unpublishing() {
        let mut tracks = PublishedDataTracks::default();
        let info = tracks.publish(&request(7, "a"), true, &limit()).unwrap();
        assert!(info.sid.starts_with("DTR_"));
        assert_eq!(tracks.infos(), std::slice::from_ref(&info));
        for handle in [8, 65_536 + 7] {
            assert_eq!(tracks.unpublish(handle).unwrap_err().reason, Reason::NotFound);
        }
        assert_eq!(tracks.unpublish(7), Ok(info));
        assert_eq!(tracks.unpublish_all(), []);
    }

    fn published(track_sid: &str) -> PublishedDataTrack {
        PublishedDataTrack {
            track_sid: track_sid.into(),
            publisher_identity: "ann".into(),
            publisher_sid: "PA_1".into(),
        }
    }

    fn subscribe(track_sid: &str, subscribe: bool) -> UpdateDataSubscription {
        UpdateDataSubscription { updates: vec![Update { track_sid: track_sid.into(), subscribe, options: None }] }
    }

    #[test]
    fn handles_follow_what_is_wanted_and_published() {
        let mut subscriptions = DataSubscriptions::new(255);
        let sizes = |handles: Option<DataTrackSubscriberHandles>| handles.map(|h| h.sub_handles.len());
        subscriptions.update(&subscribe("DTR_1", true));
        assert_eq!(sizes(subscriptions.reconcile(|_| None)), None, "not published yet");
        assert_eq!(sizes(subscriptions.reconcile(|sid| Some(published(sid)))), Some(1));
        assert_eq!(subscriptions.handle_of("DTR_1"), Some(256));
        assert_eq!(sizes(subscriptions.reconcile(|sid| Some(published(sid)))), None, "unchanged");
        subscriptions.update(&subscribe("DTR_2", true));
        let handles = subscriptions.reconcile(|sid| Some(published(sid))).unwrap();
        assert_eq!(handles.sub_handles.get(&257), Some(&published("DTR_2")));
        assert_eq!(
            sizes(subscriptions.reconcile(|sid| (sid == "DTR_2").then(|| published(sid)))),
            Some(1),
            "one ended"
        );
        subscriptions.update(&subscribe("DTR_2", false));
        assert_eq!(sizes(subscriptions.reconcile(|_| None)), Some(0), "empty is told");
        assert_eq!(subscriptions.handle_of("DTR_2"), None);
    }

    #[test]
    fn handles_wrap_around_zero_and_those_in_use() {
        let mut subscriptions = DataSubscriptions::new(0);
        let mut give = |sid: &str| {
            subscriptions.give(published(sid));
            let handle = subscriptions.handle_of(sid);
            subscriptions.next = if sid == "a" { u16::MAX } else { subscriptions.next };
            handle
        };
        assert_eq!(["a", "b", "c"].map(&mut give), [Some(1), Some(u16::MAX), Some(2)]);
    }

    #[test]
    fn wanting_is_bounded() {
        let mut subscriptions = DataSubscriptions::new(0);
        for i in 0..DATA_SUBSCRIPTIONS_MAX + 10 {
            subscriptions.want(&i.to_string(), true);
        }
        assert_eq!(subscriptions.wanted.len(), DATA_SUBSCRIPTIONS_MAX);
    }

    #[test]
    fn forwarding_changes_the_handle_only() {
        let packet = [0x18, 0, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let out = with_handle(&packet, 0xabcd).unwrap();
        assert_eq!(out[..], [0x18, 0, 0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(with_handle(&packet[..11], 1), None);
    }

    #[test]
    fn packets_find_their_track() {
        let mut tracks = PublishedDataTracks::default();
        let info = tracks.publish(&request(0x1234, "a"), true, &limit()).unwrap();
        let packet = [0x18, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(tracks.track_of(&packet), Some(&info));
        assert_eq!(tracks.track_of(&packet[..11]), None, "runt");
        assert_eq!(tracks.track_of(&[0; 12]), None, "unknown");
    }
}
