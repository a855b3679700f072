//! One participant of a load test from its scheduled arrival to its end: joins, publishes, watches, sends data, is replaced
//! where the shape has churn, and hands over what it measured. A task each, started by `swarm`.

use super::camera::{camera, display};
use super::data::{DataMeter, TOPIC, message};
use super::schedule::Arrival;
use super::shape::{Layout, Storm, Traits};
use super::stages::{Outlook, Stages, outlook, reason};
use super::tiles::Tiles;
use crate::client::api::Keys;
use crate::client::media::{AudioSource, Video};
use crate::client::stats::Stats;
use crate::client::{ClientError, Engine, Mode, Options, Participant, Proto, View};
use crate::proto::{SimulateScenario, signal_request::Message as Request, simulate_scenario::Scenario};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

/// Where the test stands. Later ones are larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Participants arrive.
    #[default]
    Ramp,
    /// All are there; what is measured counts.
    Measure,
    /// Figures are handed over; everybody stays until all have done so.
    Collect,
    /// Goodbye.
    Leave,
}

/// What a member tells the swarm.
#[derive(Debug)]
pub enum Told {
    Joined(Box<Stages>),
    /// In the room of that index.
    Failed {
        room: usize,
        reason: String,
        outlook: Outlook,
    },
    /// The session ended by itself.
    Lost(String),
    /// Media of a participant that is about to leave, or of the end.
    Measured(Box<Measured>),
    /// This member will tell no more.
    Done,
}

/// What one participant measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub room: usize,
    pub identity: String,
    /// Received tracks it should have.
    pub expects: u64,
    pub subscribes: bool,
    pub stats: Stats,
    pub data: DataMeter,
    /// Stages of its join, with the first media.
    pub stages: Stages,
    /// It was there to the end.
    pub stayed: bool,
}

/// What all members share.
pub struct Common {
    pub engine: Engine,
    pub url: String,
    pub keys: Keys,
    pub rooms: Vec<String>,
    pub storms: Vec<Storm>,
    pub begun: Instant,
    pub mode: Mode,
    pub phase: watch::Receiver<Phase>,
    pub told: mpsc::Sender<Told>,
}

/// How long a join may take.
pub const JOIN_PATIENCE: Duration = Duration::from_secs(15);
/// How long figures are waited for, and a goodbye.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Time one speaker has, as LiveKit's load tester gives it.
const SPEAKER_TURN: Duration = Duration::from_secs(6);
/// An hour from now is never, for a ticker that is not wanted.
const NEVER: Duration = Duration::from_secs(3600);

/// Runs one member to its end.
pub async fn live(arrival: Arrival, common: Arc<Common>) {
    let mut phase = common.phase.clone();
    let due = common.begun + arrival.at;
    let over = tokio::select! {
        () = sleep_until(due) => false,
        _ = phase.wait_for(|p| *p >= Phase::Collect) => true,
    };
    let mut next = Some(Next { due, generation: 0 }).filter(|_| !over);
    while let Some(stay) = next {
        next = attend(&arrival, stay, &common).await;
    }
    common.tell(Told::Done).await;
}

impl Common {
    async fn tell(&self, told: Told) {
        // Without a swarm nobody wants to know.
        let _ = self.told.send(told).await;
    }
}

/// A stay that is to begin: when, and how many had the seat before.
#[derive(Clone, Copy)]
struct Next {
    due: Instant,
    generation: u32,
}

/// One stay. Answers what follows it.
async fn attend(arrival: &Arrival, Next { due, generation }: Next, common: &Common) -> Option<Next> {
    let identity = match generation {
        0 => arrival.identity.clone(),
        n => format!("{}_{n}", arrival.identity),
    };
    let late = Instant::now().saturating_duration_since(due);
    let mut phase = common.phase.clone();
    let joined = tokio::select! {
        joined = join(arrival, &identity, common) => joined,
        // Neither joined nor failed: nobody waits for it any more.
        _ = phase.wait_for(|p| *p >= Phase::Collect) => return None,
    };
    let participant = match joined {
        Ok(participant) => participant,
        Err(told) => {
            common.tell(told).await;
            return None;
        }
    };
    let stages = Stages::new(&participant.view().timing, late);
    common.tell(Told::Joined(Box::new(stages))).await;
    let stay = Stay {
        tiles: Tiles::new(arrival.traits.layout),
        data: DataMeter::default(),
        number: 0,
        participant,
        arrival,
        identity,
        stages,
        late,
        common,
    };
    if let Err(error) = stay.publish().await {
        common.tell(Told::Lost(format!("cannot publish: {error}"))).await;
    }
    stay.run(Next { due, generation }).await
}

async fn join(arrival: &Arrival, identity: &str, common: &Common) -> Result<Participant, Told> {
    let room = common.rooms.get(arrival.room).map(String::as_str).unwrap_or_default();
    let mut options = Options::new(&common.url, common.keys.join(room, identity));
    options.mode = common.mode;
    options.auto_subscribe = arrival.people.subscribes && arrival.traits.layout == Layout::All;
    options.adaptive_stream = arrival.traits.layout != Layout::All;
    options.dynacast = true;
    options.loss.down = arrival.traits.loss;
    options.relay = arrival.traits.relay;
    if arrival.traits.tcp {
        options.proto = Proto::Tcp;
    }
    let failed = |error: &ClientError, view: Option<&View>| Told::Failed {
        room: arrival.room,
        reason: reason(error, view),
        outlook: outlook(error),
    };
    let late = || ClientError::TimedOut { what: "joined".to_owned(), limit: JOIN_PATIENCE };
    let until = Instant::now() + JOIN_PATIENCE;
    let joined = timeout(JOIN_PATIENCE, Participant::join(&common.engine, options)).await;
    let participant = joined.unwrap_or_else(|_| Err(late())).map_err(|error| failed(&error, None))?;
    let connected = participant.connected(until.saturating_duration_since(Instant::now())).await;
    match connected {
        Ok(()) => Ok(participant),
        Err(error) => {
            let told = failed(&error, Some(&*participant.view()));
            // It is not wanted any more.
            let _ = timeout(END_PATIENCE, participant.leave()).await;
            Err(told)
        }
    }
}

struct Stay<'a> {
    participant: Participant,
    arrival: &'a Arrival,
    identity: String,
    tiles: Tiles,
    data: DataMeter,
    /// Of the next data message.
    number: u32,
    stages: Stages,
    late: Duration,
    common: &'a Common,
}

/// Why a stay is over.
enum End {
    /// The test is.
    Over,
    /// Somebody else takes the seat.
    Replaced(Instant),
    /// The connection breaks, and the same participant comes back.
    Struck(Instant),
    /// The session broke.
    Lost(String),
}

impl Stay<'_> {
    async fn publish(&self) -> Result<(), ClientError> {
        let (people, traits) = (&self.arrival.people, &self.arrival.traits);
        if people.audio {
            self.participant.publish_audio("mic", AudioSource::default()).await?;
        }
        if people.video {
            let video = Video {
                codec: traits.codec_of(self.arrival.seat),
                key_frame_every: traits.key_frame_every,
                yields: true,
                ..camera(traits.resolution, traits.simulcast).into()
            };
            self.participant.publish_video_as("cam", video).await?;
        }
        if people.screen {
            self.participant.publish_video_as("screen", display()).await?;
        }
        Ok(())
    }

    async fn run(mut self, this: Next) -> Option<Next> {
        match self.stay(this).await {
            End::Over => {
                self.hand_over(true).await;
                let mut phase = self.common.phase.clone();
                // An error is the end as well.
                let _ = phase.wait_for(|p| *p == Phase::Leave).await;
                let _ = timeout(END_PATIENCE, self.participant.leave()).await;
                None
            }
            End::Replaced(at) => {
                self.hand_over(false).await;
                // Whoever comes next does not wait for that.
                tokio::spawn(timeout(END_PATIENCE, self.participant.leave()));
                Some(Next { due: at, generation: this.generation + 1 })
            }
            End::Struck(due) => {
                self.hand_over(false).await;
                Some(Next { due, ..this })
            }
            End::Lost(why) => {
                self.hand_over(false).await;
                self.common.tell(Told::Lost(why)).await;
                None
            }
        }
    }

    /// Does what a participant does until something ends it.
    async fn stay(&mut self, this: Next) -> End {
        let traits = self.arrival.traits.clone();
        let (mut phase, mut view) = (self.common.phase.clone(), self.participant.watch());
        let mut speaker = speaker_ticks(self.arrival, &traits);
        let mut data = data_ticks(self.arrival, &traits);
        let replaced_at = replaced_at(self.arrival, this).unwrap_or(this.due + 24 * NEVER);
        let struck_at = struck_at(self.arrival, this.due, self.common).unwrap_or(this.due + 24 * NEVER);
        let mut now_in = *phase.borrow_and_update();
        if now_in >= Phase::Collect {
            return End::Over;
        }
        self.look().await;
        loop {
            tokio::select! {
                changed = phase.changed() => {
                    let next = if changed.is_ok() { *phase.borrow_and_update() } else { Phase::Leave };
                    if next >= Phase::Collect {
                        return End::Over;
                    }
                    if next == Phase::Measure && now_in < next {
                        self.mark().await;
                    }
                    now_in = next;
                }
                changed = view.changed() => {
                    let ended = view.borrow_and_update().ended.clone();
                    match ended {
                        Some(ended) => return End::Lost(format!("{ended:?}")),
                        None if changed.is_err() => return End::Lost("its task ended".to_owned()),
                        None => self.look().await,
                    }
                }
                Some((_, packet, us)) = self.participant.next_data_timed() => self.data.note(&packet, us),
                _ = data.tick() => self.send_data(&traits).await,
                _ = speaker.tick() => self.request(speaking()).await,
                () = sleep_until(replaced_at) => return End::Replaced(replaced_at),
                () = sleep_until(struck_at) => return End::Struck(struck_at),
            }
        }
    }

    async fn mark(&mut self) {
        self.data.mark();
        // A session that is over is told by its view.
        let _ = self.participant.mark().await;
    }

    /// Subscribes to what the layout has a place for.
    async fn look(&mut self) {
        if !self.arrival.people.subscribes || self.arrival.traits.layout == Layout::All {
            return;
        }
        let requests = self.tiles.look(&self.participant.view());
        for request in requests {
            self.request(request).await;
        }
    }

    async fn request(&self, request: Request) {
        // A session that is over is told by its view.
        let _ = self.participant.request(request).await;
    }

    async fn send_data(&mut self, traits: &Traits) {
        let payload = message(self.number, traits.data_bytes);
        if self.participant.send_data(traits.data_reliable, TOPIC, payload, &[]).await.is_ok() {
            self.number = self.number.wrapping_add(1);
            self.data.sent += 1;
        }
    }

    async fn hand_over(&mut self, stayed: bool) {
        let stats = timeout(END_PATIENCE, self.participant.stats()).await;
        let stats = stats.ok().and_then(Result::ok).unwrap_or_default();
        self.stages.note_media(&self.participant.view(), &stats, self.late);
        let measured = Measured {
            room: self.arrival.room,
            identity: self.identity.clone(),
            expects: self.arrival.expects,
            subscribes: self.arrival.people.subscribes,
            stats,
            data: std::mem::take(&mut self.data),
            stages: self.stages,
            stayed,
        };
        self.common.tell(Told::Measured(Box::new(measured))).await;
    }
}

fn speaking() -> Request {
    Request::Simulate(SimulateScenario { scenario: Some(Scenario::SpeakerUpdate(5)) })
}

/// The publishers of a room take turns.
fn speaker_ticks(arrival: &Arrival, traits: &Traits) -> tokio::time::Interval {
    let speaks = traits.speakers && arrival.people.audio;
    let (first, every) = if speaks {
        (SPEAKER_TURN * (arrival.seat + 1), SPEAKER_TURN * arrival.seats.max(1))
    } else {
        (24 * NEVER, NEVER)
    };
    interval_at(Instant::now() + first, every)
}

fn data_ticks(arrival: &Arrival, traits: &Traits) -> tokio::time::Interval {
    let sends = traits.data_hz > 0.0 && arrival.people.publishes();
    let every = if sends { Duration::from_secs_f64(1.0 / traits.data_hz) } else { 24 * NEVER };
    let mut ticks = interval_at(Instant::now() + every.mul_f64(rand::random()), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// Each minute so many of the room's seats change hands, one after the other: seat k in the k-th turn of each round.
fn replaced_at(arrival: &Arrival, Next { due, generation }: Next) -> Option<Instant> {
    let churn = arrival.traits.churn_per_min;
    (churn > 0.0).then(|| {
        let turn = 60.0 / churn;
        let turns = if generation == 0 { arrival.seat + 1 } else { arrival.seats };
        due + Duration::from_secs_f64(turn * f64::from(turns))
    })
}

/// The next storm that strikes this seat.
fn struck_at(arrival: &Arrival, due: Instant, common: &Common) -> Option<Instant> {
    let storms = common.storms.iter().filter(|storm| storm.strikes(arrival.seat, arrival.seats));
    storms.map(|storm| common.begun + storm.at).find(|at| *at > due)
}
