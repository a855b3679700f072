//! Which track, encoding and kind of stream an incoming SSRC is (RFC 8843 §9.2).

use super::command::ExtensionIds;
use crate::wire::ext;
use crate::wire::rtp::RtpHeader;
use rustc_hash::FxHashMap;

/// Where packets of a publisher go.
#[derive(Default)]
pub struct Demux {
    pub by_ssrc: FxHashMap<u32, Destination>,
    /// Sections that may still show new SSRCs.
    pub sections: Vec<Section>,
}

/// One encoding's stream of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    pub track: usize,
    pub stream: usize,
    pub rtx: bool,
}

/// A section on which SSRCs may appear that no description named.
pub struct Section {
    pub track: usize,
    pub mid: String,
    pub extensions: ExtensionIds,
    /// Payload types with their retransmission types.
    pub payload_types: Vec<(u8, Option<u8>)>,
    /// Whether the description left SSRCs of encodings unnamed, and of their retransmissions.
    pub unnamed: bool,
    pub unnamed_rtx: bool,
    /// RIDs with their streams, empty for a track without simulcast.
    pub rids: Vec<(String, usize)>,
}

impl Demux {
    /// Finds the section and encoding of an SSRC that no description named: by MID and RID, else by a payload type that
    /// only one section has (RFC 8843 §9.2).
    pub fn recognise(&self, header: &RtpHeader, packet: &[u8]) -> Option<Destination> {
        let section = match self.sections.iter().find_map(|s| s.mid_of(header, packet)) {
            Some(mid) => self.sections.iter().find(|s| s.mid == mid),
            None => self.only_section_with(header.payload_type),
        }?;
        let rtx = section.payload_types.iter().any(|(_, rtx)| *rtx == Some(header.payload_type));
        let known = rtx || section.payload_types.iter().any(|(pt, _)| *pt == header.payload_type);
        let stream = section.stream_of(header, packet, rtx)?;
        known.then_some(Destination { track: section.track, stream, rtx })
    }

    /// The one section that has the payload type, if it still waits for an SSRC. A track taken back by the server may go
    /// on being sent; its packets must not pass for those of a newer one.
    fn only_section_with(&self, payload_type: u8) -> Option<&Section> {
        let has =
            |s: &&Section| s.payload_types.iter().any(|(pt, rtx)| *pt == payload_type || *rtx == Some(payload_type));
        let mut with = self.sections.iter().filter(has);
        with.next().filter(|section| with.next().is_none() && section.awaits(payload_type))
    }
}

impl Section {
    /// Whether an SSRC for the payload type may show up unannounced: the description did not name them all.
    fn awaits(&self, payload_type: u8) -> bool {
        let rtx = self.payload_types.iter().any(|(_, rtx)| *rtx == Some(payload_type));
        if rtx { self.unnamed_rtx } else { self.unnamed }
    }

    fn mid_of<'a>(&self, header: &RtpHeader, packet: &'a [u8]) -> Option<&'a str> {
        ext::mid(header.extension(packet, self.extensions.mid?)?)
    }

    /// The encoding by RID; a track without simulcast has one.
    fn stream_of(&self, header: &RtpHeader, packet: &[u8], rtx: bool) -> Option<usize> {
        if self.rids.is_empty() {
            return Some(0);
        }
        let repaired = self.extensions.repaired_rid.filter(|_| rtx).and_then(|id| header.extension(packet, id));
        let value = repaired.or_else(|| header.extension(packet, self.extensions.rid?))?;
        let rid = ext::rid(value)?;
        self.rids.iter().find(|(name, _)| name == rid).map(|(_, stream)| *stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::{OutHeader, write_header};

    const MID: u8 = 4;

    fn section(track: usize, unnamed: bool) -> Section {
        let extensions = ExtensionIds { mid: Some(MID), ..ExtensionIds::default() };
        let mid = format!("m{track}");
        let payload_types = vec![(111, None), (96, Some(97))];
        Section { track, mid, extensions, payload_types, unnamed, unnamed_rtx: unnamed, rids: Vec::new() }
    }

    fn found(sections: Vec<Section>, payload_type: u8, mid: Option<&str>) -> Option<(usize, bool)> {
        let mut packet = vec![0; 64];
        let fields = OutHeader { marker: false, payload_type, sequence: 1, timestamp: 2, ssrc: 3 };
        let elements: Vec<_> = mid.into_iter().map(|mid| (MID, mid.as_bytes())).collect();
        let length = write_header(&mut packet, &fields, &elements).unwrap();
        packet.truncate(length + 10);
        let header = RtpHeader::parse(&packet).unwrap();
        let demux = Demux { sections, ..Demux::default() };
        demux.recognise(&header, &packet).map(|to| (to.track, to.rtx))
    }

    #[test]
    fn a_mid_names_the_section_even_if_the_description_named_an_ssrc() {
        assert_eq!(found(vec![section(0, false), section(1, false)], 111, Some("m1")), Some((1, false)));
        assert_eq!(found(vec![section(0, true)], 97, Some("m0")), Some((0, true)));
    }

    #[test]
    fn a_mid_of_no_section_is_for_nobody() {
        assert_eq!(found(vec![section(0, true)], 111, Some("m9")), None);
    }

    #[test]
    fn without_a_mid_the_only_section_that_waits_for_an_ssrc_has_it() {
        assert_eq!(found(vec![section(0, true)], 111, None), Some((0, false)));
        assert_eq!(found(vec![section(0, true)], 97, None), Some((0, true)));
        assert_eq!(found(vec![section(0, true), section(1, true)], 111, None), None);
        assert_eq!(found(vec![section(0, true)], 50, None), None);
    }

    #[test]
    fn a_stream_the_description_does_not_name_is_not_a_track_whose_streams_it_names() {
        assert_eq!(found(vec![section(0, false)], 111, None), None);
        assert_eq!(found(vec![section(0, false)], 97, None), None);
    }
}
