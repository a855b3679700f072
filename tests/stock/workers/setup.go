package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/types/known/durationpb"
)

func setUp(server, key, secret string) {
	token := auth.NewAccessToken(key, secret).
		SetVideoGrant(&auth.VideoGrant{IngressAdmin: true, RoomCreate: true}).
		SetSIPGrant(&auth.SIPGrant{Admin: true, Call: true})
	jwt, err := token.ToJWT()
	fail(err)
	header := http.Header{"Authorization": {"Bearer " + jwt}}
	ctx, err := twirp.WithHTTPRequestHeaders(context.Background(), header)
	fail(err)
	url := strings.Replace(server, "ws:", "http:", 1)
	ingress := livekit.NewIngressProtobufClient(url, http.DefaultClient)
	sip := livekit.NewSIPProtobufClient(url, http.DefaultClient)

	for _, input := range []livekit.IngressInput{livekit.IngressInput_RTMP_INPUT, livekit.IngressInput_WHIP_INPUT} {
		info, err := ingress.CreateIngress(ctx, &livekit.CreateIngressRequest{
			InputType: input, Name: "cam " + input.String(), RoomName: "studio", ParticipantIdentity: "cam",
		})
		fail(err)
		fmt.Println(info.IngressId, info.StreamKey)
	}

	krisp := &livekit.SIPMediaConfig{Codecs: []*livekit.SIPCodec{{Name: "opus", Rate: 48000}}}
	trunks := []*livekit.SIPInboundTrunkInfo{
		{Name: "office", Numbers: []string{"+1 (555) 000-01"}, AuthUsername: "u", AuthPassword: "p", AuthRealm: "realm",
			Headers: map[string]string{"X-A": "1"}, RingingTimeout: durationpb.New(7e9), KrispEnabled: true, Media: krisp,
			MediaEncryption: livekit.SIPMediaEncryption_SIP_MEDIA_ENCRYPT_ALLOW},
		{Name: "few", Numbers: []string{"+15550002"}, AllowedNumbers: []string{"+4930-1"},
			AllowedAddresses: []string{"10.0.0.0/8", "sip.example.com", "192.0.2.7"}},
		{Name: "pins", Numbers: []string{"+15550003"}, HeadersToAttributes: map[string]string{"X-B": "b"}},
		{Name: "bare", Numbers: []string{"+15550004"}},
	}
	ids := map[string]string{}
	for _, trunk := range trunks {
		made, err := sip.CreateSIPInboundTrunk(ctx, &livekit.CreateSIPInboundTrunkRequest{Trunk: trunk})
		fail(err)
		ids[trunk.Name] = made.SipTrunkId
	}
	outbound, err := sip.CreateSIPOutboundTrunk(ctx, &livekit.CreateSIPOutboundTrunkRequest{Trunk: &livekit.SIPOutboundTrunkInfo{
		Name: "out", Address: "sip.example.com", Numbers: []string{"+15559999"}, FromHost: "from.example.com",
		AuthUsername: "ou", AuthPassword: "op", Headers: map[string]string{"X-T": "t"},
	}})
	fail(err)
	fmt.Println(outbound.SipTrunkId)

	direct := func(room, pin string) *livekit.SIPDispatchRule {
		return &livekit.SIPDispatchRule{Rule: &livekit.SIPDispatchRule_DispatchRuleDirect{
			DispatchRuleDirect: &livekit.SIPDispatchRuleDirect{RoomName: room, Pin: pin}}}
	}
	individual := func(prefix string) *livekit.SIPDispatchRule {
		return &livekit.SIPDispatchRule{Rule: &livekit.SIPDispatchRule_DispatchRuleIndividual{
			DispatchRuleIndividual: &livekit.SIPDispatchRuleIndividual{RoomPrefix: prefix, NoRandomness: true}}}
	}
	callee := func(prefix string) *livekit.SIPDispatchRule {
		return &livekit.SIPDispatchRule{Rule: &livekit.SIPDispatchRule_DispatchRuleCallee{
			DispatchRuleCallee: &livekit.SIPDispatchRuleCallee{RoomPrefix: prefix}}}
	}
	rules := []*livekit.SIPDispatchRuleInfo{
		{Name: "by caller", TrunkIds: []string{ids["office"]}, Rule: individual("call"), Metadata: "m",
			Attributes: map[string]string{"a": "b"}, RoomPreset: "preset",
			RoomConfig: &livekit.RoomConfiguration{EmptyTimeout: 7}},
		{Name: "special caller", TrunkIds: []string{ids["office"]}, Rule: direct("vip", ""), InboundNumbers: []string{"+49301"},
			Numbers: []string{"+155500001"}},
		{Name: "hidden", TrunkIds: []string{ids["few"]}, Rule: callee("to"), HidePhoneNumber: true},
		{Name: "pin", TrunkIds: []string{ids["pins"]}, Rule: direct("locked", "1234"),
			MediaEncryption: livekit.SIPMediaEncryption_SIP_MEDIA_ENCRYPT_REQUIRE},
		{Name: "open", TrunkIds: []string{ids["pins"]}, Rule: direct("lobby", "")},
	}
	for _, rule := range rules {
		_, err := sip.CreateSIPDispatchRule(ctx, &livekit.CreateSIPDispatchRuleRequest{DispatchRule: rule})
		fail(err)
	}
}
