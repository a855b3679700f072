//! Host candidates of a shard's sockets as SDP text (RFC 8839 §5.1) and as the bases ICE works with.

use super::LocalCandidate;
use std::net::{IpAddr, SocketAddr};

/// A local address and the one clients are told instead where a NAT maps it one to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    pub base: IpAddr,
    pub advertised: IpAddr,
}

/// RFC 8445 §5.1.2.1: host candidates.
const HOST_TYPE_PREFERENCE: u32 = 126;
/// TCP is the way out when UDP is blocked, so it ranks below every UDP candidate (RFC 6544 §4.2).
const TCP_TYPE_PREFERENCE: u32 = 90;
/// Component 1, the only one with rtcp-mux.
const COMPONENT_PREFERENCE: u32 = 255;

/// Candidates for those ports on every advertised address, UDP first. Two addresses behind one NAT make one candidate.
pub fn host_candidates(
    addresses: &[LocalAddress],
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
) -> Vec<LocalCandidate> {
    let mut candidates = Vec::new();
    for (tcp, port) in [(false, udp_port), (true, tcp_port)] {
        let Some(port) = port else { continue };
        for (rank, address) in addresses.iter().enumerate() {
            let candidate = host_candidate(tcp, rank, SocketAddr::new(address.advertised, port));
            let known = |c: &LocalCandidate| {
                c.tcp == tcp && addresses[..rank].iter().any(|a| a.advertised == address.advertised)
            };
            if !candidates.iter().any(known) {
                candidates.push(candidate);
            }
        }
    }
    candidates
}

fn host_candidate(tcp: bool, rank: usize, at: SocketAddr) -> LocalCandidate {
    let (transport, preference, suffix) =
        if tcp { ("tcp", TCP_TYPE_PREFERENCE, " tcptype passive") } else { ("udp", HOST_TYPE_PREFERENCE, "") };
    let local_preference = 65_535 - u32::try_from(rank).unwrap_or(65_535).min(65_535);
    let priority = preference << 24 | local_preference << 8 | COMPONENT_PREFERENCE;
    let foundation = rank * 2 + usize::from(tcp) + 1;
    let line = format!("candidate:{foundation} 1 {transport} {priority} {} {} typ host{suffix}", at.ip(), at.port());
    LocalCandidate { line, tcp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_candidate_for_each_address_and_protocol() {
        let same = |ip: &str| LocalAddress { base: ip.parse().unwrap(), advertised: ip.parse().unwrap() };
        let lines: Vec<String> = host_candidates(&[same("10.0.0.5"), same("2001:db8::7")], Some(7882), Some(7881))
            .into_iter()
            .map(|c| c.line)
            .collect();
        assert_eq!(
            lines,
            [
                "candidate:1 1 udp 2130706431 10.0.0.5 7882 typ host",
                "candidate:3 1 udp 2130706175 2001:db8::7 7882 typ host",
                "candidate:2 1 tcp 1526726655 10.0.0.5 7881 typ host tcptype passive",
                "candidate:4 1 tcp 1526726399 2001:db8::7 7881 typ host tcptype passive",
            ]
        );
    }

    #[test]
    fn addresses_behind_one_nat_make_one_candidate() {
        let public = "203.0.113.9".parse().unwrap();
        let addresses =
            ["10.0.0.5", "10.0.0.6"].map(|ip| LocalAddress { base: ip.parse().unwrap(), advertised: public });
        let candidates = host_candidates(&addresses, Some(50_000), None);
        assert_eq!(candidates.len(), 1);
        assert!(candidates[0].line.contains("203.0.113.9 50000"));
    }
}
