// Cases one line each, a total, an exit code; a server, a page server and Chromium pages to drive.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const KEY = 'devkey';
export const SECRET = 'secretsecretsecretsecretsecretsecret';
export const PORT = Number(process.env.LKOPS_E2E_PORT ?? 9880);
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

function config(address) {
  return `
port: ${PORT}
bind_addresses: ["127.0.0.1"${address === '127.0.0.1' ? '' : `, "${address}"`}]
rtc:
  tcp_port: ${PORT + 1}
  udp_port: ${PORT + 2}-${PORT + 3}
  node_ip: ${address}
  enable_loopback_candidate: true
  ips:
    includes: ["${address}/32"]
keys:
  ${KEY}: ${SECRET}
logging:
  level: ${process.env.LKOPS_E2E_LOG ?? 'info'}
`;
}

/** LKOPS_E2E_SERVER names another server: a command to which `--config FILE` is added. */
function command() {
  const other = process.env.LKOPS_E2E_SERVER;
  return other ? other.split(' ') : [process.env.LKOPS_BIN ?? join(here, '../../../target/release/lkops'), 'serve'];
}

async function startServer(folder, address) {
  const path = join(folder, 'lkops.yaml');
  writeFileSync(path, config(address));
  const log = openSync(process.env.LKOPS_E2E_LOGFILE ?? join(folder, 'lkops.log'), 'a');
  const [binary, ...words] = command();
  const child = spawn(binary, [...words, '--config', path], { stdio: ['ignore', log, log] });
  let [ended, missing] = [false, null];
  child.on('exit', () => (ended = true));
  child.on('error', (error) => (missing = error));
  await until(async () => {
    if (missing) throw new Error(`the server cannot be started (${missing.message}): build it with \`cargo build --release\``);
    if (ended) throw new Error('the server ended at once: ' + readFileSync(join(folder, 'lkops.log'), 'utf8').slice(-500));
    return fetch(HTTP).then((r) => r.ok, () => false);
  }, 'the server to be healthy');
  return child;
}

const FILES = {
  '/': [join(here, 'page.html'), 'text/html'],
  '/page.js': [join(here, 'page.js'), 'text/javascript'],
  '/e2ee.worker.js': [join(here, 'node_modules/livekit-client/dist/livekit-client.e2ee.worker.js'), 'text/javascript'],
  '/livekit.js': [join(here, 'node_modules/livekit-client/dist/livekit-client.umd.js'), 'text/javascript'],
};

/** A page must come from a secure context to use devices; localhost is one. */
const PAGES = 'http://localhost';

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export function launch(extra = [], executablePath = CHROMIUM) {
  return chromium.launch({
    executablePath,
    args: [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection',
      '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests', '--disable-renderer-backgrounding',
      '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', ...extra,
    ],
  });
}

export let browser;

/** A browser tab with page.js loaded; `call(name, ...args)` runs one of its functions. */
export class Tab {
  static async open(of = browser) {
    const tab = new Tab();
    tab.context = await of.newContext();
    tab.page = await tab.context.newPage();
    tab.page.on('console', (m) => process.env.LKOPS_E2E_CONSOLE && console.error('  page:', m.text()));
    // Without the network: a browser may be where the page server cannot be reached.
    await tab.page.route(`${PAGES}/**`, (route) => {
      const file = FILES[new URL(route.request().url()).pathname];
      return file ? route.fulfill({ path: file[0], contentType: file[1] }) : route.abort();
    });
    await tab.page.goto(`${PAGES}/`);
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

/** `open` starts the browsers there are beside the first and answers what ends them. */
export async function main({ address = '127.0.0.1', args = () => [], open = () => () => {} } = {}) {
  const words = process.argv.slice(2);
  const folder = mkdtempSync(join(tmpdir(), 'lkops-e2e-'));
  const server = await startServer(folder, address);
  browser = await launch(args(folder));
  const close = await open(folder);
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
  await close();
  server.kill('SIGTERM');
  setTimeout(() => server.kill('SIGTERM'), 1000);
  await new Promise((r) => server.on('exit', r));
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}
