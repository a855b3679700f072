//! Candidate lines of the other side (RFC 8839 §5.1), and which of them are of any use to us. Called by `ice`.

use crate::limits;
use is::Candidate;

/// A candidate line that could not be used; the peer's fault, the connection goes on without it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CandidateError {
    #[error("candidate line is not one of RFC 8839: {0}; check what the client sends")]
    Malformed(String),
    #[error("more than {} remote candidates; later ones are ignored", limits::ICE_REMOTE_CANDIDATES_MAX)]
    TooMany,
}

/// `None` for lines we have no use for.
pub(super) fn parse_candidate(line: &str) -> Result<Option<Candidate>, CandidateError> {
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    let line = line.strip_prefix("candidate:").unwrap_or(line);
    if line.is_empty() || is_useless(line) {
        return Ok(None);
    }
    let candidate = Candidate::from_sdp_string(&format!("candidate:{line}"));
    candidate.map(Some).map_err(|_| CandidateError::Malformed(line.chars().take(200).collect()))
}

/// mDNS names we do not resolve, and TCP addresses nobody listens on (RFC 6544 §4.5).
fn is_useless(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().take(32).collect();
    let hidden = fields.get(4).is_some_and(|address| address.to_ascii_lowercase().ends_with(".local"));
    hidden || fields.windows(2).any(|pair| pair[0] == "tcptype" && pair[1].eq_ignore_ascii_case("active"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let cases = [
            ("candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host", Ok(Some("192.0.2.7:50000"))),
            ("a=candidate:1 1 UDP 2113937151 192.0.2.7 50000 typ host generation 0", Ok(Some("192.0.2.7:50000"))),
            ("1 1 tcp 1 2001:db8::7 50000 typ host tcptype passive", Ok(Some("[2001:db8::7]:50000"))),
            ("1 1 udp 2113937151 4f6f1b0a-1.local 50000 typ host", Ok(None)),
            ("1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active", Ok(None)),
            ("", Ok(None)),
            ("candidate:", Ok(None)),
            ("1 1 udp x 192.0.2.7 50000 typ host", Err(())),
            ("1 1 udp 1 192.0.2.7 70000 typ host", Err(())),
            ("1", Err(())),
        ];
        for (line, expected) in cases {
            let parsed = parse_candidate(line).map(|c| c.map(|c| c.addr().to_string())).map_err(|_| ());
            assert_eq!(parsed, expected.map(|c| c.map(str::to_owned)), "{line}");
        }
    }

    #[test]
    fn errors_quote_no_more_than_needed() {
        let Err(CandidateError::Malformed(quoted)) = parse_candidate(&"x".repeat(100_000)) else { panic!() };
        assert_eq!(quoted.len(), 200);
    }
}
