//! A server's own figures in the Prometheus text format: read at both ends of the measuring window, told as what grew.
//! Called by `test`. https://prometheus.io/docs/instrumenting/exposition_formats/

use crate::limits::LOAD_SAMPLES_MAX;
use std::collections::BTreeMap;

/// One reading: values by name and the labels that tell them apart, and which names are counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    samples: BTreeMap<String, f64>,
    counters: Vec<String>,
}

/// What a load test cares for: what names begin with.
const WANTED: [&str; 14] = [
    "livekit_packet_",
    "livekit_nack_total",
    "livekit_pli_total",
    "livekit_fir_total",
    "livekit_room_total",
    "livekit_participant_total",
    "livekit_track_published_total",
    "livekit_track_subscribed_total",
    "livekit_forward_",
    "livekit_node_packet_",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "go_goroutines",
    "lkops_",
];
/// Labels that tell values apart; over all others they are summed.
const LABELS: [&str; 4] = ["direction", "kind", "reason", "type"];

pub const CPU_SECONDS: &str = "process_cpu_seconds_total";
pub const RESIDENT_BYTES: &str = "process_resident_memory_bytes";

impl Exposition {
    pub fn parse(text: &str) -> Exposition {
        let mut read = Exposition::default();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                read.counters.extend(kind.strip_suffix(" counter").map(str::to_owned));
            } else if let Some((name, value)) = sample(line)
                && (read.samples.len() < LOAD_SAMPLES_MAX || read.samples.contains_key(&name))
            {
                *read.samples.entry(name).or_default() += value;
            }
        }
        read
    }

    /// Counters by how much they grew since `earlier`, other values as they are now.
    pub fn since(&self, earlier: &Exposition) -> BTreeMap<String, f64> {
        let before = |key: &str| earlier.samples.get(key).copied().unwrap_or(0.0);
        let one = |(key, value): (&String, &f64)| {
            let name = key.split('{').next().unwrap_or_default();
            let is_counter = self.counters.iter().any(|counter| counter == name);
            (key.clone(), if is_counter { value - before(key) } else { *value })
        };
        self.samples.iter().map(one).collect()
    }
}

/// Name with the labels that count, and the value; `None` for a line that is of no interest or unreadable.
fn sample(line: &str) -> Option<(String, f64)> {
    if !WANTED.iter().any(|wanted| line.starts_with(wanted)) {
        return None;
    }
    let (head, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, value) = rest.rsplit_once('}')?;
            (with_labels(name, labels), value)
        }
        None => line.split_once(' ').map(|(name, value)| (name.to_owned(), value))?,
    };
    let is_part =
        ["_bucket", "_sum", "_count"].iter().any(|part| head.split('{').next().unwrap_or_default().ends_with(part));
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (!is_part && value.is_finite()).then_some((head, value))
}

fn with_labels(name: &str, labels: &str) -> String {
    let counts = |label: &&str| LABELS.iter().any(|l| label.trim().strip_prefix(l).is_some_and(|r| r.starts_with('=')));
    let kept: Vec<&str> = labels.split(',').filter(counts).map(str::trim).collect();
    if kept.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", kept.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(packets: u64, cpu: f64) -> Exposition {
        Exposition::parse(&format!(
            "# HELP livekit_packet_total x\n# TYPE livekit_packet_total counter\n\
             livekit_packet_total{{node_id=\"a\",direction=\"outgoing\"}} {packets}\n\
             livekit_packet_total{{node_id=\"b\",direction=\"outgoing\"}} 5\n\
             livekit_packet_total{{direction=\"incoming\"}} 1 1700000000\n\
             # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {cpu}\n\
             # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1.5e+07\n\
             livekit_packet_loss_bucket{{le=\"1\"}} 3\nother_total 9\nlivekit_packet_total{{broken\nlivekit_packet_nan NaN\n"
        ))
    }

    #[test]
    fn counters_tell_what_grew_and_gauges_what_is() {
        let told = page(110, 3.5).since(&page(10, 1.0));
        let wanted = [
            ("livekit_packet_total{direction=\"incoming\"}", 0.0),
            ("livekit_packet_total{direction=\"outgoing\"}", 100.0),
            (CPU_SECONDS, 2.5),
            (RESIDENT_BYTES, 1.5e7),
        ];
        assert_eq!(told, wanted.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    }
}
