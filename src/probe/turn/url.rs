//! URLs of TURN servers (RFC 7065).

/// How a TURN server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnUrl {
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

impl TurnUrl {
    /// `None` for URLs of other servers, STUN's among them, and for TURN over DTLS.
    pub fn parse(text: &str) -> Option<TurnUrl> {
        let (scheme, rest) = text.split_once(':')?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("transport="));
        let (transport, default) = match (scheme.to_ascii_lowercase().as_str(), asked) {
            ("turn", None | Some("udp")) => (Transport::Udp, 3478),
            ("turn", Some("tcp")) => (Transport::Tcp, 3478),
            ("turns", None | Some("tcp")) => (Transport::Tls, 5349),
            _ => return None,
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(default), |port| port.parse().ok())?;
        (!host.is_empty()).then(|| TurnUrl { host: host.to_owned(), port, transport })
    }
}

impl std::fmt::Display for TurnUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let v6 = self.host.contains(':');
        let (open, close) = if v6 { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}/{}", self.host, self.port, self.transport.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_and_ports_follow_the_scheme() {
        for (text, told) in [
            ("turn:h", Some("h:3478/UDP")),
            ("turn:192.0.2.1:443?transport=udp", Some("192.0.2.1:443/UDP")),
            ("turn:h:1?transport=tcp", Some("h:1/TCP")),
            ("turns:turn.example.com:443?transport=tcp", Some("turn.example.com:443/TLS")),
            ("turns:[2001:db8::1]", Some("[2001:db8::1]:5349/TLS")),
            ("stun:h:3478", None),
            ("turns:h?transport=udp", None),
            ("turn:h:70000", None),
            ("turn::1", None),
            ("nonsense", None),
        ] {
            assert_eq!(TurnUrl::parse(text).map(|url| url.to_string()).as_deref(), told, "{text}");
        }
    }
}
