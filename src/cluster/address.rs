//! From the configuration's `redis` section to clients of one Redis, of what Sentinel watches, or of a Redis cluster
//! (CLUSTER.md §7).

use super::dialer::Dialer;
use crate::config::{Redis as Config, RedisTls};
use crate::limits::REDIS_ANSWER_TIMEOUT;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};
use std::time::Duration;
use tokio::sync::Mutex;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What the configuration says that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("no redis is configured; name one under redis.address")]
    Missing,
    #[error("redis: {0:?} is no host:port")]
    Port(String),
    #[error("redis.tls: cannot read {path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error("redis.tls: client_cert_file and client_key_file go together")]
    HalfCertificate,
    #[error("redis.tls.server_name is not supported; name the host as its certificate does")]
    ServerName,
    #[error("redis: {0}")]
    Client(#[from] RedisError),
}

/// Where commands go.
pub enum Source {
    Pipes(Dialer),
    Single(Client),
    Sentinel(Mutex<SentinelClient>),
    Cluster {
        client: Box<ClusterClient>,
        /// Any of them carries subscriptions.
        nodes: Vec<Client>,
    },
}

/// Sentinel without a master name is a cluster where several addresses are given, else a single Redis.
pub fn source(config: &Config) -> Result<Source, AddressError> {
    let tls = Tls::read(config)?;
    let sentinels = &config.sentinel_addresses;
    if !sentinels.is_empty() && !config.sentinel_master_name.is_empty() {
        return Ok(Source::Sentinel(Mutex::new(sentinel(config, &tls)?)));
    }
    let many = if sentinels.len() > 1 { sentinels } else { &config.cluster_addresses };
    if !many.is_empty() {
        return cluster(config, many, &tls);
    }
    let address = sentinels.first().unwrap_or(&config.address);
    Ok(Source::Single(tls.client(address, credentials(config).set_db(i64::from(config.db)))?))
}

/// Long enough for a distant Redis, short enough to be heard of in time.
pub fn dial_timeout(config: &Config) -> Duration {
    match config.dial_timeout {
        0 => Duration::from_secs(2),
        ms => Duration::from_millis(ms.into()),
    }
}

/// Commands share a connection, so sending and waiting cannot be told apart; a slow sender must not fail a patient reader.
pub fn answer_timeout(config: &Config) -> Duration {
    match config.read_timeout.max(config.write_timeout) {
        0 => REDIS_ANSWER_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    }
}

fn sentinel(config: &Config, tls: &Tls) -> Result<SentinelClient, AddressError> {
    let addresses = config.sentinel_addresses.iter().map(|a| tls.address(a, SENTINEL_PORT));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let mut builder =
        SentinelClientBuilder::new(addresses, config.sentinel_master_name.clone(), SentinelServerType::Master)?
            .set_client_to_redis_db(i64::from(config.db))
            .set_client_to_redis_protocol(ProtocolVersion::RESP3);
    if !config.username.is_empty() {
        builder = builder.set_client_to_redis_username(&config.username);
    }
    if !config.password.is_empty() {
        builder = builder.set_client_to_redis_password(&config.password);
    }
    if !config.sentinel_username.is_empty() {
        builder = builder.set_client_to_sentinel_username(&config.sentinel_username);
    }
    if !config.sentinel_password.is_empty() {
        builder = builder.set_client_to_sentinel_password(&config.sentinel_password);
    }
    if let Some(mode) = tls.mode() {
        builder = builder
            .set_client_to_redis_tls_mode(mode)
            .set_client_to_sentinel_tls_mode(mode)
            .set_client_to_redis_certificates(tls.certificates.clone())
            .set_client_to_sentinel_certificates(tls.certificates.clone());
    }
    Ok(builder.build()?)
}

fn cluster(config: &Config, addresses: &[String], tls: &Tls) -> Result<Source, AddressError> {
    let infos = addresses.iter().map(|a| Ok(info(tls.address(a, PORT)?, credentials(config))?));
    let mut builder = ClusterClientBuilder::new(infos.collect::<Result<Vec<_>, AddressError>>()?)
        .use_protocol(ProtocolVersion::RESP3)
        .retries(config.max_redirects.unwrap_or(2))
        .connection_timeout(dial_timeout(config));
    if let Some(mode) = tls.mode() {
        builder = builder.tls(mode).certs(tls.certificates.clone());
    }
    let nodes = addresses.iter().map(|a| tls.client(a, credentials(config)));
    Ok(Source::Cluster { client: Box::new(builder.build()?), nodes: nodes.collect::<Result<_, _>>()? })
}

fn credentials(config: &Config) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    if !config.username.is_empty() {
        info = info.set_username(&config.username);
    }
    if !config.password.is_empty() {
        info = info.set_password(&config.password);
    }
    info
}

fn info(address: ConnectionAddr, credentials: RedisConnectionInfo) -> Result<ConnectionInfo, RedisError> {
    Ok(address.into_connection_info()?.set_redis_settings(credentials))
}

struct Tls {
    enabled: bool,
    insecure: bool,
    certificates: TlsCertificates,
}

impl Tls {
    fn read(config: &Config) -> Result<Tls, AddressError> {
        let tls = &config.tls;
        if !tls.server_name.is_empty() {
            return Err(AddressError::ServerName);
        }
        let root_cert = (!tls.ca_cert_file.is_empty()).then(|| read(&tls.ca_cert_file)).transpose()?;
        let certificates = TlsCertificates { client_tls: client_tls(tls)?, root_cert };
        Ok(Tls { enabled: tls.enabled || config.use_tls, insecure: tls.insecure, certificates })
    }

    fn mode(&self) -> Option<TlsMode> {
        let mode = if self.insecure { TlsMode::Insecure } else { TlsMode::Secure };
        self.enabled.then_some(mode)
    }

    fn address(&self, text: &str, port: u16) -> Result<ConnectionAddr, AddressError> {
        let (host, port) = split(text, port)?;
        Ok(match self.enabled {
            true => ConnectionAddr::TcpTls { host, port, insecure: self.insecure, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        })
    }

    fn client(&self, address: &str, credentials: RedisConnectionInfo) -> Result<Client, AddressError> {
        let info = info(self.address(address, PORT)?, credentials)?;
        Ok(match self.enabled {
            true => Client::build_with_tls(info, self.certificates.clone())?,
            false => Client::open(info)?,
        })
    }
}

fn client_tls(tls: &RedisTls) -> Result<Option<ClientTlsConfig>, AddressError> {
    match (tls.client_cert_file.as_str(), tls.client_key_file.as_str()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(AddressError::HalfCertificate),
        (cert, key) => Ok(Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })),
    }
}

fn read(path: &str) -> Result<Vec<u8>, AddressError> {
    std::fs::read(path).map_err(|error| AddressError::File { path: path.to_owned(), error })
}

/// `host`, `host:port`, `[v6]:port`; the default port where none is given.
fn split(text: &str, default: u16) -> Result<(String, u16), AddressError> {
    let wrong = || AddressError::Port(text.to_owned());
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (text, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config as Whole;

    fn redis(change: impl FnOnce(&mut Config)) -> Result<Source, AddressError> {
        let mut config = Whole::default().redis;
        change(&mut config);
        source(&config)
    }

    #[test]
    fn the_longer_of_two_timeouts_counts() {
        let patience = |read_timeout, write_timeout| {
            let config = Config { read_timeout, write_timeout, ..Whole::default().redis };
            answer_timeout(&config).as_millis()
        };
        assert_eq!([patience(0, 0), patience(500, 0), patience(500, 700)], [3_000, 500, 700]);
    }

    #[test]
    fn addresses_have_a_port_or_get_one() {
        let cases =
            [("r:1", "r", 1), ("r", "r", 6379), ("[::1]:7", "::1", 7), ("::1", "::1", 6379), ("[::1]", "::1", 6379)];
        for (text, host, port) in cases {
            assert_eq!(split(text, PORT).unwrap(), (host.to_owned(), port), "{text}");
        }
        assert!(split("r:x", PORT).is_err() && split(":1", PORT).is_err());
    }

    #[test]
    fn the_mode_follows_what_is_given() {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(matches!(redis(|c| c.address = "r:1".into()), Ok(Source::Single(_))));
        assert!(matches!(redis(|c| c.cluster_addresses = list(&["r:1"])), Ok(Source::Cluster { .. })));
        let named = redis(|c| {
            c.sentinel_addresses = list(&["s"]);
            c.sentinel_master_name = "m".into();
        });
        assert!(matches!(named, Ok(Source::Sentinel(_))));
        assert!(matches!(redis(|c| c.sentinel_addresses = list(&["a", "b"])), Ok(Source::Cluster { .. })));
        assert!(matches!(redis(|c| c.sentinel_addresses = list(&["a"])), Ok(Source::Single(_))));
    }

    #[test]
    fn tls_files_are_read_at_start() {
        let missing = redis(|c| {
            c.address = "r".into();
            c.tls.ca_cert_file = "/nowhere/ca.pem".into();
        });
        assert!(matches!(missing, Err(AddressError::File { .. })));
        let half = redis(|c| {
            c.address = "r".into();
            c.tls.client_cert_file = "c.pem".into();
        });
        assert!(matches!(half, Err(AddressError::HalfCertificate)));
    }
}
