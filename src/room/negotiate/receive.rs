//! The encodings a client announces on a section it sends on (WIRE.md §3.12).

use crate::limits::ENCODINGS_MAX;
use crate::sdp::Section;
use crate::shard::Encoding;

/// rids the server takes, from the lowest layer up; empty without rids.
pub(super) fn rids(section: &Section) -> Vec<&str> {
    let sent: Vec<&str> = section.rids.iter().filter(|r| r.sends).map(|r| r.id.as_str()).collect();
    let listed: Vec<&str> = section.simulcast.send.iter().map(String::as_str).filter(|id| sent.contains(id)).collect();
    let mut rids = if listed.is_empty() { sent } else { listed };
    rids.truncate(ENCODINGS_MAX);
    if rids.iter().all(|id| quality(id).is_some()) {
        rids.sort_by_key(|id| quality(id));
    }
    rids
}

/// LiveKit's names: `q`, `h`, `f`, or `2`, `1`, `0` with 0 the highest.
fn quality(rid: &str) -> Option<usize> {
    ["q", "h", "f"].iter().position(|r| *r == rid).or_else(|| ["2", "1", "0"].iter().position(|r| *r == rid))
}

/// Never empty: a section that says nothing has one encoding, known by its packets.
pub(super) fn encodings(section: &Section) -> Vec<Encoding> {
    let rids = rids(section);
    if rids.is_empty() {
        return by_ssrc(section);
    }
    let encoding = |(spatial, rid): (u8, &str)| Encoding { rid: Some(rid.to_owned()), spatial, ..Encoding::default() };
    (0..).zip(rids).map(encoding).collect()
}

fn by_ssrc(section: &Section) -> Vec<Encoding> {
    let ssrcs = layers(section);
    if ssrcs.is_empty() {
        return vec![Encoding::default()];
    }
    let encoding = |(spatial, ssrc)| Encoding { rid: None, ssrc: Some(ssrc), rtx_ssrc: rtx(section, ssrc), spatial };
    (0..).zip(ssrcs).map(encoding).collect()
}

/// The layers of a SIM group, else the first SSRC that repairs no other.
fn layers(section: &Section) -> Vec<u32> {
    if let Some(group) = section.ssrc_groups.iter().find(|g| g.semantics == "SIM") {
        return group.ssrcs.iter().copied().take(ENCODINGS_MAX).collect();
    }
    let repairs = |ssrc| section.ssrc_groups.iter().any(|g| g.ssrcs.iter().skip(1).any(|s| *s == ssrc));
    section.ssrcs.iter().map(|s| s.ssrc).find(|ssrc| !repairs(*ssrc)).into_iter().collect()
}

fn rtx(section: &Section, ssrc: u32) -> Option<u32> {
    let pairs = section.ssrc_groups.iter().filter(|g| g.semantics == "FID");
    pairs.filter_map(|g| Some((*g.ssrcs.first()?, *g.ssrcs.get(1)?))).find(|(base, _)| *base == ssrc).map(|(_, r)| r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(lines: &str) -> Section {
        let text = format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n{lines}");
        crate::sdp::parse(&text).unwrap().sections.remove(0)
    }

    #[test]
    fn rids_go_from_the_lowest_layer_up() {
        let cases: [(&str, &[&str]); 6] = [
            ("a=rid:q send\na=rid:h send\na=rid:f send\na=simulcast:send q;h;f\n", &["q", "h", "f"]),
            ("a=rid:f send\na=rid:q send\na=simulcast:send f;~q\n", &["q", "f"]),
            ("a=rid:0 send\na=rid:1 send\na=rid:2 send\na=simulcast:send 0;1;2\n", &["2", "1", "0"]),
            ("a=rid:lo send\na=rid:hi send\na=simulcast:send hi;lo\n", &["hi", "lo"]),
            ("a=rid:q send\na=rid:x recv\n", &["q"]),
            ("a=simulcast:send q;h\n", &[]),
        ];
        for (lines, want) in cases {
            assert_eq!(rids(&section(lines)), want, "{lines}");
        }
    }

    #[test]
    fn more_rids_than_layers_are_cut() {
        let section = section("a=rid:a send\na=rid:b send\na=rid:c send\na=rid:d send\n");
        let spatial: Vec<u8> = encodings(&section).iter().map(|e| e.spatial).collect();
        assert_eq!(spatial, [0, 1, 2]);
    }

    #[test]
    fn ssrc_groups_make_layers_and_pair_retransmissions() {
        let one = |ssrc, rtx_ssrc, spatial| Encoding { rid: None, ssrc, rtx_ssrc, spatial };
        let cases = [
            ("", vec![one(None, None, 0)]),
            ("a=ssrc:5 cname:x\n", vec![one(Some(5), None, 0)]),
            ("a=ssrc-group:FID 5 6\na=ssrc:6 cname:x\na=ssrc:5 cname:x\n", vec![one(Some(5), Some(6), 0)]),
            ("a=ssrc-group:FEC-FR 5 7\na=ssrc:7 cname:x\na=ssrc:5 cname:x\n", vec![one(Some(5), None, 0)]),
            (
                "a=ssrc-group:FID 2 4\na=ssrc-group:SIM 1 2\na=ssrc:1 cname:x\n",
                vec![one(Some(1), None, 0), one(Some(2), Some(4), 1)],
            ),
        ];
        for (lines, want) in cases {
            assert_eq!(encodings(&section(lines)), want, "{lines}");
        }
    }
}
