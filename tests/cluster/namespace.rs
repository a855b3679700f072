//! A network namespace with a way to ours, for one node; it can be cut off from Redis or from everything, without anybody
//! being told, as by a firewall or a dead switch. Root makes them.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

pub struct Namespace {
    pub name: String,
    /// The node's address, and ours towards it.
    pub inside: Ipv4Addr,
    pub outside: Ipv4Addr,
    link: String,
}

/// Runs one command; words are separated by blanks.
fn root(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().expect("iproute2 and nftables are installed");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {why}: network namespaces need root");
}

impl Namespace {
    pub fn new(number: usize) -> Namespace {
        /// Of all worlds of this process.
        static WORLDS: AtomicU8 = AtomicU8::new(0);
        let world = if number == 0 { WORLDS.fetch_add(1, Ordering::Relaxed) } else { WORLDS.load(Ordering::Relaxed) };
        let (process, link) = (std::process::id(), format!("n{}-{world}-{number}", std::process::id()));
        let name = format!("lkops-{process}-{world}-{number}");
        let net = |host| Ipv4Addr::new(10, 64 + (process % 128) as u8, world.wrapping_mul(16) + number as u8, host);
        let new = Namespace { name, inside: net(2), outside: net(1), link };
        new.make();
        new
    }

    fn make(&self) {
        let Namespace { name, inside, outside, link } = self;
        root(&format!("ip netns add {name}"));
        root(&format!("ip link add {link} type veth peer name eth0 netns {name}"));
        root(&format!("ip address add {outside}/24 dev {link}"));
        root(&format!("ip link set {link} up"));
        self.run(&format!("ip address add {inside}/24 dev eth0"));
        self.run("ip link set lo up");
        self.run("ip link set eth0 up");
        self.run(&format!("ip route add default via {outside}"));
    }

    fn run(&self, command: &str) {
        root(&format!("ip netns exec {} {command}", self.name));
    }

    /// Nothing comes from or goes to that TCP port outside any more.
    pub fn cut_off(&self, port: u16) {
        self.run("nft add table inet cut");
        for (hook, way) in [("output", "dport"), ("input", "sport")] {
            self.run(&format!("nft add chain inet cut {hook} {{ type filter hook {hook} priority 0 ; }}"));
            self.run(&format!("nft add rule inet cut {hook} tcp {way} {port} drop"));
        }
    }

    pub fn let_through(&self) {
        self.run("nft delete table inet cut");
    }

    /// Its only cable, pulled or put back.
    pub fn plug(&self, is_in: bool) {
        self.run(if is_in { "ip link set eth0 up" } else { "ip link set eth0 down" });
        if is_in {
            self.run(&format!("ip route replace default via {}", self.outside));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}
