//! STUN as it is read without keys: the ufrag of a binding request is text from within the datagram and never empty; an
//! answer tells an address only to the transaction that asked.
#![no_main]

use lkops::server::mapped_address;
use lkops::wire::stun::binding_request_ufrag;

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    if let Some(ufrag) = binding_request_ufrag(datagram) {
        assert!(!ufrag.is_empty() && !ufrag.contains(':') && ufrag.len() < datagram.len());
    }
    let Some(transaction) = datagram.get(8..).and_then(|rest| rest.first_chunk::<12>()) else { return };
    mapped_address(datagram, *transaction);
    assert_eq!(mapped_address(datagram, transaction.map(|byte| !byte)), None);
});
