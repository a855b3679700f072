//! Shards driven by hand: a camera and its watchers on loopback sockets, on a clock that stands still unless told.

use lkops::client::encoder::Encoder;
use lkops::client::media::{VideoCodec, VideoSource};
use lkops::shard::{
    AllocationRules, AudioLevelConfig, CandidatePolicy, Codec, Command, CongestionConfig, Encoding, Event,
    ExtensionIds, IceCredentials, LayerMode, LegKey, LegSetup, LegTarget, LocalAddress, MediaConfig, PayloadType,
    PeerKey, PeerSetup, ProbeIntervals, RemoteTransport, Runner, Shard, ShardsConfig, Spread, TrackKey, TrackSetup,
    assemble,
};
use lkops::transport::srtp::OVERHEAD_BYTES_MAX;
use lkops::transport::{Certificate, Input, Peer, PeerConfig, PeerEvent, Proto, RemoteParams};
use lkops::wire::rtcp::{self, Packet};
use lkops::wire::rtp::{OutHeader, write_header};
use mio::Events;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, channel};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TICK: Duration = Duration::from_millis(10);
/// Turns a connection may take.
const TURNS_MAX: usize = 3_000;
const SSRC: u32 = 0x5eed;
const PAYLOAD: PayloadType = PayloadType { codec: Codec::Vp8, pt: 96, rtx_pt: Some(97) };

pub struct Plane {
    runners: Vec<Runner>,
    events: Events,
    /// The camera's.
    pub shard: Shard,
    /// As a room speaks to them.
    pub spread: Spread,
    pub now: Instant,
    pub camera: Caller,
    pub picture: Encoder,
    header: OutHeader,
    pub watchers: Vec<Caller>,
    pub track: TrackKey,
}

/// A client's end of a connection.
pub struct Caller {
    key: PeerKey,
    /// Of the camera's track.
    pub leg: LegKey,
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
    server: SocketAddr,
    connected: bool,
    received: usize,
    /// The newest packet of media.
    pub last: Vec<u8>,
    /// Key frames asked for.
    pub wishes: usize,
    /// What the room would hear.
    pub events: Receiver<Event>,
}

impl Plane {
    /// A camera of that rate at 30 pictures a second, and so many watchers, all connected to one shard.
    pub fn start(watchers: usize, bitrate_bps: u32) -> Plane {
        Plane::start_wide(1, watchers, bitrate_bps)
    }

    /// As [`Plane::start`], the watchers in turn on so many shards; the camera is on the first.
    pub fn start_wide(shards: usize, watchers: usize, bitrate_bps: u32) -> Plane {
        let now = epoch();
        let assembled = assemble(&config(shards), now, Duration::from_secs(1_700_000_000)).unwrap();
        let (runners, shards) = (assembled.runners, assembled.shards);
        let mut spread = Spread::new(shards.clone(), 0, channel(1).0);
        let certificate = Arc::new(Certificate::generate().unwrap());
        let shard = shards.iter().next().unwrap().clone();
        let camera = Caller::new(now, &mut spread, &shard, &certificate);
        let seats = shards.iter().cycle().take(watchers);
        let watchers = seats.map(|seat| Caller::new(now, &mut spread, seat, &certificate)).collect();
        let source = VideoSource::p720(bitrate_bps);
        let header = OutHeader { marker: false, payload_type: PAYLOAD.pt, sequence: 100, timestamp: 0, ssrc: SSRC };
        let picture = Encoder::new(VideoCodec::Vp8, &source, source.layers[0], 0, 7);
        let events = Events::with_capacity(64);
        let track = TrackKey::fresh();
        let mut plane = Plane { runners, events, shard, spread, now, camera, picture, header, watchers, track };
        plane.connect();
        plane.describe();
        plane
    }

    fn connect(&mut self) {
        for _ in 0..TURNS_MAX {
            let now = self.now;
            self.callers().for_each(|caller| caller.go_on(now));
            self.turn();
            if self.callers().all(|caller| caller.connected) {
                return;
            }
            self.now += TICK;
        }
        panic!("not all connect");
    }

    fn callers(&mut self) -> impl Iterator<Item = &mut Caller> {
        std::iter::once(&mut self.camera).chain(&mut self.watchers)
    }

    fn describe(&mut self) {
        let track = self.track;
        self.spread.send(Command::AddTrack(Box::new(track_setup(track, self.camera.key))));
        for (n, watcher) in (0..).zip(&mut self.watchers) {
            watcher.leg = LegKey::fresh();
            self.spread.send(Command::AddLeg(Box::new(leg_setup(watcher.leg, track, watcher.key, n))));
        }
        self.turn();
    }

    /// One turn of each shard.
    pub fn turn(&mut self) {
        let now = self.now;
        for runner in &mut self.runners {
            assert!(runner.turn_once(&mut self.events, || now).unwrap());
        }
    }

    /// Sends a picture to the shard, packet by packet; answers how many.
    pub fn send_picture(&mut self) -> usize {
        let frame = self.picture.next_frame();
        let mut payload = Vec::new();
        for index in 0..frame.packets {
            self.picture.packet(&frame, index, 0, &mut payload);
            self.header.marker = index + 1 == frame.packets;
            self.camera.send(&self.header, &payload);
            self.header.sequence = self.header.sequence.wrapping_add(1);
        }
        self.header.timestamp = self.header.timestamp.wrapping_add(3_000);
        usize::from(frame.packets)
    }

    /// Takes what has arrived at the watchers; answers the packets of media each has got so far.
    pub fn receive(&mut self) -> Vec<usize> {
        let now = self.now;
        self.callers().for_each(|caller| caller.go_on(now));
        self.watchers.iter().map(|watcher| watcher.received).collect()
    }
}

impl Caller {
    fn new(now: Instant, spread: &mut Spread, shard: &Shard, certificate: &Arc<Certificate>) -> Caller {
        let server = address_of(shard);
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (key, creds, theirs) = (PeerKey::fresh(), shard.credentials(), ("callerfrag".to_owned(), "p".repeat(24)));
        let (events, told) = channel(4_096);
        let candidates = CandidatePolicy::All;
        let setup =
            PeerSetup { peer: key, creds: creds.clone(), ice_lite: true, candidates, events, allow_pause: None };
        spread.send(Command::AddPeer(Box::new(setup)));
        let remote = RemoteTransport {
            creds: IceCredentials { ufrag: theirs.0.clone(), pwd: theirs.1.clone() },
            ice_lite: false,
            fingerprints: vec![("sha-256".to_owned(), digest(&certificate.fingerprint_sha256()))],
            dtls_active: false,
            sctp: None,
            candidates: Vec::new(),
        };
        spread.send(Command::SetRemote { peer: key, remote });
        let peer = connection(now, shard, server, address, theirs, creds, certificate);
        let (connected, received, last, wishes, leg) = (false, 0, Vec::new(), 0, LegKey(0));
        Caller { key, leg, peer, socket, address, server, connected, received, last, wishes, events: told }
    }

    /// Reads and answers what has come, and does what is due.
    fn go_on(&mut self, now: Instant) {
        let mut datagram = [0; 2_048];
        while let Ok(bytes) = self.socket.recv(&mut datagram) {
            match self.peer.handle_datagram(now, Proto::Udp, self.address, self.server, &mut datagram[..bytes]) {
                Input::Rtp(length) => {
                    self.received += 1;
                    self.last = datagram[..length].to_vec();
                }
                Input::Rtcp(length) => {
                    let asks = |packet: &Packet| matches!(packet, Packet::Pli { .. });
                    self.wishes += rtcp::packets(&datagram[..length]).filter(asks).count();
                }
                _ => {}
            }
        }
        if self.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.peer.handle_timeout(now);
        }
        let mut out = Vec::new();
        while self.peer.poll_transmit(&mut out).is_some() {
            self.socket.send_to(&out, self.server).unwrap();
            out.clear();
        }
        while let Some(event) = self.peer.poll_event() {
            self.connected |= event == PeerEvent::Connected;
        }
    }

    fn send(&mut self, header: &OutHeader, payload: &[u8]) {
        let mut packet = vec![0; 2_048];
        let begin = write_header(&mut packet, header, &[]).unwrap();
        let end = begin + payload.len();
        packet[begin..end].copy_from_slice(payload);
        packet.truncate(end + OVERHEAD_BYTES_MAX);
        let sealed = self.peer.seal_rtp(&mut packet, begin, end).unwrap();
        self.socket.send_to(&packet[..sealed], self.server).unwrap();
    }
}

fn connection(
    now: Instant,
    shard: &Shard,
    server: SocketAddr,
    address: SocketAddr,
    creds: (String, String),
    theirs: IceCredentials,
    certificate: &Arc<Certificate>,
) -> Peer {
    let certificate = certificate.clone();
    let local_candidates = vec![(address, Proto::Udp)];
    let config = PeerConfig { ice_lite: false, controlling: true, creds, certificate, local_candidates };
    let mut peer = Peer::new(now, config).unwrap();
    let remote = RemoteParams {
        ufrag: theirs.ufrag,
        pwd: theirs.pwd,
        ice_lite: true,
        fingerprints: vec![("sha-256".to_owned(), digest(shard.fingerprint()))],
        dtls_active: true,
        sctp: None,
    };
    peer.set_remote(now, remote);
    let line = format!("candidate:1 1 udp 2130706431 {} {} typ host", server.ip(), server.port());
    peer.add_remote_candidate(now, &line).unwrap();
    peer
}

/// Where a shard is reached.
fn address_of(shard: &Shard) -> SocketAddr {
    let line = shard.candidates(CandidatePolicy::UdpOnly).remove(0);
    let port = line.split(' ').nth(5).and_then(|port| port.parse().ok()).unwrap();
    SocketAddr::new(HERE, port)
}

/// With a port for each shard, behind one that is free.
fn config(shards: usize) -> ShardsConfig {
    let port = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    let last = if shards == 1 { port } else { port.saturating_add(100) };
    ShardsConfig {
        shards,
        udp_ports: port..=last,
        udp: true,
        tcp_port: None,
        addresses: vec![LocalAddress { base: HERE, advertised: HERE }],
        media: MediaConfig {
            video_history_packets: 512,
            audio_history_packets: 256,
            pli_throttle: [Duration::from_millis(500); 3],
            audio: AudioLevelConfig {
                active_level: 35,
                min_percentile: 40,
                update_interval: Duration::from_millis(400),
                smooth_intervals: 2,
            },
            congestion: CongestionConfig {
                enabled: true,
                rules: AllocationRules::default(),
                capacity_min_bps: 0,
                probes: ProbeIntervals::default(),
            },
            audio_loss_proxying: false,
            gather_window: Duration::ZERO,
            receive_offload: true,
        },
    }
}

fn track_setup(track: TrackKey, peer: PeerKey) -> TrackSetup {
    TrackSetup {
        track,
        peer,
        mid: "0".to_owned(),
        payloads: vec![PAYLOAD],
        extensions: ExtensionIds::default(),
        encodings: vec![Encoding { rid: None, ssrc: Some(SSRC), rtx_ssrc: Some(SSRC + 1), spatial: 0 }],
        layer_mode: LayerMode::OnePerStream,
        layer_sizes: [(1280, 720), (0, 0), (0, 0)],
        encrypted: false,
        is_microphone: false,
        is_screen_share: false,
        muted: false,
    }
}

fn leg_setup(leg: LegKey, track: TrackKey, peer: PeerKey, n: u32) -> LegSetup {
    LegSetup {
        leg,
        track,
        peer,
        mid: "0".to_owned(),
        ssrc: 1_000 + 2 * n,
        rtx_ssrc: 1_001 + 2 * n,
        payloads: vec![PAYLOAD],
        extensions: ExtensionIds { transport_cc: Some(3), abs_send_time: Some(2), ..ExtensionIds::default() },
        target: LegTarget { spatial: 2, temporal: 3, paused: false, priority: 0 },
        cname: "camera".to_owned(),
        encrypted: None,
        adds_red: false,
        playout_delay_ms: (0, 0),
    }
}

/// Bytes of a fingerprint as SDP writes it.
fn digest(text: &str) -> Vec<u8> {
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Where the clock begins.
#[allow(clippy::disallowed_methods)]
fn epoch() -> Instant {
    Instant::now()
}
