//! What processes take and what their sockets dropped, by Linux's /proc. Called by `watch` for the tester itself and for
//! a server on the same machine.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::Duration;

/// Linux counts processor time in hundredths of a second (`sysconf(_SC_CLK_TCK)` is 100 on all its ports we build for).
const TICK: Duration = Duration::from_millis(10);

/// A process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    pub rss_bytes: u64,
    /// Processor time by thread.
    pub threads: Vec<(u64, Duration)>,
    /// Datagrams its UDP sockets had no room for.
    pub socket_drops: u64,
}

impl Usage {
    /// `pid` may be `self`. All but what its sockets dropped: that takes a look at each of its files.
    pub fn brief(pid: &str) -> io::Result<Usage> {
        let rss_kib = status_kib(&fs::read_to_string(format!("/proc/{pid}/status"))?).unwrap_or(0);
        let cpu = stat_cpu(&fs::read_to_string(format!("/proc/{pid}/stat"))?).unwrap_or_default();
        // A process of somebody else shows less; what cannot be read is left out.
        Ok(Usage { cpu, rss_bytes: rss_kib * 1024, threads: threads(pid).unwrap_or_default(), socket_drops: 0 })
    }

    /// The same, whole.
    pub fn of(pid: &str) -> io::Result<Usage> {
        Ok(Usage { socket_drops: drops(pid).unwrap_or(0), ..Usage::brief(pid)? })
    }

    /// The largest share of the time that one thread was running, 0..=1.
    pub fn busiest_since(&self, earlier: &Usage, time: Duration) -> f64 {
        let before = |id| earlier.threads.iter().find(|(known, _)| *known == id).map_or(Duration::ZERO, |(_, t)| *t);
        let busy = self.threads.iter().map(|(id, cpu)| cpu.saturating_sub(before(*id))).max().unwrap_or_default();
        busy.as_secs_f64() / time.as_secs_f64().max(1e-9)
    }
}

/// Share of its processors' time that the machine spends in software interrupts, and in all work; as counted since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    softirq: u64,
    busy: u64,
    total: u64,
}

impl Machine {
    pub fn now() -> io::Result<Machine> {
        Ok(machine(&fs::read_to_string("/proc/stat")?))
    }

    /// Shares since an earlier moment, 0..=1: software interrupts, all work.
    pub fn since(&self, earlier: &Machine) -> (f64, f64) {
        let total = (self.total - earlier.total).max(1) as f64;
        ((self.softirq - earlier.softirq) as f64 / total, (self.busy - earlier.busy) as f64 / total)
    }
}

/// `cpu user nice system idle iowait irq softirq steal …` (proc(5)).
fn machine(stat: &str) -> Machine {
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|f| f.parse().ok()).collect();
    let at = |n: usize| fields.get(n).copied().unwrap_or(0);
    let total = fields.iter().sum();
    Machine { softirq: at(6), busy: total - at(3) - at(4), total }
}

fn status_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim_end_matches("kB").trim().parse().ok()
}

/// User and system time. The name in parentheses may hold anything; fields are counted behind it.
fn stat_cpu(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<u32>().ok();
    Some(TICK * (ticks(11)? + ticks(12)?))
}

fn threads(pid: &str) -> io::Result<Vec<(u64, Duration)>> {
    let ids = fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
    let thread = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, stat_cpu(&stat)?))
    };
    Ok(ids.filter_map(thread).collect())
}

/// Counts what /proc/net/udp says of the process's own sockets.
fn drops(pid: &str) -> io::Result<u64> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    let inode = |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    let own: HashSet<u64> = links.filter_map(inode).collect();
    let tables = ["udp", "udp6"].iter().filter_map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).ok());
    Ok(tables.map(|table| table_drops(&table, &own)).sum())
}

/// Column 9 is the inode, the last one the drops (proc_pid_net(5)).
fn table_drops(table: &str, own: &HashSet<u64>) -> u64 {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = fields.get(9)?.parse().ok()?;
        own.contains(&inode).then(|| fields.last()?.parse::<u64>().ok()).flatten()
    };
    table.lines().skip(1).filter_map(row).sum()
}

/// Most files this process may open; `None` where it is not told.
pub fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_proc_are_read() {
        let stat = "77 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 1 2 3";
        assert_eq!(stat_cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(status_kib("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2048));
        let table = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops\n\
             1: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 111 2 0 7\n\
             2: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 222 2 0 9\n";
        assert_eq!(table_drops(table, &HashSet::from([222])), 9);
    }

    #[test]
    fn shares_of_the_machine() {
        let earlier = machine("cpu  100 0 100 700 100 0 0 0 0 0\n");
        let later = machine("cpu  150 0 110 1100 100 0 40 0 0 0\n");
        let (softirq, busy) = later.since(&earlier);
        assert!((softirq - 0.08).abs() < 1e-9 && (busy - 0.2).abs() < 1e-9, "{softirq} {busy}");
    }

    #[test]
    fn the_busiest_thread_counts() {
        let usage = |ms: &[u64]| Usage {
            threads: (0..).zip(ms).map(|(id, ms)| (id, Duration::from_millis(*ms))).collect(),
            ..Usage::default()
        };
        let busiest = usage(&[600, 900]).busiest_since(&usage(&[100, 800]), Duration::from_secs(1));
        assert!((busiest - 0.5).abs() < 1e-9);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_sees_itself() {
        let own = Usage::of("self").unwrap();
        assert!(own.rss_bytes > 1 << 20 && !own.threads.is_empty());
        assert!(open_files_max().is_some_and(|n| n > 10));
    }
}
