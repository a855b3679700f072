//! A redis-server of a test's own, which the test may stop, kill, empty and start again under the same address.

use redis::{Client, Cmd, FromRedisValue};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

pub struct RedisServer {
    pub port: u16,
    child: Option<Child>,
    arguments: Vec<String>,
}

impl RedisServer {
    pub async fn start() -> RedisServer {
        RedisServer::with(&[]).await
    }

    /// A Sentinel with that configuration.
    pub async fn sentinel(config: &Path) -> RedisServer {
        RedisServer::of(vec![config.display().to_string(), "--sentinel".to_owned()]).await
    }

    pub async fn with(arguments: &[&str]) -> RedisServer {
        let memory = ["--save", "", "--appendonly", "no"];
        RedisServer::of(memory.iter().chain(arguments).map(|a| (*a).to_owned()).collect()).await
    }

    async fn of(arguments: Vec<String>) -> RedisServer {
        // A Redis cluster has another port 10,000 above.
        let port = loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if port < 55_000 {
                break port;
            }
        };
        let mut server = RedisServer { port, child: None, arguments };
        server.run().await;
        server
    }

    /// Starts it, again, with an empty store.
    pub async fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed (tests/run installs it)");
        self.child = Some(child);
        self.answers().await;
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
        timeout(Duration::from_secs(8), asking).await.expect("redis-server answers");
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

    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let mut connection = self.client().get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}
