package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/rpc"
	"github.com/livekit/psrpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// What the workers' side knows of the store beforehand: pairs of ingress ids and stream keys.
func ask(bus psrpc.MessageBus) {
	io, err := rpc.NewIOInfoClient(bus)
	fail(err)
	ctx := context.Background()
	ingress, key := os.Args[3], os.Args[4]

	// The library asks before Redis knows what it listens to.
	for try := 0; try < 10; try++ {
		_, err := io.GetEgress(ctx, &rpc.GetEgressRequest{EgressId: "EG_none"})
		if code, _ := psrpc.GetErrorCode(err); code != psrpc.Unavailable {
			break
		}
	}
	egress := func(id string, status livekit.EgressStatus, ended int64) *livekit.EgressInfo {
		return &livekit.EgressInfo{EgressId: id, RoomId: "RM_1", RoomName: "studio", Status: status, StartedAt: 5,
			EndedAt: ended, Request: &livekit.EgressInfo_RoomComposite{RoomComposite: &livekit.RoomCompositeEgressRequest{
				RoomName: "studio", Layout: "grid", Output: &livekit.RoomCompositeEgressRequest_File{
					File: &livekit.EncodedFileOutput{Filepath: "x.mp4"}}}}}
	}
	report(io.CreateEgress(ctx, egress("EG_1", livekit.EgressStatus_EGRESS_STARTING, 0)))
	report(io.CreateEgress(ctx, egress("EG_1", livekit.EgressStatus_EGRESS_ACTIVE, 0)))
	report(io.CreateEgress(ctx, egress("EG_2", livekit.EgressStatus_EGRESS_STARTING, 0)))
	report(io.GetEgress(ctx, &rpc.GetEgressRequest{EgressId: "EG_1"}))
	report(io.GetEgress(ctx, &rpc.GetEgressRequest{EgressId: "EG_none"}))
	report(io.UpdateEgress(ctx, egress("EG_1", livekit.EgressStatus_EGRESS_COMPLETE, 9)))
	for _, request := range []*livekit.ListEgressRequest{{}, {RoomName: "studio"}, {RoomName: "studio", Active: true},
		{RoomName: "none"}, {EgressId: "EG_2"}, {EgressId: "EG_none"}} {
		list, err := io.ListEgress(ctx, request)
		if list != nil {
			sort.Slice(list.Items, func(i, j int) bool { return list.Items[i].EgressId < list.Items[j].EgressId })
		}
		report(list, err)
	}
	report(io.UpdateMetrics(ctx, &rpc.UpdateMetricsRequest{Info: egress("EG_1", 0, 0), AvgCpuUsage: 1.5, MaxCpuUsage: 2}))

	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{IngressId: ingress}))
	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{StreamKey: key}))
	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{StreamKey: "none"}))
	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{IngressId: "IN_none"}))
	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{}))
	state := func(status livekit.IngressState_Status, started, updated int64) {
		report(io.UpdateIngressState(ctx, &rpc.UpdateIngressStateRequest{IngressId: ingress,
			State: &livekit.IngressState{Status: status, StartedAt: started, UpdatedAt: updated, RoomId: "RM_1"}}))
		report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{IngressId: ingress}))
	}
	state(livekit.IngressState_ENDPOINT_BUFFERING, 10, 20)
	state(livekit.IngressState_ENDPOINT_PUBLISHING, 10, 30)
	state(livekit.IngressState_ENDPOINT_BUFFERING, 10, 25)
	state(livekit.IngressState_ENDPOINT_ERROR, 9, 40)
	state(livekit.IngressState_ENDPOINT_INACTIVE, 10, 50)
	report(io.UpdateIngressState(ctx, &rpc.UpdateIngressStateRequest{IngressId: "IN_none", State: &livekit.IngressState{}}))
	url := &livekit.IngressInfo{IngressId: "IN_url", Name: "pull", InputType: livekit.IngressInput_URL_INPUT,
		Url: "https://example.com/x.mp4", RoomName: "cinema", State: &livekit.IngressState{Status: livekit.IngressState_ENDPOINT_BUFFERING}}
	report(io.CreateIngress(ctx, url))
	report(io.GetIngressInfo(ctx, &rpc.GetIngressInfoRequest{IngressId: "IN_url"}))
	report(io.CreateIngress(ctx, &livekit.IngressInfo{IngressId: "IN_bad", InputType: livekit.IngressInput_RTMP_INPUT}))

	askSIP(ctx, io)
}

func askSIP(ctx context.Context, io rpc.IOInfoClient) {
	call := func(from, to, ip, host string) *rpc.SIPCall {
		return &rpc.SIPCall{LkCallId: "SCL_1", SourceIp: ip, From: &livekit.SIPUri{User: from, Host: host},
			To: &livekit.SIPUri{User: to, Host: "pbx.example.com"}}
	}
	calls := []*rpc.SIPCall{
		call("+49 30 7", "+155500001", "198.51.100.1", "a.example.com"),
		call("+49301", "155500001", "198.51.100.1", "a.example.com"),
		call("+49301", "+15550002", "10.1.2.3", "a.example.com"),
		call("+49301", "+15550002", "192.0.2.7", "a.example.com"),
		call("+49301", "+15550002", "192.0.2.8", "sip.example.com"),
		call("+49301", "+15550002", "192.0.2.8", "a.example.com"),
		call("+49302", "+15550002", "10.1.2.3", "a.example.com"),
		call("12", "+15550003", "", "a.example.com"),
		call("12", "+15550004", "2001:db8::1", "a.example.com"),
		call("12", "+15558888", "198.51.100.1", "a.example.com"),
		call("12", "+15550003", "not an address", "a.example.com"),
	}
	for _, call := range calls {
		report(io.GetSIPTrunkAuthentication(ctx, &rpc.GetSIPTrunkAuthenticationRequest{Call: call}))
		for _, request := range []*rpc.EvaluateSIPDispatchRulesRequest{{}, {NoPin: true}, {Pin: "1234"}, {Pin: "9"},
			{ExtraAttributes: map[string]string{"a": "c", "x": "y"}, CallingNumber: call.From.User, CalledNumber: call.To.User}} {
			request.Call = call
			report(io.EvaluateSIPDispatchRules(ctx, request))
		}
	}
	// Deprecated, and what older workers send.
	report(io.GetSIPTrunkAuthentication(ctx, &rpc.GetSIPTrunkAuthenticationRequest{SipCallId: "SCL_2", From: "+49307",
		FromHost: "a", To: "+155500001", ToHost: "b", SrcAddress: "198.51.100.1:5060"}))
	report(io.EvaluateSIPDispatchRules(ctx, &rpc.EvaluateSIPDispatchRulesRequest{SipCallId: "SCL_2", CallingNumber: "+49301",
		CallingHost: "a", CalledNumber: "+155500001", CalledHost: "b", SrcAddress: "198.51.100.1:5060"}))
	trunk, _ := io.GetSIPTrunkAuthentication(ctx, &rpc.GetSIPTrunkAuthenticationRequest{Call: calls[7]})
	report(io.EvaluateSIPDispatchRules(ctx, &rpc.EvaluateSIPDispatchRulesRequest{SipTrunkId: trunk.GetSipTrunkId(), Call: calls[7]}))
	report(io.EvaluateSIPDispatchRules(ctx, &rpc.EvaluateSIPDispatchRulesRequest{SipTrunkId: "ST_none", Call: calls[0]}))
	report(io.UpdateSIPCallState(ctx, &rpc.UpdateSIPCallStateRequest{CallInfo: &livekit.SIPCallInfo{CallId: "SCL_1"}}))
	report(io.RecordCallContext(ctx, &rpc.RecordCallContextRequest{CallInfo: &livekit.SIPCallInfo{CallId: "SCL_1"}}))
}

var asked int

// The answer in a form that can be compared.
func report[M proto.Message](answer M, err error) {
	asked++
	var coded psrpc.Error
	switch {
	case errors.As(err, &coded):
		fmt.Printf("%d error %s %s\n", asked, coded.Code(), coded.Error())
	case err != nil:
		fmt.Printf("%d error %s\n", asked, err)
	default:
		// protojson varies its spaces on purpose.
		text := strings.ReplaceAll(protojson.MarshalOptions{}.Format(answer), " ", "")
		fmt.Printf("%d %s %s\n", asked, answer.ProtoReflect().Descriptor().Name(), text)
	}
}
