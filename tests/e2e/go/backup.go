package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// What a subscriber received, newest last, by codec.
type viewer struct {
	lock   sync.Mutex
	frames map[string][]int
	last   string
}

func (v *viewer) join(room, identity string, failed func(error), options ...lksdk.ConnectOption) (*lksdk.Room, error) {
	v.frames = map[string][]int{}
	callback := &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnTrackSubscribed: func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
			go v.watch(track, failed)
		},
	}}
	info := lksdk.ConnectInfo{APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity}
	return lksdk.ConnectToRoom(url, info, callback, options...)
}

func (v *viewer) watch(track *webrtc.TrackRemote, failed func(error)) {
	name := strings.ToLower(strings.TrimPrefix(track.Codec().MimeType, "video/"))
	var got []int
	var lock sync.Mutex
	go read(byName(name), track, &got, &lock, failed)
	for range time.Tick(20 * time.Millisecond) {
		lock.Lock()
		frames := append([]int(nil), got...)
		lock.Unlock()
		v.lock.Lock()
		if len(frames) > len(v.frames[name]) {
			v.frames[name], v.last = frames, name
		}
		v.lock.Unlock()
	}
}

// Whether it has had that many frames of the codec, and this codec's last.
func (v *viewer) has(codec string, count int) bool {
	v.lock.Lock()
	defer v.lock.Unlock()
	return v.last == codec && len(v.frames[codec]) >= count
}

func byName(name string) stream {
	for _, s := range streams {
		if s.name == name {
			return s
		}
	}
	return stream{}
}

// A subscriber of VP9 is moved to VP8 when another one comes who knows nothing else.
func backupCodec() (string, error) {
	room := fmt.Sprintf("go-backup-%d", time.Now().UnixNano())
	errs := make(chan error, 10)
	failed := func(err error) { errs <- err }
	var all, old viewer
	sub, err := all.join(room, "all", failed)
	if err != nil {
		return "", err
	}
	defer sub.Disconnect()
	pub, err := join(room, "pub", lksdk.NewRoomCallback())
	if err != nil {
		return "", err
	}
	defer pub.Disconnect()
	vp9, vp8 := byName("vp9"), byName("vp8")
	main, err := lksdk.NewLocalSampleTrack(vp9.codec)
	if err != nil {
		return "", err
	}
	backup, err := lksdk.NewLocalSampleTrack(vp8.codec)
	if err != nil {
		return "", err
	}
	options := &lksdk.TrackPublicationOptions{Name: "cam", Source: livekit.TrackSource_CAMERA, BackupCodecPolicy: livekit.BackupCodecPolicy_REGRESSION}
	if _, err := pub.LocalParticipant.PublishTrack(main, options, lksdk.WithBackupCodec(backup)); err != nil {
		return "", err
	}
	const heard = 60
	tick := time.NewTicker(vp8.interval)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	joined := make(chan error, 1)
	asked := false
	for n := 0; ; n++ {
		select {
		case err := <-errs:
			return "", err
		case err := <-joined:
			if err != nil {
				return "", err
			}
		case <-deadline:
			return "", fmt.Errorf("within 30 s one had %s last, the other %s", all.last, old.last)
		case <-tick.C:
		}
		if err := main.WriteSample(media.Sample{Data: vp9.sample(n), Duration: vp9.interval}, nil); err != nil {
			return "", err
		}
		if err := backup.WriteSample(media.Sample{Data: vp8.sample(n), Duration: vp8.interval}, nil); err != nil {
			return "", err
		}
		if !asked && all.has("vp9", heard) {
			asked = true
			go func() {
				_, err := old.join(room, "old", failed, lksdk.WithCodecs([]livekit.Codec{{Mime: "audio/opus"}, {Mime: "video/vp8"}}))
				joined <- err
			}()
		}
		if all.has("vp8", heard) && old.has("vp8", heard) {
			break
		}
	}
	return fmt.Sprintf("%d frames of VP9, then both had %d of VP8", len(all.frames["vp9"]), heard), nil
}
