//! What the kernel tells of this machine, or of the control group the process runs in (proc(5), cgroups(7)).

use super::cpu::{self, CpuMeter, CpuTime};
use crate::proto::NodeStats;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use tokio::time::Instant;

/// Files are looked up below this; `/` but in tests.
pub struct System {
    root: PathBuf,
    cpu: CpuMeter,
    own: CpuMeter,
    began: Instant,
}

/// USER_HZ, which is 100 on every architecture Rust's Linux targets have.
const TICKS: f64 = 100.0;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    total: u64,
    used: u64,
}

impl System {
    pub fn of_this_machine() -> System {
        System::below(Path::new("/"))
    }

    fn below(root: &Path) -> System {
        let mut system =
            System { root: root.to_owned(), cpu: CpuMeter::default(), own: CpuMeter::default(), began: Instant::now() };
        // So that the first statistics speak of the time from here on, not from the machine's start.
        system.cpu_load();
        system.own_load();
        system
    }

    /// A file that cannot be read leaves its fields at 0.
    pub fn write(&mut self, stats: &mut NodeStats) {
        stats.num_cpus = self.cores().ceil() as u32;
        stats.cpu_load = self.cpu_load();
        if let Some([one, five, fifteen]) = self.load_averages() {
            (stats.load_avg_last1min, stats.load_avg_last5min, stats.load_avg_last15min) = (one, five, fifteen);
        }
        if let Some(memory) = self.memory() {
            (stats.memory_total, stats.memory_used) = (memory.total, memory.used);
        }
        if let Some((sent, dropped)) = self.read("proc/net/dev").map(|text| packets_out(&text)) {
            // The fields are 32 bits wide and wrap.
            (stats.sys_packets_out, stats.sys_packets_dropped) = (sent as u32, dropped as u32);
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// A file of our control group, or of the root where the group's own is not to be seen, as in most containers.
    fn group_file(&self, controller: &str, file: &str) -> Option<String> {
        let groups = self.read("proc/self/cgroup")?;
        let (mount, group) = group(&groups, controller)?;
        let inside = format!("sys/fs/cgroup/{mount}{group}/{file}");
        self.read(&inside).or_else(|| self.read(&format!("sys/fs/cgroup/{mount}/{file}")))
    }

    /// Cores the process may use.
    fn cores(&self) -> f64 {
        self.share().max(1.0)
    }

    /// Cores that may be used at once, which may be less than one.
    fn share(&self) -> f64 {
        let machine = available_parallelism().map_or(1.0, |n| n.get() as f64);
        self.quota().map_or(machine, |quota| quota.min(machine))
    }

    fn quota(&self) -> Option<f64> {
        self.group_file("", "cpu.max").and_then(|text| cpu::quota(&text)).or_else(|| {
            let part = |file| self.group_file("cpu", file);
            cpu::quota(&format!("{} {}", part("cpu.cfs_quota_us")?, part("cpu.cfs_period_us")?))
        })
    }

    fn cpu_load(&mut self) -> f32 {
        let now = self.group_time().or_else(|| cpu::of_machine(&self.read("proc/stat")?));
        now.map_or(0.0, |now| self.cpu.load(now))
    }

    /// What this process takes of the cores it may use, 0 to 1.
    pub fn own_load(&mut self) -> f32 {
        let busy = self.read("proc/self/stat").and_then(|stat| cpu::of_process(&stat, TICKS));
        let possible = self.began.elapsed().as_secs_f64() * self.share();
        busy.map_or(0.0, |busy| self.own.load(CpuTime { busy, possible }))
    }

    /// Time the group used, in microseconds, against its quota; `None` without a quota.
    fn group_time(&self) -> Option<CpuTime> {
        let quota = self.quota()?;
        let v1 = || Some(self.group_file("cpuacct", "cpuacct.usage")?.trim().parse::<f64>().ok()? / 1_000.0);
        let busy = self.group_file("", "cpu.stat").and_then(|text| cpu::used_us(&text)).or_else(v1)?;
        Some(CpuTime { busy, possible: self.began.elapsed().as_micros() as f64 * quota })
    }

    fn load_averages(&self) -> Option<[f32; 3]> {
        let text = self.read("proc/loadavg")?;
        let numbers: Vec<f32> = text.split_whitespace().take(3).filter_map(|field| field.parse().ok()).collect();
        numbers.try_into().ok()
    }

    /// Of the group if it has a limit below the machine's memory.
    fn memory(&self) -> Option<Memory> {
        let machine = machine_memory(&self.read("proc/meminfo")?)?;
        Some(self.group_memory().filter(|group| group.total < machine.total).unwrap_or(machine))
    }

    fn group_memory(&self) -> Option<Memory> {
        let number = |controller, file| self.group_file(controller, file)?.trim().parse().ok();
        let v2 = || Some(Memory { total: number("", "memory.max")?, used: number("", "memory.current")? });
        let v1 = || {
            let total = number("memory", "memory.limit_in_bytes")?;
            Some(Memory { total, used: number("memory", "memory.usage_in_bytes")? })
        };
        v2().or_else(v1)
    }
}

/// Where a controller's files are: mount below `/sys/fs/cgroup` and our group. The empty controller is version 2.
fn group<'a>(groups: &'a str, controller: &'a str) -> Option<(&'a str, &'a str)> {
    let mut lines = groups.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
    let [_, path]: [&str; 2] = lines.find(|[names, _]: &[&str; 2]| names.split(',').any(|name| name == controller))?;
    Some((controller, path.trim_end_matches('/')))
}

/// What is neither free nor could be freed counts as used.
fn machine_memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
    };
    let total = bytes("MemTotal:")?;
    Some(Memory { total, used: total.saturating_sub(bytes("MemAvailable:")?) })
}

/// Packets sent and dropped on sending, over all interfaces but loopback.
fn packets_out(net_dev: &str) -> (u64, u64) {
    let interfaces = net_dev.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let columns =
        interfaces.map(|(_, rest)| rest.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u64>>());
    columns.fold((0, 0), |(sent, dropped), numbers| match numbers.get(8..12) {
        Some([_, packets, _, lost]) => (sent + packets, dropped + lost),
        _ => (sent, dropped),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of these files.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let system = System::below(root.path());
        (root, system)
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n");

    fn stats(files: &[(&str, &str)]) -> NodeStats {
        let (_root, mut system) = machine(files);
        let mut stats = NodeStats::default();
        system.write(&mut stats);
        stats
    }

    #[test]
    fn a_machine_without_groups_is_read_from_proc() {
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes ...\n    lo: 1 1 1 1 1 1 1 1 9 9 9 9 9 9 9 9\n  \
                   eth0: 1 2 3 4 5 6 7 8 900 10 11 12 13 14 15 16\n  eth1: 1 2 3 4 5 6 7 8 900 5 0 1 0 0 0 0\n";
        let stats = stats(&[MEMINFO, ("proc/loadavg", "0.5 1.5 2.5 1/200 99\n"), ("proc/net/dev", dev)]);
        assert_eq!((stats.memory_total, stats.memory_used), (1_024_000, 614_400));
        assert_eq!((stats.load_avg_last1min, stats.load_avg_last15min), (0.5, 2.5));
        assert_eq!((stats.sys_packets_out, stats.sys_packets_dropped), (15, 13));
    }

    #[test]
    fn a_group_of_version_2_has_its_own_limits() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/pod/box\n"),
            ("sys/fs/cgroup/pod/box/memory.max", "102400\n"),
            ("sys/fs/cgroup/pod/box/memory.current", "51200\n"),
            ("sys/fs/cgroup/pod/box/cpu.max", "100000 100000\n"),
            ("sys/fs/cgroup/pod/box/cpu.stat", "usage_usec 500\n"),
        ];
        let stats = stats(&files);
        assert_eq!((stats.memory_total, stats.memory_used, stats.num_cpus), (102_400, 51_200, 1));
    }

    #[test]
    fn a_container_sees_its_group_as_the_root_of_version_1_too() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "102400"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1024"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
            ("sys/fs/cgroup/cpuacct/cpuacct.usage", "1000000"),
        ];
        let (_root, mut system) = machine(&files);
        assert_eq!(system.quota(), Some(1.0));
        assert_eq!(system.group_time().unwrap().busy, 1_000.0);
        let mut stats = NodeStats::default();
        system.write(&mut stats);
        assert_eq!((stats.memory_used, stats.num_cpus), (1_024, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_a_core_may_be_all_there_is() {
        let stat = |ticks: u32| format!("7 (a) S 1 7 7 0 -1 4194560 1 0 0 0 {ticks} 50 0 0 20 0 5 0 1");
        let files = [
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/stat", &stat(50)),
            ("sys/fs/cgroup/cpu.max", "20000 100000\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 0\n"),
        ];
        let (root, mut system) = machine(&files);
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        fs::write(root.path().join("proc/self/stat"), stat(250)).unwrap();
        fs::write(root.path().join("sys/fs/cgroup/cpu.stat"), "usage_usec 2000000\n").unwrap();
        assert_eq!((system.own_load(), system.cpu_load()), (1.0, 1.0));
    }

    #[test]
    fn no_limit_is_the_machines() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
            ("proc/stat", "cpu  1 1 1 1 1 1 1 1\n"),
        ];
        let (_root, system) = machine(&files);
        assert_eq!((system.quota(), system.group_memory()), (None, None));
        assert_eq!(system.memory().unwrap().total, 1_024_000);
    }

    #[test]
    fn nothing_to_read_is_nothing_told() {
        let stats = stats(&[]);
        assert_eq!((stats.cpu_load, stats.memory_total, stats.sys_packets_out), (0.0, 0, 0));
        assert!(stats.num_cpus >= 1);
    }
}
