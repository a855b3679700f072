//! Address blocks as configuration keys write them: `10.0.0.0/8`, `2001:db8::/32` (RFC 4632, RFC 4291 §2.3).

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// The prefix must be there, and be one the address's family has.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = text.split_once('/')?;
        let cidr = Cidr { address: address.parse().ok()?, prefix_bits: prefix.parse().ok()? };
        (cidr.prefix_bits <= cidr.widest()).then_some(cidr)
    }

    /// The longer, the narrower the block.
    pub fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }

    /// IPv4 addresses written as IPv6 count as IPv4.
    pub fn contains(self, ip: IpAddr) -> bool {
        let (net, ip) = (self.address, ip.to_canonical());
        let shift = u32::from(self.widest() - self.prefix_bits);
        net.is_ipv4() == ip.is_ipv4() && (bits(net) ^ bits(ip)).checked_shr(shift).unwrap_or(0) == 0
    }

    fn widest(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_need_their_prefix() {
        for text in ["10.0.0.0/8", "::/0", "fd00::1/128", "1.2.3.4/32"] {
            assert!(Cidr::parse(text).is_some(), "{text}");
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "/8", "10.0.0.0/-1", ""] {
            assert!(Cidr::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_block_holds_its_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "1.2.3.4", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("1.2.3.4/32", "1.2.3.5", false),
        ];
        for (block, ip, expected) in cases {
            assert_eq!(Cidr::parse(block).unwrap().contains(ip.parse().unwrap()), expected, "{block} {ip}");
        }
    }
}
