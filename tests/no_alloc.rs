//! A forwarded packet costs no allocation: a whole shard with real sockets and keys, its thread's allocations counted.
//!
//! That it takes no lock either is a matter of types: what a turn touches is owned by the shard or a `metrics::Cell`,
//! which is written without a locked instruction; queues to rooms and siblings are for what happens once, not for packets.

#[path = "support/plane.rs"]
#[allow(dead_code, reason = "other tests look closer")]
mod plane;

use allocation_counter::measure;
use plane::Plane;

const WATCHERS: usize = 8;
/// About ten packets a picture.
const BITRATE_BPS: u32 = 2_500_000;
/// Pictures until every ring has reached its size, the one for feedback that never comes included.
const WARM_UP: usize = 1_000;
const COUNTED: usize = 100;

#[test]
fn a_forwarded_packet_costs_no_allocation() {
    let mut plane = Plane::start(WATCHERS, BITRATE_BPS);
    for _ in 0..WARM_UP {
        plane.send_picture();
        plane.turn();
        plane.receive();
    }
    let before = plane.receive();
    let (mut sent, mut allocations, mut bytes) = (0, 0, 0);
    for _ in 0..COUNTED {
        sent += plane.send_picture();
        let info = measure(|| plane.turn());
        allocations += info.count_total;
        bytes += info.bytes_total;
        plane.receive();
    }
    let after = plane.receive();
    assert!(sent > 5 * COUNTED, "{sent} packets are too few to show anything");
    let forwarded: Vec<usize> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(forwarded, [sent; WATCHERS], "all packets reach all watchers");
    assert_eq!((allocations, bytes), (0, 0), "for {} forwarded packets", sent * WATCHERS);
}
