package main

import (
	"encoding/json"
	"fmt"
	neturl "net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/extension"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"google.golang.org/protobuf/proto"
)

// A client on bare pion, because the SDK fixes its SRTP profiles: this one offers AES-CM only.
type cmClient struct {
	ws       *websocket.Conn
	writing  sync.Mutex
	pub, sub *webrtc.PeerConnection
	// The SRTP profile each connection settled on: towards an ICE-lite server pion is the DTLS server, hence the one to choose.
	chosen chan dtls.SRTPProtectionProfile
}

func (c *cmClient) peer() (*webrtc.PeerConnection, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	se := webrtc.SettingEngine{}
	se.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	se.SetDTLSServerHelloMessageHook(func(hello handshake.MessageServerHello) handshake.Message {
		for _, e := range hello.Extensions {
			if srtp, ok := e.(*extension.UseSRTP); ok && len(srtp.ProtectionProfiles) == 1 {
				c.chosen <- srtp.ProtectionProfiles[0]
			}
		}
		return &hello
	})
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(se)).NewPeerConnection(webrtc.Configuration{})
}

func cmJoin(room, identity string, failed func(error)) (*cmClient, error) {
	grant := &auth.VideoGrant{RoomJoin: true, Room: room}
	token, err := auth.NewAccessToken(key, secret).SetIdentity(identity).SetVideoGrant(grant).ToJWT()
	if err != nil {
		return nil, err
	}
	c := &cmClient{chosen: make(chan dtls.SRTPProtectionProfile, 100)}
	if c.pub, err = c.peer(); err != nil {
		return nil, err
	}
	if c.sub, err = c.peer(); err != nil {
		return nil, err
	}
	query := neturl.Values{"access_token": {token}, "protocol": {"15"}, "auto_subscribe": {"1"}, "sdk": {"go"}}
	if c.ws, _, err = websocket.DefaultDialer.Dial(url+"/rtc?"+query.Encode(), nil); err != nil {
		return nil, err
	}
	go func() {
		for {
			_, frame, err := c.ws.ReadMessage()
			if err != nil {
				return
			}
			var response livekit.SignalResponse
			if err = proto.Unmarshal(frame, &response); err == nil {
				err = c.handle(&response)
			}
			if err != nil {
				failed(err)
				return
			}
		}
	}()
	return c, nil
}

func (c *cmClient) send(request *livekit.SignalRequest) error {
	frame, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.ws.WriteMessage(websocket.BinaryMessage, frame)
}

// The server answers checks from wherever they come, so that our candidates need no telling.
func (c *cmClient) handle(response *livekit.SignalResponse) error {
	switch m := response.Message.(type) {
	case *livekit.SignalResponse_Offer:
		if err := c.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.Offer.Sdp}); err != nil {
			return err
		}
		answer, err := c.sub.CreateAnswer(nil)
		if err != nil {
			return err
		}
		if err := c.sub.SetLocalDescription(answer); err != nil {
			return err
		}
		told := &livekit.SessionDescription{Type: "answer", Sdp: answer.SDP, Id: m.Offer.Id}
		return c.send(&livekit.SignalRequest{Message: &livekit.SignalRequest_Answer{Answer: told}})
	case *livekit.SignalResponse_TrackPublished:
		offer, err := c.pub.CreateOffer(nil)
		if err != nil {
			return err
		}
		if err := c.pub.SetLocalDescription(offer); err != nil {
			return err
		}
		told := &livekit.SessionDescription{Type: "offer", Sdp: offer.SDP, Id: 1}
		return c.send(&livekit.SignalRequest{Message: &livekit.SignalRequest_Offer{Offer: told}})
	case *livekit.SignalResponse_Answer:
		return c.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.Answer.Sdp})
	case *livekit.SignalResponse_Trickle:
		var candidate webrtc.ICECandidateInit
		if err := json.Unmarshal([]byte(m.Trickle.CandidateInit), &candidate); err != nil {
			return err
		}
		if m.Trickle.Target == livekit.SignalTarget_PUBLISHER {
			return c.pub.AddICECandidate(candidate)
		}
		return c.sub.AddICECandidate(candidate)
	}
	return nil
}

func (c *cmClient) publish(track *webrtc.TrackLocalStaticSample) error {
	if _, err := c.pub.AddTrack(track); err != nil {
		return err
	}
	request := &livekit.AddTrackRequest{Cid: track.ID(), Name: "cm", Type: livekit.TrackType_AUDIO, Source: livekit.TrackSource_MICROPHONE, DisableRed: true}
	return c.send(&livekit.SignalRequest{Message: &livekit.SignalRequest_AddTrack{AddTrack: request}})
}

func (c *cmClient) close() {
	c.ws.Close()
	c.pub.Close()
	c.sub.Close()
}

// Opus from the SDK's client, which prefers AES-GCM, to one that knows AES-CM only, and back.
func cmBothWays() (string, error) {
	room := fmt.Sprintf("go-cm-%d", time.Now().UnixNano())
	opus := streams[len(streams)-1]
	var lock sync.Mutex
	var there, back []int
	errs := make(chan error, 10)
	failed := func(err error) { errs <- err }
	sdk, err := join(room, "sdk", &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnTrackSubscribed: func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
			go read(opus, track, &back, &lock, failed)
		},
	}})
	if err != nil {
		return "", err
	}
	defer sdk.Disconnect()
	cm, err := cmJoin(room, "cm", failed)
	if err != nil {
		return "", err
	}
	defer cm.close()
	cm.sub.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { go read(opus, track, &there, &lock, failed) })
	fromSdk, err := lksdk.NewLocalSampleTrack(opus.codec)
	if err != nil {
		return "", err
	}
	if _, err := sdk.LocalParticipant.PublishTrack(fromSdk, &lksdk.TrackPublicationOptions{Name: "sdk", DisableDTX: true}); err != nil {
		return "", err
	}
	fromCm, err := webrtc.NewTrackLocalStaticSample(opus.codec, "cm-mic", "cm")
	if err != nil {
		return "", err
	}
	if err := cm.publish(fromCm); err != nil {
		return "", err
	}
	const heard = 150
	tick := time.NewTicker(opus.interval)
	defer tick.Stop()
	deadline := time.After(25 * time.Second)
	for n := 0; ; n++ {
		select {
		case err := <-errs:
			return "", err
		case <-deadline:
			return "", fmt.Errorf("%d and %d of %d packets within 25 s", len(there), len(back), heard)
		case <-tick.C:
		}
		sample := media.Sample{Data: opus.sample(n), Duration: opus.interval}
		if err := fromSdk.WriteSample(sample, nil); err != nil {
			return "", err
		}
		if err := fromCm.WriteSample(sample); err != nil {
			return "", err
		}
		lock.Lock()
		done := len(there) >= heard && len(back) >= heard
		lock.Unlock()
		if done {
			break
		}
	}
	lock.Lock()
	defer lock.Unlock()
	for _, got := range [][]int{there, back} {
		if err := inOrder(got); err != nil {
			return "", err
		}
	}
	for range 2 {
		select {
		case profile := <-cm.chosen:
			if profile != dtls.SRTP_AES128_CM_HMAC_SHA1_80 {
				return "", fmt.Errorf("the SRTP profile is %v", profile)
			}
		default:
			return "", fmt.Errorf("not both connections chose an SRTP profile")
		}
	}
	return fmt.Sprintf("%d packets there and %d back in order", len(there), len(back)), nil
}
