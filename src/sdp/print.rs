//! Writes a session description.

use super::{Extension, Media, Payload, Section, Session, Transport};
use std::fmt::{Display, Formatter, Result};

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let origin = self.origin;
        line(f, "v=0")?;
        line(f, format_args!("o=- {} {} IN IP4 127.0.0.1", origin.session_id, origin.version))?;
        line(f, "s=-")?;
        line(f, "t=0 0")?;
        if !self.bundle.is_empty() {
            line(f, format_args!("a=group:BUNDLE {}", self.bundle.join(" ")))?;
        }
        flag(f, self.extmap_allow_mixed, "extmap-allow-mixed")?;
        line(f, "a=msid-semantic: WMS *")?;
        flag(f, self.ice_lite, "ice-lite")?;
        write_transport(f, &self.transport)?;
        self.sections.iter().try_for_each(|section| write_section(f, section))
    }
}

fn line(f: &mut Formatter<'_>, text: impl Display) -> Result {
    write!(f, "{text}\r\n")
}

fn flag(f: &mut Formatter<'_>, on: bool, name: &str) -> Result {
    if on { line(f, format_args!("a={name}")) } else { Ok(()) }
}

fn optional(f: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> Result {
    value.map_or(Ok(()), |value| line(f, format_args!("a={name}:{value}")))
}

fn write_transport(f: &mut Formatter<'_>, transport: &Transport) -> Result {
    transport.candidates.iter().try_for_each(|c| line(f, format_args!("a={c}")))?;
    flag(f, transport.end_of_candidates, "end-of-candidates")?;
    optional(f, "ice-ufrag", transport.ufrag.as_ref())?;
    optional(f, "ice-pwd", transport.pwd.as_ref())?;
    optional(f, "ice-options", transport.ice_options.as_ref())?;
    for fingerprint in &transport.fingerprints {
        line(f, format_args!("a=fingerprint:{} {}", fingerprint.hash, hex(&fingerprint.digest)))?;
    }
    optional(f, "setup", transport.setup.map(|s| s.text()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn write_section(f: &mut Formatter<'_>, section: &Section) -> Result {
    write_media_line(f, section)?;
    line(f, "c=IN IP4 0.0.0.0")?;
    write_transport(f, &section.transport)?;
    optional(f, "mid", Some(&section.mid).filter(|mid| !mid.is_empty()))?;
    flag(f, section.bundle_only, "bundle-only")?;
    section.extensions.iter().try_for_each(|e| write_extension(f, e))?;
    write_streams(f, section)?;
    flag(f, section.rtcp_mux, "rtcp-mux")?;
    flag(f, section.rtcp_rsize, "rtcp-rsize")?;
    section.payloads.iter().try_for_each(|p| write_payload(f, p))?;
    write_layers(f, section)?;
    optional(f, "sctp-port", section.sctp_port)?;
    optional(f, "max-message-size", section.max_message_size)
}

fn write_media_line(f: &mut Formatter<'_>, section: &Section) -> Result {
    write!(f, "m={} {} {}", section.media.text(), section.port, section.protocol)?;
    section.payloads.iter().try_for_each(|p| write!(f, " {}", p.pt))?;
    section.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
    f.write_str("\r\n")
}

impl Media {
    fn text(&self) -> &str {
        match self {
            Media::Audio => "audio",
            Media::Video => "video",
            Media::Application => "application",
            Media::Other(name) => name,
        }
    }
}

fn write_extension(f: &mut Formatter<'_>, extension: &Extension) -> Result {
    match extension.direction {
        None => line(f, format_args!("a=extmap:{} {}", extension.id, extension.uri)),
        Some(way) => line(f, format_args!("a=extmap:{}/{} {}", extension.id, way.text(), extension.uri)),
    }
}

fn write_streams(f: &mut Formatter<'_>, section: &Section) -> Result {
    if !section.payloads.is_empty() {
        line(f, format_args!("a={}", section.direction.text()))?;
    }
    if let Some(msid) = &section.msid {
        let track = msid.track_id.as_deref().map(|t| format!(" {t}")).unwrap_or_default();
        line(f, format_args!("a=msid:{}{track}", msid.stream_id))?;
    }
    Ok(())
}

fn write_payload(f: &mut Formatter<'_>, payload: &Payload) -> Result {
    let pt = payload.pt;
    if !payload.name.is_empty() {
        let channels = payload.channels.map(|c| format!("/{c}")).unwrap_or_default();
        line(f, format_args!("a=rtpmap:{pt} {}/{}{channels}", payload.name, payload.clock_rate))?;
    }
    payload.feedback.iter().try_for_each(|fb| line(f, format_args!("a=rtcp-fb:{pt} {}", fb.text())))?;
    if !payload.fmtp.is_empty() {
        line(f, format_args!("a=fmtp:{pt} {}", payload.fmtp))?;
    }
    Ok(())
}

fn write_layers(f: &mut Formatter<'_>, section: &Section) -> Result {
    for group in &section.ssrc_groups {
        let ssrcs: Vec<String> = group.ssrcs.iter().map(u32::to_string).collect();
        line(f, format_args!("a=ssrc-group:{} {}", group.semantics, ssrcs.join(" ")))?;
    }
    for s in &section.ssrcs {
        line(f, format_args!("a=ssrc:{} {}:{}", s.ssrc, s.name, s.value))?;
    }
    for rid in &section.rids {
        line(f, format_args!("a=rid:{} {}", rid.id, if rid.sends { "send" } else { "recv" }))?;
    }
    write_simulcast(f, section)
}

fn write_simulcast(f: &mut Formatter<'_>, section: &Section) -> Result {
    let lists = [("send", &section.simulcast.send), ("recv", &section.simulcast.recv)];
    let words: Vec<String> =
        lists.iter().filter(|(_, ids)| !ids.is_empty()).map(|(way, ids)| format!("{way} {}", ids.join(";"))).collect();
    if words.is_empty() { Ok(()) } else { line(f, format_args!("a=simulcast:{}", words.join(" "))) }
}
