//! Booleans, numbers, port ranges and addresses as LiveKit's YAML parser takes them. Called by `kind`.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `true`/`false` when plain, and YAML 1.1's words quoted or not, as LiveKit's parser does for boolean keys.
pub fn yaml_bool(text: &str, plain: bool) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" if plain => Some(true),
        "false" | "False" | "FALSE" if plain => Some(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// What flags and the environment may say beyond YAML: Go's `1`, `t`, `0`, `f`.
pub fn flag_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" => Some(true),
        "0" | "f" | "F" => Some(false),
        _ => yaml_bool(text, true),
    }
}

/// Decimal, `0x`, `0o`, `0b`, a leading `0` for octal, and `_` between digits. `1e6` is an integer too.
pub fn int(text: &str) -> Option<i64> {
    let clean = text.replace('_', "");
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let magnitude = magnitude(digits).or_else(|| whole_float(digits))?;
    if negative { magnitude.checked_neg() } else { Some(magnitude) }
}

fn magnitude(digits: &str) -> Option<i64> {
    let radix = |prefix: &str, radix: u32| digits.strip_prefix(prefix).map(|rest| (rest, radix));
    let prefixed = radix("0x", 16).or(radix("0X", 16)).or(radix("0o", 8)).or(radix("0b", 2));
    let octal = radix("0", 8).filter(|(rest, _)| !rest.is_empty());
    let (rest, radix) = prefixed.or(octal).unwrap_or((digits, 10));
    if rest.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(rest, radix).ok()
}

fn whole_float(digits: &str) -> Option<i64> {
    let value = float(digits).filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    (value.fract() == 0.0 && value.abs() < 9e18).then_some(value as i64)
}

/// A finite number; `_` may stand between digits.
pub fn float(text: &str) -> Option<f64> {
    let clean = text.replace('_', "");
    if !clean.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    clean.parse().ok().filter(|value: &f64| value.is_finite())
}

/// `7882` or `7882-7892`; empty or 0 means none. Errors are LiveKit's (WIRE.md §7.4).
pub fn ports(text: &str) -> Result<Option<(u16, u16)>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let Some((start, end)) = text.split_once('-') else {
        let port = port("port", text)?;
        return Ok((port != 0).then_some((port, port)));
    };
    if end.contains('-') {
        return Err(format!("invalid port range {text}, should be <start>-<end>"));
    }
    let (start, end) = (port("start port", start)?, port("end port", end)?);
    if end <= start {
        return Err(format!("end port {end} must be greater than start port {start}"));
    }
    Ok(Some((start, end)))
}

fn port(which: &str, text: &str) -> Result<u16, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("invalid {which} {text}: must be a number from 0 to 65535"))
}

/// `v4`, `v6` or both with a comma between.
pub fn node_ip(text: &str) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > 2 {
        return Err(format!("invalid node ip {text}, should be <ipv4>,<ipv6>"));
    }
    let (mut v4, mut v6) = (None, None);
    for part in parts {
        match part.parse().map_err(|_| format!("invalid ip {part}"))? {
            IpAddr::V4(address) => only("ipv4", &mut v4, address),
            IpAddr::V6(address) => only("ipv6", &mut v6, address),
        }?;
    }
    Ok((v4, v6))
}

fn only<A: Display + Copy>(family: &str, slot: &mut Option<A>, address: A) -> Result<(), String> {
    match slot.replace(address) {
        None => Ok(()),
        Some(first) => Err(format!("multiple {family} addresses provided: {first} and {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bools_are_livekits() {
        for text in ["true", "True", "yes", "on", "Y", "ON"] {
            assert_eq!(yaml_bool(text, true), Some(true), "{text}");
        }
        for text in ["false", "no", "off", "n"] {
            assert_eq!(yaml_bool(text, true), Some(false), "{text}");
        }
        assert_eq!(yaml_bool("true", false), None);
        assert_eq!(yaml_bool("yes", false), Some(true));
        assert_eq!(yaml_bool("1", true), None);
        assert_eq!(flag_bool("1"), Some(true));
    }

    #[test]
    fn ints_take_gos_forms() {
        let cases = [
            ("7880", Some(7880)),
            ("-1", Some(-1)),
            ("+5", Some(5)),
            ("0", Some(0)),
            ("0x1f", Some(31)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("0b101", Some(5)),
            ("1_000_000", Some(1_000_000)),
            ("1e6", Some(1_000_000)),
            ("1.5", None),
            ("", None),
            ("--1", None),
            ("0x-1", None),
            ("inf", None),
            ("99999999999999999999", None),
        ];
        for (text, value) in cases {
            assert_eq!(int(text), value, "{text}");
        }
    }

    #[test]
    fn floats_are_finite() {
        assert_eq!(float("1_000.5"), Some(1000.5));
        assert_eq!(float("-0.6"), Some(-0.6));
        for text in [".inf", ".nan", "nan", "inf", "", "abc"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn port_ranges_are_checked_with_livekits_words() {
        assert_eq!(ports("7882"), Ok(Some((7882, 7882))));
        assert_eq!(ports("7882 - 7892"), Ok(Some((7882, 7892))));
        assert_eq!(ports(""), Ok(None));
        assert_eq!(ports("0"), Ok(None));
        let errors = [
            ("20-10", "end port 10 must be greater than start port 20"),
            ("1-2-3", "invalid port range 1-2-3, should be <start>-<end>"),
            ("abc", "invalid port abc: must be a number from 0 to 65535"),
            ("70000", "invalid port 70000: must be a number from 0 to 65535"),
            ("x-2", "invalid start port x: must be a number from 0 to 65535"),
        ];
        for (text, error) in errors {
            assert_eq!(ports(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn node_ips_are_one_of_each_family() {
        let both = (Some(Ipv4Addr::new(1, 2, 3, 4)), Some("fd00::1".parse().unwrap()));
        assert_eq!(node_ip("1.2.3.4, fd00::1"), Ok(both));
        assert_eq!(node_ip(""), Ok((None, None)));
        assert_eq!(node_ip("1.2.3.4,5.6.7.8").unwrap_err(), "multiple ipv4 addresses provided: 1.2.3.4 and 5.6.7.8");
        assert!(node_ip("host").is_err());
        assert!(node_ip("1.1.1.1,::1,::2").is_err());
    }
}
