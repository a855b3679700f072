//! Redundant audio: blocks lie inside the packet and the primary is the last of them.
#![no_main]

use lkops::wire::codec::red;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let Some(blocks) = red::blocks(payload) else { return };
    let blocks: Vec<_> = blocks.collect();
    assert_eq!(blocks.iter().filter(|block| block.is_primary).count(), 1);
    assert_eq!(blocks.last().copied(), red::primary(payload));
    assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < payload.len());
});
