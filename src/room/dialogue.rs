//! Offers, answers and candidates between a participant's client and its connections, and what their outcomes ask of the
//! shard (WIRE.md §3.6, §3.7). The descriptions themselves are `negotiate`'s.

use super::fallback;
use super::leave::Departure;
use super::link::{Link, parse_candidate_init};
use super::negotiate::{Description, NegotiateError, Outcome, PendingTrack};
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use super::subscription::Accepted;
use super::timers::Timer;
use crate::proto::request_response::{Reason, Request};
use crate::proto::signal_response::Message;
use crate::proto::{MediaSectionsRequirement, SessionDescription, TrickleRequest};
use crate::shard::{CandidatePolicy, Command, PeerKey, Spread};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

impl Room {
    /// The client's offer on its publisher or only connection: exactly one answer, with the offer's id.
    pub(super) fn handle_offer(&mut self, key: ParticipantKey, offer: SessionDescription) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let tracks = tracks_for_answer(p, &self.tracks);
        restart_if_offered(&mut self.shards, &mut p.links.publisher, &offer.sdp);
        let link = &mut p.links.publisher;
        let (description, outcomes) = match link.connection.answer(&offer.sdp, &tracks) {
            Ok(answer) => answer,
            Err(error) => return info!(participant = p.info.identity, %error, "offer dropped"),
        };
        let peer = link.peer;
        let trickle = link.poll_trickle(self.shards.of(link.peer).candidates(link.policy));
        let answer = as_message("answer", description, offer.id);
        self.apply_transport(key, peer, &outcomes);
        self.send(key, Message::Answer(answer));
        trickle.into_iter().for_each(|t| self.send(key, Message::Trickle(t)));
        self.apply(key, peer, outcomes);
        self.ask_for_sections(key, Instant::now());
    }

    /// The client's answer to our offer. Its id is not checked: native SDKs answer with 0.
    pub(super) fn handle_answer(&mut self, key: ParticipantKey, answer: SessionDescription) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let Some(link) = p.links.subscriber.as_mut() else {
            return info!(
                participant = p.info.identity,
                "answer dropped: the only connection is the client's to offer"
            );
        };
        let peer = link.peer;
        match link.connection.accept_answer(&answer.sdp) {
            Ok(outcomes) => {
                link.offer.outstanding = false;
                link.offer.negotiated = true;
                self.timers.cancel(Timer::Answer(key));
                self.apply_transport(key, peer, &outcomes);
                self.apply(key, peer, outcomes);
                self.offer_again(key);
            }
            Err(error @ NegotiateError::Unexpected) => info!(participant = p.info.identity, %error, "answer dropped"),
            Err(error) => {
                info!(participant = p.info.identity, %error, "answer refused; the client is told to reconnect");
                self.remove(key, Departure::StateMismatch);
            }
        }
    }

    fn offer_again(&mut self, key: ParticipantKey) {
        let again = self.people.get(&key).is_some_and(|p| {
            let link = p.links.sending_ref();
            link.offer.again || link.offer.restart
        });
        if again {
            self.negotiate(key, Instant::now());
        }
    }

    pub(super) fn handle_trickle(&mut self, key: ParticipantKey, trickle: TrickleRequest) {
        let use_mdns = self.ctx.config.rtc.use_mdns;
        let Some(p) = self.people.get_mut(&key) else { return };
        let candidate = match parse_candidate_init(&trickle.candidate_init) {
            Ok(Some(candidate)) => candidate,
            Ok(None) => return,
            Err(_) if trickle.r#final && trickle.candidate_init.is_empty() => return,
            Err(error) => {
                let text = format!("cannot read the candidate: {error}");
                return p.respond(0, Reason::UnclassifiedError, &text, Some(Request::Trickle(trickle)));
            }
        };
        if !use_mdns && is_mdns(&candidate) {
            return;
        }
        let Some(link) = p.links.by_target(trickle.target()) else { return };
        if let Some(candidate) = link.candidate_ready(candidate) {
            self.shards.send(Command::AddCandidate { peer: link.peer, candidate });
        }
    }

    /// Has what the participant is sent negotiated soon.
    pub(super) fn request_negotiation(&mut self, key: ParticipantKey) {
        self.request_negotiation_after(key, Duration::ZERO);
    }

    /// Waits at least `wait` for more to negotiate.
    pub(super) fn request_negotiation_after(&mut self, key: ParticipantKey, wait: Duration) {
        let now = Instant::now();
        let Some(p) = self.people.get_mut(&key) else { return };
        let link = p.links.sending();
        if link.offer.outstanding {
            link.offer.again = true;
            return;
        }
        let debounce = link.offer.debounce(now);
        self.timers.arm_sooner(Timer::Negotiate(key), now + debounce.max(wait));
    }

    /// The next offer, or on a single connection the wish for one.
    pub(super) fn negotiate(&mut self, key: ParticipantKey, now: Instant) {
        self.timers.cancel(Timer::Negotiate(key));
        match self.people.get(&key).map(|p| p.links.is_single()) {
            Some(true) => self.ask_for_sections(key, now),
            Some(false) => self.send_offer(key, now, false),
            None => (),
        }
    }

    fn ask_for_sections(&mut self, key: ParticipantKey, now: Instant) {
        let Some(p) = self.people.get_mut(&key) else { return };
        if !p.links.is_single() {
            return;
        }
        let link = p.links.sending();
        let Some((num_audios, num_videos)) = link.connection.sections_wanted() else { return };
        link.offer.asked(now);
        self.send(key, Message::MediaSectionsRequirement(MediaSectionsRequirement { num_audios, num_videos }));
    }

    /// `anyway` repeats an offer that says nothing new.
    fn send_offer(&mut self, key: ParticipantKey, now: Instant, anyway: bool) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let Some(link) = p.links.subscriber.as_mut() else { return };
        if link.offer.outstanding {
            link.offer.again = true;
            return;
        }
        if !(anyway || link.offer.restart || link.connection.wants_offer()) {
            return;
        }
        let restart = link.offer.restart.then(|| link.creds.clone());
        let description = link.connection.offer(restart);
        let trickle = link.poll_trickle(self.shards.of(link.peer).candidates(link.policy));
        let offer = as_message("offer", description, link.offer.sent(now));
        self.timers.arm(Timer::Answer(key), now + ANSWER_TIMEOUT);
        self.send(key, Message::Offer(offer));
        trickle.into_iter().for_each(|t| self.send(key, Message::Trickle(t)));
    }

    /// No answer in time: while the transport works the client is at fault and starts anew; else the transport's own
    /// timers decide. Without a signal connection it could not answer; a resume repeats the offer.
    pub(super) fn answer_overdue(&mut self, key: ParticipantKey) {
        let heard = self.people.get(&key).filter(|p| p.signal.is_some());
        let Some(link) = heard.and_then(|p| p.links.subscriber.as_ref()) else { return };
        if link.connected {
            info!(offer = link.offer.id, "no answer to our offer; the client is told to reconnect");
            self.remove(key, Departure::StateMismatch);
        }
    }

    /// New credentials and an offer that says so. What was never negotiated has nothing to restart, but an offer that went
    /// unheard is repeated.
    pub(super) fn restart_subscriber(&mut self, key: ParticipantKey) {
        let Some(link) = self.people.get_mut(&key).and_then(|p| p.links.subscriber.as_mut()) else { return };
        let creds = self.shards.of(link.peer).credentials();
        let unheard = std::mem::take(&mut link.offer.outstanding);
        if !link.offer.negotiated {
            if unheard {
                self.send_offer(key, Instant::now(), true);
            }
            return;
        }
        self.shards.send(Command::RestartIce { peer: link.peer, creds: creds.clone() });
        link.restarted(creds);
        self.negotiate(key, Instant::now());
    }

    /// Tells the shard who is at the other end, with the candidates that waited for it.
    fn apply_transport(&mut self, key: ParticipantKey, peer: PeerKey, outcomes: &[Outcome]) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let connect_time = fallback::tcp_connect_time(p.round_trip);
        let Some(link) = p.links.by_peer(peer) else { return };
        for outcome in outcomes {
            if let Outcome::Remote(remote) = outcome {
                let waiting = link.described(remote, Instant::now());
                self.shards.send(Command::SetRemote { peer, remote: remote.clone() });
                for candidate in waiting {
                    self.shards.send(Command::AddCandidate { peer, candidate });
                }
            }
        }
        let wait = connect_time.filter(|_| link.policy == CandidatePolicy::TcpOnly && link.is_checking());
        if let Some(wait) = wait {
            self.timers.arm_once(Timer::TcpConnect(key), Instant::now() + wait);
        }
    }

    fn apply(&mut self, key: ParticipantKey, peer: PeerKey, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Remote(_) => (),
                Outcome::Receiving(section) => self.receiving(key, peer, section),
                Outcome::ReceivingEnded { mid } => self.receiving_ended(key, peer, &mid),
                Outcome::SenderReady { leg, mid, payloads, extensions } => {
                    self.bind(key, leg, Accepted { mid, payloads, extensions });
                }
                Outcome::SenderRefused { leg } => {
                    debug!(?leg, "no codec in common");
                    self.refuse_codec(key, leg);
                }
            }
        }
    }
}

/// A client that restarts ICE is answered with new credentials of ours.
fn restart_if_offered(shards: &mut Spread, link: &mut Link, offer: &str) {
    if link.connection.offer_restarts_ice(offer) {
        let creds = shards.of(link.peer).credentials();
        shards.send(Command::RestartIce { peer: link.peer, creds: creds.clone() });
        link.connection.set_creds(creds.clone());
        link.restarted(creds);
    }
}

fn tracks_for_answer(
    p: &Participant,
    tracks: &std::collections::BTreeMap<String, super::publication::Publication>,
) -> Vec<PendingTrack> {
    let announced = p.announced.iter().map(|a| a.for_answer());
    let published = p.published.iter().filter_map(|sid| tracks.get(sid)).map(|t| t.for_answer());
    announced.chain(published).collect()
}

fn as_message(kind: &str, description: Description, id: u32) -> SessionDescription {
    SessionDescription {
        r#type: kind.to_owned(),
        sdp: description.sdp,
        id,
        mid_to_track_id: description.mid_to_track_id,
    }
}

/// The address is the fifth word of a candidate (RFC 8839 §5.1).
fn is_mdns(candidate: &str) -> bool {
    candidate.split_whitespace().nth(4).is_some_and(|address| address.ends_with(".local"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mdns_is_told_by_the_address() {
        assert!(is_mdns("candidate:1 1 udp 1 4cd1.local 9 typ host"));
        assert!(!is_mdns("candidate:1 1 udp 1 10.0.0.1 9 typ host"));
        assert!(!is_mdns("candidate:1"));
    }
}
