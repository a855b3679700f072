//! Workers on the bus of a real Redis: what one node asks is done by a worker that another node, or nobody but the bus, knows.

use super::redis_server::RedisServer;
use super::worker::Asker;
use lkops::cluster::agent::{Kind, Refusal, Worker};
use lkops::cluster::{Cluster, Event, Identity, Member, Record, Registration, RpcError, method};
use lkops::config::Config;
use lkops::proto::psrpc::ErrorCode;
use lkops::proto::rpc::{self, *};
use lkops::proto::*;
use prost::Message;
use redis::Cmd;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{interval, timeout};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A member of the cluster without a server around it.
async fn member(redis: &RedisServer, id: &str) -> Arc<Member> {
    let mut config = Config::default();
    config.redis.address = format!("127.0.0.1:{}", redis.port);
    let identity = Identity { id: id.into(), ..Identity::default() };
    let (cluster, _doorway) = Cluster::join(&config, identity).await.unwrap();
    cluster.member().unwrap().clone()
}

/// Returns once others are heard and hear.
async fn heard(members: &[&Arc<Member>]) {
    for member in members {
        timeout(PATIENCE, member.all_confirmed()).await.expect("redis is told");
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let mut looks = interval(Duration::from_millis(20));
    let looking = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, looking).await.is_ok(), "{what}");
}

/// An egress worker with so much room.
fn egress_worker(member: &Arc<Member>, name: &'static str, affinity: f32) -> Registration {
    let start = move |request: rpc::StartEgressRequest| async move {
        let info = EgressInfo {
            egress_id: request.egress_id,
            room_id: request.room_id,
            details: name.into(),
            ..EgressInfo::default()
        };
        Ok(Kept::from(info))
    };
    member.methods().with_affinity(&method::START_EGRESS, &[""], move |_| affinity, start).serve()
}

#[tokio::test]
async fn a_recording_goes_to_the_worker_with_the_most_room_and_its_news_to_whichever_node() {
    let redis = RedisServer::start().await;
    let (node, busy, idle) = (member(&redis, "ND_a").await, member(&redis, "W_1").await, member(&redis, "W_2").await);
    let _workers = (egress_worker(&busy, "busy", 0.3), egress_worker(&idle, "idle", 0.6));
    let _info = node.io().serve(node.methods());
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = events.clone();
    node.io().tell(Arc::new(move |event: Event| told.lock().unwrap().push(event.name())));
    redis.ask::<()>(&Cmd::hset("rooms", "r", Room { sid: "RM_1".into(), ..Room::default() }.encode_to_vec())).await;
    heard(&[&node, &busy, &idle]).await;

    let room = RoomCompositeEgressRequest { room_name: "r".into(), ..RoomCompositeEgressRequest::default() };
    let request = rpc::StartEgressRequest { request: Some(EgressRequest::RoomComposite(room)), ..Default::default() };
    let info = node.egress().start(request).await.unwrap();
    assert_eq!((info.details.as_str(), info.room_id.as_str()), ("idle", "RM_1"));

    // As the worker reports it, by the bus.
    let ended = EgressInfo { status: EgressStatus::EgressComplete as i32, ended_at: 7, ..info.clone() };
    let mut asker = Asker::new(&redis).await;
    asker.ask::<()>("CreateEgress", &info).await.unwrap();
    asker.ask::<()>("UpdateEgress", &ended).await.unwrap();
    assert_eq!(
        asker.ask("GetEgress", &GetEgressRequest { egress_id: info.egress_id.clone() }).await,
        Ok(ended.clone())
    );
    let missing = asker.ask::<EgressInfo>("GetEgress", &GetEgressRequest { egress_id: "EG_x".into() }).await;
    assert_eq!(missing, Err(("not_found".into(), "egress does not exist".into())));
    assert_eq!(redis.ask::<Vec<u8>>(&Cmd::hget("egress", &info.egress_id)).await, ended.encode_to_vec());
    assert_eq!(redis.ask::<String>(&Cmd::hget("ended_egress", &info.egress_id)).await, "|7");
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::smembers("egress:room:")).await, std::slice::from_ref(&info.egress_id));
    assert_eq!(*events.lock().unwrap(), ["egress_started", "egress_ended"]);

    // Nobody answers for it any more.
    let stop = StopEgressRequest { egress_id: info.egress_id.clone() };
    let refused = node.egress().stop(&stop).await.unwrap_err();
    let expected = "egress with status EGRESS_COMPLETE cannot be stopped";
    assert_eq!(refused, RpcError::new(ErrorCode::FailedPrecondition, expected));
    node.io().sweep_egress().await.unwrap();
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::keys("*egress*")).await.len(), 0);
}

#[tokio::test]
async fn an_ingress_is_found_by_its_key_and_keeps_its_newest_state() {
    let redis = RedisServer::start().await;
    // Two nodes, one of which answers each time.
    let (node, other) = (member(&redis, "ND_a").await, member(&redis, "ND_b").await);
    let _info = (node.io().serve(node.methods()), other.io().serve(other.methods()));
    heard(&[&node, &other]).await;
    let mut worker = Asker::new(&redis).await;
    let info = IngressInfo {
        ingress_id: "IN_1".into(),
        stream_key: "key".into(),
        room_name: "r".into(),
        state: Some(IngressState { started_at: 9, ..IngressState::default() }),
        ..IngressInfo::default()
    };
    worker.ask::<()>("CreateIngress", &info).await.unwrap();
    let stored = IngressInfo { state: None, ..info.clone() };
    assert_eq!(redis.ask::<Vec<u8>>(&Cmd::hget("ingress", "IN_1")).await, stored.encode_to_vec());
    assert_eq!(redis.ask::<String>(&Cmd::hget("{ingress}_stream_key", "key")).await, "IN_1");
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::smembers("room_{ingress}:r")).await, ["IN_1"]);
    assert_eq!(redis.ask::<Option<Vec<u8>>>(&Cmd::get("{ingress}_state:IN_1")).await, Some(Vec::new()));

    let state = |started_at, updated_at| UpdateIngressStateRequest {
        ingress_id: "IN_1".into(),
        state: Some(IngressState { started_at, updated_at, ..IngressState::default() }),
    };
    for (started, updated) in [(5, 5), (5, 4)] {
        worker.ask::<()>("UpdateIngressState", &state(started, updated)).await.unwrap();
    }
    let older = worker.ask::<()>("UpdateIngressState", &state(4, 9)).await.unwrap_err();
    assert_eq!(older.0, "failed_precondition");
    let asked = GetIngressInfoRequest { stream_key: "key".into(), ..GetIngressInfoRequest::default() };
    let found: GetIngressInfoResponse = worker.ask("GetIngressInfo", &asked).await.unwrap();
    assert_eq!(found.info.unwrap(), IngressInfo { state: state(5, 5).state, ..stored.clone() });

    node.io().write_ingress(&IngressInfo { room_name: "other".into(), ..stored.clone() }).await.unwrap();
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::keys("room_*")).await, ["room_{ingress}:other"]);
    assert_eq!(node.io().list_ingress("other").await.unwrap().len(), 1);
    node.io().delete_ingress(&IngressInfo { room_name: "other".into(), ..stored }).await.unwrap();
    assert_eq!(redis.ask::<Vec<String>>(&Cmd::keys("*ingress*")).await.len(), 0);
}

#[tokio::test]
async fn a_call_is_ordered_from_the_worker_and_may_be_sent_elsewhere() {
    let redis = RedisServer::start().await;
    let (node, worker) = (member(&redis, "ND_a").await, member(&redis, "W_1").await);
    let make = |request: InternalCreateSipParticipantRequest| async move {
        Ok(InternalCreateSipParticipantResponse {
            participant_id: "PA_1".into(),
            participant_identity: request.participant_identity,
            sip_call_id: request.sip_call_id,
        })
    };
    let transferred = Arc::new(Mutex::new(None));
    let note = transferred.clone();
    let transfer = move |request: InternalTransferSipParticipantRequest| {
        *note.lock().unwrap() = Some(request);
        async { Ok(()) }
    };
    let methods = worker.methods().with(&method::CREATE_SIP_PARTICIPANT, &[""], make);
    let _worker = methods.with(&method::TRANSFER_SIP_PARTICIPANT, &["SCL_9"], transfer).serve();
    let trunk = SipOutboundTrunkInfo { numbers: vec!["+1".into()], ..SipOutboundTrunkInfo::default() };
    redis.ask::<()>(&Cmd::hset("sip_outbound_trunk", "ST_1", trunk.encode_to_vec())).await;
    heard(&[&node, &worker]).await;

    let call = |trunk: &str| CreateSipParticipantRequest {
        sip_trunk_id: trunk.into(),
        sip_call_to: "+2".into(),
        room_name: "r".into(),
        ..CreateSipParticipantRequest::default()
    };
    let made = node.sip().create(&call("ST_1"), None).await.unwrap();
    assert_eq!((made.participant_identity.as_str(), made.room_name.as_str()), ("sip_+2", "r"));
    assert!(made.sip_call_id.starts_with("SCL_"));
    assert_eq!(node.sip().create(&call("ST_2"), None).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(node.sip().create(&call(""), None).await.unwrap_err().code, ErrorCode::FailedPrecondition);

    let order = TransferSipParticipantRequest { transfer_to: "tel:+3".into(), ..Default::default() };
    let participant = |call: &str| ParticipantInfo {
        attributes: [("sip.callID".to_owned(), call.to_owned())].into(),
        ..ParticipantInfo::default()
    };
    node.sip().transfer(&order, &participant("SCL_9"), Some(Duration::from_secs(5))).await.unwrap();
    let seen = transferred.lock().unwrap().clone().unwrap();
    assert_eq!((seen.transfer_to.as_str(), seen.ringing_timeout), ("tel:+3", Some(Duration::from_secs(5).into())));
    let nobody = node.sip().transfer(&order, &ParticipantInfo::default(), None).await.unwrap_err();
    assert_eq!(nobody.code, ErrorCode::InvalidArgument);
}

struct Bot {
    kind: Kind,
    id: &'static str,
    load: f32,
    refuses: bool,
    ended: Mutex<Vec<String>>,
}

impl Worker for Bot {
    fn kind(&self) -> &Kind {
        &self.kind
    }

    fn is_available(&self) -> bool {
        true
    }

    fn load(&self) -> f32 {
        self.load
    }

    fn assign(&self, job: Job) -> futures_util::future::BoxFuture<'_, Result<JobState, Refusal>> {
        let state = JobState {
            status: JobStatus::JsRunning as i32,
            worker_id: self.id.into(),
            participant_identity: format!("agent-{}", job.dispatch_id),
            ..JobState::default()
        };
        Box::pin(async move { if self.refuses { Err(Refusal::Busy) } else { Ok(state) } })
    }

    fn terminate(
        &self,
        job: String,
        _: JobTerminateReason,
    ) -> futures_util::future::BoxFuture<'_, Result<JobState, RpcError>> {
        self.ended.lock().unwrap().push(job);
        Box::pin(async { Ok(JobState { status: JobStatus::JsSuccess as i32, ..JobState::default() }) })
    }
}

fn bot(id: &'static str, name: &str, load: f32, refuses: bool) -> Arc<Bot> {
    let kind = Kind { agent_name: name.into(), ..Kind::default() };
    Arc::new(Bot { kind, id, load, refuses, ended: Mutex::default() })
}

fn census(member: &Arc<Member>) -> Registration {
    let agents = member.agents().clone();
    let answer = move |_| {
        let enabled = agents.enabled();
        async { Ok(enabled) }
    };
    member.methods().with(&method::CHECK_ENABLED, &[], answer).serve()
}

#[tokio::test]
async fn a_job_finds_its_worker_on_another_node_and_ends_with_its_dispatch() {
    let redis = RedisServer::start().await;
    let (host, full, free) = (member(&redis, "ND_a").await, member(&redis, "ND_b").await, member(&redis, "ND_c").await);
    let _census = (census(&host), census(&full), census(&free));
    heard(&[&host, &full, &free]).await;
    let record = Record { room: Room { name: "r".into(), sid: "RM_1".into(), ..Room::default() }, ..Record::default() };
    let wish = |id: &str| AgentDispatch {
        id: id.into(),
        agent_name: "bot".into(),
        room: "r".into(),
        metadata: "m".into(),
        ..AgentDispatch::default()
    };
    // Asked while there is no such worker anywhere; that is believed until one comes.
    host.dispatches().create(&record, wish("AD_1")).await.unwrap();

    let (tired, fresh, shy) =
        (bot("tired", "bot", 0.6, false), bot("fresh", "bot", 0.1, false), bot("shy", "bot", 0.0, true));
    let _there = (full.agents().enter(tired), free.agents().enter(fresh.clone()), free.agents().enter(shy));
    assert_eq!(free.agents().enabled().agent_names, ["bot"]);
    let (mut looks, mut wishes) = (interval(Duration::from_millis(250)), Vec::new());
    let looking = async {
        loop {
            looks.tick().await;
            wishes.push(format!("AD_{}", wishes.len() + 2));
            host.dispatches().create(&record, wish(wishes.last().unwrap())).await.unwrap();
            let all = host.dispatches().list("r", "");
            let taken = |d: &AgentDispatch| d.state.as_ref().is_some_and(|state| !state.jobs.is_empty());
            if let Some(dispatch) = all.into_iter().find(taken) {
                return dispatch;
            }
        }
    };
    let dispatch = timeout(PATIENCE, looking).await.expect("a job is taken");
    let job = &dispatch.state.as_ref().unwrap().jobs[0];
    assert_eq!(job.state.as_ref().unwrap().worker_id, "fresh");
    let stored = Job::decode(redis.ask::<Vec<u8>>(&Cmd::hget("agent_job:r", &job.id)).await.as_slice()).unwrap();
    assert_eq!((stored.room, stored.metadata.as_str(), stored.dispatch_id.as_str()), (None, "m", dispatch.id.as_str()));
    let kept = redis.ask::<Vec<u8>>(&Cmd::hget("agent_dispatch:r", "AD_1")).await;
    assert_eq!(AgentDispatch::decode(kept.as_slice()).unwrap().metadata, "m");

    host.dispatches().delete("r", &dispatch.id).unwrap();
    until("the job is ended", async || fresh.ended.lock().unwrap().contains(&job.id)).await;
    assert_eq!(host.dispatches().delete("r", &dispatch.id).unwrap_err().code, ErrorCode::NotFound);
}
