"""The Python SDK (native WebRTC) against the real binary: colours, a tone, data and bad input, one line a case."""
import asyncio
import os
import socket
import sys
import time

import aiohttp
import numpy as np
from livekit import api, rtc

URL = os.environ.get("LIVEKIT_URL", "ws://127.0.0.1:9980")
HTTP = URL.replace("ws", "http", 1)
KEY, SECRET = "devkey", "secretsecretsecretsecretsecretsecret"
RED, BLUE = (200, 30, 40), (40, 60, 210)

CASES = []


def case(name, timeout=40):
    def keep(run):
        CASES.append((name, run, timeout))
        return run
    return keep


def check(condition, why):
    if not condition:
        raise AssertionError(why)


async def until(probe, what, timeout=10.0):
    end = time.monotonic() + timeout
    while not (value := probe()):
        check(time.monotonic() < end, f"timed out after {timeout:g} s waiting for {what}")
        await asyncio.sleep(0.02)
    return value


def token(identity, room, secret=SECRET, key=KEY, **grants):
    grant = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(key, secret).with_identity(identity).with_grants(grant).to_jwt()


class Peer:
    """A participant in a room; leaves when the block ends."""

    def __init__(self, identity, room, options=None, tok=None):
        self.identity, self.name, self.options, self.tok = identity, room, options, tok
        self.room, self.data, self.tasks = rtc.Room(), [], []
        self.room.on("data_received", self.data.append)

    async def __aenter__(self):
        start = time.monotonic()
        await asyncio.wait_for(self.room.connect(URL, self.tok or token(self.identity, self.name), self.options or rtc.RoomOptions()), 15)
        self.join_ms = (time.monotonic() - start) * 1000
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait_for(self.room.disconnect(), 5)

    async def track(self, identity, kind):
        def found():
            who = self.room.remote_participants.get(identity)
            for publication in who.track_publications.values() if who else ():
                if publication.kind == kind and publication.track:
                    return publication
        return await until(found, f"a track of {identity}")

    async def paint(self, colour, codec, size=(640, 360), simulcast=False):
        source = rtc.VideoSource(*size)
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        self.colour = colour

        async def feed():
            picture = np.full((size[1], size[0], 4), 255, np.uint8)
            for n in range(10**9):
                picture[..., :3] = self.colour
                picture[:16, (x := n * 8 % (size[0] - 16)):x + 16, :3] = 255
                source.capture_frame(rtc.VideoFrame(*size, rtc.VideoBufferType.RGBA, picture.tobytes()))
                await asyncio.sleep(1 / 15)

        self.tasks.append(asyncio.ensure_future(feed()))
        encoding = rtc.VideoEncoding(max_framerate=15, max_bitrate=2_000_000)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast,
                                          video_codec=codec, video_encoding=encoding)
        return await asyncio.wait_for(self.room.local_participant.publish_track(track, options), 10)

    async def hum(self, hz, red=True):
        source = rtc.AudioSource(48000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("mic", source)

        async def feed():
            at = 0
            while True:
                wave = np.sin(2 * np.pi * hz * (at + np.arange(480)) / 48000) * 16000
                await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), 48000, 1, 480))
                at += 480

        self.tasks.append(asyncio.ensure_future(feed()))
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=red)
        await asyncio.wait_for(self.room.local_participant.publish_track(track, options), 10)


async def seen(track, width=None, timeout=12.0):
    """The colour of the next decoded frame, of that width where one is given."""
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGBA)
    try:
        async with asyncio.timeout(timeout):
            async for event in stream:
                frame = event.frame
                if width is None or frame.width == width:
                    picture = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 4)
                    return np.median(picture[frame.height // 2:, :, :3].reshape(-1, 3), axis=0)
    finally:
        await stream.aclose()


async def turns(track, colour, width=None, timeout=12.0):
    end = time.monotonic() + timeout
    while np.abs(await seen(track, width) - colour).max() > 30:
        check(time.monotonic() < end, f"the picture did not turn {colour}")


async def heard(track):
    """Loudest frequency over a second, after half a second of settling."""
    stream, pcm = rtc.AudioStream(track, sample_rate=48000, num_channels=1), []
    try:
        async with asyncio.timeout(10):
            async for event in stream:
                pcm.append(np.frombuffer(event.frame.data, np.int16))
                if sum(map(len, pcm)) >= 72000:
                    break
    finally:
        await stream.aclose()
    wave = np.concatenate(pcm)[24000:].astype(float)
    return np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))[5:]) + 5, len(wave)


def room_name():
    return f"py-{os.getpid()}-{time.time_ns()}"


MODES = {"dual": rtc.RoomOptions(single_peer_connection=False), "single": rtc.RoomOptions(single_peer_connection=True)}

for codec in ("VP8", "H264", "VP9", "AV1"):
    for mode, options in MODES.items():
        @case(f"python: colours in {codec}, {mode} peer connection")
        async def _(codec=codec, options=options):
            name = room_name()
            async with Peer("a", name, options) as a, Peer("b", name, options) as b:
                await a.paint(RED, getattr(rtc.VideoCodec, codec))
                track = (await b.track("a", rtc.TrackKind.KIND_VIDEO)).track
                await turns(track, RED)
                a.colour = BLUE
                await turns(track, BLUE)
                return f"join {a.join_ms:.0f} ms"

for red in (True, False):
    @case(f"python: a tone, {'with' if red else 'without'} RED")
    async def _(red=red):
        name = room_name()
        async with Peer("a", name) as a, Peer("b", name) as b:
            await a.hum(440, red)
            bin_, length = await heard((await b.track("a", rtc.TrackKind.KIND_AUDIO)).track)
            hz = bin_ * 48000 / length
            check(abs(hz - 440) < 5, f"heard {hz:.1f} Hz")
            return f"{hz:.1f} Hz"


@case("python: the subscriber picks the simulcast layer", 60)
async def _():
    name = room_name()
    async with Peer("a", name) as a, Peer("b", name) as b:
        await a.paint(BLUE, rtc.VideoCodec.VP8, (1280, 720), simulcast=True)
        publication = await b.track("a", rtc.TrackKind.KIND_VIDEO)
        took = []
        for quality, width in (("LOW", 320), ("HIGH", 1280), ("LOW", 320)):
            start = time.monotonic()
            publication.set_video_quality(getattr(rtc.VideoQuality, f"VIDEO_QUALITY_{quality}"))
            await turns(publication.track, BLUE, width)
            took.append(f"{width} px after {time.monotonic() - start:.1f} s")
        return ", ".join(took)


@case("python: reliable data in order, lossy data")
async def _():
    name = room_name()
    async with Peer("a", name) as a, Peer("b", name) as b:
        for n in range(200):
            await a.room.local_participant.publish_data(n.to_bytes(4, "big") + bytes(1000), reliable=True)
        await until(lambda: len(b.data) >= 200, "200 packets")
        check([int.from_bytes(bytes(d.data)[:4], "big") for d in b.data] == list(range(200)), "out of order")


async def validate(tok):
    async with aiohttp.ClientSession() as http, http.get(f"{HTTP}/rtc/validate", params={"access_token": tok}) as answer:
        return answer.status, await answer.text()


@case("python: bad input is refused while a call goes on unharmed", 60)
async def _():
    name = room_name()
    async with Peer("a", name) as a, Peer("b", name) as b:
        await a.hum(600)
        track = (await b.track("a", rtc.TrackKind.KIND_AUDIO)).track
        expired = api.AccessToken(KEY, SECRET).with_identity("x").with_grants(api.VideoGrants(room_join=True, room=name))
        expired.claims.exp = 1
        check((await validate(token("x", name, secret="w" * 40)))[0] == 401, "wrong secret")
        check(await validate(token("x", name, key="nobody")) == (401, "invalid API key"), "unknown key")
        check((await validate("garbage"))[0] == 401, "garbage token")
        check((await validate(token("x", name))) == (200, "success"), "a good token")
        async with aiohttp.ClientSession() as http:
            for frame, code in ((b"\xff" * 100, 1000), (bytes(3 << 20), 1009)):
                async with http.ws_connect(f"{URL}/rtc?access_token={token('bad', name)}&protocol=15") as ws:
                    await ws.receive(timeout=5)
                    await ws.send_bytes(frame)
                    while (await ws.receive(timeout=5)).type == aiohttp.WSMsgType.BINARY:
                        pass
                    check(ws.close_code == code, f"closed with {ws.close_code}, not {code}")
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        noise = np.random.default_rng(7)
        port = int(os.environ.get("LKOPS_E2E_UDP", "9982"))
        for n in range(2000):
            first = (0, 1, 22, 128, 144, 200, 255)[n % 7]
            udp.sendto(bytes([first]) + noise.bytes(int(noise.integers(0, 1400))), ("127.0.0.1", port))
        hello = bytes([22, 0xfe, 0xfd]) + bytes(8) + (60).to_bytes(2, "big") + bytes([1]) + noise.bytes(59)
        udp.sendto(hello, ("127.0.0.1", port))
        udp.settimeout(0.5)
        try:
            raise AssertionError(f"{len(udp.recv(2000))} bytes came back to an address ICE never validated")
        except TimeoutError:
            pass
        bin_, length = await heard(track)
        check(abs(bin_ * 48000 / length - 600) < 5, "the call's tone is gone")


@case("python: a full room refuses, a token of another room too")
async def _():
    name = room_name()
    async with api.LiveKitAPI(HTTP, KEY, SECRET) as lk:
        await lk.room.create_room(api.CreateRoomRequest(name=name, max_participants=1))
    async with Peer("a", name):
        try:
            async with Peer("b", name):
                raise AssertionError("a second one got in")
        except rtc.ConnectError:
            pass


async def main():
    passed = failed = 0
    for name, run, timeout in CASES:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        start = time.monotonic()
        try:
            figure = await asyncio.wait_for(run(), timeout)
            passed += 1
            print(f"PASS {name} — {f'{figure}; ' if figure else ''}{time.monotonic() - start:.1f} s", flush=True)
        except (Exception, asyncio.CancelledError) as error:
            failed += 1
            print(f"FAIL {name} — {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    os._exit(1 if failed or not passed else 0)


asyncio.run(main())
