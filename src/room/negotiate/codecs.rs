//! The codecs this server can negotiate, under the payload types it offers them with (WIRE.md §3.2), and how an offered
//! payload type is recognized as one of them.

use super::{EnabledCodec, Kind};
use crate::sdp::{self, Section, fmtp};
use crate::shard::Codec;

/// A codec in one configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub codec: Codec,
    pub pt: u8,
    pub fmtp: &'static str,
    /// Left out of offers: an offer with this profile would ask clients to take it.
    pub answer_only: bool,
    /// Only if the configuration lists exactly this fmtp line.
    by_fmtp_only: bool,
}

const fn entry(codec: Codec, pt: u8, fmtp: &'static str) -> Registered {
    Registered { codec, pt, fmtp, answer_only: false, by_fmtp_only: false }
}

const fn listed(codec: Codec, pt: u8, fmtp: &'static str) -> Registered {
    Registered { codec, pt, fmtp, answer_only: false, by_fmtp_only: true }
}

/// In order of preference. H264 in packetization mode 1 stands first: it is what browsers publish.
const REGISTRY: [Registered; 16] = [
    entry(Codec::Opus, 111, "minptime=10;useinbandfec=1"),
    entry(Codec::Red, 63, "111/111"),
    entry(Codec::Pcmu, 0, ""),
    entry(Codec::Pcma, 8, ""),
    entry(Codec::Vp8, 96, ""),
    entry(Codec::Vp9, 98, "profile-id=0"),
    entry(Codec::Vp9, 100, "profile-id=1"),
    entry(Codec::H264, 108, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    entry(Codec::H264, 125, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    Registered {
        answer_only: true,
        ..entry(Codec::H264, 123, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032")
    },
    listed(Codec::H264, 102, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    listed(Codec::H264, 104, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    listed(Codec::H264, 106, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    listed(Codec::H264, 39, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f"),
    entry(Codec::Av1, 35, ""),
    entry(Codec::H265, 116, ""),
];

impl Registered {
    /// Every video codec has retransmission at the next payload type.
    pub fn rtx_pt(&self) -> Option<u8> {
        (!self.codec.is_audio()).then_some(self.pt + 1)
    }

    fn is_enabled(&self, codecs: &[EnabledCodec]) -> bool {
        codecs.iter().filter(|c| Codec::from_name(&c.mime) == Some(self.codec)).any(|c| self.is_meant_by(&c.fmtp))
    }

    fn is_meant_by(&self, line: &str) -> bool {
        (line.is_empty() && !self.by_fmtp_only) || line.eq_ignore_ascii_case(self.fmtp)
    }
}

/// The part of the registry that the configuration lets through.
pub(super) struct Enabled(Vec<&'static Registered>);

impl Enabled {
    pub fn new(codecs: &[EnabledCodec]) -> Enabled {
        let mut enabled: Vec<_> = REGISTRY.iter().filter(|r| r.is_enabled(codecs)).collect();
        // RED is only a wrapper around Opus.
        let has_opus = enabled.iter().any(|r| r.codec == Codec::Opus);
        enabled.retain(|r| has_opus || r.codec != Codec::Red);
        Enabled(enabled)
    }

    /// What an offer lists for that kind.
    pub fn offered(&self, kind: Kind) -> impl Iterator<Item = &'static Registered> {
        self.0.iter().copied().filter(move |r| kind_of(r.codec) == kind && !r.answer_only)
    }

    /// The payload types of a section that are enabled codecs, in the section's order. Those whose configuration fits
    /// ours exclude those that agree in the codec only, as browsers list many profiles of H264.
    pub fn matching(&self, section: &Section) -> Vec<Matched> {
        let exact = self.matched(section, fits);
        let mut matched = if exact.is_empty() { self.matched(section, same_codec) } else { exact };
        let opus: Vec<u8> = matched.iter().filter(|m| m.codec == Codec::Opus).map(|m| m.pt).collect();
        matched.retain(|m| m.codec != Codec::Red || wraps(section, m.pt, &opus));
        matched
    }

    fn matched(&self, section: &Section, fits: fn(&Registered, &sdp::Payload) -> bool) -> Vec<Matched> {
        let find = |p: &sdp::Payload| {
            let codec = self.0.iter().find(|r| fits(r, p))?.codec;
            Some(Matched { codec, pt: p.pt, rtx_pt: section.rtx_of(p.pt) })
        };
        section.payloads.iter().filter_map(find).collect()
    }
}

/// A payload type of a peer's section, recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    pub codec: Codec,
    pub pt: u8,
    pub rtx_pt: Option<u8>,
}

pub(super) fn kind_of(codec: Codec) -> Kind {
    if codec.is_audio() { Kind::Audio } else { Kind::Video }
}

/// Whether a RED payload type carries one of those Opus payload types: `a=fmtp:63 111/111` (RFC 2198 §5).
fn wraps(section: &Section, red: u8, opus: &[u8]) -> bool {
    let fmtp = section.payloads.iter().find(|p| p.pt == red).map_or("", |p| &p.fmtp);
    fmtp.split('/').next().and_then(|pt| pt.trim().parse().ok()).is_some_and(|pt| opus.contains(&pt))
}

fn same_codec(registered: &Registered, payload: &sdp::Payload) -> bool {
    let codec = registered.codec;
    payload.name.eq_ignore_ascii_case(codec.name()) && payload.clock_rate == codec.clock_rate()
}

fn fits(registered: &Registered, payload: &sdp::Payload) -> bool {
    let agrees = |name, default| value(registered.fmtp, name, default) == value(&payload.fmtp, name, default);
    same_codec(registered, payload)
        && match registered.codec {
            Codec::H264 => agrees("packetization-mode", "0") && same_profile(registered.fmtp, &payload.fmtp),
            Codec::Vp9 => agrees("profile-id", "0"),
            Codec::Av1 => agrees("profile", "0"),
            _ => true,
        }
}

fn value<'a>(line: &'a str, name: &str, default: &'a str) -> &'a str {
    fmtp::parameter(line, name).unwrap_or(default)
}

/// H264 profiles are the same if profile_idc and profile-iop are; the level may differ (RFC 6184 §8.2.2). Baseline counts
/// as constrained baseline: the Go SDK prefers the former, no WebRTC encoder uses what sets them apart, and refusing it
/// would have such a client announce one codec and send another.
fn same_profile(ours: &str, theirs: &str) -> bool {
    let profile = |line| value(line, "profile-level-id", "420010").get(..4).map(str::to_ascii_lowercase);
    let is_baseline = |p: &Option<String>| p.as_ref().is_some_and(|p| p.starts_with("42"));
    let (ours, theirs) = (profile(ours), profile(theirs));
    (ours.is_some() && ours == theirs) || (is_baseline(&ours) && is_baseline(&theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled(codecs: &[(&str, &str)]) -> Enabled {
        let codec = |(mime, fmtp): &(&str, &str)| EnabledCodec { mime: (*mime).into(), fmtp: (*fmtp).into() };
        Enabled::new(&codecs.iter().map(codec).collect::<Vec<_>>())
    }

    fn section(lines: &str) -> Section {
        let text = format!("v=0\r\n{lines}");
        sdp::parse(&text).unwrap().sections.remove(0)
    }

    #[test]
    fn payload_types_are_unique_with_their_retransmissions() {
        let mut all: Vec<u8> = REGISTRY.iter().flat_map(|r| [Some(r.pt), r.rtx_pt()]).flatten().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// MIME types with fmtp lines, and the payload types offered then.
    type Case = (&'static [(&'static str, &'static str)], &'static [u8]);

    #[test]
    fn the_configuration_decides_what_is_offered() {
        let cases: [Case; 5] = [
            (&[("audio/OPUS", ""), ("audio/red", "")], &[111, 63]),
            (&[("audio/red", ""), ("audio/PCMU", "")], &[0]),
            (&[("video/h264", ""), ("video/vp8", "")], &[96, 108, 125]),
            (&[("video/H264", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f")], &[39]),
            (&[("video/VP9", "profile-id=1"), ("video/AV1", ""), ("video/unknown", "")], &[100, 35]),
        ];
        for (codecs, want) in cases {
            let enabled = enabled(codecs);
            let got: Vec<u8> =
                [Kind::Audio, Kind::Video].into_iter().flat_map(|k| enabled.offered(k)).map(|r| r.pt).collect();
            assert_eq!(got, want, "{codecs:?}");
        }
    }

    #[test]
    fn h264_is_told_apart_by_profile_and_packetization_mode_not_by_level() {
        let section = section(
            "m=video 9 UDP/TLS/RTP/SAVPF 1 2 3 4 5 6\r\na=rtpmap:1 H264/90000\r\na=rtpmap:2 H264/90000\r\n\
             a=rtpmap:3 h264/90000\r\na=rtpmap:4 H264/90000\r\na=rtpmap:5 H264/90000\r\na=rtpmap:6 H264/90000\r\n\
             a=fmtp:6 packetization-mode=1;profile-level-id=4d001f\r\n\
             a=fmtp:1 packetization-mode=1;profile-level-id=42001f\r\na=fmtp:2 profile-level-id=42e034\r\n\
             a=fmtp:3 profile-level-id=64001f;packetization-mode=1\r\na=fmtp:4 packetization-mode=1\r\n\
             a=fmtp:5 packetization-mode=1;profile-level-id=é\r\n",
        );
        let pts: Vec<u8> = enabled(&[("video/h264", "")]).matching(&section).iter().map(|m| m.pt).collect();
        assert_eq!(pts, [1, 2, 3, 4]);
    }

    #[test]
    fn without_an_exact_match_the_codec_is_enough() {
        let section = section(
            "m=video 9 UDP/TLS/RTP/SAVPF 1 2\r\na=rtpmap:1 H264/90000\r\na=rtpmap:2 rtx/90000\r\n\
             a=fmtp:1 packetization-mode=1;profile-level-id=f4001f\r\na=fmtp:2 apt=1\r\n",
        );
        let want = [Matched { codec: Codec::H264, pt: 1, rtx_pt: Some(2) }];
        assert_eq!(enabled(&[("video/h264", "")]).matching(&section), want);
        assert_eq!(enabled(&[("video/vp8", "")]).matching(&section), []);
    }

    #[test]
    fn red_must_wrap_the_opus_of_its_section() {
        let lines = |red: &str| {
            format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 63 109\r\na=rtpmap:63 red/48000/2\r\n\
                 a=rtpmap:109 opus/48000/2\r\na=fmtp:63 {red}\r\n"
            )
        };
        for (red, want) in [("109/109", vec![63, 109]), ("111/111", vec![109]), ("", vec![109])] {
            let enabled = enabled(&[("audio/opus", ""), ("audio/red", "")]);
            let pts: Vec<u8> = enabled.matching(&section(&lines(red))).iter().map(|m| m.pt).collect();
            assert_eq!(pts, want, "{red}");
        }
    }
}
