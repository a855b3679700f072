//! One peer connection seen from signalling: what the client offered or answered, which sections carry what, and the
//! descriptions the server writes (WIRE.md §3). Pure: no clock, no shard, no channel; the participant that owns it sends
//! what [`Outcome`]s ask for to its shard.

mod answer;
mod codecs;
mod extensions;
mod feedback;
mod offer;
mod receive;
mod remote;
mod senders;
#[cfg(test)]
mod tests;
mod wish;
mod write;

use crate::sdp::{self, Section, Session, Setup};
use crate::shard::{Encoding, ExtensionIds, IceCredentials, LegKey, PayloadType, RemoteTransport};
use codecs::Enabled;
use senders::Senders;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Which of a client's connections this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client offers and sends.
    Publisher,
    /// The server offers and sends.
    Subscriber,
    /// One connection for both, the client always offers.
    Single,
}

/// What stays the same for a connection's life.
#[derive(Clone, Debug)]
pub struct ConnectionSetup {
    pub role: Role,
    pub creds: IceCredentials,
    pub ice_lite: bool,
    /// SHA-256 of the certificate, `AB:CD:…`.
    pub fingerprint: String,
    /// Host candidates for descriptions that carry them (none when trickled).
    pub candidates: Vec<String>,
    /// Codecs a client may publish / be sent: MIME types in any case with an fmtp line or none (`room.enabled_codecs`).
    pub publish_codecs: Vec<EnabledCodec>,
    pub subscribe_codecs: Vec<EnabledCodec>,
    /// Firefox on Linux or Android: the answer lists only the preferred video codec.
    pub one_video_codec: bool,
    /// Removed sections may be taken again for another track (protocol > 3, not Safari).
    pub reuse_sections: bool,
    /// Audio towards this client may be RED (not Firefox, not Safari).
    pub takes_red: bool,
    pub playout_delay: bool,
    /// Data channels are wanted on this connection: a subscriber offer begins with an application section.
    pub data_channels: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledCodec {
    pub mime: String,
    pub fmtp: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Audio,
    Video,
}

/// What a publisher announced by AddTrack, as far as an answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTrack {
    /// AddTrackRequest.cid, then the cids of its simulcast_codecs. If there is one for each of `codecs` (empty where the
    /// client gave none), a section named by such a cid is meant for that codec.
    pub cids: Vec<String>,
    pub kind: Kind,
    /// Preferred codecs by name, from simulcast_codecs; empty if the client left it open.
    pub codecs: Vec<String>,
    pub stereo: bool,
    pub disable_dtx: bool,
    pub disable_red: bool,
}

/// A sending section the server wants: one subscriber's copy of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderSetup {
    pub leg: LegKey,
    pub kind: Kind,
    pub track_sid: String,
    /// msid stream id, `PA_…|TR_…` (WIRE.md §3.6).
    pub stream_id: String,
    /// The track's codecs by name, preferred first: for RED audio `["red", "opus"]`.
    pub codecs: Vec<String>,
    pub stereo: bool,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
}

/// Something a negotiation decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// First in every negotiation, absent if all sections are rejected: apply to the shard with SetRemote.
    Remote(RemoteTransport),
    /// The client will send on this section (new, or its parameters changed).
    Receiving(ReceivingSection),
    /// The client stopped sending on this section.
    ReceivingEnded { mid: String },
    /// The client accepted this leg: it may start.
    SenderReady { leg: LegKey, mid: String, payloads: Vec<PayloadType>, extensions: ExtensionIds },
    /// The client shares no codec of the track.
    SenderRefused { leg: LegKey },
}

/// A section on which a client sends a track.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivingSection {
    pub mid: String,
    pub kind: Kind,
    /// First and second word of `a=msid`; with one word only, that word is the track id.
    pub stream_id: String,
    pub track_id: String,
    /// Accepted payload types, preferred first.
    pub payloads: Vec<PayloadType>,
    pub extensions: ExtensionIds,
    /// From rid lines and ssrc groups; spatial index is position (lowest first) until the room maps it by TrackInfo.
    pub encodings: Vec<Encoding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub sdp: String,
    /// Of the server's senders (WIRE.md §3.6).
    pub mid_to_track_id: HashMap<String, String>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NegotiateError {
    /// WIRE.md §2.7: logged and dropped, or a full reconnect when it was an answer.
    #[error("the session description cannot be read: {0}")]
    Unreadable(String),
    #[error("an answer came although no offer is outstanding")]
    Unexpected,
}

/// What a section is used for, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Receive,
    Send,
}

/// One peer connection's negotiation state.
pub struct Connection {
    setup: ConnectionSetup,
    publish: Enabled,
    subscribe: Enabled,
    origin: sdp::Origin,
    /// The client's ICE credentials of the last negotiation.
    remote: Option<IceCredentials>,
    /// Fixed by the first negotiation: the DTLS association outlives ICE restarts.
    dtls_active: Option<bool>,
    /// By mid.
    receiving: BTreeMap<String, ReceivingSection>,
    senders: Senders,
    first_mid: String,
    /// An offer of ours waits for its answer.
    outstanding: bool,
    /// Senders or sections changed since the client was last asked for sections.
    unasked: bool,
    /// (audio, video) sections asked for since the last answer.
    asked: (u32, u32),
}

impl Connection {
    pub fn new(setup: ConnectionSetup) -> Connection {
        Connection {
            publish: Enabled::new(&setup.publish_codecs),
            subscribe: Enabled::new(&setup.subscribe_codecs),
            origin: sdp::Origin { session_id: write::session_id(&setup.creds), version: 0 },
            remote: None,
            dtls_active: None,
            receiving: BTreeMap::new(),
            senders: Senders::default(),
            first_mid: String::new(),
            outstanding: false,
            unasked: false,
            asked: (0, 0),
            setup,
        }
    }

    /// Wants a sending section. Subscriber: goes into the next [`Connection::offer`]. Single: takes a free receive section
    /// of the client at the next [`Connection::answer`].
    pub fn add_sender(&mut self, sender: SenderSetup) {
        self.senders.add(sender);
        self.unasked = true;
    }

    /// Gives the leg's section up; it becomes inactive in the next description.
    pub fn remove_sender(&mut self, leg: LegKey) {
        self.senders.remove(leg);
        self.unasked = true;
    }

    /// New local credentials for the next description. On a publisher or single connection they are due when
    /// [`Connection::offer_restarts_ice`].
    pub fn set_creds(&mut self, creds: IceCredentials) {
        self.setup.creds = creds;
    }

    /// Whether the offer has other ICE credentials than the client's last description (RFC 8839 §4.4.1.1.1). Cheap:
    /// nothing else of the offer is read.
    pub fn offer_restarts_ice(&self, offer: &str) -> bool {
        let Some(remote) = &self.remote else { return false };
        sdp::credentials(offer).is_some_and(|(ufrag, pwd)| ufrag != remote.ufrag || pwd != remote.pwd)
    }

    /// The mid to write beside local candidates; empty before the first description.
    pub fn first_mid(&self) -> &str {
        &self.first_mid
    }

    /// Reads a client's description. Nothing has changed if this fails.
    fn read(
        &mut self,
        text: &str,
        decide: fn(Option<Setup>) -> bool,
    ) -> Result<(Session, Vec<Outcome>), NegotiateError> {
        let session = sdp::parse(text).map_err(|e| NegotiateError::Unreadable(e.to_string()))?;
        check_mids(&session)?;
        let Some(tagged) = remote::tagged(&session) else { return Ok((session, Vec::new())) };
        let dtls_active = self.dtls_active.unwrap_or_else(|| decide(remote::setup(&session, tagged)));
        let remote = remote::transport(&session, tagged, dtls_active)?;
        self.dtls_active = Some(dtls_active);
        self.remote = Some(remote.creds.clone());
        Ok((session, vec![Outcome::Remote(remote)]))
    }
}

/// BUNDLE needs every section that lives to have a name of its own (RFC 8843 §7.1).
fn check_mids(session: &Session) -> Result<(), NegotiateError> {
    let mut seen = HashSet::new();
    let live = session.sections.iter().filter(|s| !s.is_rejected());
    match live.map(|s| s.mid.as_str()).find(|mid| mid.is_empty() || !seen.insert(*mid)) {
        None => Ok(()),
        Some("") => Err(NegotiateError::Unreadable("a section has no mid".to_owned())),
        Some(mid) => Err(NegotiateError::Unreadable(format!("two sections have the mid {mid}"))),
    }
}

/// `None` for a section that carries no media we know.
fn kind(section: &Section) -> Option<Kind> {
    match section.media {
        sdp::Media::Audio => Some(Kind::Audio),
        sdp::Media::Video => Some(Kind::Video),
        _ => None,
    }
}
