//! A bridge to one TURN server: a UDP socket on loopback whose every sender gets a flow of its own to the server, over UDP,
//! TCP or TLS. Called by `run`; answers are noted in passing by `observed`.

use super::frame::{Deframer, padded};
use super::observed::{self, View};
use super::url::{Transport, TurnUrl};
use crate::client::reach::Stream;
use crate::client::{clock, tls};
use crate::limits::{PROBE_TURN_FLOWS_MAX, PROBE_TURN_QUEUE_MAX, PROBE_TURN_SERVERS_MAX};
use crate::proto::IceServer;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use webrtc::peer_connection::RTCIceServer;

/// For the name, TCP and TLS of a server together.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Longest UDP payload.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// A bridge; it stands until it is dropped.
pub struct Bridge {
    pub url: TurnUrl,
    /// The server as the `webrtc` crate is told of it.
    pub server: RTCIceServer,
    view: watch::Receiver<View>,
    /// Ends with the bridge.
    _task: JoinSet<()>,
}

/// A bridge for each TURN server a JoinResponse names.
pub async fn bridges(servers: &[IceServer]) -> io::Result<Vec<Bridge>> {
    let named = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let mut bridges = Vec::new();
    for (server, url) in named {
        let Some(url) = TurnUrl::parse(url).filter(|_| bridges.len() < PROBE_TURN_SERVERS_MAX) else { continue };
        bridges.push(Bridge::open(url, server).await?);
    }
    Ok(bridges)
}

impl Bridge {
    async fn open(url: TurnUrl, server: &IceServer) -> io::Result<Bridge> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let here = socket.local_addr()?;
        let (sender, view) = watch::channel(View::default());
        let mut task = JoinSet::new();
        let hub = Hub { socket: Arc::new(socket), url: url.clone(), view: sender };
        task.spawn(hub.run());
        let urls = vec![format!("turn:{here}?transport=udp")];
        let (username, credential) = (server.username.clone(), server.credential.clone());
        Ok(Bridge { url, server: RTCIceServer { urls, username, credential }, view, _task: task })
    }

    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Waits for an allocation.
    pub async fn allocated(&self) {
        let mut view = self.view.clone();
        if view.wait_for(|view| view.allocated.is_some()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until there is an allocation or can be none.
    pub async fn settled(&self) -> View {
        let mut view = self.view.clone();
        let settled = view.wait_for(|view| view.allocated.is_some() || view.is_over()).await;
        settled.map(|view| view.clone()).unwrap_or_default()
    }
}

struct Hub {
    socket: Arc<UdpSocket>,
    url: TurnUrl,
    view: watch::Sender<View>,
}

/// One sender's way to the server.
struct Flow {
    from: SocketAddr,
    back: Arc<UdpSocket>,
    url: TurnUrl,
    view: watch::Sender<View>,
    begun: Instant,
    /// From the sender.
    outgoing: mpsc::Receiver<Vec<u8>>,
}

impl Hub {
    /// Hands datagrams to the flow of their sender. All flows end with it.
    async fn run(self) {
        let mut flows = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // An error is a datagram's (an ICMP answer), not the socket's.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer).await else { continue };
            if !flows.contains_key(&from) {
                if flows.len() >= PROBE_TURN_FLOWS_MAX {
                    continue;
                }
                flows.insert(from, self.open(from, &mut tasks));
            }
            if let Some(flow) = flows.get(&from) {
                // A full queue loses datagrams, as any path does.
                let _ = flow.try_send(buffer[..length].to_vec());
            }
        }
    }

    fn open(&self, from: SocketAddr, tasks: &mut JoinSet<()>) -> mpsc::Sender<Vec<u8>> {
        let (sender, outgoing) = mpsc::channel(PROBE_TURN_QUEUE_MAX);
        self.view.send_modify(|view| view.flows += 1);
        let (back, url, view) = (self.socket.clone(), self.url.clone(), self.view.clone());
        tasks.spawn(Flow { from, back, url, view, begun: clock::now(), outgoing }.run());
        sender
    }
}

impl Flow {
    async fn run(mut self) {
        if let Err(why) = self.carry().await {
            self.view.send_modify(|view| _ = view.unreachable.get_or_insert(why));
        }
    }

    async fn carry(&mut self) -> Result<(), String> {
        let silent = || format!("{} does not answer", self.url);
        if self.url.transport == Transport::Udp {
            let socket = timeout(CONNECT_PATIENCE, self.connect_udp()).await.map_err(|_| silent())??;
            return self.carry_datagrams(&socket).await;
        }
        let stream = timeout(CONNECT_PATIENCE, self.connect_stream()).await.map_err(|_| silent())??;
        let took = clock::now() - self.begun;
        self.view.send_modify(|view| _ = view.connected.get_or_insert(took));
        self.carry_stream(stream).await
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let found = lookup_host((self.url.host.as_str(), self.url.port)).await;
        Ok(found.map_err(|error| format!("cannot find `{}`: {error}", self.url.host))?.collect())
    }

    async fn connect_udp(&self) -> Result<UdpSocket, String> {
        let addresses = self.addresses().await?;
        let to = addresses.first().ok_or_else(|| format!("`{}` has no address", self.url.host))?;
        let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let failed = |error: io::Error| format!("cannot send to {}: {error}", self.url);
        let socket = UdpSocket::bind(any).await.map_err(failed)?;
        socket.connect(to).await.map_err(failed)?;
        Ok(socket)
    }

    async fn connect_stream(&self) -> Result<Stream, String> {
        let addresses = self.addresses().await?;
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.map_err(|error| format!("cannot connect to {}: {error}", self.url))?;
        // Only speed is lost without it.
        let _ = stream.set_nodelay(true);
        if self.url.transport == Transport::Tcp {
            return Ok(Box::new(stream));
        }
        let secured = tls::secure(&self.url.host, stream).await;
        Ok(Box::new(secured.map_err(|error| format!("cannot agree on TLS with {}: {error}", self.url))?))
    }

    async fn carry_datagrams(&mut self, socket: &UdpSocket) -> Result<(), String> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            tokio::select! {
                datagram = self.outgoing.recv() => {
                    let Some(datagram) = datagram else { return Ok(()) };
                    // Refusals of what was sent before are told when reading.
                    let _ = socket.send(&datagram).await;
                }
                length = socket.recv(&mut buffer) => {
                    let length = length.map_err(|error| format!("{}: {error}", self.url))?;
                    self.return_message(&buffer[..length]);
                }
            }
        }
    }

    async fn carry_stream(&mut self, stream: Stream) -> Result<(), String> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut deframer = Deframer::default();
        let broken = |error: io::Error, url: &TurnUrl| format!("{url} broke off: {error}");
        loop {
            tokio::select! {
                message = self.outgoing.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    writer.write_all(&padded(&message)).await.map_err(|error| broken(error, &self.url))?;
                }
                length = reader.read(&mut buffer) => {
                    let length = length.map_err(|error| broken(error, &self.url))?;
                    if length == 0 {
                        return Err(format!("{} closed the connection", self.url));
                    }
                    let taken = deframer.take(&buffer[..length], |message| self.return_message(message));
                    taken.map_err(|foreign| format!("{}: {foreign}", self.url))?;
                }
            }
        }
    }

    fn return_message(&self, message: &[u8]) {
        if let Some(answer) = observed::read(message) {
            let after = clock::now() - self.begun;
            self.view.send_modify(|view| view.note(answer, after));
        }
        // A full buffer loses it, as any path does.
        let _ = self.back.try_send_to(message, self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn bridge(url: &str) -> Bridge {
        let server = IceServer { urls: vec![url.to_owned()], ..IceServer::default() };
        bridges(&[server]).await.unwrap().remove(0)
    }

    async fn speaker(bridge: &Bridge) -> UdpSocket {
        let place = bridge.server.urls[0].trim_start_matches("turn:").trim_end_matches("?transport=udp").to_owned();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(place).await.unwrap();
        socket
    }

    /// An Allocate success or error without attributes.
    fn answer(class: u8) -> Vec<u8> {
        let mut message = vec![1, class, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        message.resize(20, 0);
        message
    }

    #[tokio::test]
    async fn what_comes_over_tcp_is_told_and_returned_by_udp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bridge = bridge(&format!("turn:{}?transport=tcp", listener.local_addr().unwrap())).await;
        let socket = speaker(&bridge).await;
        socket.send(b"\x00\x03\x00\x00request").await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 12];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"\x00\x03\x00\x00request\0", "padded to four");
        stream.write_all(&answer(3)).await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(socket.recv(&mut buffer).await.unwrap(), 20);
        assert!(bridge.settled().await.allocated.is_some());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told() {
        let bridge = bridge("turn:127.0.0.1:1?transport=tcp").await;
        speaker(&bridge).await.send(b"x").await.unwrap();
        let view = bridge.settled().await;
        assert!(view.why().starts_with("cannot connect to 127.0.0.1:1/TCP: "), "{}", view.why());
    }

    #[tokio::test]
    async fn servers_of_other_kinds_get_no_bridge() {
        let urls = vec!["stun:h:1".to_owned(), "turns:h:1?transport=udp".to_owned()];
        let server = IceServer { urls, ..IceServer::default() };
        assert!(bridges(&[server]).await.unwrap().is_empty());
    }
}
