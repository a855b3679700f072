//! CPU load: of the control group where it has a quota, else of the machine.

/// CPU time so far, in any unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    pub busy: f64,
    /// What could have been used in that time.
    pub possible: f64,
}

/// Load between two looks.
#[derive(Debug, Default)]
pub struct CpuMeter {
    last: CpuTime,
    load: f32,
}

impl CpuMeter {
    /// 0 to 1. Two looks at the same moment have no time between them: the load before stands.
    pub fn load(&mut self, now: CpuTime) -> f32 {
        let possible = now.possible - self.last.possible;
        if possible > 0.0 {
            self.load = ((now.busy - self.last.busy) / possible).clamp(0.0, 1.0) as f32;
            self.last = now;
        }
        self.load
    }
}

/// The first line of `/proc/stat`, proc(5), in ticks over all cores. Guest time is in user time already.
pub fn of_machine(stat: &str) -> Option<CpuTime> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = fields.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let [user, nice, system, idle, iowait, rest @ ..] = ticks.as_slice() else { return None };
    let busy = user + nice + system + rest.iter().sum::<f64>();
    Some(CpuTime { busy, possible: busy + idle + iowait })
}

/// CPU seconds the process used, from `/proc/self/stat`; `ticks` of them make a second.
pub fn of_process(stat: &str, ticks: f64) -> Option<f64> {
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let [user, system] = [fields.next()?, fields.next()?].map(|field| field.parse::<f64>().ok());
    Some((user? + system?) / ticks)
}

/// Cores of a quota in the form of `cpu.max`: `quota period`, both in microseconds; `max` is none.
pub fn quota(cpu_max: &str) -> Option<f64> {
    let mut fields = cpu_max.split_whitespace();
    let quota: f64 = fields.next()?.parse().ok()?;
    let period: f64 = fields.next()?.parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Microseconds of CPU the group used, from `cpu.stat`.
pub fn used_us(cpu_stat: &str) -> Option<f64> {
    let line = cpu_stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_the_share_of_what_was_possible() {
        let mut meter = CpuMeter::default();
        meter.load(CpuTime { busy: 100.0, possible: 1_000.0 });
        assert_eq!(meter.load(CpuTime { busy: 150.0, possible: 1_200.0 }), 0.25);
        assert_eq!(meter.load(CpuTime { busy: 150.0, possible: 1_200.0 }), 0.25, "no time has passed");
        assert_eq!(meter.load(CpuTime { busy: 350.0, possible: 1_400.0 }), 1.0, "a full node does not read as idle");
        assert_eq!(meter.load(CpuTime { busy: 900.0, possible: 1_500.0 }), 1.0, "more than the quota, for a moment");
    }

    #[test]
    fn the_machines_time_is_read() {
        let stat = "cpu  10 20 30 400 40 1 2 3 5 6\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(of_machine(stat), Some(CpuTime { busy: 66.0, possible: 506.0 }));
        assert_eq!(of_machine("cpu  10 20 30\n"), None);
        assert_eq!(of_machine(""), None);
    }

    #[test]
    fn the_processs_time_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 1";
        assert_eq!(of_process(stat, 100.0), Some(3.0));
        assert_eq!(of_process("7 (a) S 1", 100.0), None);
    }

    #[test]
    fn quotas_are_cores() {
        for (text, expected) in
            [("150000 100000\n", Some(1.5)), ("max 100000\n", None), ("-1 100000", None), ("5 0", None), ("", None)]
        {
            assert_eq!(quota(text), expected, "{text}");
        }
        assert_eq!(used_us("usage_usec 1234\nuser_usec 1\n"), Some(1234.0));
    }
}
