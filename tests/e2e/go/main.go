// Cases with the Go SDK against the real binary: samples of every codec arrive whole and in order, data too. A client of our
// own, in cm.go, stands in where the SDK leaves no choice.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

var (
	url    = env("LIVEKIT_URL", "ws://127.0.0.1:9980")
	key    = env("LIVEKIT_API_KEY", "devkey")
	secret = env("LIVEKIT_API_SECRET", "secretsecretsecretsecretsecretsecret")
)

func join(room, identity string, callback *lksdk.RoomCallback) (*lksdk.Room, error) {
	info := lksdk.ConnectInfo{APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity}
	return lksdk.ConnectToRoom(url, info, callback)
}

// A number in bytes that never look like a NAL start code.
func number(n int) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, uint64(n))
	out := make([]byte, 0, 16)
	for _, x := range b {
		out = append(out, 0x80|x>>4, 0x80|x&15)
	}
	return out
}

func numberAt(b []byte) int {
	if len(b) < 16 {
		return -1
	}
	var n uint64
	for i := 0; i < 16; i++ {
		n = n<<4 | uint64(b[i]&15)
	}
	return int(n)
}

func filler(n int) []byte { return []byte(strings.Repeat("\xaa", n)) }

type stream struct {
	name     string
	codec    webrtc.RTPCodecCapability
	interval time.Duration
	sample   func(n int) []byte
	// The number in one whole frame, from its packets' payloads.
	open func(packets []*rtp.Packet) (int, error)
	// Every packet is a frame, the marker bit means nothing.
	single bool
}

// The server's own silence and padding, which stand in before the publisher's first packet.
func (s stream) isFiller(payload []byte) bool {
	return s.single && bytes.HasPrefix(payload, []byte{0xf8, 0xff, 0xfe})
}

const keyEvery = 30

func isKey(n int) bool { return n%keyEvery == 0 }

func frameBytes(n int) int {
	if isKey(n) {
		return 6000
	}
	return 1500
}

var streams = []stream{
	{
		name: "vp8", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, interval: 33 * time.Millisecond,
		sample: func(n int) []byte {
			head := []byte{0x11, 0, 0}
			if isKey(n) {
				head = []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0}
			}
			return append(append(head, number(n)...), filler(frameBytes(n))...)
		},
		open: func(packets []*rtp.Packet) (int, error) {
			var frame []byte
			for _, p := range packets {
				var vp8 codecs.VP8Packet
				part, err := vp8.Unmarshal(p.Payload)
				if err != nil {
					return -1, err
				}
				frame = append(frame, part...)
			}
			head := 3
			if len(frame) > 0 && frame[0]&1 == 0 {
				head = 10
			}
			if len(frame) < head {
				return -1, fmt.Errorf("frame of %d bytes", len(frame))
			}
			return checkFrame(frame[head:])
		},
	},
	{
		name: "h264", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, interval: 33 * time.Millisecond,
		sample: func(n int) []byte {
			start := []byte{0, 0, 0, 1}
			var out []byte
			kind := byte(0x61)
			if isKey(n) {
				kind = 0x65
				out = append(append(out, start...), 0x67, 0x42, 0xe0, 0x1f, 0xda, 0x05, 0x07, 0xc4)
				out = append(append(out, start...), 0x68, 0xce, 0x38, 0x80)
			}
			out = append(append(out, start...), kind)
			return append(append(out, number(n)...), filler(frameBytes(n))...)
		},
		open: func(packets []*rtp.Packet) (int, error) {
			h264 := codecs.H264Packet{}
			var frame []byte
			for _, p := range packets {
				part, err := h264.Unmarshal(p.Payload)
				if err != nil {
					return -1, err
				}
				frame = append(frame, part...)
			}
			units := strings.Split(string(frame), "\x00\x00\x00\x01")
			return checkFrame([]byte(units[len(units)-1])[1:])
		},
	},
	{
		name: "h265", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH265, ClockRate: 90000}, interval: 33 * time.Millisecond,
		sample: func(n int) []byte {
			start := []byte{0, 0, 0, 1}
			var out []byte
			head := []byte{0x02, 0x01} // TRAIL_R
			if isKey(n) {
				for _, set := range h265Sets {
					out = append(append(out, start...), set...)
				}
				head = []byte{0x26, 0x01} // IDR_W_RADL
			}
			out = append(append(out, start...), head...)
			return append(append(out, number(n)...), filler(frameBytes(n))...)
		},
		open: openH265,
	},
	{
		name: "vp9", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP9, ClockRate: 90000, SDPFmtpLine: "profile-id=0"}, interval: 33 * time.Millisecond,
		sample: func(n int) []byte {
			head := []byte{0x86, 0}
			if isKey(n) {
				head = vp9Key
			}
			return append(append(bytes.Clone(head), number(n)...), filler(frameBytes(n))...)
		},
		open: func(packets []*rtp.Packet) (int, error) {
			var frame []byte
			for _, p := range packets {
				var vp9 codecs.VP9Packet
				part, err := vp9.Unmarshal(p.Payload)
				if err != nil {
					return -1, err
				}
				frame = append(frame, part...)
			}
			head := 2
			if bytes.HasPrefix(frame, vp9Key) {
				head = len(vp9Key)
			}
			if len(frame) < head {
				return -1, fmt.Errorf("frame of %d bytes", len(frame))
			}
			return checkFrame(frame[head:])
		},
	},
	{
		name: "av1", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeAV1, ClockRate: 90000}, interval: 33 * time.Millisecond,
		sample: func(n int) []byte {
			out := []byte{0x12, 0} // temporal delimiter
			if isKey(n) {
				out = append(out, av1Sequence...)
			}
			body := append(number(n), filler(frameBytes(n))...)
			out = append(out, 0x32, 0x80|byte(len(body)&0x7f), byte(len(body)>>7)) // frame, its size in LEB128
			return append(out, body...)
		},
		open: func(packets []*rtp.Packet) (int, error) {
			var av1 codecs.AV1Depacketizer
			var units []byte
			for _, p := range packets {
				part, err := av1.Unmarshal(p.Payload)
				if err != nil {
					return -1, err
				}
				units = append(units, part...)
			}
			units = bytes.TrimPrefix(units, av1Sequence)
			if len(units) < 3 || units[0] != 0x32 {
				return -1, fmt.Errorf("no frame in %d bytes of AV1", len(units))
			}
			return checkFrame(units[3:])
		},
	},
	{
		name: "opus", codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, interval: 20 * time.Millisecond,
		sample: func(n int) []byte { return append(append([]byte{0xfc}, number(n)...), filler(60)...) },
		open:   func(packets []*rtp.Packet) (int, error) { return numberAt(packets[0].Payload[1:]), nil },
		single: true,
	},
}

// Parameter sets of a 1280x720 stream: VPS, SPS, PPS.
var h265Sets = [][]byte{
	{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0x95, 0x98, 0x09},
	{0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16,
		0x59, 0x59, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x70, 0x80, 0, 0, 3, 0, 0x80, 0, 0, 0x0f, 0x04},
	{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40},
}

// The picture's unit is the one that is too large for a packet (RFC 7798 §4.4.3).
func openH265(packets []*rtp.Packet) (int, error) {
	var picture []byte
	sets := 0
	for _, p := range packets {
		if len(p.Payload) < 4 {
			return -1, fmt.Errorf("packet of %d bytes", len(p.Payload))
		}
		switch kind := p.Payload[0] >> 1 & 0x3f; {
		case kind == 49:
			picture = append(picture, p.Payload[3:]...)
		case kind == 48 || kind >= 32:
			sets++
		default:
			return -1, fmt.Errorf("unit of kind %d", kind)
		}
	}
	n, err := checkFrame(picture)
	if err == nil && isKey(n) != (sets > 0) {
		return -1, fmt.Errorf("frame %d came with %d packets of parameter sets", n, sets)
	}
	return n, err
}

// The head of a VP9 key frame of 320x180 (VP9 bitstream, §6.2).
var vp9Key = []byte{0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0b, 0x30}

// An AV1 sequence header with its size.
var av1Sequence = []byte{0x0a, 0x0b, 0, 0, 0, 0x24, 0xcf, 0x7f, 0x0d, 0xbf, 0xff, 0x30, 0x08}

// The number of a video frame whose filler is all there.
func checkFrame(body []byte) (int, error) {
	n := numberAt(body)
	if n < 0 {
		return -1, fmt.Errorf("frame of %d bytes", len(body))
	}
	if want := 16 + frameBytes(n); len(body) != want {
		return -1, fmt.Errorf("frame %d has %d bytes of %d", n, len(body), want)
	}
	return n, nil
}

func read(s stream, track *webrtc.TrackRemote, got *[]int, lock *sync.Mutex, failed func(error)) {
	var frame []*rtp.Packet
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if len(p.Payload) == 0 || s.isFiller(p.Payload) {
			continue
		}
		frame = append(frame, p)
		if !s.single && !p.Marker {
			continue
		}
		n, err := s.open(frame)
		if err != nil {
			failed(err)
			return
		}
		lock.Lock()
		*got = append(*got, n)
		lock.Unlock()
		frame = nil
	}
}

func samplesArrive(s stream) (string, error) {
	room := fmt.Sprintf("go-%s-%d", s.name, time.Now().UnixNano())
	var lock sync.Mutex
	var got []int
	errs := make(chan error, 10)
	subscribed := make(chan struct{})
	callback := &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnTrackSubscribed: func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
			close(subscribed)
			go read(s, track, &got, &lock, func(err error) { errs <- err })
		},
	}}
	sub, err := join(room, "sub", callback)
	if err != nil {
		return "", fmt.Errorf("subscriber: %w", err)
	}
	defer sub.Disconnect()
	pub, err := join(room, "pub", lksdk.NewRoomCallback())
	if err != nil {
		return "", fmt.Errorf("publisher: %w", err)
	}
	defer pub.Disconnect()
	track, err := lksdk.NewLocalSampleTrack(s.codec)
	if err != nil {
		return "", err
	}
	bound := make(chan struct{})
	var once sync.Once
	track.OnBind(func() { once.Do(func() { close(bound) }) })
	if _, err := pub.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{Name: s.name}); err != nil {
		return "", err
	}
	for _, step := range []struct {
		what string
		done chan struct{}
	}{{"the track to be bound", bound}} {
		select {
		case <-step.done:
		case <-time.After(10 * time.Second):
			return "", fmt.Errorf("timed out waiting for %s", step.what)
		}
	}
	// The first frames may come before anybody listens; what counts is that from the first one heard none is missing.
	const heard = 150
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	deadline := time.After(25 * time.Second)
	for n := 0; ; n++ {
		select {
		case err := <-errs:
			return "", err
		case <-deadline:
			return "", fmt.Errorf("%d of %d frames within 25 s", len(got), heard)
		case <-tick.C:
		}
		if err := track.WriteSample(media.Sample{Data: s.sample(n), Duration: s.interval}, nil); err != nil {
			return "", err
		}
		lock.Lock()
		count := len(got)
		lock.Unlock()
		if count >= heard {
			break
		}
	}
	lock.Lock()
	defer lock.Unlock()
	if err := inOrder(got); err != nil {
		return "", err
	}
	if !s.single && !isKey(got[0]) {
		return "", fmt.Errorf("the first frame, %d, is no key frame", got[0])
	}
	return fmt.Sprintf("%d frames in order from number %d", len(got), got[0]), nil
}

func inOrder(got []int) error {
	for i := 1; i < len(got); i++ {
		if got[i] != got[i-1]+1 {
			return fmt.Errorf("frame %d came after %d", got[i], got[i-1])
		}
	}
	return nil
}

func dataArrives() (string, error) {
	room := fmt.Sprintf("go-data-%d", time.Now().UnixNano())
	var count atomic.Int64
	var wrong atomic.Int64
	callback := &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnDataReceived: func(data []byte, params lksdk.DataReceiveParams) {
			if int64(binary.BigEndian.Uint32(data)) != count.Add(1)-1 || params.SenderIdentity != "pub" {
				wrong.Add(1)
			}
		},
	}}
	sub, err := join(room, "sub", callback)
	if err != nil {
		return "", err
	}
	defer sub.Disconnect()
	pub, err := join(room, "pub", lksdk.NewRoomCallback())
	if err != nil {
		return "", err
	}
	defer pub.Disconnect()
	const packets = 200
	for n := 0; n < packets; n++ {
		data := binary.BigEndian.AppendUint32(nil, uint32(n))
		if err := pub.LocalParticipant.PublishDataPacket(lksdk.UserData(append(data, filler(900)...)), lksdk.WithDataPublishReliable(true)); err != nil {
			return "", err
		}
	}
	for end := time.Now().Add(10 * time.Second); count.Load() < packets; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return "", fmt.Errorf("%d of %d packets", count.Load(), packets)
		}
	}
	if wrong.Load() > 0 {
		return "", fmt.Errorf("%d packets out of order", wrong.Load())
	}
	return fmt.Sprintf("%d reliable packets in order", packets), nil
}

func main() {
	lksdk.SetLogger(logger.GetDiscardLogger())
	passed, failed := 0, 0
	report := func(name string, run func() (string, error)) {
		start := time.Now()
		figure, err := run()
		if err != nil {
			failed++
			fmt.Printf("FAIL %s — %v\n", name, err)
			return
		}
		passed++
		fmt.Printf("PASS %s — %s; %.1f s\n", name, figure, time.Since(start).Seconds())
	}
	for _, s := range streams {
		report("go: samples of "+s.name, func() (string, error) { return samplesArrive(s) })
	}
	report("go: data", dataArrives)
	report("go: a backup codec", backupCodec)
	report("pion: only AES-CM, both ways", cmBothWays)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
