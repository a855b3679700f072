//! Which local addresses a node may offer: interfaces, filtered by name and network.

use std::net::{IpAddr, Ipv6Addr};

/// Filters over local addresses. Empty include lists let everything through.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    pub interfaces_include: Vec<String>,
    pub interfaces_exclude: Vec<String>,
    pub networks_include: Vec<Network>,
    pub networks_exclude: Vec<Network>,
    pub loopback: bool,
}

/// An address block in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix_bits: u8,
}

impl Network {
    /// Parses `10.0.0.0/8`; a bare address is a block of one.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.trim().parse().ok()?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Some(widest), |b| b.trim().parse().ok())?;
        (prefix_bits <= widest).then_some(Network { address, prefix_bits })
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl AddressPolicy {
    fn takes_interface(&self, name: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|n| n == name);
        !listed(&self.interfaces_exclude) && (self.interfaces_include.is_empty() || listed(&self.interfaces_include))
    }

    fn takes_address(&self, ip: IpAddr) -> bool {
        let within = |list: &[Network]| list.iter().any(|n| n.contains(ip));
        !within(&self.networks_exclude) && (self.networks_include.is_empty() || within(&self.networks_include))
    }

    fn takes(&self, name: &str, ip: IpAddr) -> bool {
        (self.loopback || !ip.is_loopback()) && self.takes_interface(name) && self.takes_address(ip)
    }
}

/// Local unicast addresses the policy lets through, IPv4 first. Link-local IPv6 is left out: a browser cannot dial it.
/// A machine with nothing but loopback answers loopback, so that a laptop without network still works.
pub fn local_addresses(policy: &AddressPolicy) -> std::io::Result<Vec<IpAddr>> {
    let found: Vec<(String, IpAddr)> =
        if_addrs::get_if_addrs()?.into_iter().map(|i| (i.name.clone(), i.ip())).collect();
    let chosen = choose(&found, policy);
    if chosen.is_empty() && !policy.loopback {
        return Ok(choose(&found, &AddressPolicy { loopback: true, ..policy.clone() }));
    }
    Ok(chosen)
}

fn choose(found: &[(String, IpAddr)], policy: &AddressPolicy) -> Vec<IpAddr> {
    let usable = |ip: &IpAddr| !matches!(ip, IpAddr::V6(v6) if is_link_local(*v6));
    let taken = found.iter().filter(|(name, ip)| policy.takes(name, *ip)).map(|(_, ip)| *ip).filter(usable);
    let mut chosen: Vec<IpAddr> = taken.collect();
    chosen.sort_by_key(|ip| (ip.is_ipv6(), ip.is_loopback()));
    chosen.dedup();
    chosen
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<(String, IpAddr)> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "10.0.0.5"),
            ("eth0", "fe80::1"),
            ("docker0", "172.17.0.1"),
            ("eth0", "2001:db8::7"),
        ]
        .map(|(n, ip)| (n.to_owned(), ip.parse().unwrap()))
        .to_vec()
    }

    fn names(policy: AddressPolicy) -> Vec<String> {
        choose(&found(), &policy).iter().map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn filters_by_interface_and_network() {
        assert_eq!(names(AddressPolicy::default()), ["10.0.0.5", "172.17.0.1", "2001:db8::7"]);
        let only = AddressPolicy { interfaces_include: vec!["eth0".into()], ..Default::default() };
        assert_eq!(names(only), ["10.0.0.5", "2001:db8::7"]);
        let not =
            AddressPolicy { networks_exclude: vec![Network::parse("172.16.0.0/12").unwrap()], ..Default::default() };
        assert_eq!(names(not), ["10.0.0.5", "2001:db8::7"]);
        let loopback = AddressPolicy {
            loopback: true,
            networks_include: vec![Network::parse("127.0.0.1/32").unwrap()],
            ..Default::default()
        };
        assert_eq!(names(loopback), ["127.0.0.1"]);
    }

    #[test]
    fn networks_parse_and_contain() {
        let net = Network::parse("192.168.0.0/16").unwrap();
        assert!(net.contains("192.168.3.4".parse().unwrap()));
        assert!(!net.contains("192.169.0.1".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(Network::parse("::/0").unwrap().contains("::1".parse().unwrap()));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
        assert_eq!(Network::parse("ten/8"), None);
    }
}
