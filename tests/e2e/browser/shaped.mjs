// What a viewer in Chromium sees and hears while the link to it narrows and widens again. The publisher is outside the
// shaped link, the viewer inside a network namespace behind it.
//
//   node shaped.mjs                 VP8
//   CODECS=vp8,h264,vp9,av1 node shaped.mjs
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, CHROMIUM, launch, main, PORT, Tab, test, token, until } from './harness.mjs';
import { writeClip } from './clip.mjs';
import * as network from './network.mjs';

const [WIDE, NARROW] = [3_000, 600];
const [WIDTH, HEIGHT, RATE] = [1280, 720, 15];
const SAMPLE_MS = 250;
const NARROW_S = 30;
const SIGNAL = `ws://${network.OUTSIDE}:${PORT}`;
let inside;

/** The processor, not the link, decided what was seen. */
class TooBusy extends Error {}
const ATTEMPTS = 3;

const seconds = (s) => new Promise((done) => setTimeout(done, s * 1000));

/** Samples what `tab` sees of the publisher until told to stop. */
function watch(tab) {
  const samples = [];
  let over = false;
  const ended = (async () => {
    while (!over) {
      const sample = await tab.call('watched', 'pub');
      if (sample) samples.push(sample);
      await seconds(SAMPLE_MS / 1000);
    }
  })();
  return { samples, last: () => samples.at(-1), stop: () => ((over = true), ended) };
}

/** The figures of a stretch of samples. */
function figures(samples) {
  const [first, last] = [samples[0], samples.at(-1)];
  const spent = (last.at - first.at) / 1000;
  const pairs = samples.slice(1).map((sample, i) => [samples[i], sample]);
  const [heard, lost] = [last.heard - first.heard, last.lost - first.lost];
  return {
    spent,
    kbps: ((last.bytes - first.bytes) * 8) / 1000 / spent,
    fps: (last.frames - first.frames) / spent,
    longest: Math.max(0, ...pairs.map(([a, b]) => b.frozen - a.frozen), stalled(samples)),
    freezes: last.freezes - first.freezes,
    frozen: last.frozen - first.frozen,
    audioLoss: lost / Math.max(1, heard + lost),
    concealed: (last.concealed - first.concealed) / Math.max(1, last.samples - first.samples),
    videoLost: last.videoLost - first.videoLost,
    widths: [...new Set(samples.map((s) => s.width))],
    width: last.width,
    decodeMs: (last.decodeMs - first.decodeMs) / Math.max(1, last.frames - first.frames),
  };
}

/** The longest time without a decoded frame, s: a freeze is only counted when it is over. */
function stalled(samples) {
  let [since, longest] = [samples[0], 0];
  for (const sample of samples) {
    if (sample.frames > since.frames) since = sample;
    longest = Math.max(longest, (sample.at - since.at - SAMPLE_MS) / 1000);
  }
  return longest;
}

/** What changed with each sample, for whoever looks into a failure: LKOPS_E2E_TIMELINE=1. */
function tell(samples, zero) {
  samples.slice(1).forEach((b, i) => {
    const a = samples[i];
    const more = (name) => b[name] - a[name];
    console.log(
      `    ${((b.at - zero) / 1000).toFixed(2).padStart(7)} s  ${String(b.width).padStart(4)} px, ${more('frames')} frames, ` +
      `${(more('bytes') * 8 / (b.at - a.at)).toFixed(0)} kbit/s, audio lost ${more('lost')}, video lost ${more('videoLost')}, ` +
      `resent ${more('rtx')}, NACKs ${more('nacks')}, PLIs ${more('plis')}, key frames ${more('keys')}, frozen ${more('frozen').toFixed(2)}`,
    );
  });
}

function print(name, f) {
  const percent = (share) => `${(share * 100).toFixed(2)} %`;
  console.log(
    `  ${name.padEnd(26)} ${f.kbps.toFixed(0).padStart(5)} kbit/s, ${f.fps.toFixed(1)} fps, widths ${f.widths.join('>')}, ` +
    `${f.freezes} freezes (${f.frozen.toFixed(2)} s, longest ${f.longest.toFixed(2)} s), audio loss ${percent(f.audioLoss)}, ` +
    `concealed ${percent(f.concealed)}, video packets lost ${f.videoLost}, decoding ${f.decodeMs.toFixed(1)} ms`,
  );
}

/** Why the publisher sent less than it should, in seconds: a machine too slow for the encoders measures itself. */
async function limits(tab) {
  const layers = await tab.call('sending');
  const cpu = Math.max(0, ...layers.map((layer) => layer.limits?.cpu ?? 0));
  return { cpu, told: layers.map((l) => `${l.width}:${l.frames}`).join(' ') };
}

async function step(pub, sub) {
  const watching = watch(sub);
  const { samples } = watching;
  const part = (from, to = Infinity) => samples.filter((s) => s.at >= from && s.at <= to);
  const isTop = () => watching.last()?.width === WIDTH;
  try {
    await until(isTop, 'the top layer on the wide link', 30_000);
    const settled = watching.last().at;
    await seconds(8);

    const down = watching.last().at;
    network.shape(NARROW);
    await seconds(NARROW_S);
    const drops = network.dropped();

    const up = watching.last().at;
    network.shape(WIDE);
    await until(isTop, 'the top layer after the link widened', 40_000).catch(() => {});
    const back = isTop() ? (watching.last().at - up) / 1000 : Infinity;
    await seconds(5);
    await watching.stop();

    const last = watching.last().at;
    const stretches = { wide: part(settled + 3_000, down), first: part(down, down + 1_000), narrow: part(down + 1_000, up), again: part(up, last) };
    const found = Object.fromEntries(Object.entries(stretches).map(([name, s]) => [name, figures(s)]));
    print(`${WIDE} kbit/s`, found.wide);
    print('first second of narrow', found.first);
    print(`${NARROW} kbit/s after that`, found.narrow);
    print(`${WIDE} kbit/s again`, found.again);
    if (process.env.LKOPS_E2E_TIMELINE) tell(samples, down);
    const after = figures(part(down, up));
    const { cpu, told } = await limits(pub);
    console.log(`  top layer back after ${back.toFixed(1)} s; the link dropped ${drops}; frames encoded ${told}, held back by the processor for ${cpu.toFixed(1)} s`);
    if (cpu >= 1 || found.wide.longest >= 0.5) {
      throw new TooBusy(`this machine is too busy to tell: encoders held back ${cpu.toFixed(1)} s, freeze of ${found.wide.longest.toFixed(2)} s on the wide link`);
    }
    check(found.narrow.audioLoss < 0.01, `audio loss ${(found.narrow.audioLoss * 100).toFixed(2)} %`);
    check(after.longest <= 1, `the picture froze for ${after.longest.toFixed(2)} s`);
    check(found.narrow.width < WIDTH && found.narrow.fps > 5, `${found.narrow.width} px at ${found.narrow.fps.toFixed(1)} fps on the narrow link`);
    check(back <= 10, `the top layer came back after ${back.toFixed(1)} s`);
    return `audio loss ${(found.narrow.audioLoss * 100).toFixed(2)} %, longest freeze ${after.longest.toFixed(2)} s, ` +
      `${found.narrow.kbps.toFixed(0)} of ${NARROW} kbit/s used, top layer back after ${back.toFixed(1)} s`;
  } finally {
    await watching.stop();
  }
}

for (const codec of (process.env.CODECS ?? 'vp8').split(',')) {
  test(`${WIDE} to ${NARROW} to ${WIDE} kbit/s, ${codec}`, async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(codec, attempt);
      } catch (error) {
        if (!(error instanceof TooBusy) || attempt === ATTEMPTS) throw error;
        console.log(`  once more: ${error.message}`);
      }
    }
  }, ATTEMPTS * 150_000);
}

/** One publisher outside, one viewer inside. */
async function call(codec, attempt) {
  network.shape(WIDE);
  const room = `shaped-${process.pid}-${codec}-${attempt}`;
  const [pub, sub] = [await Tab.open(), await Tab.open(inside)];
  try {
    await pub.call('join', SIGNAL, token('pub', room), {});
    await sub.call('join', SIGNAL, token('sub', room), {});
    await pub.call('publish', { width: WIDTH, height: HEIGHT, simulcast: true, codec, audio: false, maxBitrate: 1_700_000 });
    await pub.call('hum');
    return await step(pub, sub);
  } finally {
    await pub.close();
    await sub.close();
  }
}

/** Chromium inside the namespace. */
async function openInside(folder) {
  const wrapper = join(folder, 'chromium-inside');
  writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${network.namespace} ${CHROMIUM} "$@"\n`);
  chmodSync(wrapper, 0o755);
  inside = await launch([], wrapper);
  return () => inside.close();
}

function camera(folder) {
  const clip = join(folder, 'clip.y4m');
  writeClip(clip, WIDTH, HEIGHT, RATE);
  return [`--use-file-for-fake-video-capture=${clip}`];
}

process.on('exit', network.close);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
try {
  network.open();
  await main({ address: network.OUTSIDE, args: camera, open: openInside });
} catch (error) {
  console.log(`FAIL the shaped link — ${error.message}`);
  process.exit(1);
}
