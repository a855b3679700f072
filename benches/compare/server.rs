//! A server under test: ours or a reference of the same interface, alone on loopback ports, with what it takes of the
//! machine.

use anyhow::{Context, Result, bail};
use lkops::client::api::Keys;
use lkops::load::vitals::Usage;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Whose server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours(PathBuf),
    Reference(PathBuf),
}

impl Kind {
    pub fn is_ours(&self) -> bool {
        matches!(self, Kind::Ours(_))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Kind::Ours(_) => "ours",
            Kind::Reference(_) => "reference",
        }
    }
}

pub struct Server {
    child: Child,
    pub url: String,
    _config: tempfile::NamedTempFile,
}

const KEY: &str = "devkey";
const SECRET: &str = "secretsecretsecretsecretsecretsecret";
/// Ports a server takes: HTTP, ICE over TCP, and two for ICE over UDP, as both kinds recommend for two cores.
const PORTS: u16 = 4;
const START: Duration = Duration::from_secs(10);

pub fn keys() -> Keys {
    Keys { key: KEY.to_owned(), secret: SECRET.to_owned() }
}

impl Server {
    /// Starts it and waits until it listens. Each server has ports of its own, counted from `first_port`.
    pub async fn start(kind: &Kind, first_port: u16) -> Result<Server> {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let port = first_port + PORTS * (TAKEN.fetch_add(1, Ordering::Relaxed) % 250);
        let config = tempfile::NamedTempFile::new()?;
        std::fs::write(config.path(), configuration(port, kind))?;
        let child = command(kind, config.path())
            .env_remove("LIVEKIT_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the server ({})", kind.name()))?;
        let server = Server { child, url: format!("ws://127.0.0.1:{port}"), _config: config };
        server.listening(port).await?;
        Ok(server)
    }

    async fn listening(&self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if begun.elapsed() > START {
                bail!("the server does not listen on port {port}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub fn usage(&self) -> Result<Usage> {
        let pid = self.child.id().context("the server has ended")?;
        Ok(Usage::of(&pid.to_string())?)
    }

    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

fn command(kind: &Kind, config: &Path) -> Command {
    let (Kind::Ours(path) | Kind::Reference(path)) = kind;
    let mut command = Command::new(path);
    if kind.is_ours() {
        command.arg("serve");
    }
    command.arg("--config").arg(config);
    command
}

/// Ours is to show what it can, not to take care of others on the machine.
fn configuration(port: u16, kind: &Kind) -> String {
    let (tcp, udp, last_udp) = (port + 1, port + 2, port + 3);
    format!(
        "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys:\n  {KEY}: {SECRET}\nlogging:\n  level: error\nrtc:\n  \
         tcp_port: {tcp}\n  udp_port: {udp}-{last_udp}\n  node_ip: 127.0.0.1\n  enable_loopback_candidate: true\n  ips:\n    \
         includes: [\"127.0.0.1/32\"]\n{}{}",
        std::env::var_os("LKOPS_COMPARE_CONFIG").map_or(String::new(), |more| more.to_string_lossy().into_owned()),
        if kind.is_ours() { "\nlkops:\n  overload_cpu: 0\n" } else { "" }
    )
}
