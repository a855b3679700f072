//! The values of single attributes. `None` is a value that makes no sense; the reader passes over such lines.

use super::{Direction, Extension, Feedback, Fingerprint, Msid, Rid, Setup, Simulcast, SsrcAttribute, SsrcGroup};
use crate::limits::SDP_SECTION_ITEMS_MAX;

/// `96 VP8/90000` or `111 opus/48000/2`: payload type, name, clock rate in Hz, channels.
pub(super) fn rtpmap(value: &str) -> Option<(u8, &str, u32, Option<u8>)> {
    let (pt, encoding) = value.trim().split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let name = parts.next()?;
    let clock_rate = parts.next()?.parse().ok()?;
    Some((pt.parse().ok()?, name, clock_rate, parts.next().and_then(|c| c.parse().ok())))
}

/// `96 nack pli`; no payload type for `*`.
pub(super) fn feedback(value: &str) -> Option<(Option<u8>, Feedback)> {
    let (pt, kind) = value.trim().split_once(' ')?;
    let pt = if pt == "*" { None } else { Some(pt.parse().ok()?) };
    Feedback::ALL.into_iter().find(|f| f.text().eq_ignore_ascii_case(kind.trim())).map(|f| (pt, f))
}

impl Feedback {
    const ALL: [Feedback; 5] =
        [Feedback::GoogRemb, Feedback::TransportCc, Feedback::CcmFir, Feedback::Nack, Feedback::NackPli];

    pub(super) fn text(self) -> &'static str {
        match self {
            Feedback::GoogRemb => "goog-remb",
            Feedback::TransportCc => "transport-cc",
            Feedback::CcmFir => "ccm fir",
            Feedback::Nack => "nack",
            Feedback::NackPli => "nack pli",
        }
    }
}

/// `3 uri attributes` or `3/sendonly uri`.
pub(super) fn extension(value: &str) -> Option<Extension> {
    let mut words = value.split_whitespace();
    let head = words.next()?;
    let (id, way) = head.split_once('/').map_or((head, None), |(id, way)| (id, direction(way)));
    let id: u8 = id.parse().ok().filter(|id| *id != 0)?;
    Some(Extension { id, uri: words.next()?.to_owned(), direction: way })
}

pub(super) fn direction(key: &str) -> Option<Direction> {
    Some(match key {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return None,
    })
}

impl Direction {
    pub(super) fn text(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}

pub(super) fn setup(value: &str) -> Option<Setup> {
    Some(match value.trim() {
        "active" => Setup::Active,
        "passive" => Setup::Passive,
        "actpass" => Setup::ActPass,
        _ => return None,
    })
}

impl Setup {
    pub(super) fn text(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
        }
    }
}

/// `sha-256 AB:CD:…`; 64 bytes is the longest digest RFC 8122 §5 knows.
pub fn fingerprint(value: &str) -> Option<Fingerprint> {
    let (hash, digest) = value.trim().split_once(' ')?;
    let digest = digest.trim();
    if digest.len() > 64 * 3 {
        return None;
    }
    let digest = digest.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<Vec<u8>>>()?;
    Some(Fingerprint { hash: hash.to_ascii_lowercase(), digest })
}

/// `stream track` or one word.
pub(super) fn msid(value: &str) -> Option<Msid> {
    let mut words = value.split_whitespace();
    let stream_id = words.next()?.to_owned();
    Some(Msid { stream_id, track_id: words.next().map(str::to_owned) })
}

/// `1234 cname:value`.
pub(super) fn ssrc(value: &str) -> Option<SsrcAttribute> {
    let (ssrc, attribute) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    Some(SsrcAttribute { ssrc: ssrc.parse().ok()?, name: name.to_owned(), value: value.to_owned() })
}

/// `FID 1 2`.
pub(super) fn ssrc_group(value: &str) -> Option<SsrcGroup> {
    let mut words = value.split_whitespace();
    let semantics = words.next()?.to_owned();
    let ssrcs = words.take(SDP_SECTION_ITEMS_MAX).map(|s| s.parse().ok()).collect::<Option<Vec<u32>>>()?;
    Some(SsrcGroup { semantics, ssrcs })
}

/// `q send pt=96`.
pub(super) fn rid(value: &str) -> Option<Rid> {
    let mut words = value.split_whitespace();
    let id = words.next()?.to_owned();
    let sends = match words.next()? {
        "send" => true,
        "recv" => false,
        _ => return None,
    };
    Some(Rid { id, sends })
}

/// `send q;h;~f recv a`. The form of Firefox before 2017, `send rid=q;h`, is read as well.
pub(super) fn simulcast(value: &str) -> Option<Simulcast> {
    let mut simulcast = Simulcast::default();
    let mut words = value.split_whitespace();
    while let (Some(way), Some(list)) = (words.next(), words.next()) {
        match way {
            "send" => simulcast.send = rid_list(list),
            "recv" => simulcast.recv = rid_list(list),
            _ => return None,
        }
    }
    Some(simulcast)
}

fn rid_list(list: &str) -> Vec<String> {
    let list = list.strip_prefix("rid=").unwrap_or(list);
    let ids = list.split([';', ',']).map(|id| id.trim_start_matches('~')).filter(|id| !id.is_empty());
    ids.take(SDP_SECTION_ITEMS_MAX).map(str::to_owned).collect()
}
