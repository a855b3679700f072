//! The address pairs on which a peer has proved itself, and which of them we send on (RFC 8445 §8, §12).
//!
//! Called by `ice`. A pair carries traffic to us from its first authenticated check; the peer's nomination decides
//! where we send, at once.

use crate::limits;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

/// What carries datagrams between two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    Udp,
    /// Framed by RFC 4571.
    Tcp,
}

/// A local and a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    pub proto: Proto,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// As logs name it.
impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proto = match self.proto {
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
        };
        write!(f, "{proto} {} -> {}", self.remote, self.local)
    }
}

/// A pair with what is known of it.
#[derive(Clone, Copy, Debug)]
struct Path {
    pair: Pair,
    /// Last authenticated check or packet.
    heard: Instant,
    /// Last check with USE-CANDIDATE, unless one without came later.
    nominated: Option<Instant>,
    /// PRIORITY of its last check.
    priority: u32,
    /// We may send on it: the peer's check sufficed (lite), or ours was answered (full).
    valid: bool,
}

/// A binding request that the ICE agent found authentic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub pair: Pair,
    pub priority: u32,
    pub use_candidate: bool,
    /// It proves the pair for sending too.
    pub validates: bool,
}

#[derive(Debug, Default)]
pub(super) struct Paths {
    paths: Vec<Path>,
    chosen: Option<Pair>,
}

impl Paths {
    /// Where to send.
    pub fn chosen(&self) -> Option<Pair> {
        self.chosen
    }

    /// All remote addresses that proved themselves.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.paths.iter().map(|path| path.pair)
    }

    /// Whether DTLS and media may be taken from that pair.
    pub fn accepts(&self, now: Instant, pair: Pair) -> bool {
        self.find(pair).is_some_and(|path| path.is_live(now))
    }

    /// When the chosen pair, or any other, was last heard.
    pub fn last_heard(&self) -> Option<Instant> {
        self.paths.iter().map(|path| path.heard).max()
    }

    /// Notes an authenticated packet.
    pub fn heard(&mut self, now: Instant, pair: Pair) {
        if let Some(path) = self.find_mut(pair) {
            path.heard = now;
        }
    }

    /// Notes a check without regard to nomination.
    pub fn admit(&mut self, now: Instant, pair: Pair) {
        self.entry(now, pair).heard = now;
    }

    /// Notes a check of the peer and moves if it says so; true if `chosen` changed.
    pub fn handle_check(&mut self, now: Instant, check: Check) -> bool {
        let competes = self.competes(now);
        let path = self.entry(now, check.pair);
        let fresh = !path.is_nominated(now);
        path.heard = now;
        path.priority = check.priority;
        path.nominated = check.use_candidate.then_some(now);
        path.valid |= check.validates;
        let path = *path;
        path.valid && self.wants(now, &path, fresh, competes) && self.choose(path.pair)
    }

    /// Notes that our own check on that pair was answered; true if `chosen` changed.
    pub fn handle_answer(&mut self, now: Instant, pair: Pair, controlled: bool) -> bool {
        let competes = self.competes(now);
        let path = self.entry(now, pair);
        path.heard = now;
        path.valid = true;
        let path = *path;
        controlled && self.wants(now, &path, true, competes) && self.choose(pair)
    }

    /// Sends on that pair from now on; true if that is a change.
    pub fn choose(&mut self, pair: Pair) -> bool {
        self.chosen.replace(pair) != Some(pair)
    }

    /// After an ICE restart nominations count anew; paths go on carrying traffic until then.
    pub fn forget_nominations(&mut self) {
        self.paths.iter_mut().for_each(|path| path.nominated = None);
    }

    /// The priority with which the chosen pair defends itself: `None` unless it is being nominated.
    fn competes(&self, now: Instant) -> Option<u32> {
        self.find(self.chosen?).filter(|path| path.is_nominated(now)).map(|path| path.priority)
    }

    /// Whether a check on `path` should make it the one we send on.
    ///
    /// A first nomination wins at once. One that is merely repeated wins if the chosen pair is nominated no longer; if
    /// both are (aggressive nomination, RFC 5245 §8.1.1.2) the higher priority wins. Without nomination a path only
    /// stands in for none at all, or for a dead one.
    fn wants(&self, now: Instant, path: &Path, fresh: bool, competes: Option<u32>) -> bool {
        if !path.is_nominated(now) {
            return self.chosen.and_then(|chosen| self.find(chosen)).is_none_or(|chosen| !chosen.is_heard(now));
        }
        fresh || competes.is_none_or(|priority| path.priority > priority)
    }

    fn find(&self, pair: Pair) -> Option<&Path> {
        self.paths.iter().find(|path| path.pair == pair)
    }

    fn find_mut(&mut self, pair: Pair) -> Option<&mut Path> {
        self.paths.iter_mut().find(|path| path.pair == pair)
    }

    /// The path of that pair; a new one takes the place of the one unheard longest if there are too many.
    fn entry(&mut self, now: Instant, pair: Pair) -> &mut Path {
        let at = self.paths.iter().position(|path| path.pair == pair).unwrap_or_else(|| self.add(now, pair));
        &mut self.paths[at]
    }

    fn add(&mut self, now: Instant, pair: Pair) -> usize {
        if self.paths.len() >= limits::ICE_PATHS_MAX {
            let spared = self.chosen;
            let oldest = |(_, path): &(usize, &Path)| (Some(path.pair) == spared, path.heard);
            let at = self.paths.iter().enumerate().min_by_key(oldest).map_or(0, |(at, _)| at);
            self.paths.swap_remove(at);
        }
        self.paths.push(Path { pair, heard: now, nominated: None, priority: 0, valid: false });
        self.paths.len() - 1
    }
}

impl Path {
    fn is_live(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) < limits::ICE_PATH_IDLE
    }

    fn is_heard(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) < limits::ICE_NOMINATION
    }

    fn is_nominated(&self, now: Instant) -> bool {
        self.nominated.is_some_and(|at| now.saturating_duration_since(at) < limits::ICE_NOMINATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HIGH: u32 = 200;
    const LOW: u32 = 100;

    fn pair(port: u16) -> Pair {
        let address = |host: [u8; 4], port| SocketAddr::from((host, port));
        Pair { proto: Proto::Udp, local: address([10, 0, 0, 1], 7882), remote: address([1, 2, 3, 4], port) }
    }

    #[allow(clippy::disallowed_methods)] // where the virtual clock begins
    fn epoch() -> Instant {
        Instant::now()
    }

    /// (milliseconds, port of the remote, priority, USE-CANDIDATE), and the port we send to afterwards.
    type Step = (u64, u16, u32, bool, u16);

    fn walk(name: &str, steps: &[Step]) {
        let start = epoch();
        let mut paths = Paths::default();
        for (i, &(ms, port, priority, use_candidate, expected)) in steps.iter().enumerate() {
            let check = Check { pair: pair(port), priority, use_candidate, validates: true };
            let before = paths.chosen();
            let moved = paths.handle_check(start + Duration::from_millis(ms), check);
            assert_eq!(paths.chosen(), Some(pair(expected)), "{name}, step {i}");
            assert_eq!(moved, before != paths.chosen(), "{name}, step {i}");
        }
    }

    #[test]
    fn choice() {
        walk(
            "the first pair serves until another is nominated",
            &[(0, 1, LOW, false, 1), (10, 2, HIGH, false, 1), (20, 2, HIGH, true, 2)],
        );
        walk(
            "a re-nomination moves at once, whatever the priority, and back",
            &[
                (0, 1, HIGH, true, 1),
                (1000, 2, LOW, true, 2),
                (1100, 1, HIGH, false, 2),
                (2000, 2, LOW, true, 2),
                (2100, 1, HIGH, true, 1),
            ],
        );
        walk(
            "aggressive nomination settles on the higher priority",
            &[
                (0, 1, HIGH, true, 1),
                (10, 2, LOW, true, 2),
                (500, 1, HIGH, true, 1),
                (510, 2, LOW, true, 1),
                (1000, 1, HIGH, true, 1),
            ],
        );
        walk(
            "the loser of aggressive nomination takes over when the winner goes silent",
            &[
                (0, 1, HIGH, true, 1),
                (10, 2, LOW, true, 2),
                (20, 1, HIGH, true, 1),
                (2000, 2, LOW, true, 1),
                (4000, 2, LOW, true, 1),
                (5100, 2, LOW, true, 2),
            ],
        );
        walk(
            "an address that was left may be nominated again after silence",
            &[(0, 1, HIGH, true, 1), (100, 2, LOW, true, 2), (6000, 2, LOW, true, 2), (6100, 1, HIGH, true, 1)],
        );
        walk(
            "without nomination only a dead pair is left",
            &[(0, 1, LOW, false, 1), (4000, 2, HIGH, false, 1), (6000, 2, HIGH, false, 2)],
        );
    }

    #[test]
    fn a_full_agent_waits_for_its_own_check() {
        let now = epoch();
        let mut paths = Paths::default();
        let check = Check { pair: pair(1), priority: LOW, use_candidate: true, validates: false };
        assert!(!paths.handle_check(now, check));
        assert!(paths.accepts(now, pair(1)), "the peer may send already");
        assert_eq!(paths.chosen(), None);
        assert!(paths.handle_answer(now, pair(1), true));
        assert_eq!(paths.chosen(), Some(pair(1)));
    }

    #[test]
    fn paths_are_bounded_and_the_chosen_one_stays() {
        let start = epoch();
        let mut paths = Paths::default();
        for port in 0..100 {
            let check = Check { pair: pair(port), priority: LOW, use_candidate: port == 0, validates: true };
            paths.handle_check(start + Duration::from_millis(u64::from(port)), check);
        }
        assert_eq!(paths.pairs().count(), limits::ICE_PATHS_MAX);
        assert_eq!(paths.chosen(), Some(pair(0)));
        assert!(paths.accepts(start, pair(0)) && paths.accepts(start, pair(99)) && !paths.accepts(start, pair(50)));
    }

    #[test]
    fn silence_ends_a_path() {
        let start = epoch();
        let mut paths = Paths::default();
        paths.handle_answer(start, pair(1), false);
        assert!(paths.accepts(start + limits::ICE_PATH_IDLE / 2, pair(1)));
        assert!(!paths.accepts(start + limits::ICE_PATH_IDLE, pair(1)));
    }
}
