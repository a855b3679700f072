//! What no single key can get wrong alone: keys that contradict each other, with LiveKit's words where it has some (WIRE.md §7.4).

use super::cidr::Cidr;
use super::complaint::Complaint;
use super::load::{Purpose, Sources};
use super::model::Config;
use super::settings::Settings;
use crate::limits::API_SECRET_BYTES_MIN;
use std::net::IpAddr;

/// What `node_selector.sort_by` may be.
const SORTS: [&str; 7] = ["random", "sysload", "cpuload", "rooms", "clients", "tracks", "bytespersec"];

struct Checks<'a> {
    config: &'a Config,
    settings: &'a Settings,
    complaints: &'a mut Vec<Complaint>,
}

pub(super) fn apply(
    sources: &Sources,
    config: &Config,
    settings: &Settings,
    complaints: &mut Vec<Complaint>,
    notices: &mut Vec<String>,
) {
    let mut checks = Checks { config, settings, complaints };
    if sources.purpose >= Purpose::Keys {
        checks.keys();
    }
    if sources.purpose == Purpose::Serve {
        checks.webhook();
        checks.turn_files();
    }
    checks.ports();
    checks.turn();
    checks.selector();
    checks.overload();
    checks.regions();
    checks.prometheus();
    checks.networks();
    checks.logging();
    notices.extend(short_secrets(config));
    notices.extend(deprecated(settings));
}

impl Checks<'_> {
    fn complain(&mut self, key: &str, what: impl Into<String>) {
        let complaint = Complaint::new(self.settings.origin(key), key, what);
        if !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    /// Silent when the key file was already complained about: one fault, one line.
    fn keys(&mut self) {
        let told = self.complaints.iter().any(|complaint| matches!(complaint.key.as_str(), "keys" | "key_file"));
        if self.config.keys.is_empty() && !told {
            self.complain("", "one of key-file or keys must be provided");
        }
        let nameless = self.config.keys.iter().any(|(key, secret)| key.is_empty() || secret.is_empty());
        if nameless {
            self.complain("keys", "an API key or its secret is empty; every line needs both");
        }
    }

    fn webhook(&mut self) {
        let webhook = &self.config.webhook;
        if webhook.urls.is_empty() {
            return;
        }
        if webhook.api_key.is_empty() {
            self.complain("webhook.urls", "api_key is required to use webhooks");
        } else if !self.config.keys.contains_key(&webhook.api_key) {
            self.complain("webhook.api_key", "unknown api key in webhook config");
        }
    }

    fn ports(&mut self) {
        let rtc = &self.config.rtc;
        self.ascending("rtc.port_range_end", rtc.port_range_start, rtc.port_range_end);
        let turn = &self.config.turn;
        self.ascending("turn.relay_range_end", turn.relay_range_start, turn.relay_range_end);
        if self.config.port == 0 {
            self.complain("port", "must be a port from 1 to 65535");
        }
    }

    fn ascending(&mut self, key: &str, start: u16, end: u16) {
        if end < start {
            self.complain(key, format!("end port {end} must be greater than start port {start}"));
        }
    }

    fn turn(&mut self) {
        let turn = &self.config.turn;
        if !turn.enabled {
            return;
        }
        if turn.tls_port == 0 && turn.udp_port == 0 {
            return self.complain("turn.enabled", "invalid TURN ports");
        }
        if turn.tls_port == 0 {
            return;
        }
        if turn.domain.is_empty() {
            self.complain("turn.tls_port", "TURN domain required");
        } else if !is_domain(&turn.domain) {
            self.complain("turn.domain", "TURN domain is not correct");
        }
    }

    fn turn_files(&mut self) {
        let turn = &self.config.turn;
        if turn.enabled && turn.tls_port != 0 && !turn.external_tls {
            self.readable("turn.cert_file", &turn.cert_file);
            self.readable("turn.key_file", &turn.key_file);
        }
    }

    fn readable(&mut self, key: &str, path: &str) {
        if let Err(error) = std::fs::File::open(path) {
            self.complain(key, format!("TURN tls cert required: {path}: {error}"));
        }
    }

    fn selector(&mut self) {
        let selector = &self.config.node_selector;
        if !matches!(selector.kind.as_str(), "" | "any" | "random" | "cpuload" | "sysload" | "regionaware") {
            self.complain("node_selector.kind", "unsupported node selector");
        }
        if selector.kind == "regionaware" && self.config.region.is_empty() {
            self.complain("node_selector.kind", "regionaware needs region");
        }
        let listed = selector.regions.is_empty() || selector.regions.iter().any(|r| r.name == self.config.region);
        if selector.kind == "regionaware" && !listed && !self.config.region.is_empty() {
            self.complain(
                "node_selector.regions",
                format!("the node's own region `{}` is not listed", self.config.region),
            );
        }
        self.one_of("node_selector.sort_by", &selector.sort_by, &SORTS);
        self.one_of("node_selector.algorithm", &selector.algorithm, &["lowest", "twochoice"]);
        self.one_of("lkops.placement", &self.config.lkops.placement, &["selector", "balanced"]);
    }

    fn overload(&mut self) {
        if !(0.0..=1.0).contains(&self.config.lkops.overload_cpu) {
            self.complain("lkops.overload_cpu", "must be from 0 to 1; 0 is never");
        }
    }

    fn one_of(&mut self, key: &str, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            self.complain(key, format!("`{value}` must be one of {}", known.join(", ")));
        }
    }

    fn regions(&mut self) {
        for region in &self.config.lkops.regions {
            let key = "lkops.regions";
            if !is_signal_url(&region.url) {
                self.complain(key, format!("url `{}` must begin with wss:// or ws://", region.url));
            }
            self.cidrs(key, &region.networks);
            self.on_the_globe(key, &region.name, region.lat, region.lon);
        }
        for region in &self.config.node_selector.regions {
            self.on_the_globe("node_selector.regions", &region.name, region.lat, region.lon);
        }
    }

    fn on_the_globe(&mut self, key: &str, name: &str, lat: f64, lon: f64) {
        if !((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)) {
            self.complain(key, format!("`{name}` lies at {lat}, {lon}; lat goes from -90 to 90, lon from -180 to 180"));
        }
    }

    fn prometheus(&mut self) {
        let prometheus = &self.config.prometheus;
        if prometheus.username.is_empty() != prometheus.password.is_empty() {
            let key = if prometheus.username.is_empty() { "prometheus.password" } else { "prometheus.username" };
            let what =
                "prometheus username or password is set but not both, set both or nothing for unauthenticated access";
            self.complain(key, what);
        }
    }

    fn networks(&mut self) {
        let Config { rtc, turn, .. } = self.config;
        self.cidrs("rtc.ips.includes", &rtc.ips.includes);
        self.cidrs("rtc.ips.excludes", &rtc.ips.excludes);
        if !turn.enabled {
            return;
        }
        self.cidrs("turn.allow_restricted_peer_cidrs", &turn.allow_restricted_peer_cidrs);
        self.cidrs("turn.deny_peer_cidrs", &turn.deny_peer_cidrs);
        for address in turn.bind_addresses.iter().filter(|address| address.parse::<IpAddr>().is_err()) {
            self.complain("turn.bind_addresses", format!("`{address}` is not an IP address"));
        }
    }

    fn cidrs(&mut self, key: &str, networks: &[String]) {
        for network in networks.iter().filter(|network| Cidr::parse(network).is_none()) {
            self.complain(key, format!("invalid CIDR `{network}`; write it as 10.0.0.0/8"));
        }
    }

    fn logging(&mut self) {
        let level = &self.config.logging.level;
        if !is_level(level) {
            self.complain("logging.level", format!("`{level}` must be one of debug, info, warn, error"));
        }
    }
}

/// zap's names, in either case.
fn is_level(level: &str) -> bool {
    let lower = level.to_ascii_lowercase();
    matches!(lower.as_str(), "debug" | "info" | "warn" | "error" | "dpanic" | "panic" | "fatal")
}

/// LiveKit's idea of a host name: two labels or more, of letters, digits and hyphens; a last dot is allowed.
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    name.contains('.') && name.split('.').all(is_label)
}

fn is_signal_url(url: &str) -> bool {
    let host = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"));
    host.is_some_and(|host| !host.is_empty())
}

fn short_secrets(config: &Config) -> Vec<String> {
    let short = config.keys.iter().filter(|(_, secret)| !config.development && secret.len() < API_SECRET_BYTES_MIN);
    let notice = |key: &String| {
        format!("keys: secret is too short, should be at least {API_SECRET_BYTES_MIN} characters for security: {key}")
    };
    short.map(|(key, _)| notice(key)).collect()
}

fn deprecated(settings: &Settings) -> Vec<String> {
    let told = |path: &str| super::keys::find(path).is_some_and(|key| key.doc.starts_with("Deprecated"));
    let set = settings.iter().filter(|(_, setting)| setting.origin != super::Origin::Default);
    set.filter(|(path, _)| told(path))
        .filter_map(|(path, setting)| Some(format!("{}: {path}: {}", setting.origin, super::keys::find(path)?.doc)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_names() {
        for text in ["turn.example.com", "a-b.example", "t.1.org", "xn--bcher-kva.example", "example.com."] {
            assert!(is_domain(text), "{text}");
        }
        for text in ["localhost", "a..com", "a_b.com", "https://a.com", "a.com:443", ".", ""] {
            assert!(!is_domain(text), "{text}");
        }
    }
}
