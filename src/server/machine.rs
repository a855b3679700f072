//! The machine under the node: processors, memory and load, as Linux tells them; elsewhere zeros. In a container the limits
//! of its control group count.

use crate::proto::NodeStats;
use std::fs;
use std::time::Duration;
use tokio::time::Instant;

/// Looks at the processors' counters, and remembers the last.
#[derive(Default)]
pub struct Machine {
    last: Option<Busy>,
}

/// Processor time used so far.
#[derive(Clone, Copy)]
struct Busy {
    at: Instant,
    used: Duration,
}

impl Machine {
    pub fn measure(&mut self, stats: &mut NodeStats) {
        let cpus = cpus();
        stats.num_cpus = cpus.ceil() as u32;
        stats.cpu_load = self.cpu_load(cpus);
        let (total, used) = memory();
        (stats.memory_total, stats.memory_used) = (total, used);
        let loads = load_averages(&read("/proc/loadavg"));
        [stats.load_avg_last1min, stats.load_avg_last5min, stats.load_avg_last15min] = loads;
    }

    /// 0 to 1, since the last call.
    fn cpu_load(&mut self, cpus: f64) -> f32 {
        let Some(used) = cgroup_cpu(&read("/sys/fs/cgroup/cpu.stat")).or_else(|| proc_cpu(&read("/proc/stat"))) else {
            return 0.0;
        };
        let now = Busy { at: Instant::now(), used };
        let Some(last) = self.last.replace(now) else { return 0.0 };
        let elapsed = (now.at - last.at).as_secs_f64();
        if elapsed <= 0.0 {
            return 0.0;
        }
        let busy = now.used.saturating_sub(last.used).as_secs_f64();
        (busy / (elapsed * cpus)).clamp(0.0, 1.0) as f32
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What the control group may use, or what there is.
fn cpus() -> f64 {
    let there_are = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    cgroup_quota(&read("/sys/fs/cgroup/cpu.max")).map_or(there_are, |quota| quota.min(there_are))
}

/// `cpu.max`: microseconds of each period, and the period. Control groups version 2.
fn cgroup_quota(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let (quota, period): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn cgroup_cpu(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|l| l.strip_prefix("usage_usec "))?;
    line.trim().parse().ok().map(Duration::from_micros)
}

/// All but idle and waiting for disks, in hundredths of a second.
fn proc_cpu(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|l| l.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let busy = ticks.iter().take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4)).map(|(_, t)| t).sum::<u64>();
    (ticks.len() >= 4).then(|| Duration::from_millis(busy * 10))
}

/// Bytes: all, and in use.
fn memory() -> (u64, u64) {
    let limit = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
    let used = read("/sys/fs/cgroup/memory.current").trim().parse().ok();
    match (limit, used) {
        (Some(limit), Some(used)) => (limit, used),
        _ => meminfo(&read("/proc/meminfo")),
    }
}

fn meminfo(text: &str) -> (u64, u64) {
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|w| w.parse::<u64>().ok()).unwrap_or_default()
    };
    let (total, available) = (kilobytes("MemTotal:"), kilobytes("MemAvailable:"));
    (total * 1024, total.saturating_sub(available) * 1024)
}

fn load_averages(text: &str) -> [f32; 3] {
    let mut words = text.split_whitespace().map(|w| w.parse().unwrap_or_default());
    [(); 3].map(|()| words.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_is_read() {
        assert_eq!(cgroup_quota("150000 100000\n"), Some(1.5));
        assert_eq!(cgroup_quota("max 100000\n"), None);
        assert_eq!(cgroup_cpu("usage_usec 2500000\nuser_usec 1\n"), Some(Duration::from_millis(2500)));
        assert_eq!(proc_cpu("cpu  100 0 50 900 50 0 0 0 0 0\ncpu0 1\n"), Some(Duration::from_millis(1500)));
        assert_eq!(meminfo("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 40 kB\n"), (102_400, 61_440));
        assert_eq!(load_averages("0.50 0.25 0.10 1/200 99\n"), [0.5, 0.25, 0.1]);
        assert_eq!((load_averages(""), meminfo(""), proc_cpu("")), ([0.0; 3], (0, 0), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_did_nothing_carries_nothing() {
        let mut machine = Machine { last: None };
        let mut stats = NodeStats::default();
        machine.measure(&mut stats);
        assert_eq!(stats.cpu_load, 0.0);
        tokio::time::advance(Duration::from_secs(3600)).await;
        machine.measure(&mut stats);
        assert!(stats.cpu_load < 0.1 && stats.num_cpus > 0);
    }
}
