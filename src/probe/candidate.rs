//! Candidates of the server as text (RFC 8839 §5.1): taken out of descriptions, read, and told to people.

use std::net::{IpAddr, SocketAddr};

/// A place the server says it can be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// As it was sent, from `candidate:` on.
    pub line: String,
    pub tcp: bool,
    pub address: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub kind: String,
}

impl Candidate {
    /// `None` for what cannot be read, which includes names in place of addresses.
    pub fn parse(line: &str) -> Option<Candidate> {
        let line = line.trim().trim_start_matches("a=");
        let mut words = line.strip_prefix("candidate:")?.split_ascii_whitespace();
        let transport = words.nth(2)?;
        let ip: IpAddr = words.nth(1)?.parse().ok()?;
        let port = words.next()?.parse().ok()?;
        let kind = words.nth(1)?.to_owned();
        let tcp = transport.eq_ignore_ascii_case("tcp");
        Some(Candidate { line: line.to_owned(), tcp, address: SocketAddr::new(ip, port), kind })
    }

    pub fn protocol(&self) -> &'static str {
        if self.tcp { "tcp" } else { "udp" }
    }
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.protocol(), self.address)
    }
}

/// Whether packets from the Internet cannot get there.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64; // RFC 6598
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// A description with those of its candidates alone that are wanted, and these.
pub fn sift(sdp: &str, wanted: impl Fn(&Candidate) -> bool) -> (String, Vec<Candidate>) {
    let mut text = String::with_capacity(sdp.len());
    let mut kept: Vec<Candidate> = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("a=candidate:") {
            let Some(candidate) = Candidate::parse(line).filter(&wanted) else { continue };
            // Bundled sections repeat them.
            if !kept.contains(&candidate) {
                kept.push(candidate);
            }
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    (text, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host";
    const TCP: &str = "candidate:2 1 TCP 1671430143 2001:db8::1 7881 typ host tcptype passive";

    #[test]
    fn both_protocols_and_families_are_read() {
        let read = Candidate::parse(UDP).unwrap();
        assert_eq!((read.to_string().as_str(), read.kind.as_str()), ("udp 192.0.2.1:7882", "host"));
        assert_eq!(Candidate::parse(&format!("a={TCP}")).unwrap().to_string(), "tcp [2001:db8::1]:7881");
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for line in
            ["", "candidate:", "candidate:1 1 udp 1 host.local 7 typ host", "candidate:1 1 udp 1 1.2.3.4 x typ host"]
        {
            assert_eq!(Candidate::parse(line), None, "{line}");
        }
    }

    #[test]
    fn descriptions_are_sifted() {
        let sdp = format!("v=0\r\na={UDP}\r\na={TCP}\r\na=candidate:x\r\nm=x\r\na={TCP}\r\n");
        let (text, kept) = sift(&sdp, |candidate| candidate.tcp);
        assert_eq!(text, format!("v=0\r\na={TCP}\r\nm=x\r\na={TCP}\r\n"));
        assert_eq!(kept.iter().map(Candidate::to_string).collect::<Vec<_>>(), ["tcp [2001:db8::1]:7881"]);
    }

    #[test]
    fn private_addresses_are_known() {
        let private = |ip: &str| is_private(ip.parse().unwrap());
        assert!(["10.0.0.1", "127.0.0.1", "100.64.3.4", "fd00::1", "::1"].into_iter().all(private));
        assert!(!["8.8.8.8", "100.128.0.1", "2001:db8::1"].into_iter().any(private));
    }
}
