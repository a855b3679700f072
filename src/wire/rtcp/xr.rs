//! Extended reports (RFC 3611): the two blocks by which a receiver measures round trips (§4.4, §4.5).

use super::{EXTENDED_REPORT, Packet, put_u16, put_u32, put_u64, take, take_array, take_u32, take_u64, write_packet};

const RRTR: u8 = 4;
const DLRR: u8 = 5;

/// One block of an extended report.
#[derive(Clone, Debug)]
pub enum XrBlock<'a> {
    /// Receiver reference time: NTP in 32.32 fixed point, to be answered with a DLRR.
    ReferenceTime {
        ntp: u64,
    },
    Dlrr {
        reports: DlrrReports<'a>,
    },
    Unknown {
        kind: u8,
    },
}

/// The answer to one receiver's reference time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlrrReport {
    /// The receiver that sent the reference time.
    pub ssrc: u32,
    /// The middle 32 bits of that time.
    pub last_rr: u32,
    /// Since it came, in 1/65536 s.
    pub delay_since_last_rr: u32,
}

/// Iterator over the answers in a DLRR block.
#[derive(Clone, Debug)]
pub struct DlrrReports<'a> {
    bytes: &'a [u8],
}

impl Iterator for DlrrReports<'_> {
    type Item = DlrrReport;

    fn next(&mut self) -> Option<DlrrReport> {
        Some(DlrrReport {
            ssrc: take_u32(&mut self.bytes)?,
            last_rr: take_u32(&mut self.bytes)?,
            delay_since_last_rr: take_u32(&mut self.bytes)?,
        })
    }
}

/// Iterator over the blocks of an extended report; ends at the first malformed one.
#[derive(Clone, Debug)]
pub struct XrBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> XrBlocks<'a> {
    fn take_block(&mut self) -> Option<XrBlock<'a>> {
        let [kind, _, l0, l1] = take_array::<4>(&mut self.bytes)?;
        let mut content = take(&mut self.bytes, usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
        Some(match kind {
            RRTR => XrBlock::ReferenceTime { ntp: take_u64(&mut content)? },
            DLRR => XrBlock::Dlrr { reports: DlrrReports { bytes: content } },
            kind => XrBlock::Unknown { kind },
        })
    }
}

impl<'a> Iterator for XrBlocks<'a> {
    type Item = XrBlock<'a>;

    fn next(&mut self) -> Option<XrBlock<'a>> {
        let block = self.take_block();
        if block.is_none() {
            self.bytes = &[];
        }
        block
    }
}

pub(super) fn parse(mut body: &[u8]) -> Option<Packet<'_>> {
    Some(Packet::Xr { ssrc: take_u32(&mut body)?, blocks: XrBlocks { bytes: body } })
}

/// Appends a receiver reference time report; `ntp` in 32.32 fixed point.
pub fn write_xr_rrtr(out: &mut Vec<u8>, ssrc: u32, ntp: u64) {
    write_packet(out, EXTENDED_REPORT, 0, |out| {
        put_u32(out, ssrc);
        out.extend_from_slice(&[RRTR, 0, 0, 2]);
        put_u64(out, ntp);
    });
}

/// Appends answers to reference times; nothing if there are none.
pub fn write_xr_dlrr(out: &mut Vec<u8>, ssrc: u32, reports: &[DlrrReport]) {
    // 1000 answers are more than a datagram can hold, and fit the length fields.
    for reports in reports.chunks(1000) {
        write_packet(out, EXTENDED_REPORT, 0, |out| {
            put_u32(out, ssrc);
            out.extend_from_slice(&[DLRR, 0]);
            put_u16(out, (reports.len() * 3) as u16);
            for report in reports {
                put_u32(out, report.ssrc);
                put_u32(out, report.last_rr);
                put_u32(out, report.delay_since_last_rr);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn kinds(bytes: &[u8]) -> Vec<String> {
        let Packet::Xr { ssrc: 1, blocks } = only(bytes) else { panic!("{bytes:?}") };
        blocks
            .map(|block| match block {
                XrBlock::ReferenceTime { ntp } => format!("time {ntp:x}"),
                XrBlock::Dlrr { reports } => format!("dlrr {:?}", reports.map(|r| r.ssrc).collect::<Vec<_>>()),
                XrBlock::Unknown { kind } => format!("unknown {kind}"),
            })
            .collect()
    }

    #[test]
    fn reference_time_matches_its_bytes() {
        let mut out = Vec::new();
        write_xr_rrtr(&mut out, 1, 0x0102_0304_0506_0708);
        assert_eq!(out, [0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(kinds(&out), ["time 102030405060708"]);
    }

    #[test]
    fn answers_match_their_bytes() {
        let reports = [
            DlrrReport { ssrc: 2, last_rr: 3, delay_since_last_rr: 4 },
            DlrrReport { ssrc: 5, last_rr: 6, delay_since_last_rr: 7 },
        ];
        let mut out = Vec::new();
        write_xr_dlrr(&mut out, 1, &reports);
        assert_eq!(out[..16], [0x80, 207, 0, 8, 0, 0, 0, 1, 5, 0, 0, 6, 0, 0, 0, 2]);
        let Packet::Xr { mut blocks, .. } = only(&out) else { panic!("{out:?}") };
        let Some(XrBlock::Dlrr { reports: read }) = blocks.next() else { panic!("{out:?}") };
        assert_eq!(read.collect::<Vec<_>>(), reports);
        out.clear();
        write_xr_dlrr(&mut out, 1, &[]);
        assert!(out.is_empty());
    }

    #[test]
    fn unknown_blocks_are_passed_and_malformed_ones_end() {
        let unknown = [9, 0, 0, 1, 0, 0, 0, 0];
        let time = [4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5];
        let packet = |blocks: &[&[u8]]| {
            let mut out = Vec::new();
            super::super::write_packet(&mut out, EXTENDED_REPORT, 0, |out| {
                put_u32(out, 1);
                out.extend_from_slice(&blocks.concat());
            });
            out
        };
        assert_eq!(kinds(&packet(&[&unknown, &time])), ["unknown 9", "time 5"]);
        assert_eq!(kinds(&packet(&[&time, &[4, 0, 0, 1, 0, 0, 0, 0], &time])), ["time 5"], "too short");
        assert_eq!(kinds(&packet(&[&time, &[9, 0, 0, 9, 0, 0, 0, 0]])), ["time 5"], "beyond the packet");
    }
}
