//! The values of a session description, no more of them than a media server needs.

/// A whole description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    pub origin: Origin,
    /// mids of the first `a=group:BUNDLE` (RFC 8843).
    pub bundle: Vec<String>,
    pub ice_lite: bool,
    pub extmap_allow_mixed: bool,
    /// Defaults for all sections.
    pub transport: Transport,
    pub sections: Vec<Section>,
}

/// The numbers of the `o=` line (RFC 8866 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub session_id: u64,
    pub version: u64,
}

/// ICE and DTLS lines, of the session or of one section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    pub ufrag: Option<String>,
    pub pwd: Option<String>,
    pub ice_options: Option<String>,
    pub fingerprints: Vec<Fingerprint>,
    pub setup: Option<Setup>,
    /// `candidate:…`, without `a=`.
    pub candidates: Vec<String>,
    pub end_of_candidates: bool,
}

/// RFC 8122 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash function in lower case, `sha-256`.
    pub hash: String,
    pub digest: Vec<u8>,
}

/// DTLS role (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Active,
    Passive,
    ActPass,
}

/// One `m=` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    pub media: Media,
    /// 0 with `bundle_only` false means rejected.
    pub port: u16,
    pub protocol: String,
    /// Formats of a section that is not RTP, or of one this side rejects.
    pub formats: Vec<String>,
    /// Empty if the section has none.
    pub mid: String,
    pub direction: Direction,
    pub bundle_only: bool,
    pub transport: Transport,
    /// In order of preference. RTX and other auxiliary payload types are among them.
    pub payloads: Vec<Payload>,
    pub extensions: Vec<Extension>,
    pub msid: Option<Msid>,
    pub ssrcs: Vec<SsrcAttribute>,
    pub ssrc_groups: Vec<SsrcGroup>,
    pub rids: Vec<Rid>,
    pub simulcast: Simulcast,
    pub rtcp_mux: bool,
    pub rtcp_rsize: bool,
    pub sctp_port: Option<u16>,
    /// Bytes; 0 is no limit (RFC 8841 §6).
    pub max_message_size: Option<u32>,
}

impl Section {
    /// RFC 8829 §5.3.1, RFC 8843 §6.
    pub fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// The RTX payload type that repairs `pt` (RFC 4588 §8.6).
    pub fn rtx_of(&self, pt: u8) -> Option<u8> {
        let repairs =
            |p: &&Payload| p.name.eq_ignore_ascii_case("rtx") && super::fmtp::number(&p.fmtp, "apt") == Some(pt);
        self.payloads.iter().find(repairs).map(|p| p.pt)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Media {
    #[default]
    Audio,
    Video,
    Application,
    Other(String),
}

/// As the writer of the description sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same as the other side sees it.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }
}

/// A payload type with its `rtpmap`, `fmtp` and `rtcp-fb` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub pt: u8,
    /// Encoding name as written; empty if the type is dynamic and has no `rtpmap`.
    pub name: String,
    /// Hz.
    pub clock_rate: u32,
    /// As written; absent means one.
    pub channels: Option<u8>,
    /// Empty if there is none.
    pub fmtp: String,
    pub feedback: Vec<Feedback>,
}

/// The `rtcp-fb` values a forwarder may use (RFC 4585 §4.2, RFC 5104 §7.1); others are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    GoogRemb,
    TransportCc,
    CcmFir,
    Nack,
    NackPli,
}

/// A header extension (RFC 8285 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Never 0.
    pub id: u8,
    pub uri: String,
    pub direction: Option<Direction>,
}

/// RFC 8830.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    pub stream_id: String,
    /// Absent in a line of one word.
    pub track_id: Option<String>,
}

/// One `a=ssrc` line (RFC 5576 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcAttribute {
    pub ssrc: u32,
    pub name: String,
    pub value: String,
}

/// RFC 5576 §4.2; `SIM` groups list layers from the lowest up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcGroup {
    pub semantics: String,
    pub ssrcs: Vec<u32>,
}

/// A restriction identifier (RFC 8851), without its restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rid {
    pub id: String,
    /// Said by the writer: true is `send`.
    pub sends: bool,
}

/// RFC 8853: rid ids in the order written, alternatives one after the other, pause marks dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulcast {
    pub send: Vec<String>,
    pub recv: Vec<String>,
}
