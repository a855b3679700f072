// What a case may do inside a page. Everything returns plain values.
const { ExternalE2EEKeyProvider, Room, RoomEvent, VideoPresets, VideoQuality, createLocalTracks, Track } = LivekitClient;

let room;
let seen = {};
const data = [];
const streams = {};

function note(name) {
  seen[name] = (seen[name] ?? 0) + 1;
}

async function stats(track, type) {
  const report = await track?.getRTCStatsReport?.();
  for (const entry of report?.values() ?? []) if (entry.type === type) return entry;
}

function publication(identity, kind) {
  const participant = room.remoteParticipants.get(identity);
  return [...(participant?.trackPublications.values() ?? [])].find((p) => p.kind === kind);
}

async function inbound(identity, kind) {
  return stats(publication(identity, kind)?.track, 'inbound-rtp');
}

/** End-to-end encryption with a key both sides know. */
async function encryption(secret) {
  const keyProvider = new ExternalE2EEKeyProvider();
  await keyProvider.setKey(secret);
  const code = await (await fetch('/e2ee.worker.js')).text();
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  return { e2ee: { keyProvider, worker } };
}

globalThis.cases = {
  async join(url, token, { single = true, adaptive = false, secret, ...rest } = {}) {
    const encrypted = secret ? await encryption(secret) : {};
    room = new Room({ singlePeerConnection: single, adaptiveStream: adaptive, dynacast: false, ...rest, ...encrypted });
    if (secret) await room.setE2EEEnabled(true);
    for (const [name, event] of Object.entries(RoomEvent)) room.on(event, () => note(name));
    room.on(RoomEvent.DataReceived, (payload, who, kind, topic) =>
      data.push({ text: new TextDecoder().decode(payload), from: who?.identity, topic }));
    room.on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()));
    room.registerRpcMethod?.('echo', async (call) => `${call.callerIdentity}:${call.payload}`);
    room.registerByteStreamHandler?.('bytes', async (reader, who) => {
      const chunks = await reader.readAll();
      const blob = new Uint8Array(await new Blob(chunks).arrayBuffer());
      const digest = await crypto.subtle.digest('SHA-256', blob);
      streams[who.identity] = { size: blob.length, digest: [...new Uint8Array(digest)].join() };
    });
    const start = performance.now();
    await room.connect(url, token, { maxRetries: 0 });
    return performance.now() - start;
  },

  async publish({ audio = true, video = true, width = 640, height = 360, simulcast = false, codec = 'vp8', maxBitrate = 2_000_000 } = {}) {
    const tracks = await createLocalTracks({
      audio: audio ? { echoCancellation: false, noiseSuppression: false, autoGainControl: false } : false,
      video: video ? { resolution: { width, height, frameRate: 15 } } : false,
    });
    const published = [];
    for (const track of tracks) {
      const options = track.kind === 'video' ? { simulcast, videoCodec: codec, backupCodec: false, videoEncoding: { maxBitrate, maxFramerate: 15 } } : {};
      published.push((await room.localParticipant.publishTrack(track, options)).trackSid);
    }
    return published;
  },

  /** Publishes a steady tone: the fake microphone only beeps, too little to count as speech. */
  async hum() {
    const context = new AudioContext();
    const [tone, out] = [context.createOscillator(), context.createMediaStreamDestination()];
    tone.connect(out);
    tone.start();
    await room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], { source: Track.Source.Microphone });
  },

  async picture(identity) {
    const s = await inbound(identity, 'video');
    return s && { frames: s.framesDecoded ?? 0, width: s.frameWidth, height: s.frameHeight, lost: s.packetsLost };
  },

  async sound(identity) {
    const s = await inbound(identity, 'audio');
    return s && { energy: s.totalAudioEnergy ?? 0, packets: s.packetsReceived, lost: s.packetsLost };
  },

  /** The widths decoded of a track from now until it has been gone for half a second. */
  async widthsToTheEnd(identity) {
    const { receiver } = publication(identity, 'video').track;
    const widths = new Set();
    for (let gone; !gone || performance.now() < gone + 500; await new Promise((r) => setTimeout(r, 5))) {
      for (const entry of (await receiver.getStats()).values()) {
        if (entry.type === 'inbound-rtp' && entry.frameWidth) widths.add(entry.frameWidth);
      }
      if (!publication(identity, 'video')) gone ??= performance.now();
    }
    return [...widths];
  },

  async unpublish(kind) {
    const [{ track }] = [...room.localParticipant.trackPublications.values()].filter((p) => p.kind === kind);
    await room.localParticipant.unpublishTrack(track);
  },

  /** What a viewer of `identity` has seen and heard since the beginning. */
  async watched(identity) {
    const [v, a] = [await inbound(identity, 'video'), await inbound(identity, 'audio')];
    return v && a && {
      at: performance.now(), frames: v.framesDecoded ?? 0, width: v.frameWidth ?? 0, bytes: v.bytesReceived + a.bytesReceived,
      freezes: v.freezeCount ?? 0, frozen: v.totalFreezesDuration ?? 0, dropped: v.framesDropped ?? 0,
      decodeMs: 1000 * (v.totalDecodeTime ?? 0), videoLost: v.packetsLost, plis: v.pliCount, nacks: v.nackCount, keys: v.keyFramesDecoded, rtx: v.retransmittedPacketsReceived ?? 0,
      lost: a.packetsLost, heard: a.packetsReceived, concealed: a.concealedSamples ?? 0, samples: a.totalSamplesReceived ?? 0,
    };
  },

  /** The layers this page sends: frames encoded, and why not more. */
  async sending() {
    const layers = [];
    const [publication] = [...room.localParticipant.videoTrackPublications.values()];
    for (const entry of (await publication?.track?.getRTCStatsReport?.())?.values() ?? []) {
      if (entry.type !== 'outbound-rtp') continue;
      const { rid, ssrc, frameWidth, framesEncoded, bytesSent, active, qualityLimitationReason, qualityLimitationDurations } = entry;
      layers.push({ rid, ssrc, width: frameWidth, frames: framesEncoded, bytes: bytesSent, active,
        limit: qualityLimitationReason, limits: qualityLimitationDurations });
    }
    return layers;
  },

  quality(identity, level) {
    publication(identity, 'video').setVideoQuality(VideoQuality[level]);
  },

  mute(kind, muted) {
    const p = [...room.localParticipant.trackPublications.values()].find((t) => t.kind === kind);
    return muted ? p.mute() : p.unmute();
  },

  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
  isEncrypted: (identity, kind) => publication(identity, kind)?.isEncrypted,
  isMuted: (identity, kind) => publication(identity, kind)?.isMuted,
  send: (text, options) => room.localParticipant.publishData(new TextEncoder().encode(text), options),
  received: () => data,
  rpc: (destinationIdentity, payload) => room.localParticipant.performRpc({ destinationIdentity, method: 'echo', payload }),
  async bytes(size) {
    const blob = new Uint8Array(size);
    for (let i = 0; i < size; i += 65536) crypto.getRandomValues(blob.subarray(i, Math.min(size, i + 65536)));
    const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', blob))].join();
    await room.localParticipant.sendFile(new File([blob], 'blob.bin'), { topic: 'bytes' });
    return digest;
  },
  stream: (identity) => streams[identity],
  simulate: (scenario) => room.simulateScenario(scenario),
  count: (event) => seen[event] ?? 0,
  state: () => room.state,
  others: () => [...room.remoteParticipants.keys()],
  speakers: () => room.activeSpeakers.map((p) => p.identity),
  sid: () => room.localParticipant.sid,
  leave: () => room?.disconnect(),

  /** Milliseconds from the connect call to the first decoded frame of `identity`. */
  async joinToFrame(url, token, identity, options) {
    const start = performance.now();
    await globalThis.cases.join(url, token, options);
    for (;;) {
      if (((await globalThis.cases.picture(identity))?.frames ?? 0) > 0) return performance.now() - start;
      if (performance.now() - start > 15_000) throw new Error('no frame within 15 s');
      await new Promise((r) => setTimeout(r, 5));
    }
  },
};
