//! Both directions together: what one side seals the other opens, once, and nothing else.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

const MATERIAL: [u8; 88] = {
    let mut bytes = [0; 88];
    let mut i = 0;
    while i < 88 {
        bytes[i] = (i as u8).wrapping_mul(37) ^ 0x5a;
        i += 1;
    }
    bytes
};

fn ends(profile: Profile) -> (Srtp, Srtp) {
    (Srtp::new(profile, &MATERIAL, true).unwrap(), Srtp::new(profile, &MATERIAL, false).unwrap())
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop::sample::select(Profile::ALL.to_vec())
}

/// An RTP packet with so many CSRCs, perhaps an extension, and its header's length.
fn rtp(ssrc: u32, sequence: u16, csrcs: u8, extended: bool, payload: &[u8]) -> (Vec<u8>, usize) {
    let mut packet = vec![0x80 | u8::from(extended) << 4 | csrcs, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[1, 2, 3, 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend(std::iter::repeat_n(0xcc, 4 * usize::from(csrcs)));
    if extended {
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    }
    let header_len = packet.len();
    packet.extend_from_slice(payload);
    (packet, header_len)
}

fn seal(srtp: &mut Srtp, (packet, header_len): &(Vec<u8>, usize)) -> Option<Vec<u8>> {
    let mut buf = packet.clone();
    buf.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    let len = srtp.seal_rtp(&mut buf, *header_len, packet.len())?;
    buf.truncate(len);
    Some(buf)
}

fn seal_rtcp(srtp: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    let len = srtp.seal_rtcp(&mut buf, packet.len()).unwrap();
    buf.truncate(len);
    buf
}

fn open(srtp: &mut Srtp, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut buf = sealed.to_vec();
    let len = srtp.open_rtp(&mut buf)?;
    Ok(buf[..len].to_vec())
}

fn open_rtcp(srtp: &mut Srtp, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut buf = sealed.to_vec();
    let len = srtp.open_rtcp(&mut buf)?;
    Ok(buf[..len].to_vec())
}

fn report(payload: &[u8]) -> Vec<u8> {
    [&[0x80, 200, 0, 6, 0, 0, 0, 9], payload].concat()
}

proptest! {
    #[test]
    fn rtp_round_trip_once(
        profile in profiles(), ssrc: u32, sequence: u16, csrcs in 0_u8..16, extended: bool,
        payload in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        let (mut a, mut b) = ends(profile);
        let packet = rtp(ssrc, sequence, csrcs, extended, &payload);
        let sealed = seal(&mut a, &packet).unwrap();
        prop_assert_eq!(sealed.len(), packet.0.len() + profile.tag_bytes());
        prop_assert!(payload.len() < 8 || sealed[packet.1..] != packet.0[packet.1..], "it is encrypted");
        prop_assert_eq!(open(&mut b, &sealed), Ok(packet.0));
        prop_assert_eq!(open(&mut b, &sealed), Err(Drop::Replayed));
        prop_assert_eq!(open(&mut a, &sealed), Err(Drop::BadAuth), "each direction has its own keys");
    }

    #[test]
    fn rtcp_round_trip_once(profile in profiles(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut a, mut b) = ends(profile);
        let packet = report(&payload);
        let sealed = seal_rtcp(&mut b, &packet);
        prop_assert_eq!(open_rtcp(&mut a, &sealed), Ok(packet));
        prop_assert_eq!(open_rtcp(&mut a, &sealed), Err(Drop::Replayed));
    }

    /// Whatever is cut off or appended, nothing is opened.
    #[test]
    fn other_lengths_fail(profile in profiles(), cut in 1_usize..80, extra in 1_usize..20) {
        let (mut a, mut b) = ends(profile);
        let sealed = seal(&mut a, &rtp(1, 2, 0, true, &[3; 50])).unwrap();
        prop_assert!(open(&mut b, &sealed[..sealed.len().saturating_sub(cut)]).is_err());
        prop_assert!(open(&mut b, &[&sealed[..], &vec![0; extra]].concat()).is_err());
        let sealed = seal_rtcp(&mut a, &report(&[3; 50]));
        prop_assert!(open_rtcp(&mut b, &sealed[..sealed.len().saturating_sub(cut)]).is_err());
        prop_assert!(open_rtcp(&mut b, &[&sealed[..], &vec![0; extra]].concat()).is_err());
    }

    #[test]
    fn any_bytes_are_survived(profile in profiles(), bytes: Vec<u8>) {
        let (mut a, _) = ends(profile);
        prop_assert!(open(&mut a, &bytes).is_err());
        prop_assert!(open_rtcp(&mut a, &bytes).is_err());
    }

    /// Sequence numbers wrap while packets are lost and overtake one another by up to 200: all that arrive open.
    #[test]
    fn reordering_across_wraps(
        profile in profiles(), start: u16, order in prop::collection::vec((0_u32..200, 0_u8..10), 600),
    ) {
        // The first packet must not be overtaken by one from before it: a receiver could not tell its roll-over.
        let start = u64::from(start & 0x7fff) + 0xfd00;
        let (mut a, mut b) = ends(profile);
        seal(&mut a, &rtp(7, (start - 0x7fff) as u16, 0, false, &[])).map(|first| open(&mut b, &first));
        seal(&mut a, &rtp(7, start as u16, 0, false, &[])).map(|first| open(&mut b, &first));
        let sealed: Vec<_> = (start + 1..)
            .zip(&order)
            .map(|(n, _)| { let p = rtp(7, n as u16, 0, false, &n.to_be_bytes()); (seal(&mut a, &p).unwrap(), p.0) })
            .collect();
        let mut arrivals: Vec<_> = (0_u32..).zip(sealed).zip(&order).filter(|(_, (_, lost))| *lost > 0).collect();
        arrivals.sort_by_key(|((n, _), (late, _))| n + late);
        for ((_, (sealed, plain)), _) in arrivals {
            prop_assert_eq!(open(&mut b, &sealed), Ok(plain));
        }
    }

    /// No two different packets ever leave under one SSRC and index, however the caller numbers them.
    #[test]
    fn nonces_never_repeat(profile in profiles(), steps in prop::collection::vec((0_u32..2, -90_i64..100, 0_u8..3), 1..400)) {
        let (mut a, _) = ends(profile);
        let mut at = [70_000_i64; 2];
        let mut sent: HashMap<(u32, i64), Vec<u8>> = HashMap::new();
        let mut ciphertexts = HashSet::new();
        for ssrc in 0..2 {
            (0..3).for_each(|n| drop(seal(&mut a, &rtp(ssrc, (n * 30_000) as u16, 0, false, &[]))));
        }
        for (ssrc, step, payload) in steps {
            let number = at[ssrc as usize] + step;
            at[ssrc as usize] = number.max(at[ssrc as usize]);
            if let Some(sealed) = seal(&mut a, &rtp(ssrc, number as u16, 0, false, &[payload; 40])) {
                let first = sent.entry((ssrc, number)).or_insert_with(|| sealed.clone());
                prop_assert_eq!(&*first, &sealed, "the same number with other bytes");
                ciphertexts.insert(sealed);
            }
        }
        prop_assert_eq!(ciphertexts.len(), sent.len(), "two numbers under one nonce");
    }
}

#[test]
fn any_changed_byte_fails() {
    for profile in Profile::ALL {
        let (mut a, mut b) = ends(profile);
        let sealed = seal(&mut a, &rtp(1, 2, 1, true, &[3; 40])).unwrap();
        let report = seal_rtcp(&mut a, &report(&[4; 40]));
        for bit in 0..8 {
            for at in 0..sealed.len() {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                assert!(open(&mut b, &bad).is_err(), "{profile:?} SRTP byte {at} bit {bit}");
            }
            for at in 0..report.len() {
                let mut bad = report.clone();
                bad[at] ^= 1 << bit;
                assert!(open_rtcp(&mut b, &bad).is_err(), "{profile:?} SRTCP byte {at} bit {bit}");
            }
        }
        assert!(open(&mut b, &sealed).is_ok() && open_rtcp(&mut b, &report).is_ok(), "forgeries leave no trace");
    }
}

#[test]
fn the_roll_over_counter_follows_many_wraps() {
    for profile in Profile::ALL {
        let (mut a, mut b) = ends(profile);
        for n in (0_u32..400_000).step_by(16_000) {
            let packet = rtp(1, n as u16, 0, false, &n.to_be_bytes());
            let sealed = seal(&mut a, &packet).unwrap();
            assert_eq!(open(&mut b, &sealed), Ok(packet.0), "{profile:?} {n}");
        }
    }
}

#[test]
fn short_material_gives_no_session() {
    for profile in Profile::ALL {
        assert!(Srtp::new(profile, &MATERIAL[..40], true).is_none());
    }
}
