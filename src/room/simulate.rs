//! Faults clients ask for to test themselves (WIRE.md §2.11).

use super::leave::Departure;
use super::participant::ParticipantKey;
use super::state::Room;
use super::timers::Timer;
use crate::proto::simulate_scenario::Scenario;
use crate::proto::{CandidateProtocol, SimulateScenario};
use crate::shard::{CandidatePolicy, Command};
use std::time::Duration;
use tokio::time::Instant;

/// For how long resumes are disturbed.
const DISTURBED: Duration = Duration::from_secs(5);
/// Longest time a simulated speaker talks.
const SPEAKS_MAX_S: u64 = 3600;

impl Room {
    pub(super) fn simulate(&mut self, key: ParticipantKey, scenario: SimulateScenario) {
        let until = Some(Instant::now() + DISTURBED);
        match scenario.scenario {
            Some(Scenario::SpeakerUpdate(seconds)) => self.simulate_speaker(key, seconds),
            Some(Scenario::NodeFailure(_)) => self.remove(key, Departure::SimulatedFailure),
            Some(Scenario::Migration(_)) => self.remove(key, Departure::SimulatedMigration),
            Some(Scenario::ServerLeave(_)) => self.remove(key, Departure::ServerShutdown),
            Some(Scenario::SwitchCandidateProtocol(protocol)) => self.simulate_switch(key, protocol),
            Some(Scenario::DisconnectSignalOnResume(_)) => {
                self.with(key, |p| p.simulated.drop_resumed_until = until);
            }
            Some(Scenario::DisconnectSignalOnResumeNoMessages(_)) => self.with(key, |p| {
                p.simulated.refuse_resume_until = until;
                p.simulated.refusals = 0;
            }),
            Some(Scenario::LeaveRequestFullReconnect(_)) => self.remove(key, Departure::StateMismatch),
            Some(Scenario::SubscriberBandwidth(bps)) => self.simulate_bandwidth(key, bps),
            None => (),
        }
    }

    fn simulate_speaker(&mut self, key: ParticipantKey, seconds: i32) {
        let seconds = u64::try_from(seconds).unwrap_or(0).min(SPEAKS_MAX_S);
        let until = Instant::now() + Duration::from_secs(seconds);
        let Some(p) = self.people.get(&key) else { return };
        self.speakers.simulate(p.sid(), until.into_std());
        self.report_speakers(Instant::now());
        self.timers.arm(Timer::SimulatedSpeaker(key), until);
    }

    /// 0 ends it.
    fn simulate_bandwidth(&mut self, key: ParticipantKey, bps: i64) {
        let Some(p) = self.people.get(&key) else { return };
        let bps = u64::try_from(bps).ok().filter(|bps| *bps > 0);
        self.shards.send(Command::SetCapacity { peer: p.links.sending_ref().peer, bps });
    }

    /// Only TCP, or anything, from the next ICE restart or session on.
    fn simulate_switch(&mut self, key: ParticipantKey, protocol: i32) {
        let Some(identity) = self.people.get(&key).map(|p| p.identity().to_owned()) else { return };
        let policy = match CandidateProtocol::try_from(protocol) {
            Ok(CandidateProtocol::Tcp | CandidateProtocol::Tls) => CandidatePolicy::TcpOnly,
            _ => CandidatePolicy::All,
        };
        self.prefer(identity, policy);
        self.apply_fallback(key);
        self.restart_subscriber(key);
    }
}
