//! One peer connection of a participant: its transport on a shard, its negotiation, and what waits for either. Held by
//! the participant; knows no rooms.

use super::negotiate::{Connection, ConnectionSetup};
use crate::limits::CANDIDATES_MAX;
use crate::proto::{SignalTarget, TrickleRequest};
use crate::shard::{CandidatePair, CandidatePolicy, IceCredentials, PeerKey, RemoteTransport};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{Span, info_span};

/// WIRE.md §3.7.
const DEBOUNCE: Duration = Duration::from_millis(150);
const DEBOUNCE_FAST: Duration = Duration::from_millis(10);

pub struct Link {
    pub peer: PeerKey,
    pub target: SignalTarget,
    pub connection: Connection,
    pub policy: CandidatePolicy,
    /// Ours, as last told to the shard.
    pub creds: IceCredentials,
    pub ice_lite: bool,
    pub offer: Offer,
    /// ICE has a working pair now.
    pub ice_up: bool,
    /// The last one ICE came to.
    pub pair: Option<CandidatePair>,
    /// ICE had one once.
    pub ice_was_up: bool,
    /// ICE, DTLS: media flows.
    pub connected: bool,
    /// The transport failed and waits for an ICE restart.
    pub failed: bool,
    /// When the client's description came, for timing ICE.
    pub described_at: Option<Instant>,
    remote_ufrag: Option<String>,
    /// The client's candidates that came before its description.
    waiting: Vec<String>,
    /// Our candidates went out for the credentials in use.
    candidates_sent: bool,
}

/// The server's offers on a subscriber connection.
#[derive(Debug)]
pub struct Offer {
    /// Of the last one sent.
    pub id: u32,
    pub outstanding: bool,
    /// Something changed while an offer was outstanding.
    pub again: bool,
    /// The next one restarts ICE.
    pub restart: bool,
    /// At least one was answered.
    pub negotiated: bool,
    last: Option<Instant>,
}

impl Offer {
    fn new() -> Offer {
        let id = rand::random_range(0..256);
        Offer { id, outstanding: false, again: false, restart: false, negotiated: false, last: None }
    }

    /// How long to collect changes before the next offer.
    pub fn debounce(&self, now: Instant) -> Duration {
        match self.last {
            Some(last) if now < last + DEBOUNCE => DEBOUNCE,
            _ => DEBOUNCE_FAST,
        }
    }

    pub fn sent(&mut self, now: Instant) -> u32 {
        self.id = self.id.wrapping_add(1);
        self.outstanding = true;
        self.again = false;
        self.restart = false;
        self.last = Some(now);
        self.id
    }

    /// Notes a negotiation without an offer: a request for sections.
    pub fn asked(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

impl Link {
    pub fn new(peer: PeerKey, target: SignalTarget, policy: CandidatePolicy, setup: ConnectionSetup) -> Link {
        Link {
            peer,
            target,
            policy,
            creds: setup.creds.clone(),
            ice_lite: setup.ice_lite,
            connection: Connection::new(setup),
            offer: Offer::new(),
            ice_up: false,
            pair: None,
            ice_was_up: false,
            connected: false,
            failed: false,
            described_at: None,
            remote_ufrag: None,
            waiting: Vec::new(),
            candidates_sent: false,
        }
    }

    /// The client's description is there, a working pair is not.
    pub fn is_checking(&self) -> bool {
        self.described_at.is_some() && !self.ice_up && !self.failed
    }

    /// A client's candidate: to be used now, or kept until its description is known. More than a client has reason to
    /// send are dropped.
    pub fn candidate_ready(&mut self, candidate: String) -> Option<String> {
        if self.remote_ufrag.is_some() {
            return Some(candidate);
        }
        if self.waiting.len() < CANDIDATES_MAX {
            self.waiting.push(candidate);
        }
        None
    }

    /// What its transport's end is logged under.
    pub fn span(&self, identity: &str) -> Span {
        info_span!("transport", participant = identity, connection = self.target.as_str_name())
    }

    /// Notes the client's transport and gives the candidates that waited for it.
    pub fn described(&mut self, remote: &RemoteTransport, now: Instant) -> Vec<String> {
        if self.remote_ufrag.as_ref() != Some(&remote.creds.ufrag) {
            self.remote_ufrag = Some(remote.creds.ufrag.clone());
            self.described_at = Some(now);
        }
        std::mem::take(&mut self.waiting)
    }

    /// Trickle messages for `candidates`, once per set of local credentials. The last says that it is (WIRE.md §3.7).
    pub fn poll_trickle(&mut self, candidates: Vec<String>) -> Vec<TrickleRequest> {
        if std::mem::replace(&mut self.candidates_sent, true) {
            return Vec::new();
        }
        let mid = self.connection.first_mid();
        let last = candidates.len().saturating_sub(1);
        let trickle = |(i, line): (usize, String)| TrickleRequest {
            candidate_init: candidate_init(&line, mid),
            target: self.target as i32,
            r#final: i == last,
        };
        candidates.into_iter().enumerate().map(trickle).collect()
    }

    /// New local credentials: candidates go out again.
    pub fn restarted(&mut self, creds: IceCredentials) {
        self.creds = creds;
        self.candidates_sent = false;
        self.offer.restart = true;
        self.failed = false;
    }
}

/// RTCIceCandidateInit; native clients need `sdpMid` and `sdpMLineIndex` to be there.
fn candidate_init(line: &str, mid: &str) -> String {
    serde_json::json!({
        "candidate": line,
        "sdpMid": mid,
        "sdpMLineIndex": 0,
        "usernameFragment": null,
    })
    .to_string()
}

/// The candidate line of a client's candidateInit; `None` for the end of candidates.
pub fn parse_candidate_init(json: &str) -> Result<Option<String>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Init {
        #[serde(default)]
        candidate: String,
    }
    let init: Init = serde_json::from_str(json)?;
    Ok(Some(init.candidate).filter(|c| !c.is_empty()))
}

/// The connections of one participant.
pub struct Links {
    /// Publisher, or the single connection.
    pub publisher: Link,
    /// `None` with a single connection.
    pub subscriber: Option<Link>,
}

impl Links {
    pub fn is_single(&self) -> bool {
        self.subscriber.is_none()
    }

    /// The connection that carries what the participant is sent.
    pub fn sending(&mut self) -> &mut Link {
        self.subscriber.as_mut().unwrap_or(&mut self.publisher)
    }

    pub fn sending_ref(&self) -> &Link {
        self.subscriber.as_ref().unwrap_or(&self.publisher)
    }

    pub fn by_peer(&mut self, peer: PeerKey) -> Option<&mut Link> {
        self.iter_mut().find(|l| l.peer == peer)
    }

    pub fn by_target(&mut self, target: SignalTarget) -> Option<&mut Link> {
        self.iter_mut().find(|l| l.target == target)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        std::iter::once(&self.publisher).chain(&self.subscriber)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        std::iter::once(&mut self.publisher).chain(&mut self.subscriber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidate_init_is_what_native_clients_parse() {
        let json = candidate_init("candidate:1 1 udp 1 127.0.0.1 7882 typ host", "0");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["sdpMid"], "0");
        assert_eq!(value["sdpMLineIndex"], 0);
        assert!(value["usernameFragment"].is_null());
        assert!(value["candidate"].as_str().unwrap().starts_with("candidate:"));
    }

    #[test]
    fn candidates_are_read_from_json() {
        let some = parse_candidate_init(r#"{"candidate":"candidate:1","sdpMid":"0"}"#).unwrap();
        assert_eq!(some.as_deref(), Some("candidate:1"));
        assert_eq!(parse_candidate_init(r#"{"candidate":""}"#).unwrap(), None);
        assert!(parse_candidate_init("candidate:1").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn negotiation_is_debounced_longer_right_after_one() {
        let mut offer = Offer::new();
        let now = Instant::now();
        assert_eq!(offer.debounce(now), DEBOUNCE_FAST);
        let first = offer.sent(now);
        assert!((1..=256).contains(&first));
        assert_eq!(offer.debounce(now + Duration::from_millis(149)), DEBOUNCE);
        assert_eq!(offer.debounce(now + Duration::from_millis(150)), DEBOUNCE_FAST);
        assert_eq!(offer.sent(now), first + 1);
    }
}
