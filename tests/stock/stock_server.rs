//! A livekit-server of a test's own.

use super::server::{PATIENCE, engine, keys};
use lkops::client::api::Api;
use lkops::client::{Options, Participant};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// The livekit-server to run.
#[allow(clippy::disallowed_methods, reason = "where the binary is, only who runs the tests knows")]
fn binary() -> String {
    std::env::var("LIVEKIT_SERVER").expect("LIVEKIT_SERVER names a livekit-server v1.13.5")
}

pub struct StockServer {
    child: Child,
    pub url: String,
    config: tempfile::NamedTempFile,
}

impl StockServer {
    /// In the cluster of that Redis.
    pub async fn start(redis_port: u16) -> StockServer {
        let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, tcp, udp] = ports.map(|l| l.local_addr().unwrap().port());
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), text(redis_port, port, tcp, udp)).unwrap();
        let child = Command::new(binary())
            .arg("--config")
            .arg(config.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let server = StockServer { child, url: format!("ws://127.0.0.1:{port}"), config };
        server.listens().await;
        server
    }

    async fn listens(&self) {
        let mut looks = interval(Duration::from_millis(50));
        let looking = async {
            while self.api().list_rooms().await.is_err() {
                looks.tick().await;
            }
        };
        timeout(2 * PATIENCE, looking).await.expect("livekit-server answers");
    }

    pub fn api(&self) -> Api {
        Api::new(&self.url, keys()).unwrap()
    }

    pub async fn join(&self, room: &str, identity: &str) -> Participant {
        let participant = Participant::join(engine(), self.options(room, identity))
            .await
            .unwrap_or_else(|e| panic!("{identity}: {e}"));
        participant.connected(PATIENCE).await.unwrap();
        participant
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn options(&self, room: &str, identity: &str) -> Options {
        Options::new(&self.url, keys().join(room, identity))
    }

    /// What its own `list-nodes` prints.
    pub async fn list_nodes(&self) -> String {
        let mut list = Command::new(binary());
        list.arg("--config").arg(self.config.path()).arg("list-nodes");
        let output = list.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits for its end.
    pub async fn exit(&mut self) {
        timeout(2 * PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
    }

    /// Asks it to drain and stop.
    pub async fn terminate(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }
}

fn text(redis: u16, port: u16, tcp: u16, udp: u16) -> String {
    let keys = keys();
    format!(
        "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys:\n  {}: {}\nredis:\n  address: 127.0.0.1:{redis}\nrtc:\n  \
         tcp_port: {tcp}\n  udp_port: {udp}\n  use_external_ip: false\n  node_ip: 127.0.0.1\n  \
         enable_loopback_candidate: true\n  stun_servers: []\n  ips:\n    includes: [\"127.0.0.1/32\"]\n",
        keys.key, keys.secret
    )
}
