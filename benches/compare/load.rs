//! The load: participants of our own client, which send and receive datagram by datagram, as browsers on an ordinary
//! network do.

use crate::server::{Server, keys};
use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use lkops::client::media::{AudioSource, VideoSource};
use lkops::client::stats::{Latency, Stats};
use lkops::client::{Engine, Options, Participant, View};
use lkops::load::vitals::Usage;
use lkops::proto::{UpdateTrackSettings, VideoQuality, signal_request};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Who is in a room and what they do.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Participants that publish.
    pub publishers: usize,
    /// Participants that only listen and watch.
    pub subscribers: usize,
    /// Publishers receive one another too.
    pub mutual: bool,
    pub camera: Option<VideoSource>,
    pub microphone: bool,
    /// All watch the lowest encoding.
    pub lowest: bool,
}

/// Join and connect patience.
pub const PATIENCE: Duration = Duration::from_secs(30);
const JOINS_AT_ONCE: usize = 8;

pub struct Room {
    pub people: Vec<Participant>,
    name: String,
    scenario: Scenario,
}

/// What a window of steady load showed.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub packets_per_s: f64,
    /// Fraction of the packets that should have come.
    pub lost: f64,
    pub cpu_per_packet: Duration,
    /// Share of one core.
    pub cpu_share: f64,
    pub rss_kib: u64,
    pub latency_p50: Duration,
    pub latency_p99: Duration,
}

impl Room {
    pub async fn fill(engine: &Engine, server: &Server, name: &str, scenario: &Scenario) -> Result<Room> {
        let joins = stream::iter(0..scenario.publishers + scenario.subscribers);
        let joins = joins.map(|n| join(engine, server, name, scenario, n)).buffered(JOINS_AT_ONCE);
        let people: Vec<Result<Participant>> = joins.collect().await;
        let people = people.into_iter().collect::<Result<_>>()?;
        let room = Room { people, name: name.to_owned(), scenario: scenario.clone() };
        for publisher in &room.people[..scenario.publishers] {
            let tracks = publish(publisher, scenario).await?;
            if scenario.lowest {
                room.watch_lowest(&tracks).await?;
            }
        }
        room.flows().await?;
        Ok(room)
    }

    /// Lets more subscribers in and waits until they receive.
    pub async fn grow(&mut self, engine: &Engine, server: &Server, more: usize) -> Result<()> {
        let from = self.people.len();
        let joins = stream::iter(from..from + more).map(|n| join(engine, server, &self.name, &self.scenario, n));
        let people: Vec<Result<Participant>> = joins.buffered(JOINS_AT_ONCE).collect().await;
        self.people.extend(people.into_iter().collect::<Result<Vec<_>>>()?);
        self.flows().await
    }

    fn tracks_expected(&self, n: usize) -> usize {
        let Scenario { publishers, mutual, camera, microphone, .. } = &self.scenario;
        let others = match n < *publishers {
            true if *mutual => publishers - 1,
            true => 0,
            false => *publishers,
        };
        others * (usize::from(camera.is_some()) + usize::from(*microphone))
    }

    /// Waits until everybody receives everything.
    async fn flows(&self) -> Result<()> {
        let begun = Instant::now();
        for (n, person) in self.people.iter().enumerate() {
            let wanted = self.tracks_expected(n);
            loop {
                let stats = person.stats().await?;
                let flowing = stats.received.iter().filter(|t| t.packets > 0).count();
                if flowing >= wanted {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    bail!("participant {n} receives {flowing} of {wanted} tracks");
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Everybody who is told of the tracks asks for their lowest encoding.
    async fn watch_lowest(&self, sids: &[String]) -> Result<()> {
        for person in &self.people {
            let is_own = person.view().published.values().any(|track| sids.contains(&track.sid));
            if is_own {
                continue;
            }
            let told = |view: &View| sids.iter().all(|sid| view.remote_tracks().any(|(_, track)| track.sid == *sid));
            person.until("told of the tracks", PATIENCE, told).await?;
            let (track_sids, quality) = (sids.to_vec(), VideoQuality::Low as i32);
            let settings = UpdateTrackSettings { track_sids, quality, ..UpdateTrackSettings::default() };
            person.request(signal_request::Message::TrackSetting(settings)).await?;
        }
        Ok(())
    }

    /// Lets the load settle, then measures for a while.
    pub async fn measure(&self, server: &Server, settle: Duration, length: Duration) -> Result<Window> {
        sleep(settle).await;
        let (before, begun) = (self.look(server).await?, Instant::now());
        sleep(length).await;
        let (after, took) = (self.look(server).await?, begun.elapsed());
        let packets = after.packets - before.packets;
        let lost = after.lost.saturating_sub(before.lost);
        let cpu = after.usage.cpu - before.usage.cpu;
        let latency = after.latency.since(&before.latency);
        Ok(Window {
            packets_per_s: packets as f64 / took.as_secs_f64(),
            lost: lost as f64 / (packets + lost).max(1) as f64,
            cpu_per_packet: Duration::from_nanos((cpu.as_nanos() / u128::from(packets.max(1))) as u64),
            cpu_share: cpu.as_secs_f64() / took.as_secs_f64(),
            rss_kib: after.usage.rss_bytes / 1024,
            latency_p50: latency.quantile(0.5).unwrap_or_default(),
            latency_p99: latency.quantile(0.99).unwrap_or_default(),
        })
    }

    async fn look(&self, server: &Server) -> Result<Look> {
        let usage = server.usage()?;
        let all = stream::iter(&self.people).map(Participant::stats).buffered(64);
        let all: Vec<Stats> = all.map(|s| s.context("a participant was lost")).try_collect().await?;
        let mut look = Look { usage, packets: 0, lost: 0, latency: Latency::default() };
        for track in all.iter().flat_map(|stats| &stats.received) {
            look.packets += track.packets;
            look.lost += track.lost;
            look.latency.merge(&track.latency);
        }
        Ok(look)
    }
}

struct Look {
    usage: Usage,
    packets: u64,
    lost: u64,
    latency: Latency,
}

async fn join(engine: &Engine, server: &Server, room: &str, scenario: &Scenario, n: usize) -> Result<Participant> {
    let publishes = n < scenario.publishers;
    let mut options = Options::new(&server.url, keys().join(room, &format!("p{n}")));
    options.auto_subscribe = !publishes || scenario.mutual;
    options.offload = false;
    let participant = Participant::join(engine, options).await?;
    participant.connected(PATIENCE).await?;
    Ok(participant)
}

/// Answers the sids of the tracks.
async fn publish(publisher: &Participant, scenario: &Scenario) -> Result<Vec<String>> {
    let mut sids = Vec::new();
    if let Some(camera) = &scenario.camera {
        sids.push(publisher.publish_video("camera", camera.clone()).await?);
    }
    if scenario.microphone {
        sids.push(publisher.publish_audio("microphone", AudioSource::default()).await?);
    }
    Ok(sids)
}
