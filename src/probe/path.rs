//! By which ways media may go: what is bound, which TURN servers are used, and which of the server's candidates are heeded.
//! Decided by `run`, used by `connection`.

use super::candidate::Candidate;
use crate::limits::PROBE_CANDIDATES_MAX;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use webrtc::peer_connection::RTCIceServer;

#[derive(Clone, Debug)]
pub enum Path {
    /// UDP and TCP, whichever ICE prefers; the address the server was reached from.
    Any(IpAddr),
    Tcp(IpAddr),
    /// Only by these TURN servers, which stand on this machine's loopback interface (see `turn`).
    Relay(Vec<RTCIceServer>),
}

/// An address the server was reached from is one media can go from; a server on this machine may offer its other ones
/// instead, which cannot be reached from the loopback address.
fn sources(local: IpAddr) -> Vec<SocketAddr> {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let others = any.into_iter().filter(|ip| local.is_loopback() || ip.is_ipv4() != local.is_ipv4());
    // IPv6 may be switched off, and a wildcard that stands for no interface would then fail.
    let others = others.filter(|ip| ip.is_ipv4() || has_ipv6());
    std::iter::once(local).chain(others).map(|ip| SocketAddr::new(ip, 0)).collect()
}

/// Whether there is an address of that family beyond this machine.
fn has_ipv6() -> bool {
    let far = |ip: IpAddr| matches!(ip, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local());
    if_addrs::get_if_addrs().unwrap_or_default().iter().any(|interface| far(interface.ip()))
}

impl Path {
    pub fn udp(&self) -> Vec<SocketAddr> {
        match self {
            Path::Any(local) => sources(*local),
            Path::Tcp(_) => Vec::new(),
            Path::Relay(_) => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        }
    }

    pub fn tcp(&self) -> Vec<SocketAddr> {
        match self {
            Path::Any(local) | Path::Tcp(local) => sources(*local),
            Path::Relay(_) => Vec::new(),
        }
    }

    pub fn servers(&self) -> Vec<RTCIceServer> {
        match self {
            Path::Relay(servers) => servers.clone(),
            Path::Any(_) | Path::Tcp(_) => Vec::new(),
        }
    }

    pub fn is_relay(&self) -> bool {
        matches!(self, Path::Relay(_))
    }

    /// Whether a candidate of the server is one this path leads to, `known` of them having been taken.
    pub fn heeds(&self, candidate: &Candidate, known: usize) -> bool {
        let fits = match self {
            Path::Any(_) => true,
            Path::Tcp(_) => candidate.tcp,
            Path::Relay(_) => !candidate.tcp,
        };
        fits && known < PROBE_CANDIDATES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_alone_binds_no_udp_and_heeds_no_udp() {
        let path = Path::Tcp([192, 0, 2, 9].into());
        let udp = Candidate::parse("candidate:1 1 udp 1 192.0.2.1 7882 typ host").unwrap();
        let tcp = Candidate::parse("candidate:1 1 tcp 1 192.0.2.1 7881 typ host tcptype passive").unwrap();
        assert!(path.udp().is_empty() && !path.heeds(&udp, 0) && path.heeds(&tcp, 0));
        assert!(!path.heeds(&tcp, PROBE_CANDIDATES_MAX));
    }

    #[test]
    fn a_relay_is_spoken_to_on_loopback_only() {
        let path = Path::Relay(Vec::new());
        assert!(path.udp().iter().all(|address| address.ip().is_loopback()) && path.tcp().is_empty());
    }

    #[test]
    fn from_loopback_the_other_addresses_are_tried_too() {
        let ips = |local: &str| sources(local.parse().unwrap()).iter().map(SocketAddr::ip).collect::<Vec<_>>();
        assert!(ips("127.0.0.1").contains(&Ipv4Addr::UNSPECIFIED.into()));
        assert!(!ips("192.0.2.9").contains(&Ipv4Addr::UNSPECIFIED.into()));
    }
}
