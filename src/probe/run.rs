//! A probe from its first look-up to its last word, one step after the other. Called by `commands` and `service`.

use super::access::Role;
use super::connection::{Connection, Lacking};
use super::joiner::{Entered, Joiner, enter};
use super::path::Path;
use super::reach::{Target, reach};
use super::report::{Fault, Report, Step, Trouble, ms};
use super::settings::Settings;
use super::turn::{Bridge, bridges};
use super::{data, hint, media};
use crate::proto::JoinResponse;
use std::time::Duration;
use tokio::time::timeout;

/// For ICE. Agents give pairs up after 7 checks, within 5 s; TURN takes a few round trips before.
const ICE_PATIENCE: Duration = Duration::from_secs(10);
/// Retransmissions after 1, 2 and 4 s (RFC 6347 §4.2.4.1) are waited for.
const DTLS_PATIENCE: Duration = Duration::from_secs(8);
const TURN_PATIENCE: Duration = Duration::from_secs(8);
/// Sum of all patience but the duration of media: no probe lasts longer.
const WHOLE_PATIENCE: Duration = Duration::from_secs(90);

/// Probes once. What went wrong is in the report.
pub async fn probe(settings: &Settings) -> Report {
    let mut report = Report::new(&settings.url, &settings.room);
    let result = timeout(WHOLE_PATIENCE + settings.duration, course(settings, &mut report)).await;
    let late = || Err(Trouble::at(Fault::Local, Step::Media, "the probe did not end in time"));
    report.trouble = result.unwrap_or_else(|_| late()).err();
    if report.trouble.is_none() {
        report.verdicts = settings.fail_if.iter().map(|threshold| threshold.judge(&report)).collect();
        report.trouble = missed(&report);
    }
    report.ok = report.trouble.is_none();
    report
}

fn missed(report: &Report) -> Option<Trouble> {
    let missed: Vec<String> =
        report.verdicts.iter().filter(|verdict| verdict.failed).map(|verdict| verdict.to_string()).collect();
    let message = missed.join("; ");
    let trouble = Trouble { fault: Fault::Threshold, step: None, who: None, message, hints: Vec::new() };
    (!missed.is_empty()).then_some(trouble)
}

async fn course(settings: &Settings, report: &mut Report) -> Result<(), Trouble> {
    let target = Target::parse(&settings.url)?;
    reach(&target, report).await?;
    let sender = join(settings, Role::Sender, report).await?;
    let receiver = match join(settings, Role::Receiver, report).await {
        Ok(receiver) => receiver,
        Err(trouble) => {
            sender.leave().await;
            return Err(trouble);
        }
    };
    let (path, bridges) = match path(settings, &sender).await {
        Ok(path) => path,
        Err(trouble) => {
            tokio::join!(sender.leave(), receiver.leave());
            return Err(trouble);
        }
    };
    let mut sender = sender.connect(&path).await?;
    let mut receiver = receiver.connect(&path).await?;
    let way = Way { path: &path, host: target.host(), bridges: &bridges };
    let result = meet(settings, &mut sender, &mut receiver, &way, report).await;
    tokio::join!(sender.leave(), receiver.leave());
    result
}

async fn join(settings: &Settings, role: Role, report: &mut Report) -> Result<Entered, Trouble> {
    let token = settings.access.token(role, &settings.room);
    let entered = enter(&settings.url, &token, role).await?;
    report.took_by(role, Step::Websocket, entered.upgraded, "");
    report.took_by(role, Step::Join, entered.joined, server(&entered.join));
    Ok(entered)
}

/// What a server says of itself.
fn server(join: &JoinResponse) -> String {
    let info = join.server_info.clone().unwrap_or_default();
    let region = if info.region.is_empty() { String::new() } else { format!(", region {}", info.region) };
    format!("{} node {}{region}", info.version, info.node_id)
}

/// By which way media is to go, and the bridges to TURN servers if it is to go over them.
async fn path(settings: &Settings, entered: &Entered) -> Result<(Path, Vec<Bridge>), Trouble> {
    let local = entered.local();
    if settings.tcp_only {
        return Ok((Path::Tcp(local), Vec::new()));
    }
    if !settings.relay_only {
        return Ok((Path::Any(local), Vec::new()));
    }
    let failed = |error| Trouble::at(Fault::Local, Step::Turn, format!("cannot open a socket: {error}"));
    let bridges = bridges(&entered.join.ice_servers).await.map_err(failed)?;
    if bridges.is_empty() {
        let offered: Vec<String> = entered.join.ice_servers.iter().flat_map(|server| server.urls.clone()).collect();
        return Err(hint::no_turn(&offered));
    }
    let servers = bridges.iter().map(|bridge| bridge.server.clone()).collect();
    Ok((Path::Relay(servers), bridges))
}

/// What media goes over.
struct Way<'a> {
    path: &'a Path,
    host: &'a str,
    bridges: &'a [Bridge],
}

/// Both are in: connects them, and sends media and data between them.
async fn meet(
    settings: &Settings,
    sender: &mut Joiner,
    receiver: &mut Joiner,
    way: &Way<'_>,
    report: &mut Report,
) -> Result<(), Trouble> {
    allocated(way.bridges, report).await?;
    let ((up, sent), (down, received)) = tokio::join!(connected(&sender.publisher), connected(&receiver.subscriber));
    for (role, found) in [(Role::Sender, up), (Role::Receiver, down)] {
        found.into_iter().for_each(|(step, took, detail)| report.took_by(role, step, took, detail));
    }
    for (joiner, connection, lacking) in
        [(&*sender, &sender.publisher, sent), (&*receiver, &receiver.subscriber, received)]
    {
        if let Err(lacking) = lacking {
            return Err(why(joiner, connection, lacking, way).await);
        }
    }
    let mut media = media::publish(sender, report).await?;
    media.arrive(receiver, report).await?;
    data::round_trips(sender, receiver, report).await?;
    media.measure(settings.duration, report).await
}

async fn why(joiner: &Joiner, connection: &Connection, lacking: Lacking, way: &Way<'_>) -> Trouble {
    if let Some(ended) = joiner.ended() {
        return Trouble::at(Fault::Signalling, Step::Ice, ended).of(joiner.role);
    }
    let trouble = hint::no_path(lacking, &connection.stages(), way.path, way.host, way.bridges).await;
    trouble.of(joiner.role)
}

/// Waits for an allocation, if media goes over TURN servers.
async fn allocated(bridges: &[Bridge], report: &mut Report) -> Result<(), Trouble> {
    if bridges.is_empty() {
        return Ok(());
    }
    let all_settled = async {
        for bridge in bridges {
            bridge.settled().await;
        }
    };
    let any_allocated = futures_util::future::select_all(bridges.iter().map(|bridge| Box::pin(bridge.allocated())));
    let either = async {
        tokio::select! {
            _ = any_allocated => {}
            () = all_settled => {}
        }
    };
    // What has come by then is what there is.
    let _ = timeout(TURN_PATIENCE, either).await;
    let found = bridges.iter().find_map(|bridge| Some((bridge, bridge.view().allocated?)));
    let (bridge, took) = found.ok_or_else(|| hint::no_allocation(bridges))?;
    let connected = bridge.view().connected.map(|took| format!(", connected in {:.1} ms", ms(took)));
    report.took(Step::Turn, took, format!("{}{}", bridge.url, connected.unwrap_or_default()));
    Ok(())
}

/// Steps a connection took, and what it lacks.
type Stood = (Vec<(Step, Duration, String)>, Result<(), Lacking>);

async fn connected(connection: &Connection) -> Stood {
    let mut steps = Vec::new();
    let result = async {
        let ice = connection.ice(ICE_PATIENCE).await?;
        steps.push((Step::Ice, ice, connection.pair().await.unwrap_or_default()));
        let dtls = connection.dtls(DTLS_PATIENCE).await?;
        steps.push((Step::Dtls, dtls, String::new()));
        Ok(())
    }
    .await;
    (steps, result)
}
