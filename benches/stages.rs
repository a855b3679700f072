//! What each stage of the packet path costs, in nanoseconds of processor time a packet: open, keep, plan, write, seal, send,
//! and a whole shard's turn. Medians of some rounds with the least and the greatest; what others do on the machine shows
//! only in colder caches.
//!
//! `cargo bench --bench stages`

#[path = "../tests/support/plane.rs"]
#[allow(dead_code)]
mod plane;

use lkops::client::encoder::Encoder;
use lkops::client::media::{VideoCodec, VideoSource};
use lkops::media::arrival::Arrival;
use lkops::media::down_track::{DownTrack, Plan};
use lkops::media::layer::Target;
use lkops::media::outgoing::Outgoing;
use lkops::media::settings::{Extensions, LegSettings, Payload, UpSettings};
use lkops::media::up_track::UpTrack;
use lkops::net::udp::Udp;
use lkops::transport::srtp::{OVERHEAD_BYTES_MAX, Profile, Srtp};
use lkops::wire::codec::Codec;
use lkops::wire::rtp::{OutHeader, RtpHeader, write_header};
use plane::Plane;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

const PACKETS: usize = 200_000;
const ROUNDS: usize = 5;
const PAYLOAD_BYTES: usize = 1_100;

fn main() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        tell(&format!("seal, {profile:?}"), || seal(profile));
        tell(&format!("open, {profile:?}"), || open(profile));
    }
    tell("keep: a packet into its track", keep);
    tell("plan: what a leg makes of it", plan);
    tell("write: the leg's copy", write);
    for run in [1, 2, 4, 8, 16] {
        tell(&format!("send, runs of {run}"), || send(run));
    }
    for watchers in [1, 10, 50] {
        tell(&format!("turn: all of it, {watchers} watchers, a packet sent"), || turn(watchers));
    }
}

/// Prints the median of some rounds.
fn tell(what: &str, round: impl Fn() -> Duration) {
    let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_unstable();
    println!(
        "{what:<48} {:>6} ns ({}-{})",
        rounds[ROUNDS / 2].as_nanos(),
        rounds[0].as_nanos(),
        rounds[ROUNDS - 1].as_nanos()
    );
}

#[allow(clippy::disallowed_methods)] // A moment to count from.
fn now() -> Instant {
    Instant::now()
}

/// Processor time this thread has taken.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Time of one of `count` calls.
fn each(count: usize, mut call: impl FnMut(usize)) -> Duration {
    let begun = spent();
    (0..count).for_each(&mut call);
    (spent() - begun) / count as u32
}

fn packet(sequence: usize) -> Vec<u8> {
    let header = OutHeader {
        marker: false,
        payload_type: 96,
        sequence: sequence as u16,
        timestamp: (sequence / 8) as u32 * 3_000,
        ssrc: 7,
    };
    let mut packet = vec![0x55; 12 + PAYLOAD_BYTES];
    write_header(&mut packet, &header, &[]);
    packet
}

fn ends(profile: Profile) -> (Srtp, Srtp) {
    let keys = [7; 128];
    (Srtp::new(profile, &keys, true).expect("enough keys"), Srtp::new(profile, &keys, false).expect("enough keys"))
}

fn seal(profile: Profile) -> Duration {
    let (mut srtp, _) = ends(profile);
    let mut buffer = packet(0);
    buffer.resize(buffer.len() + OVERHEAD_BYTES_MAX, 0);
    each(PACKETS, |n| {
        buffer[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        assert!(srtp.seal_rtp(&mut buffer, 12, 12 + PAYLOAD_BYTES).is_some());
    })
}

fn open(profile: Profile) -> Duration {
    let (mut ours, mut theirs) = ends(profile);
    let mut sealed: Vec<Vec<u8>> = (0..20_000)
        .map(|n| {
            let mut buffer = packet(n);
            buffer.resize(buffer.len() + OVERHEAD_BYTES_MAX, 0);
            let length = ours.seal_rtp(&mut buffer, 12, 12 + PAYLOAD_BYTES).expect("a fresh number");
            buffer.truncate(length);
            buffer
        })
        .collect();
    each(sealed.len(), |n| assert!(theirs.open_rtp(&mut sealed[n]).is_ok()))
}

fn payloads() -> Vec<Payload> {
    vec![Payload { codec: Codec::Vp8, pt: 96, rtx_pt: Some(97) }]
}

fn track(at: Instant) -> UpTrack {
    let mut up = UpTrack::new(UpSettings {
        payloads: payloads(),
        extensions: Extensions::default(),
        announced_layers: 1,
        layered: false,
        is_screen_share: false,
        history_packets: 512,
        pli_throttle: [Duration::from_millis(500); 3],
        speaker: None,
    });
    up.set_stream(at, 0, 7);
    up
}

fn leg(at: Instant) -> DownTrack {
    DownTrack::new(
        at,
        LegSettings {
            ssrc: 9,
            rtx_ssrc: Some(10),
            payloads: payloads(),
            extensions: Extensions::default(),
            target: Target { spatial: 2, temporal: 3, paused: false },
            history_packets: 512,
            adds_red: false,
            playout: None,
            encrypted: None,
            first_sequence: 1,
            first_timestamp: 1,
        },
    )
}

/// Packets of pictures with true descriptors.
fn pictures(count: usize) -> Vec<Vec<u8>> {
    let source = VideoSource::p720(2_200_000);
    let (mut vp8, mut payload, mut packets) =
        (Encoder::new(VideoCodec::Vp8, &source, source.layers[0], 0, 1), Vec::new(), Vec::new());
    while packets.len() < count {
        let frame = vp8.next_frame();
        for index in 0..frame.packets {
            vp8.packet(&frame, index, 0, &mut payload);
            let mut packet = packet(packets.len());
            packet.truncate(12);
            packet.extend_from_slice(&payload);
            packets.push(packet);
        }
    }
    packets
}

fn keep() -> Duration {
    let (begun, packets) = (now(), pictures(20_000));
    let mut up = track(begun);
    each(packets.len(), |n| {
        let header = RtpHeader::parse(&packets[n]).expect("a packet");
        assert!(up.handle_rtp(begun + Duration::from_micros(4_000 * n as u64), &header, &packets[n], 0).is_ok());
    })
}

fn arrivals(up: &mut UpTrack, begun: Instant, packets: &[Vec<u8>]) -> Vec<(Instant, Arrival)> {
    let arrival = |(n, packet): (usize, &Vec<u8>)| {
        let at = begun + Duration::from_micros(4_000 * n as u64);
        let header = RtpHeader::parse(packet).expect("a packet");
        (at, up.handle_rtp(at, &header, packet, 0).expect("in order"))
    };
    packets.iter().enumerate().map(arrival).collect()
}

fn planned() -> (Vec<Vec<u8>>, Vec<Outgoing>, Duration) {
    let (begun, packets) = (now(), pictures(20_000));
    let mut up = track(begun);
    let (arrivals, mut leg) = (arrivals(&mut up, begun, &packets), leg(begun));
    let mut planned = Vec::with_capacity(packets.len());
    let took = each(packets.len(), |n| {
        let (at, arrival) = &arrivals[n];
        match leg.plan(*at, &up, arrival) {
            Plan::Forward(outgoing) => planned.push(outgoing),
            Plan::Drop(why) => panic!("dropped: {why:?}"),
        }
    });
    (packets, planned, took)
}

fn plan() -> Duration {
    planned().2
}

fn write() -> Duration {
    let (packets, planned, _) = planned();
    let mut slot = vec![0; 2_048];
    let (time, number) = ([1, 2, 3], [4, 5]);
    each(planned.len(), |n| {
        let extra: [(u8, &[u8]); 2] = [(2, &time), (3, &number)];
        assert!(planned[n].write(&packets[n], &extra, &mut slot).is_some());
    })
}

/// To sockets that are not read: what the kernel does up to the receiver's queue.
fn send(run: usize) -> Duration {
    let here = "127.0.0.1:0".parse().expect("an address");
    let from = Udp::bind(here, false).expect("a socket");
    let to: Vec<Udp> = (0..50).map(|_| Udp::bind(here, false).expect("a socket")).collect();
    to.iter().for_each(|socket| socket.set_gro(false).expect("an option every Linux has"));
    let datagrams = vec![0x55; run * (PAYLOAD_BYTES + 28)];
    let runs = 20_000 / run;
    let took = each(runs, |n| {
        let to = to[n % to.len()].local();
        // A full queue at the receiver loses what comes, at the same price for the sender.
        let _ = from.send(&datagrams, PAYLOAD_BYTES + 28, to, None);
    });
    took / run as u32
}

/// Only the shard's turns are timed, not the clients'.
fn turn(watchers: usize) -> Duration {
    let mut plane = Plane::start(watchers, 2_200_000);
    let (mut took, mut sent) = (Duration::ZERO, 0);
    for picture in 0..400 {
        let packets = plane.send_picture();
        let begun = spent();
        plane.turn();
        if picture >= 100 {
            took += spent() - begun;
            sent += packets * watchers;
        }
        plane.receive();
    }
    took / sent as u32
}
