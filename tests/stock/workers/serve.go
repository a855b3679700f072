package main

import (
	"context"
	"errors"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/rpc"
	"github.com/livekit/psrpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A worker of every kind. What it is told it says back, where the answer has room for it.
type worker struct {
	handler rpc.EgressHandlerServer
	agents  rpc.AgentInternalServer
	sip     rpc.SIPInternalServer
}

func serve(bus psrpc.MessageBus) {
	w := &worker{}
	var err error
	w.handler, err = rpc.NewEgressHandlerServer(w, bus)
	fail(err)
	egress, err := rpc.NewEgressInternalServer(w, bus)
	fail(err)
	fail(egress.RegisterStartEgressTopic(""))
	fail(egress.RegisterListActiveEgressTopic(""))
	_, err = rpc.NewIngressInternalServer(w, bus)
	fail(err)
	ingress, err := rpc.NewIngressHandlerServer(w, bus)
	fail(err)
	fail(ingress.RegisterUpdateIngressTopic("IN_1"))
	fail(ingress.RegisterDeleteIngressTopic("IN_1"))
	fail(ingress.RegisterWHIPRTCConnectionNotifyTopic("PA_1"))
	w.sip, err = rpc.NewSIPInternalServer(w, bus)
	fail(err)
	fail(w.sip.RegisterCreateSIPParticipantTopic(""))
	w.agents, err = rpc.NewAgentInternalServer(w, bus)
	fail(err)
	fail(w.agents.RegisterJobRequestTopic("bot", "room"))
	whip, err := rpc.NewWHIPServer[livekit.NodeID](w, bus)
	fail(err)
	fail(whip.RegisterCreateTopic("ND_go"))
	people, err := rpc.NewWHIPParticipantServer[rpc.ParticipantTopic](w, bus)
	fail(err)
	fail(people.RegisterAllCommonTopics(rpc.FormatParticipantTopic("a room", "ann-1")))
	fail(w.agents.PublishWorkerRegistered(context.Background(), "", &emptypb.Empty{}))
}

func (w *worker) StartEgressAffinity(context.Context, *rpc.StartEgressRequest) float32 { return 0.5 }

func (w *worker) StartEgress(_ context.Context, r *rpc.StartEgressRequest) (*livekit.EgressInfo, error) {
	if err := w.handler.RegisterStopEgressTopic(r.EgressId); err != nil {
		return nil, err
	}
	return &livekit.EgressInfo{EgressId: r.EgressId, RoomId: r.RoomId, RoomName: r.GetRoomComposite().GetRoomName(),
		Request: &livekit.EgressInfo_RoomComposite{RoomComposite: r.GetRoomComposite()}}, nil
}

func (w *worker) ListActiveEgress(context.Context, *rpc.ListActiveEgressRequest) (*rpc.ListActiveEgressResponse, error) {
	return &rpc.ListActiveEgressResponse{EgressIds: []string{"EG_1"}}, nil
}

func (w *worker) StopEgress(_ context.Context, r *livekit.StopEgressRequest) (*livekit.EgressInfo, error) {
	return &livekit.EgressInfo{EgressId: r.EgressId, Status: livekit.EgressStatus_EGRESS_ENDING}, nil
}

func (w *worker) UpdateStream(context.Context, *livekit.UpdateStreamRequest) (*livekit.EgressInfo, error) {
	return nil, errors.New("not served")
}

func (w *worker) UpdateEgress(context.Context, *livekit.UpdateEgressRequest) (*livekit.EgressInfo, error) {
	return nil, errors.New("not served")
}

func (w *worker) StartIngressAffinity(context.Context, *rpc.StartIngressRequest) float32 { return 1 }

func (w *worker) StartIngress(_ context.Context, r *rpc.StartIngressRequest) (*livekit.IngressInfo, error) {
	return r.Info, nil
}

func (w *worker) ListActiveIngress(context.Context, *rpc.ListActiveIngressRequest) (*rpc.ListActiveIngressResponse, error) {
	return &rpc.ListActiveIngressResponse{}, nil
}

func (w *worker) UpdateIngress(_ context.Context, r *livekit.UpdateIngressRequest) (*livekit.IngressState, error) {
	return &livekit.IngressState{Error: r.Name}, nil
}

func (w *worker) DeleteIngress(_ context.Context, r *livekit.DeleteIngressRequest) (*livekit.IngressState, error) {
	return nil, psrpc.NewErrorf(psrpc.NotAcceptable, "not %s", r.IngressId)
}

func (w *worker) DeleteWHIPResource(context.Context, *rpc.DeleteWHIPResourceRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (w *worker) ICERestartWHIPResource(context.Context, *rpc.ICERestartWHIPResourceRequest) (*rpc.ICERestartWHIPResourceResponse, error) {
	return &rpc.ICERestartWHIPResourceResponse{}, nil
}

func (w *worker) WHIPRTCConnectionNotify(_ context.Context, r *rpc.WHIPRTCConnectionNotifyRequest) (*emptypb.Empty, error) {
	if !r.Closed || r.Video.GetWidth() != 640 {
		return nil, errors.New("not as it was sent")
	}
	return &emptypb.Empty{}, nil
}

func (w *worker) CreateSIPParticipant(_ context.Context, r *rpc.InternalCreateSIPParticipantRequest) (*rpc.InternalCreateSIPParticipantResponse, error) {
	if err := w.sip.RegisterTransferSIPParticipantTopic(r.SipCallId); err != nil {
		return nil, err
	}
	return &rpc.InternalCreateSIPParticipantResponse{ParticipantId: r.Address + " " + r.Number, SipCallId: r.SipCallId,
		ParticipantIdentity: r.ParticipantAttributes["sip.phoneNumber"]}, nil
}

func (w *worker) TransferSIPParticipant(_ context.Context, r *rpc.InternalTransferSIPParticipantRequest) (*emptypb.Empty, error) {
	if r.RingingTimeout.GetSeconds() != 30 {
		return nil, errors.New("not as it was sent")
	}
	return &emptypb.Empty{}, nil
}

func (w *worker) CheckEnabled(context.Context, *rpc.CheckEnabledRequest) (*rpc.CheckEnabledResponse, error) {
	return &rpc.CheckEnabledResponse{RoomEnabled: true, Namespaces: []string{""}, AgentNames: []string{"bot"}}, nil
}

func (w *worker) JobRequestAffinity(context.Context, *livekit.Job) float32 { return 0.4 }

func (w *worker) JobRequest(_ context.Context, j *livekit.Job) (*rpc.JobRequestResponse, error) {
	if err := w.agents.RegisterJobTerminateTopic(j.Id); err != nil {
		return nil, err
	}
	return &rpc.JobRequestResponse{State: &livekit.JobState{Status: livekit.JobStatus_JS_RUNNING,
		WorkerId: "AW_1", ParticipantIdentity: j.Room.GetName() + " " + j.Metadata}}, nil
}

func (w *worker) JobTerminate(_ context.Context, r *rpc.JobTerminateRequest) (*rpc.JobTerminateResponse, error) {
	return &rpc.JobTerminateResponse{State: &livekit.JobState{Status: livekit.JobStatus_JS_SUCCESS}}, nil
}

func (w *worker) Create(_ context.Context, r *rpc.WHIPCreateRequest) (*rpc.WHIPCreateResponse, error) {
	tracks := r.SubscribedParticipantTracks["bob"].GetTrackNames()
	return &rpc.WHIPCreateResponse{AnswerSdp: r.OfferSdp + tracks[0], ParticipantId: r.StartSession.GetIdentity()}, nil
}

func (w *worker) ICETrickle(_ context.Context, r *rpc.WHIPParticipantICETrickleRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (w *worker) ICERestart(_ context.Context, r *rpc.WHIPParticipantICERestartRequest) (*rpc.WHIPParticipantICERestartResponse, error) {
	return &rpc.WHIPParticipantICERestartResponse{SdpFragment: r.SdpFragment}, nil
}

func (w *worker) DeleteSession(context.Context, *rpc.WHIPParticipantDeleteSessionRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
