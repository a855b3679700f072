//! The tester's eye on itself, on the machine and on a server that runs beside it: what is to blame when figures are bad.
//! Called by `test` at the ends of the measuring window and each second.

use super::exposition::{CPU_SECONDS, RESIDENT_BYTES};
use super::sight::Sight;
use super::vitals::{Machine, Usage};
use crate::client::{Engine, TIMER_LATE, Totals};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// A moment, as far as processes go.
#[derive(Clone, Debug)]
pub struct Moment {
    pub at: Instant,
    pub totals: Totals,
    own: Usage,
    server: Option<Usage>,
    machine: Machine,
}

impl Moment {
    /// Only the server's process may be missing; `/proc` absent leaves zeros. What sockets dropped is not looked at.
    pub fn glance(engine: &Engine, server_pid: Option<u32>) -> Moment {
        Moment {
            at: Instant::now(),
            totals: engine.totals(),
            own: Usage::brief("self").unwrap_or_default(),
            server: server_pid.and_then(|pid| Usage::brief(&pid.to_string()).ok()),
            machine: Machine::now().unwrap_or_default(),
        }
    }

    /// The same, and what our sockets dropped.
    pub fn now(engine: &Engine, server_pid: Option<u32>) -> Moment {
        let own = Usage::of("self").unwrap_or_default();
        Moment { own, ..Moment::glance(engine, server_pid) }
    }
}

/// How the tester itself did over the measuring window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tester {
    /// Of one core.
    pub cpu_percent: f64,
    /// Its busiest thread, in percent of what a thread can do: at 100 it cannot keep up.
    pub saturation_percent: f64,
    pub rss_bytes: u64,
    pub cpu_us_per_packet: f64,
    /// Datagrams its own sockets had no room for: loss that is not the server's.
    pub socket_drops: u64,
    pub timers_late_percent: f64,
    pub timer_late_max_ms: f64,
    /// All work of the machine, and its software interrupts, in percent of all cores.
    pub machine_percent: f64,
    pub softirq_percent: f64,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// A server process over the measuring window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub cpu_percent: f64,
    pub rss_bytes: u64,
    /// By packet that reached a subscriber.
    pub cpu_us_per_packet: f64,
    pub socket_drops: u64,
    /// Where asked for by --metrics-url: counters by how much they grew in the window, gauges as they were at its end.
    pub metrics: std::collections::BTreeMap<String, f64>,
}

/// Above this a thread's time for packets depends on luck.
const SATURATION_PERCENT: f64 = 80.0;
/// More late timers than this disturb latencies.
const TIMERS_LATE_PERCENT: f64 = 1.0;
const MACHINE_PERCENT: f64 = 95.0;

impl Tester {
    pub fn between(from: &Moment, to: &Moment, late_max: Duration) -> Tester {
        let time = to.at - from.at;
        let cpu = to.own.cpu.saturating_sub(from.own.cpu);
        let packets = to.totals.packets - from.totals.packets;
        let (timers, late) = (to.totals.timers - from.totals.timers, to.totals.timers_late - from.totals.timers_late);
        let (softirq, machine) = to.machine.since(&from.machine);
        let mut tester = Tester {
            cpu_percent: share(cpu, time),
            saturation_percent: to.own.busiest_since(&from.own, time) * 100.0,
            rss_bytes: to.own.rss_bytes,
            cpu_us_per_packet: per_packet(cpu, packets),
            socket_drops: to.own.socket_drops.saturating_sub(from.own.socket_drops),
            timers_late_percent: late as f64 * 100.0 / timers.max(1) as f64,
            timer_late_max_ms: late_max.as_secs_f64() * 1000.0,
            machine_percent: machine * 100.0,
            softirq_percent: softirq * 100.0,
            warnings: Vec::new(),
        };
        tester.warnings = tester.warn();
        tester
    }

    fn warn(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.saturation_percent > SATURATION_PERCENT {
            let busy = self.saturation_percent;
            warnings.push(format!(
                "the tester's busiest thread was {busy:.0} % busy: loss and latency may be the tester's; use --threads or more machines"
            ));
        }
        if self.socket_drops > 0 {
            let drops = self.socket_drops;
            warnings.push(format!(
                "the tester's own sockets dropped {drops} datagrams: that loss is not the server's; raise net.core.rmem_max or --threads"
            ));
        }
        if self.timers_late_percent > TIMERS_LATE_PERCENT {
            warnings.push(format!(
                "{:.1} % of the tester's timers fired more than {TIMER_LATE:?} late, the worst {:.0} ms: latencies are at least so unsure",
                self.timers_late_percent, self.timer_late_max_ms
            ));
        }
        if self.machine_percent > MACHINE_PERCENT {
            warnings.push(format!(
                "this machine was {:.0} % busy: a server beside the tester competes with it",
                self.machine_percent
            ));
        }
        warnings
    }
}

impl Server {
    /// From the process if it could be read at both ends, else from what it told itself at both; `None` without either.
    /// So many packets reached subscribers in between.
    pub fn between(from: &Sight, to: &Sight, packets: u64) -> Option<Server> {
        let metrics = to.told.since(&from.told);
        let process = from.process.as_ref().zip(to.process.as_ref());
        let own = |name| metrics.get(name).copied();
        let cpu = match process {
            Some((before, after)) => after.cpu.saturating_sub(before.cpu),
            None if metrics.is_empty() => return None,
            None => Duration::from_secs_f64(own(CPU_SECONDS).unwrap_or(0.0).max(0.0)),
        };
        Some(Server {
            cpu_percent: share(cpu, to.at - from.at),
            rss_bytes: process.map_or(own(RESIDENT_BYTES).unwrap_or(0.0) as u64, |(_, after)| after.rss_bytes),
            cpu_us_per_packet: per_packet(cpu, packets),
            socket_drops: process.map_or(0, |(before, after)| after.socket_drops.saturating_sub(before.socket_drops)),
            metrics,
        })
    }
}

fn share(cpu: Duration, time: Duration) -> f64 {
    cpu.as_secs_f64() / time.as_secs_f64().max(1e-9) * 100.0
}

fn per_packet(cpu: Duration, packets: u64) -> f64 {
    if packets == 0 { 0.0 } else { cpu.as_secs_f64() * 1e6 / packets as f64 }
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Since the start.
    pub at_s: f64,
    pub participants: u64,
    pub packets_per_s: f64,
    pub bitrate_bps: f64,
    pub loss_percent: f64,
    pub tester_cpu_percent: f64,
    pub server_cpu_percent: Option<f64>,
    pub timer_late_max_ms: f64,
}

impl Second {
    pub fn between(from: &Moment, to: &Moment, begun: Instant, participants: u64) -> Second {
        let time = to.at - from.at;
        let rate = |count: u64| count as f64 / time.as_secs_f64().max(1e-9);
        let packets = to.totals.packets - from.totals.packets;
        let lost = (to.totals.lost - from.totals.lost).max(0) as f64;
        let server = from.server.as_ref().zip(to.server.as_ref());
        Second {
            at_s: (to.at - begun).as_secs_f64(),
            participants,
            packets_per_s: rate(packets),
            bitrate_bps: rate((to.totals.bytes - from.totals.bytes) * 8),
            loss_percent: if packets == 0 { 0.0 } else { lost * 100.0 / (packets as f64 + lost) },
            tester_cpu_percent: share(to.own.cpu.saturating_sub(from.own.cpu), time),
            server_cpu_percent: server.map(|(before, after)| share(after.cpu.saturating_sub(before.cpu), time)),
            timer_late_max_ms: to.totals.late_max.as_secs_f64() * 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Exposition;
    use super::*;

    #[test]
    fn a_quiet_tester_has_nothing_to_say_and_a_busy_one_blames_itself() {
        assert!(Tester::default().warn().is_empty());
        let busy = Tester {
            saturation_percent: 97.0,
            socket_drops: 3,
            timers_late_percent: 5.0,
            machine_percent: 99.0,
            ..Tester::default()
        };
        let warnings = busy.warn();
        assert_eq!(warnings.len(), 4);
        assert!(warnings[0].contains("97 % busy") && warnings[1].contains("3 datagrams"), "{warnings:?}");
    }

    #[test]
    fn rates_are_by_the_second() {
        let at = Instant::now();
        let moment = |secs, packets, lost| Moment {
            at: at + Duration::from_secs(secs),
            totals: Totals { packets, lost, bytes: packets * 100, ..Totals::default() },
            own: Usage { cpu: Duration::from_millis(secs * 500), ..Usage::default() },
            server: None,
            machine: Machine::default(),
        };
        let (from, to) = (moment(0, 0, 0), moment(2, 990, 10));
        let second = Second::between(&from, &to, at, 7);
        assert_eq!((second.packets_per_s, second.loss_percent, second.at_s), (495.0, 1.0, 2.0));
        assert_eq!((second.tester_cpu_percent, second.server_cpu_percent), (50.0, None));
        assert!((Tester::between(&from, &to, Duration::ZERO).cpu_us_per_packet - 1010.1).abs() < 0.1);
    }

    #[test]
    fn a_server_is_known_by_what_it_tells() {
        let page = |cpu| Exposition::parse(&format!("# TYPE {CPU_SECONDS} counter\n{CPU_SECONDS} {cpu}\n"));
        let at = Instant::now();
        let sight = |secs, told| Sight { at: at + Duration::from_secs(secs), process: None, told };
        assert_eq!(Server::between(&sight(0, Exposition::default()), &sight(2, Exposition::default()), 990), None);
        let server = Server::between(&sight(0, page(1.0)), &sight(2, page(1.99)), 990).unwrap();
        assert!((server.cpu_us_per_packet - 1000.0).abs() < 1e-6 && (server.cpu_percent - 49.5).abs() < 1e-6);
    }
}
