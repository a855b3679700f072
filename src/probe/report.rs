//! What a probe found: the steps of the way in with their times, the media it measured, and the fault that ended it.
//! Written by `run`; `commands` prints it, `exposition` counts it.

use super::access::Role;
use super::meter::Measured;
use super::threshold::Verdict;
use crate::client::clock;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A step of the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Dns,
    Tcp,
    Tls,
    /// The server's health page.
    Http,
    Websocket,
    /// JoinResponse.
    Join,
    /// An allocation on a TURN server.
    Turn,
    Ice,
    Dtls,
    /// The server takes the tracks.
    Publish,
    /// From the first packet sent to the first received.
    FirstPacket,
    /// The first picture that can be decoded.
    FirstFrame,
    Data,
    Media,
}

impl Step {
    pub const ALL: [Step; 14] = [
        Step::Dns,
        Step::Tcp,
        Step::Tls,
        Step::Http,
        Step::Websocket,
        Step::Join,
        Step::Turn,
        Step::Ice,
        Step::Dtls,
        Step::Publish,
        Step::FirstPacket,
        Step::FirstFrame,
        Step::Data,
        Step::Media,
    ];

    /// As in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Step::Dns => "dns",
            Step::Tcp => "tcp",
            Step::Tls => "tls",
            Step::Http => "http",
            Step::Websocket => "websocket",
            Step::Join => "join",
            Step::Turn => "turn",
            Step::Ice => "ice",
            Step::Dtls => "dtls",
            Step::Publish => "publish",
            Step::FirstPacket => "first_packet",
            Step::FirstFrame => "first_frame",
            Step::Data => "data",
            Step::Media => "media",
        }
    }
}

/// What kind of thing went wrong; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Something on this side: a socket, say.
    Local,
    /// A figure was beyond a limit the user set.
    Threshold,
    /// DNS, TCP or TLS.
    Unreachable,
    /// The server answered and did not let us in.
    Refused,
    /// It let us in and then did not go on as it should.
    Signalling,
    Turn,
    Ice,
    Dtls,
    NoMedia,
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::Local,
        Fault::Threshold,
        Fault::Unreachable,
        Fault::Refused,
        Fault::Signalling,
        Fault::Turn,
        Fault::Ice,
        Fault::Dtls,
        Fault::NoMedia,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::Local => "local",
            Fault::Threshold => "threshold",
            Fault::Unreachable => "unreachable",
            Fault::Refused => "refused",
            Fault::Signalling => "signalling",
            Fault::Turn => "turn",
            Fault::Ice => "ice",
            Fault::Dtls => "dtls",
            Fault::NoMedia => "no_media",
        }
    }

    /// 1 and 4 mean what they mean in every command; 2 and 3 are never a probe's result.
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::Local => 1,
            Fault::Threshold => 4,
            Fault::Unreachable => 10,
            Fault::Refused => 11,
            Fault::Signalling => 12,
            Fault::Turn => 13,
            Fault::Ice => 14,
            Fault::Dtls => 15,
            Fault::NoMedia => 16,
        }
    }
}

/// Why a probe ended before its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trouble {
    pub fault: Fault,
    /// Absent for thresholds.
    pub step: Option<Step>,
    pub who: Option<&'static str>,
    /// One line.
    pub message: String,
    /// What to do, a line each.
    pub hints: Vec<String>,
}

impl Trouble {
    pub fn at(fault: Fault, step: Step, message: impl Into<String>) -> Trouble {
        Trouble { fault, step: Some(step), who: None, message: message.into(), hints: Vec::new() }
    }

    pub fn of(self, role: Role) -> Trouble {
        Trouble { who: Some(role.name()), ..self }
    }

    pub fn hinting(mut self, hint: impl Into<String>) -> Trouble {
        self.hints.push(hint.into());
        self
    }
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Taken {
    pub step: Step,
    /// Whose; absent where there is but one.
    pub who: Option<&'static str>,
    pub ms: f64,
    pub detail: String,
}

/// Round trips of data messages over the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RoundTrips {
    pub sent: u32,
    pub returned: u32,
    pub median_ms: f64,
    pub max_ms: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub url: String,
    pub room: String,
    /// Seconds since 1970.
    pub at_s: i64,
    pub ok: bool,
    /// From the first look-up to the first packet received; absent if there was none.
    pub join_ms: Option<f64>,
    pub steps: Vec<Taken>,
    pub trouble: Option<Trouble>,
    pub audio: Option<Measured>,
    pub video: Option<Measured>,
    pub data: Option<RoundTrips>,
    pub verdicts: Vec<Verdict>,
    #[serde(skip)]
    pub(super) begun: Option<Instant>,
}

impl Report {
    pub fn new(url: &str, room: &str) -> Report {
        Report {
            url: url.to_owned(),
            room: room.to_owned(),
            at_s: clock::unix_s(),
            ok: false,
            join_ms: None,
            steps: Vec::new(),
            trouble: None,
            audio: None,
            video: None,
            data: None,
            verdicts: Vec::new(),
            begun: Some(clock::now()),
        }
    }

    pub fn took(&mut self, step: Step, took: Duration, detail: impl Into<String>) {
        self.steps.push(Taken { step, who: None, ms: ms(took), detail: detail.into() });
    }

    pub fn took_by(&mut self, role: Role, step: Step, took: Duration, detail: impl Into<String>) {
        self.steps.push(Taken { step, who: Some(role.name()), ms: ms(took), detail: detail.into() });
    }

    /// The first packet has come.
    pub fn is_in(&mut self, at: Instant) {
        self.join_ms = self.begun.map(|begun| ms(at.saturating_duration_since(begun)));
    }

    pub fn fault(&self) -> Option<Fault> {
        self.trouble.as_ref().map(|trouble| trouble.fault)
    }
}

/// Milliseconds with a thousandth.
pub fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_a_code_of_its_own_and_none_is_success_or_usage() {
        let codes: BTreeSet<u8> = Fault::ALL.map(Fault::exit_code).into();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!([0, 2, 3].iter().all(|code| !codes.contains(code)));
    }

    #[test]
    fn names_are_those_of_json() {
        let json = |value| serde_json::to_value(value).unwrap();
        assert!(Step::ALL.iter().all(|step| json(serde_json::to_value(step).unwrap()) == step.name()));
        assert!(Fault::ALL.iter().all(|fault| json(serde_json::to_value(fault).unwrap()) == fault.name()));
    }
}
