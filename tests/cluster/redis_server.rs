//! A redis-server of a test's own, which the test may stop, kill, empty and start again under the same address.

use rand::Rng;
use redis::{Client, Cmd, FromRedisValue, RedisResult};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// Not one the system gives to those who connect: whoever tries a port of these again and again while nobody listens there
/// connects to itself at last. A Redis cluster has another port 10,000 above.
fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| rand::rng().random_range(12_000..22_000)).find(free).expect("there is no end of ports")
}

pub struct RedisServer {
    pub port: u16,
    child: Option<Child>,
    arguments: Vec<String>,
    /// Of its own: a replica writes what it was sent to a file, and a server reads the file it finds.
    folder: tempfile::TempDir,
}

impl RedisServer {
    pub async fn start() -> RedisServer {
        RedisServer::with::<&str>(&[]).await
    }

    /// A Sentinel with that configuration.
    pub async fn sentinel(config: &Path) -> RedisServer {
        RedisServer::of(vec![config.display().to_string(), "--sentinel".to_owned()]).await
    }

    pub async fn with<A: AsRef<str>>(arguments: &[A]) -> RedisServer {
        let memory = ["--save", "", "--appendonly", "no"].map(str::to_owned);
        RedisServer::of(memory.into_iter().chain(arguments.iter().map(|a| a.as_ref().to_owned())).collect()).await
    }

    async fn of(arguments: Vec<String>) -> RedisServer {
        let folder = tempfile::tempdir().unwrap();
        let mut server = RedisServer { port: 0, child: None, arguments, folder };
        for _ in 0..5 {
            server.port = free_port();
            if server.begin().await {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    /// Starts it, again, with an empty store.
    pub async fn run(&mut self) {
        assert!(self.begin().await, "redis-server does not start again");
    }

    /// False if it ends at once, as it does where somebody else has the port.
    async fn begin(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(&self.arguments)
            .args(["--port", &self.port.to_string(), "--dir"])
            .arg(self.folder.path())
            .args(if self.binds() { &[][..] } else { &["--bind", "127.0.0.1"] })
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed (tests/run installs it)");
        tokio::select! {
            _ = child.wait() => return false,
            () = self.answers() => (),
        }
        self.child = Some(child);
        true
    }

    /// Whether it was told which addresses are its own.
    fn binds(&self) -> bool {
        self.arguments.iter().any(|a| a == "--bind")
    }

    async fn answers(&self) {
        let mut looks = interval(Duration::from_millis(20));
        let asking = async {
            loop {
                looks.tick().await;
                if let Ok(mut connection) = self.client().get_multiplexed_async_connection().await
                    && redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok()
                {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), asking).await.expect("redis-server answers");
    }

    /// As if its machine were gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    pub async fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs").to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().await.unwrap().success());
    }

    pub fn client(&self) -> Client {
        Client::open(format!("redis://127.0.0.1:{}/?protocol=resp3", self.port)).unwrap()
    }

    /// Again if the connection breaks: a replica that becomes the master drops all it has.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let mut tries = interval(Duration::from_millis(50));
        let asking = async {
            loop {
                tries.tick().await;
                match self.try_ask(command).await {
                    Err(error) if error.is_io_error() || error.is_connection_dropped() => (),
                    answer => return answer.unwrap(),
                }
            }
        };
        timeout(Duration::from_secs(20), asking).await.expect("redis-server answers")
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = self.client().get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }
}
