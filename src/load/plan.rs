//! How large a cluster a shape needs: from the rates of a shape, what a packet costs and what machines have, to cores, memory
//! and nodes, and which wall is hit first. Called by `lkops plan` and `--verify-plan`; pure.

use super::rates::Rates;
use super::shape::{Group, Shape};
use serde::{Deserialize, Serialize};

/// What things cost a server: measured by `load-test calibrate`; those shipped are estimates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Where it was measured.
    pub machine: String,
    /// How it was measured.
    #[serde(default)]
    pub conditions: String,
    /// By how much the CPU of the runs it was measured by differs from what it says of them: the mean, and the worst.
    #[serde(default)]
    pub error_percent: f64,
    #[serde(default)]
    pub error_max_percent: f64,
    /// Microseconds of one core.
    pub packet_in_us: f64,
    /// For each burst of packets from one publisher, whatever their number.
    #[serde(default)]
    pub burst_in_us: f64,
    pub packet_out_us: f64,
    /// The same to one subscriber.
    pub burst_out_us: f64,
    /// A second, for each participant: feedback, reports, pings.
    #[serde(default)]
    pub participant_us_per_s: f64,
    /// A second, for nothing.
    pub idle_us_per_s: f64,
    pub idle_bytes: f64,
    pub participant_bytes: f64,
    /// Of each published track.
    #[serde(default)]
    pub publication_bytes: f64,
    pub subscription_bytes: f64,
}

/// What a server's costs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    pub rates: Rates,
    pub participants: f64,
    pub publications: f64,
    pub subscriptions: f64,
}

impl Load {
    /// One room of the group.
    pub fn of(group: &Group) -> Load {
        let tracks = group.tracks();
        Load {
            rates: Rates::of_room(group),
            participants: group.size() as f64,
            publications: (tracks.published_audio + tracks.published_video) as f64,
            subscriptions: tracks.subscribed() as f64,
        }
    }

    /// Of all rooms.
    pub fn of_all(shape: &Shape) -> Load {
        shape.groups.iter().fold(Load::default(), |sum, group| {
            let (one, rooms) = (Load::of(group), f64::from(group.rooms));
            Load {
                rates: sum.rates + one.rates * rooms,
                participants: sum.participants + one.participants * rooms,
                publications: sum.publications + one.publications * rooms,
                subscriptions: sum.subscriptions + one.subscriptions * rooms,
            }
        })
    }
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub name: String,
    pub vcpus: u32,
    /// How much of a vCPU one really has: 1 for dedicated ones.
    #[serde(default = "whole")]
    pub vcpu_share: f64,
    pub memory_gib: f64,
    pub port_gbps: f64,
    /// What it is known to do.
    #[serde(default)]
    pub note: String,
}

fn whole() -> f64 {
    1.0
}

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

impl From<serde_saphyr::Error> for YamlError {
    fn from(error: serde_saphyr::Error) -> YamlError {
        YamlError(error.to_string())
    }
}

/// Of CPU and port, kept free: congestion control and key-frame storms hurt before a graph looks bad.
pub const HEADROOM: f64 = 0.35;
/// Of memory.
const MEMORY_HEADROOM: f64 = 0.20;

/// What a shape, a room or a node takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Needs {
    pub cores: f64,
    pub bytes: f64,
    pub gbps_out: f64,
    pub gbps_in: f64,
}

/// A resource a machine runs out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wall {
    Cpu,
    Port,
    Memory,
}

/// A shape on one kind of machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    pub machine: String,
    pub note: String,
    /// `None` if the largest room does not fit one node.
    pub nodes: Option<u64>,
    /// What runs out first.
    pub wall: Wall,
    /// Share of a node's usable resource the largest room takes, in percent.
    pub largest_room_percent: f64,
}

impl Calibration {
    /// Reads YAML.
    pub fn parse(text: &str) -> Result<Calibration, YamlError> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// As YAML.
    pub fn text(&self) -> Result<String, YamlError> {
        serde_saphyr::to_string(self).map_err(|error| YamlError(error.to_string()))
    }

    /// As shipped.
    pub fn shipped() -> Calibration {
        Calibration::parse(include_str!("calibration.yaml")).unwrap_or_else(|_| unreachable!())
    }

    pub fn needs(&self, shape: &Shape) -> Needs {
        let rooms = shape.groups.iter().map(|group| self.room(group) * f64::from(group.rooms));
        rooms.fold(Needs::default(), std::ops::Add::add) + self.idle()
    }

    /// A server with nobody.
    pub fn idle(&self) -> Needs {
        Needs { cores: self.idle_us_per_s / 1e6, bytes: self.idle_bytes, ..Needs::default() }
    }

    /// One room, without the server it is on.
    pub fn room(&self, group: &Group) -> Needs {
        self.load(&Load::of(group))
    }

    /// Whatever the rooms.
    pub fn load(&self, load: &Load) -> Needs {
        let rates = &load.rates;
        let us = rates.packets_in * self.packet_in_us
            + rates.bursts_in * self.burst_in_us
            + rates.packets_out * self.packet_out_us
            + rates.bursts_out * self.burst_out_us
            + load.participants * self.participant_us_per_s;
        Needs {
            cores: us / 1e6,
            bytes: load.participants * self.participant_bytes
                + load.publications * self.publication_bytes
                + load.subscriptions * self.subscription_bytes,
            gbps_out: rates.wire_bps_out() / 1e9,
            gbps_in: rates.wire_bps_in() / 1e9,
        }
    }
}

impl std::ops::Add for Needs {
    type Output = Needs;

    fn add(self, other: Needs) -> Needs {
        Needs {
            cores: self.cores + other.cores,
            bytes: self.bytes + other.bytes,
            gbps_out: self.gbps_out + other.gbps_out,
            gbps_in: self.gbps_in + other.gbps_in,
        }
    }
}

impl std::ops::Mul<f64> for Needs {
    type Output = Needs;

    fn mul(self, times: f64) -> Needs {
        Needs {
            cores: self.cores * times,
            bytes: self.bytes * times,
            gbps_out: self.gbps_out * times,
            gbps_in: self.gbps_in * times,
        }
    }
}

impl Machine {
    /// Reads YAML.
    pub fn list(text: &str) -> Result<Vec<Machine>, YamlError> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// The machines that are known, as shipped.
    pub fn shipped() -> Vec<Machine> {
        Machine::list(include_str!("machines.yaml")).unwrap_or_else(|_| unreachable!())
    }

    /// Shares of what may be used that these needs take: CPU, port, memory. A port is full in one direction.
    fn shares(&self, needs: &Needs, idle: &Needs) -> [(Wall, f64); 3] {
        let cores = f64::from(self.vcpus) * self.vcpu_share * (1.0 - HEADROOM) - idle.cores;
        let memory = self.memory_gib * f64::from(1 << 30) * (1.0 - MEMORY_HEADROOM) - idle.bytes;
        let port = self.port_gbps * (1.0 - HEADROOM);
        [
            (Wall::Cpu, needs.cores / cores.max(1e-9)),
            (Wall::Port, needs.gbps_out.max(needs.gbps_in) / port.max(1e-9)),
            (Wall::Memory, needs.bytes / memory.max(1.0)),
        ]
    }

    fn worst(&self, needs: &Needs, idle: &Needs) -> (Wall, f64) {
        let [first, rest @ ..] = self.shares(needs, idle);
        rest.into_iter().fold(first, |worst, next| if next.1 > worst.1 { next } else { worst })
    }

    /// A room lives on one node, so rooms are put into nodes, the largest first.
    pub fn fit(&self, shape: &Shape, calibration: &Calibration) -> Fit {
        let idle = calibration.idle();
        let mut rooms: Vec<(Needs, u32)> = shape.groups.iter().map(|g| (calibration.room(g), g.rooms)).collect();
        rooms.retain(|(_, count)| *count > 0);
        rooms.sort_by(|(a, _), (b, _)| self.worst(b, &idle).1.total_cmp(&self.worst(a, &idle).1));
        let total = rooms.iter().fold(Needs::default(), |sum, (needs, count)| sum + *needs * f64::from(*count));
        let largest = rooms.first().map_or((Wall::Cpu, 0.0), |(needs, _)| self.worst(needs, &idle));
        let fits = largest.1 <= 1.0;
        Fit {
            machine: self.name.clone(),
            note: self.note.clone(),
            nodes: fits.then(|| self.pack(&rooms, &idle)),
            wall: if fits { self.worst(&total, &idle).0 } else { largest.0 },
            largest_room_percent: largest.1 * 100.0,
        }
    }

    /// First fit, as many alike rooms at a time as the node still takes.
    fn pack(&self, rooms: &[(Needs, u32)], idle: &Needs) -> u64 {
        let mut nodes: Vec<Needs> = Vec::new();
        for (room, count) in rooms {
            let mut left = u64::from(*count);
            for used in &mut nodes {
                let taken = self.room_left(used, room, idle).min(left);
                *used = *used + *room * taken as f64;
                left -= taken;
            }
            let per_node = self.room_left(&Needs::default(), room, idle).max(1);
            while left > 0 {
                let taken = per_node.min(left);
                nodes.push(*room * taken as f64);
                left -= taken;
            }
        }
        (nodes.len() as u64).max(1)
    }

    /// How many more such rooms a node takes.
    fn room_left(&self, used: &Needs, room: &Needs, idle: &Needs) -> u64 {
        let taken = self.shares(used, idle);
        let each = self.shares(room, idle);
        let counts = taken.iter().zip(&each).map(|((_, taken), (_, each))| {
            if *each <= 0.0 { u64::MAX } else { ((1.0 - taken) / each + 1e-9).max(0.0) as u64 }
        });
        counts.min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::super::shape::Traits;
    use super::*;

    fn calibration() -> Calibration {
        Calibration {
            machine: "test".into(),
            conditions: String::new(),
            error_percent: 0.0,
            error_max_percent: 0.0,
            packet_in_us: 2.0,
            burst_in_us: 1.0,
            packet_out_us: 1.0,
            burst_out_us: 1.0,
            participant_us_per_s: 100.0,
            idle_us_per_s: 10_000.0,
            idle_bytes: 20e6,
            participant_bytes: 100e3,
            publication_bytes: 50e3,
            subscription_bytes: 10e3,
        }
    }

    fn machine(vcpus: u32, port_gbps: f64) -> Machine {
        Machine { name: "m".into(), vcpus, vcpu_share: 1.0, memory_gib: 16.0, port_gbps, note: String::new() }
    }

    fn shape(text: &str) -> Shape {
        parse(text, &Traits::default()).unwrap()
    }

    #[test]
    fn needs_are_the_sum_of_rooms_and_the_idle_server() {
        let needs = calibration().needs(&shape("2x(1vp,10s)"));
        let cores = 2.0 * (300.0 * 2.0 + 90.0 + 2100.0 + 300.0 + 1100.0) / 1e6 + 0.01;
        assert!((needs.cores - cores).abs() < 1e-9, "{needs:?}");
        assert_eq!(needs.bytes, 20e6 + 2.0 * (11.0 * 100e3 + 50e3 + 10.0 * 10e3));
    }

    #[test]
    fn a_small_port_is_the_first_wall_and_a_small_cpu_another() {
        let shape = shape("25x(4av)");
        assert_eq!(machine(64, 1.0).fit(&shape, &calibration()).wall, Wall::Port);
        assert_eq!(machine(1, 100.0).fit(&shape, &calibration()).wall, Wall::Cpu);
    }

    #[test]
    fn a_room_that_fits_no_node_cannot_be_planned() {
        let fit = machine(1, 1.0).fit(&shape("(1vp,3000s) + 5x(4av)"), &calibration());
        assert_eq!((fit.nodes, fit.wall), (None, Wall::Port));
        assert!(fit.largest_room_percent > 100.0);
    }

    #[test]
    fn nodes_grow_with_rooms_and_never_split_one() {
        let nodes = |text: &str| machine(4, 1.0).fit(&shape(text), &calibration()).nodes.unwrap();
        assert_eq!(nodes("1x(4av)"), 1);
        let (some, twice) = (nodes("200x(4av)"), nodes("400x(4av)"));
        assert!(some > 1 && twice.abs_diff(2 * some) <= 1, "{some} {twice}");
        // Each of these takes more than half a node.
        let half = shape("3x(1vp,215s)");
        let share = machine(4, 1.0).worst(&calibration().room(&half.groups[0]), &calibration().idle()).1;
        assert!(share > 0.5 && share < 1.0, "{share}");
        assert_eq!(machine(4, 1.0).fit(&half, &calibration()).nodes, Some(3));
    }

    #[test]
    fn what_is_shipped_is_readable() {
        assert!(Calibration::shipped().packet_out_us > 0.0);
        let machines = Machine::shipped();
        assert!(machines.iter().any(|m| m.name == "CCX23") && machines.iter().all(|m| m.vcpus > 0));
    }
}
