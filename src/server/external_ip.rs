//! The node's public addresses by STUN (RFC 8489), for `rtc.use_external_ip`. Asked once, at start.

use crate::config::Rtc;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// Where the stock server asks when the configuration names nobody. Only the node asks them; clients are not told of them.
const DEFAULT_SERVERS: [&str; 3] =
    ["global.stun.twilio.com:3478", "stun.l.google.com:19302", "stun1.l.google.com:19302"];
/// A lost request is sent again this often at most.
const TRIES: usize = 3;
const TRY_TIMEOUT: Duration = Duration::from_secs(1);

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const HEADER_BYTES: usize = 20;

#[derive(Debug, thiserror::Error)]
#[error(
    "no STUN server told a public address ({asked}); set rtc.node_ip, or rtc.stun_servers to one that can be reached"
)]
pub struct ExternalIpError {
    asked: String,
}

/// Public addresses, IPv4 and IPv6 as found; empty when the configuration does not ask or names them itself.
pub async fn discover(rtc: &Rtc) -> Result<Vec<IpAddr>, ExternalIpError> {
    if !rtc.use_external_ip || rtc.node_ip.v4.is_some() {
        return Ok(vec![]);
    }
    let configured = rtc.stun_servers.iter().map(String::as_str);
    let servers: Vec<&str> = if rtc.stun_servers.is_empty() { DEFAULT_SERVERS.to_vec() } else { configured.collect() };
    for server in &servers {
        if let Some(address) = ask(server).await {
            return Ok(vec![address]);
        }
    }
    Err(ExternalIpError { asked: servers.join(", ") })
}

async fn ask(server: &str) -> Option<IpAddr> {
    let at = lookup_host(server).await.ok()?.find(SocketAddr::is_ipv4)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect(at).await.ok()?;
    let transaction: [u8; 12] = rand::random();
    for _ in 0..TRIES {
        socket.send(&request(transaction)).await.ok()?;
        let mut answer = [0; 512];
        let received = timeout(TRY_TIMEOUT, socket.recv(&mut answer)).await;
        if let Ok(Ok(length)) = received
            && let Some(address) = mapped_address(answer.get(..length)?, transaction)
        {
            return Some(address);
        }
    }
    None
}

fn request(transaction: [u8; 12]) -> [u8; HEADER_BYTES] {
    let mut message = [0; HEADER_BYTES];
    message[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    message[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    message[8..].copy_from_slice(&transaction);
    message
}

pub fn mapped_address(answer: &[u8], transaction: [u8; 12]) -> Option<IpAddr> {
    let (header, mut attributes) = answer.split_first_chunk::<HEADER_BYTES>()?;
    if u16::from_be_bytes([header[0], header[1]]) != BINDING_SUCCESS || header[8..] != transaction {
        return None;
    }
    while let Some((&[k0, k1, l0, l1], rest)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([k0, k1]) == XOR_MAPPED_ADDRESS {
            return address(value, &header[4..]);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// RFC 8489 §14.2; `key` is the cookie and the transaction id.
fn address(value: &[u8], key: &[u8]) -> Option<IpAddr> {
    let unmasked = |bytes: &[u8]| -> Vec<u8> { bytes.iter().zip(key).map(|(b, k)| b ^ k).collect() };
    match value {
        [_, 1, _, _, ip @ ..] => <[u8; 4]>::try_from(unmasked(ip)).ok().map(|ip| Ipv4Addr::from(ip).into()),
        [_, 2, _, _, ip @ ..] => <[u8; 16]>::try_from(unmasked(ip)).ok().map(|ip| Ipv6Addr::from(ip).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.2: a response whose mapped address is 192.0.2.1.
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn answer() -> Vec<u8> {
        let mut bytes = vec![0x01, 0x01, 0x00, 0x1c, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend(TRANSACTION);
        bytes.extend([0x80, 0x22, 0x00, 0x0b]);
        bytes.extend(b"test vector ");
        bytes.extend([0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        bytes
    }

    #[test]
    fn reads_the_address_of_the_rfc() {
        assert_eq!(mapped_address(&answer(), TRANSACTION), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(mapped_address(&answer(), [0; 12]), None, "another transaction's");
        (0..answer().len()).for_each(|end| assert_eq!(mapped_address(&answer()[..end], TRANSACTION), None));
    }

    #[tokio::test]
    async fn asks_until_a_server_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap().to_string();
        let asked = tokio::spawn(async move { ask(&at).await });
        let mut question = [0; 64];
        let (length, from) = server.recv_from(&mut question).await.unwrap();
        assert_eq!((length, &question[..2]), (HEADER_BYTES, &[0, 1][..]));
        let mut reply = answer();
        reply[8..20].copy_from_slice(&question[8..20]);
        server.send_to(&reply, from).await.unwrap();
        assert_eq!(asked.await.unwrap(), Some("192.0.2.1".parse().unwrap()));
    }
}
