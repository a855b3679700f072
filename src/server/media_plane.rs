//! From the configuration to running shards: which addresses, which ports, how many threads. Called by `assemble`.

use crate::config::{Config, CongestionControl, Filter, ProbeRegulator};
use crate::net::addr::{AddressPolicy, Network, local_addresses};
use crate::room::clock::unix_ms;
use crate::shard::{
    self, AllocationRules, AudioLevelConfig, Bitrate, CongestionConfig, LocalAddress, MediaConfig, ProbeInterval,
    ProbeIntervals, Running, ShardsConfig, StartError,
};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum MediaPlaneError {
    #[error("local addresses cannot be listed: {0}")]
    Interfaces(std::io::Error),
    #[error("rtc.ips: {0:?} is no network; write it like 10.0.0.0/8")]
    Network(String),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts the shards. `external` are public addresses found by STUN, if the configuration asks for them.
pub fn start(config: &Config, external: &[IpAddr]) -> Result<Running, MediaPlaneError> {
    let bases = local_addresses(&policy(config)?).map_err(MediaPlaneError::Interfaces)?;
    let config = ShardsConfig {
        shards: shard_count(config),
        udp_ports: udp_ports(config),
        udp: !config.rtc.force_tcp,
        tcp_port: (config.rtc.tcp_port != 0).then_some(config.rtc.tcp_port),
        addresses: advertise(config, &bases, external),
        media: media_config(config),
    };
    let unix = Duration::from_millis(u64::try_from(unix_ms()).unwrap_or_default());
    Ok(shard::start(config, monotonic, unix)?)
}

/// The address other nodes show for this one.
pub fn node_ip(config: &Config, external: &[IpAddr]) -> Option<IpAddr> {
    let bases = policy(config).ok().and_then(|p| local_addresses(&p).ok()).unwrap_or_default();
    let told = advertise(config, &bases, external);
    told.iter().map(|a| a.advertised).find(IpAddr::is_ipv4).or(told.first().map(|a| a.advertised))
}

/// The process's one monotonic clock for media.
#[allow(clippy::disallowed_methods)] // The shards are told this clock; nothing below reads another.
fn monotonic() -> Instant {
    Instant::now()
}

fn shard_count(config: &Config) -> usize {
    match config.lkops.shards {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted as usize,
    }
}

fn udp_ports(config: &Config) -> RangeInclusive<u16> {
    match config.rtc.udp_port {
        Some((first, last)) => first..=last,
        None => config.rtc.port_range_start..=config.rtc.port_range_end,
    }
}

fn policy(config: &Config) -> Result<AddressPolicy, MediaPlaneError> {
    Ok(AddressPolicy {
        interfaces_include: config.rtc.interfaces.includes.clone(),
        interfaces_exclude: config.rtc.interfaces.excludes.clone(),
        networks_include: networks(&config.rtc.ips, |f| &f.includes)?,
        networks_exclude: networks(&config.rtc.ips, |f| &f.excludes)?,
        loopback: config.rtc.enable_loopback_candidate,
    })
}

fn networks(filter: &Filter, list: fn(&Filter) -> &Vec<String>) -> Result<Vec<Network>, MediaPlaneError> {
    let parse = |text: &String| Network::parse(text).ok_or_else(|| MediaPlaneError::Network(text.clone()));
    list(filter).iter().map(parse).collect()
}

/// What clients are told for each base: the configured or discovered public address of its family, else itself
/// (WIRE.md §3.10). `advertise_internal_ip` keeps both.
fn advertise(config: &Config, bases: &[IpAddr], external: &[IpAddr]) -> Vec<LocalAddress> {
    let public = |base: &IpAddr| match base {
        IpAddr::V4(_) => config.rtc.node_ip.v4.map(IpAddr::V4).or(external.iter().copied().find(IpAddr::is_ipv4)),
        IpAddr::V6(_) => config.rtc.node_ip.v6.map(IpAddr::V6).or(external.iter().copied().find(IpAddr::is_ipv6)),
    };
    let keep_internal = config.rtc.advertise_internal_ip && !config.rtc.external_ip_only;
    let mut addresses = Vec::new();
    for base in bases {
        let public = public(base);
        addresses.extend(public.map(|advertised| LocalAddress { base: *base, advertised }));
        if public.is_none() || keep_internal {
            addresses.push(LocalAddress { base: *base, advertised: *base });
        }
    }
    addresses
}

fn media_config(config: &Config) -> MediaConfig {
    let throttle = config.rtc.pli_throttle;
    MediaConfig {
        video_history_packets: config.rtc.packet_buffer_size_video,
        audio_history_packets: config.rtc.packet_buffer_size_audio,
        pli_throttle: [throttle.low_quality, throttle.mid_quality, throttle.high_quality],
        audio: AudioLevelConfig {
            active_level: config.audio.active_level,
            min_percentile: config.audio.min_percentile,
            update_interval: Duration::from_millis(config.audio.update_interval.into()),
            smooth_intervals: config.audio.smooth_intervals,
        },
        audio_loss_proxying: config.audio.enable_loss_proxying,
        congestion: CongestionConfig {
            enabled: config.rtc.congestion_control.enabled,
            rules: allocation_rules(&config.rtc.congestion_control),
            capacity_min_bps: config.rtc.congestion_control.stream_allocator.min_channel_capacity,
            probes: probe_intervals(&config.rtc.congestion_control),
        },
        gather_window: config.lkops.gather_window,
        receive_offload: config.lkops.receive_offload,
    }
}

fn allocation_rules(config: &CongestionControl) -> AllocationRules {
    AllocationRules {
        allow_pause: config.allow_pause,
        paused_wait: config.stream_allocator.paused_min_wait,
        goal: config.stream_allocator.probe_overage_pct as f64 / 100.0,
        goal_min: Bitrate(config.stream_allocator.probe_min_bps),
    }
}

/// Each estimator has its own keys.
fn probe_intervals(config: &CongestionControl) -> ProbeIntervals {
    let usual = CongestionControl::default();
    let regulators = |config: &CongestionControl| {
        let numbered = config.send_side_bwe.congestion_detector.probe_regulator;
        [numbered, config.remote_bwe.probe_controller.probe_regulator]
    };
    let ([numbered, remote], [usual, _]) = (regulators(config), regulators(&usual));
    ProbeIntervals { numbered: probe_interval(&numbered, &usual), remote: probe_interval(&remote, &usual) }
}

/// LiveKit's defaults suit its long probes; ours are short and may come more often, unless somebody says otherwise.
fn probe_interval(set: &ProbeRegulator, usual: &ProbeRegulator) -> ProbeInterval {
    let ours = ProbeInterval::default();
    ProbeInterval {
        first: if set.base_interval == usual.base_interval { ours.first } else { set.base_interval },
        factor: if set.backoff_factor == usual.backoff_factor { ours.factor } else { set.backoff_factor },
        most: if set.max_interval == usual.max_interval { ours.most } else { set.max_interval },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_come_as_often_as_the_file_says_or_as_is_usual_here() {
        let mut config = CongestionControl::default();
        assert_eq!(probe_intervals(&config), ProbeIntervals::default());
        config.remote_bwe.probe_controller.probe_regulator.base_interval = Duration::from_secs(7);
        config.send_side_bwe.congestion_detector.probe_regulator.max_interval = Duration::from_secs(60);
        let ProbeIntervals { numbered, remote } = probe_intervals(&config);
        assert_eq!(remote, ProbeInterval { first: Duration::from_secs(7), ..ProbeInterval::default() });
        assert_eq!(numbered, ProbeInterval { most: Duration::from_secs(60), ..ProbeInterval::default() });
    }

    fn lines(config: &Config, external: &[&str]) -> Vec<(String, String)> {
        let bases: Vec<IpAddr> = ["10.0.0.5", "fd00::5"].map(|ip| ip.parse().unwrap()).to_vec();
        let external: Vec<IpAddr> = external.iter().map(|ip| ip.parse().unwrap()).collect();
        let told = advertise(config, &bases, &external);
        told.iter().map(|a| (a.base.to_string(), a.advertised.to_string())).collect()
    }

    fn pair(base: &str, advertised: &str) -> (String, String) {
        (base.to_owned(), advertised.to_owned())
    }

    #[test]
    fn public_addresses_stand_in_for_their_family() {
        let mut config = Config::default();
        assert_eq!(lines(&config, &[]), [pair("10.0.0.5", "10.0.0.5"), pair("fd00::5", "fd00::5")]);
        assert_eq!(lines(&config, &["203.0.113.9"])[0], pair("10.0.0.5", "203.0.113.9"));
        config.rtc.node_ip.v4 = Some("198.51.100.1".parse().unwrap());
        assert_eq!(lines(&config, &["203.0.113.9"])[0], pair("10.0.0.5", "198.51.100.1"));
        config.rtc.advertise_internal_ip = true;
        let both = lines(&config, &[]);
        assert_eq!(both[..2], [pair("10.0.0.5", "198.51.100.1"), pair("10.0.0.5", "10.0.0.5")]);
    }
}
