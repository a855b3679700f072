//! RTCP compounds: everything can be read, in time linear in the datagram.
#![no_main]

use lkops::limits::TRANSPORT_CC_STATUSES_MAX;
use lkops::wire::rtcp::{Packet, SdesChunks, XrBlock, packets};

libfuzzer_sys::fuzz_target!(|compound: &[u8]| {
    let count = packets(compound).map(read).count();
    assert!(count <= compound.len() / 4);
});

fn read(packet: Packet<'_>) {
    match packet {
        Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => assert!(blocks.count() <= 31),
        Packet::Sdes { chunks } => read_chunks(chunks),
        Packet::Bye { ssrcs } => assert!(ssrcs.count() <= 31),
        Packet::Remb { ssrcs, .. } => assert!(ssrcs.count() <= 255),
        Packet::Nack { lost, .. } => drop(lost.collect::<Vec<_>>()),
        Packet::Fir { entries, .. } => drop(entries.collect::<Vec<_>>()),
        Packet::TransportCc(feedback) => {
            let statuses = feedback.statuses().count();
            assert!(statuses <= TRANSPORT_CC_STATUSES_MAX.min(feedback.status_count().into()));
        }
        Packet::Xr { blocks, .. } => blocks.for_each(|block| {
            if let XrBlock::Dlrr { reports } = block {
                drop(reports.collect::<Vec<_>>());
            }
        }),
        Packet::Pli { .. } | Packet::Unknown { .. } => {}
    }
}

fn read_chunks(chunks: SdesChunks<'_>) {
    for chunk in chunks {
        chunk.cname();
        chunk.mid();
        assert!(chunk.items.count() <= 65536);
    }
}
