//! Workers of LiveKit's own making (`workers/`, in Go: its psrpc library and its generated messages) against a node of ours.

use super::redis_server::RedisServer;
use super::server::{PATIENCE, keys};
use super::stock_server::StockServer;
use super::world::World;
use lkops::cluster::{Cluster, Identity, Member, Record, method};
use lkops::config::Config;
use lkops::proto::psrpc::ErrorCode;
use lkops::proto::rpc::{self, *};
use lkops::proto::*;
use redis::Cmd;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// What Go makes of `workers/`.
async fn binary() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let binary = folder.join("target/stock-workers");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(folder.join("tests/stock/workers"));
    assert!(build.env("CGO_ENABLED", "0").status().await.expect("go is installed").success());
    binary
}

async fn said(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(binary().await).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What workers have to do with, as bytes.
async fn stored(redis: &RedisServer) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for key in redis.ask::<Vec<String>>(&Cmd::keys("*")).await {
        let is_workers = ["egress", "ingress", "sip_"].iter().any(|name| key.contains(name));
        if is_workers {
            all.insert(key.clone(), redis.ask::<Vec<u8>>(redis::cmd("DUMP").arg(&key)).await);
        }
    }
    all
}

/// By field, where there are such; sets and hashes are kept in no order.
async fn values(redis: &RedisServer) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for key in stored(redis).await.into_keys() {
        let mut values: Vec<Vec<u8>> = match redis.ask::<String>(redis::cmd("TYPE").arg(&key)).await.as_str() {
            "hash" => {
                let pairs: BTreeMap<String, Vec<u8>> = redis.ask(&Cmd::hgetall(&key)).await;
                pairs.into_iter().map(|(field, value)| [field.as_bytes(), b"=", &value].concat()).collect()
            }
            "set" => redis.ask(&Cmd::smembers(&key)).await,
            _ => vec![redis.ask(&Cmd::get(&key)).await],
        };
        values.sort();
        all.insert(key, values);
    }
    all
}

/// The same questions, to a node of each kind, on the same store: every answer and every byte stored afterwards is the same.
#[tokio::test]
#[ignore = "needs a livekit-server: LIVEKIT_SERVER"]
async fn a_worker_cannot_tell_which_node_answers() {
    let redis = RedisServer::start().await;
    let mut stock = StockServer::start(redis.port).await;
    let made = said(&["set-up", &stock.url, &keys().key, &keys().secret]).await;
    let before = stored(&redis).await;
    let (ingress, stream_key) = made[0].split_once(' ').unwrap();
    let theirs = said(&["ask", &format!("127.0.0.1:{}", redis.port), ingress, stream_key]).await;
    stock.kill().await;

    let world = World::of(1).await;
    for (key, value) in &before {
        world.redis.ask::<()>(redis::cmd("RESTORE").arg(key).arg(0).arg(value)).await;
    }
    let ours = said(&["ask", &format!("127.0.0.1:{}", world.redis.port), ingress, stream_key]).await;
    assert!(theirs.len() > 100, "{theirs:?}");
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(theirs.len(), ours.len());
    assert_eq!(values(&redis).await, values(&world.redis).await);
}

struct Workers {
    redis: RedisServer,
    node: Arc<Member>,
    _child: Child,
}

impl Workers {
    async fn start() -> Workers {
        let redis = RedisServer::start().await;
        let mut child = Command::new(binary().await)
            .args(["serve", &format!("127.0.0.1:{}", redis.port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        timeout(PATIENCE, lines.next_line()).await.expect("it says that it is ready").unwrap();
        // It says so before Redis knows. This is the last that it asks for.
        let last = "WHIPParticipant|DeleteSession|au+0020room_annu+002d1|REQ";
        let mut looks = interval(Duration::from_millis(20));
        let listened = async {
            while redis.ask::<(String, u64)>(redis::cmd("PUBSUB").arg("NUMSUB").arg(last)).await.1 == 0 {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, listened).await.expect("redis knows what the workers serve");
        let mut config = Config::default();
        config.redis.address = format!("127.0.0.1:{}", redis.port);
        let identity = Identity { id: "ND_ours".into(), ..Identity::default() };
        let (cluster, _doorway) = Cluster::join(&config, identity).await.unwrap();
        let node = cluster.member().unwrap().clone();
        node.all_confirmed().await;
        Workers { redis, node, _child: child }
    }
}

#[tokio::test]
#[ignore = "needs Go, and is the other half of the above"]
async fn our_calls_reach_livekits_workers() {
    let Workers { redis, node, .. } = &Workers::start().await;
    let room = RoomCompositeEgressRequest { room_name: "r".into(), ..RoomCompositeEgressRequest::default() };
    let request = rpc::StartEgressRequest {
        room_id: "RM_1".into(),
        request: Some(EgressRequest::RoomComposite(room)),
        ..rpc::StartEgressRequest::default()
    };
    let info = node.egress().start(request).await.unwrap();
    assert_eq!((info.room_id.as_str(), info.room_name.as_str()), ("RM_1", "r"));
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::smembers("egress:room:r")).await, std::slice::from_ref(&info.egress_id));
    let stopped = node.egress().stop(&StopEgressRequest { egress_id: info.egress_id.clone() }).await.unwrap();
    assert_eq!(stopped.status(), EgressStatus::EgressEnding);
    let patience = Duration::from_secs(2);
    let active =
        node.caller().call_all(&method::LIST_ACTIVE_EGRESS, &[""], &ListActiveEgressRequest {}, patience).await;
    assert_eq!(active, [ListActiveEgressResponse { egress_ids: vec!["EG_1".into()] }]);

    let pull = IngressInfo { ingress_id: "IN_1".into(), url: "https://x".into(), ..IngressInfo::default() };
    let start = StartIngressRequest { info: Some(pull.clone()), ..StartIngressRequest::default() };
    assert_eq!(node.call(&method::START_INGRESS, &[], &start).await.unwrap(), pull);
    let update = UpdateIngressRequest { ingress_id: "IN_1".into(), name: "n".into(), ..Default::default() };
    assert_eq!(node.call(&method::UPDATE_INGRESS, &["IN_1"], &update).await.unwrap().error, "n");
    let delete = DeleteIngressRequest { ingress_id: "IN_1".into() };
    let refused = node.call(&method::DELETE_INGRESS, &["IN_1"], &delete).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::NotAcceptable, "not IN_1"));
    let video = Some(InputVideoState { width: 640, ..InputVideoState::default() });
    let notice = WhipRtcConnectionNotifyRequest { participant_id: "PA_1".into(), closed: true, video, audio: None };
    node.call(&method::WHIP_CONNECTION_NOTIFY, &["PA_1"], &notice).await.unwrap();

    let call = CreateSipParticipantRequest {
        trunk: Some(SipOutboundConfig { hostname: "sip.example.com".into(), ..SipOutboundConfig::default() }),
        sip_number: "+1".into(),
        sip_call_to: "+2".into(),
        ..CreateSipParticipantRequest::default()
    };
    let made = node.sip().create(&call, None).await.unwrap();
    assert_eq!((made.participant_id.as_str(), made.participant_identity.as_str()), ("sip.example.com +1", "+2"));
    let participant =
        ParticipantInfo { attributes: [("sip.callID".to_owned(), made.sip_call_id)].into(), ..Default::default() };
    let elsewhere = TransferSipParticipantRequest { transfer_to: "tel:+3".into(), ..Default::default() };
    node.sip().transfer(&elsewhere, &participant, None).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Go, and is the other half of the above"]
async fn our_rooms_reach_livekits_agents_and_whip() {
    let Workers { redis, node, .. } = &Workers::start().await;
    let record = Record { room: Room { name: "r".into(), ..Room::default() }, ..Record::default() };
    let wish = AgentDispatch {
        id: "AD_1".into(),
        agent_name: "bot".into(),
        room: "r".into(),
        metadata: "m".into(),
        ..AgentDispatch::default()
    };
    node.dispatches().create(&record, wish).await.unwrap();
    let mut looks = interval(Duration::from_millis(20));
    let taken = async {
        loop {
            looks.tick().await;
            let dispatch = node.dispatches().list("r", "AD_1").remove(0);
            if let Some(job) = dispatch.state.unwrap().jobs.pop() {
                return job;
            }
        }
    };
    let job = timeout(PATIENCE, taken).await.expect("the job is taken");
    let state = job.state.unwrap();
    assert_eq!((state.worker_id.as_str(), state.participant_identity.as_str()), ("AW_1", "r m"));
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::hkeys("agent_job:r")).await, std::slice::from_ref(&job.id));
    let end = JobTerminateRequest { job_id: job.id.clone(), reason: JobTerminateReason::AgentLeftRoom as i32 };
    let ended = node.call(&method::JOB_TERMINATE, &[&job.id], &end).await.unwrap().state.unwrap();
    assert_eq!(ended.status(), JobStatus::JsSuccess);

    let tracks = TrackList { track_names: vec!["cam".into()] };
    let create = WhipCreateRequest {
        start_session: Some(StartSession { identity: "ann".into(), ..StartSession::default() }),
        offer_sdp: "v=0".into(),
        subscribed_participant_tracks: [("bob".to_owned(), tracks)].into(),
        from_ingress: true,
    };
    let created = node.call(&method::WHIP_CREATE, &["ND_go"], &create).await.unwrap();
    assert_eq!((created.answer_sdp.as_str(), created.participant_id.as_str()), ("v=0cam", "ann"));
    let topic = method::participant_topic("a room", "ann-1");
    let restart = WhipParticipantIceRestartRequest { sdp_fragment: "f".into(), ..Default::default() };
    assert_eq!(node.call(&method::WHIP_ICE_RESTART, &[&topic], &restart).await.unwrap().sdp_fragment, "f");
    node.call(&method::WHIP_ICE_TRICKLE, &[&topic], &Default::default()).await.unwrap();
    node.call(&method::WHIP_DELETE_SESSION, &[&topic], &Default::default()).await.unwrap();
}
