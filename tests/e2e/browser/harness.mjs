// Cases one line each, a total, an exit code; a server, a page server and Chromium pages to drive.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const KEY = 'devkey';
export const SECRET = 'secretsecretsecretsecretsecretsecret';
const PORT = Number(process.env.LKOPS_E2E_PORT ?? 9880);
export const HTTP = `http://127.0.0.1:${PORT}`;

const cases = [];
export const test = (name, run, timeoutMs = 60_000) => cases.push({ name, run, timeoutMs });

export function check(condition, why) {
  if (!condition) throw new Error(why);
}

/** Polls until `probe` answers something true. */
export async function until(probe, what, timeoutMs = 15_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out after ${timeoutMs / 1000} s waiting for ${what}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

export function token(identity, room, grants = {}, claims = {}) {
  const b64 = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const body = `${b64({ alg: 'HS256', typ: 'JWT' })}.${b64({
    iss: KEY, sub: identity, name: identity, nbf: now - 10, exp: now + 3600,
    video: { roomJoin: true, room, ...grants }, ...claims,
  })}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

function config() {
  return `
port: ${PORT}
bind_addresses: ["127.0.0.1"]
rtc:
  tcp_port: ${PORT + 1}
  udp_port: ${PORT + 2}-${PORT + 3}
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  ips:
    includes: ["127.0.0.1/32"]
keys:
  ${KEY}: ${SECRET}
logging:
  level: ${process.env.LKOPS_E2E_LOG ?? 'info'}
`;
}

async function startServer(folder) {
  const binary = process.env.LKOPS_BIN ?? join(here, '../../../target/release/lkops');
  const path = join(folder, 'lkops.yaml');
  writeFileSync(path, config());
  const log = openSync(process.env.LKOPS_E2E_LOGFILE ?? join(folder, 'lkops.log'), 'a');
  const child = spawn(binary, ['serve', '--config', path], { stdio: ['ignore', log, log] });
  let ended = false;
  child.on('exit', () => (ended = true));
  await until(async () => {
    if (ended) throw new Error('the server ended at once: ' + readFileSync(join(folder, 'lkops.log'), 'utf8').slice(-500));
    return fetch(HTTP).then((r) => r.ok, () => false);
  }, 'the server to be healthy');
  return child;
}

const FILES = {
  '/': [join(here, 'page.html'), 'text/html'],
  '/page.js': [join(here, 'page.js'), 'text/javascript'],
  '/livekit.js': [join(here, 'node_modules/livekit-client/dist/livekit-client.umd.js'), 'text/javascript'],
};

/** A page must come from a secure context to use devices; localhost is one. */
function startPages() {
  const server = createServer((request, response) => {
    const file = FILES[request.url.split('?')[0]];
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': file[1] }).end(readFileSync(file[0]));
  });
  return new Promise((resolve) => server.listen(PORT + 9, '127.0.0.1', () => resolve(server)));
}

function launch(extra = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection',
      '--disable-features=WebRtcHideLocalIpsWithMdns', '--disable-renderer-backgrounding',
      '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', ...extra,
    ],
  });
}

export let browser;

/** A browser tab with page.js loaded; `call(name, ...args)` runs one of its functions. */
export class Tab {
  static async open() {
    const tab = new Tab();
    tab.context = await browser.newContext();
    tab.page = await tab.context.newPage();
    tab.page.on('console', (m) => process.env.LKOPS_E2E_CONSOLE && console.error('  page:', m.text()));
    await tab.page.goto(`http://127.0.0.1:${PORT + 9}/`);
    return tab;
  }

  call(name, ...args) {
    return this.page.evaluate(([n, a]) => globalThis.cases[n](...a), [name, args]);
  }

  until(name, args, what, timeoutMs) {
    return until(() => this.call(name, ...args), what, timeoutMs);
  }

  async close() {
    await this.call('leave').catch(() => {});
    await this.context.close();
  }
}

/** Opens tabs joined to one room, runs `run`, closes them whatever happens. */
export async function inRoom(identities, options, run, tokenOf = (i, r) => token(i, r)) {
  const room = `e2e-${process.pid}-${Math.floor(performance.now() * 1000)}`;
  const tabs = {};
  try {
    for (const identity of identities) {
      tabs[identity] = await Tab.open();
      await tabs[identity].call('join', HTTP.replace('http', 'ws'), tokenOf(identity, room), options);
    }
    return await run(tabs, room);
  } finally {
    await Promise.all(Object.values(tabs).map((t) => t.close()));
  }
}

function withTimeout(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`no end within ${ms / 1000} s`)), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function main() {
  const words = process.argv.slice(2);
  const folder = mkdtempSync(join(tmpdir(), 'lkops-e2e-'));
  const [server, pages] = [await startServer(folder), await startPages()];
  browser = await launch();
  let passed = 0, failed = 0;
  for (const { name, run, timeoutMs } of cases) {
    if (words.length && !words.some((w) => name.includes(w))) continue;
    const start = performance.now();
    try {
      const figure = await withTimeout(run({ server }), timeoutMs);
      passed += 1;
      console.log(`PASS ${name} — ${figure ? figure + '; ' : ''}${((performance.now() - start) / 1000).toFixed(1)} s`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name} — ${String(error.message ?? error).split('\n')[0].slice(0, 300)}`);
    }
  }
  await browser.close();
  pages.close();
  server.kill('SIGTERM');
  setTimeout(() => server.kill('SIGTERM'), 1000);
  await new Promise((r) => server.on('exit', r));
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}
