//! Reads a session description, line by line.

use super::{Fingerprint, Media, Origin, Payload, Section, Session, Transport, attribute};
use crate::limits::{SDP_BYTES_MAX, SDP_SECTION_ITEMS_MAX, SDP_SECTIONS_MAX};

/// Why a description was refused; always the peer's fault.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    #[error("it has {0} bytes, more than {max}", max = SDP_BYTES_MAX)]
    TooLong(usize),
    #[error("it does not begin with v=0")]
    NotSdp,
    #[error("line {0} is no readable m= line")]
    Media(usize),
    #[error("it has more than {max} sections", max = SDP_SECTIONS_MAX)]
    TooManySections,
    #[error("section {0} has more than {max} {1} lines", max = SDP_SECTION_ITEMS_MAX)]
    TooMany(usize, &'static str),
}

/// Reads a description with either line ending.
pub fn parse(text: &str) -> Result<Session, ParseError> {
    check_head(text)?;
    let mut session = Session::default();
    for (index, line) in text.lines().enumerate() {
        match line.split_once('=') {
            Some(("m", value)) => open_section(&mut session, value, index + 1)?,
            Some(("a", value)) => read_attribute(&mut session, value)?,
            Some(("o", value)) => session.origin = origin(value).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(session)
}

/// The ICE username fragment and password a description stands for, found without reading the rest: those of the first
/// section that is not rejected, else of the session.
pub fn credentials(text: &str) -> Option<(&str, &str)> {
    let (mut ufrag, mut pwd, mut in_section, mut taking) = (None, None, false, true);
    for line in text.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            if in_section && taking {
                break;
            }
            in_section = true;
            taking = media.split_whitespace().nth(1) != Some("0");
        }
        // A bundle-only section has port 0 and is not rejected.
        taking |= line == "a=bundle-only";
        if taking {
            ufrag = line.strip_prefix("a=ice-ufrag:").or(ufrag);
            pwd = line.strip_prefix("a=ice-pwd:").or(pwd);
        }
    }
    Some((ufrag?.trim(), pwd?.trim()))
}

fn check_head(text: &str) -> Result<(), ParseError> {
    if text.len() > SDP_BYTES_MAX {
        return Err(ParseError::TooLong(text.len()));
    }
    if !text.starts_with("v=0") {
        return Err(ParseError::NotSdp);
    }
    Ok(())
}

fn origin(value: &str) -> Option<Origin> {
    let mut words = value.split_whitespace().skip(1);
    Some(Origin { session_id: words.next()?.parse().ok()?, version: words.next()?.parse().ok()? })
}

fn open_section(session: &mut Session, value: &str, line: usize) -> Result<(), ParseError> {
    if session.sections.len() == SDP_SECTIONS_MAX {
        return Err(ParseError::TooManySections);
    }
    session.sections.push(media_line(value).ok_or(ParseError::Media(line))?);
    Ok(())
}

fn media_line(value: &str) -> Option<Section> {
    let mut words = value.split_whitespace();
    let media = media(words.next()?);
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats: Vec<&str> = words.take(SDP_SECTION_ITEMS_MAX).collect();
    let mut section = Section { media, port, protocol, ..Section::default() };
    if section.protocol.contains("RTP/") {
        section.payloads = payloads(&formats);
    } else {
        section.formats = formats.into_iter().map(str::to_owned).collect();
    }
    Some(section)
}

fn media(name: &str) -> Media {
    match name {
        "audio" => Media::Audio,
        "video" => Media::Video,
        "application" => Media::Application,
        other => Media::Other(other.to_owned()),
    }
}

fn payloads(formats: &[&str]) -> Vec<Payload> {
    let mut seen = [false; 128];
    let pts = formats.iter().filter_map(|f| f.parse::<u8>().ok());
    let fresh = pts.filter(|pt| seen.get_mut(usize::from(*pt)).is_some_and(|seen| !std::mem::replace(seen, true)));
    fresh.map(static_payload).collect()
}

/// The two static types of RFC 3551 §6 that WebRTC has need no `rtpmap`.
fn static_payload(pt: u8) -> Payload {
    let name = match pt {
        0 => "PCMU",
        8 => "PCMA",
        _ => return Payload { pt, ..Payload::default() },
    };
    Payload { pt, name: name.to_owned(), clock_rate: 8_000, ..Payload::default() }
}

fn read_attribute(session: &mut Session, line: &str) -> Result<(), ParseError> {
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    let index = session.sections.len().saturating_sub(1);
    let too_many = |what| ParseError::TooMany(index, what);
    if key == "extmap-allow-mixed" {
        session.extmap_allow_mixed = true;
        return Ok(());
    }
    match session.sections.last_mut() {
        None => session_attribute(session, key, value).map_err(too_many),
        Some(section) => section_attribute(section, key, value).map_err(too_many),
    }
}

fn session_attribute(session: &mut Session, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "ice-lite" => session.ice_lite = true,
        "group" if session.bundle.is_empty() => session.bundle = bundle(value),
        _ => return transport_attribute(&mut session.transport, key, value),
    }
    Ok(())
}

fn bundle(value: &str) -> Vec<String> {
    let mids = value.strip_prefix("BUNDLE").unwrap_or_default();
    mids.split_whitespace().take(SDP_SECTIONS_MAX).map(str::to_owned).collect()
}

fn transport_attribute(transport: &mut Transport, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "ice-ufrag" => transport.ufrag = Some(value.trim().to_owned()),
        "ice-pwd" => transport.pwd = Some(value.trim().to_owned()),
        "ice-options" => transport.ice_options = Some(value.to_owned()),
        "setup" => transport.setup = attribute::setup(value),
        "end-of-candidates" => transport.end_of_candidates = true,
        "fingerprint" => return push::<Fingerprint>(&mut transport.fingerprints, attribute::fingerprint(value), key),
        "candidate" => return push(&mut transport.candidates, Some(format!("candidate:{value}")), key),
        _ => {}
    }
    Ok(())
}

fn section_attribute(section: &mut Section, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "mid" => section.mid = value.trim().to_owned(),
        "bundle-only" => section.bundle_only = true,
        "rtcp-mux" => section.rtcp_mux = true,
        "rtcp-rsize" => section.rtcp_rsize = true,
        "sctp-port" => section.sctp_port = value.trim().parse().ok(),
        // A peer may name more than 32 bits; what it can take in then is more than we ever send.
        "max-message-size" => section.max_message_size = value.trim().parse::<u64>().ok().map(saturate),
        "msid" if section.msid.is_none() => section.msid = attribute::msid(value),
        "simulcast" => section.simulcast = attribute::simulcast(value).unwrap_or_default(),
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => {
            section.direction = attribute::direction(key).unwrap_or_default();
        }
        "rtpmap" | "fmtp" | "rtcp-fb" => payload_attribute(section, key, value),
        _ => return list_attribute(section, key, value),
    }
    Ok(())
}

fn saturate(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn payload_attribute(section: &mut Section, key: &str, value: &str) {
    match key {
        "rtpmap" => read_rtpmap(section, value),
        "fmtp" => read_fmtp(section, value),
        _ => read_feedback(section, value),
    };
}

fn read_rtpmap(section: &mut Section, value: &str) -> Option<()> {
    let (pt, name, clock_rate, channels) = attribute::rtpmap(value)?;
    let payload = section.payloads.iter_mut().find(|p| p.pt == pt)?;
    payload.name = name.to_owned();
    payload.clock_rate = clock_rate;
    payload.channels = channels;
    Some(())
}

fn read_fmtp(section: &mut Section, value: &str) -> Option<()> {
    let (pt, fmtp) = value.trim().split_once(' ')?;
    let pt: u8 = pt.parse().ok()?;
    section.payloads.iter_mut().find(|p| p.pt == pt)?.fmtp = fmtp.trim().to_owned();
    Some(())
}

fn read_feedback(section: &mut Section, value: &str) -> Option<()> {
    let (pt, feedback) = attribute::feedback(value)?;
    let meant = section.payloads.iter_mut().filter(|p| pt.is_none_or(|pt| pt == p.pt));
    for payload in meant.filter(|p| !p.feedback.contains(&feedback)) {
        payload.feedback.push(feedback);
    }
    Some(())
}

fn list_attribute(section: &mut Section, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "extmap" => push(&mut section.extensions, attribute::extension(value), key),
        "ssrc" => push(&mut section.ssrcs, attribute::ssrc(value), key),
        "ssrc-group" => push(&mut section.ssrc_groups, attribute::ssrc_group(value), key),
        "rid" => push(&mut section.rids, attribute::rid(value), key),
        _ => transport_attribute(&mut section.transport, key, value),
    }
}

/// The error names the attribute that came too often.
fn push<T>(list: &mut Vec<T>, item: Option<T>, key: &str) -> Result<(), &'static str> {
    if list.len() == SDP_SECTION_ITEMS_MAX {
        return Err(LISTED.into_iter().find(|name| *name == key).unwrap_or("attribute"));
    }
    list.extend(item);
    Ok(())
}

const LISTED: [&str; 6] = ["extmap", "ssrc", "ssrc-group", "rid", "fingerprint", "candidate"];
