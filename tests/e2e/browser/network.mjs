// A network namespace behind a link that can be made narrow: `ip`, `tc` and root are needed.
import { execFileSync } from 'node:child_process';

const NAME = `lks${process.pid % 100_000}`;
/** RFC 2544's benchmarking addresses: nobody's. */
export const OUTSIDE = '198.18.77.1';
const INSIDE = '198.18.77.2';
/** What a router holds back before it drops. */
const QUEUE = '200ms';

function run(command, ...words) {
  try {
    return execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const why = (error.stderr || error.message).trim().split('\n')[0];
    throw new Error(`\`${command} ${words.join(' ')}\` failed (${why}): a shaped link needs root, iproute2 and a kernel with network namespaces, veth and tbf`);
  }
}

export const namespace = NAME;

/** Lets that many kbit/s through towards the inside, from now on. */
export function shape(kbps) {
  run('tc', 'qdisc', 'replace', 'dev', `${NAME}o`, 'root', 'tbf', 'rate', `${kbps}kbit`, 'burst', '6kb', 'latency', QUEUE);
}

/** Packets the link has dropped since its rate was last changed. */
export function dropped() {
  const [queue] = JSON.parse(run('tc', '-s', '-j', 'qdisc', 'show', 'dev', `${NAME}o`, 'root'));
  return queue.drops;
}

export function open() {
  run('ip', 'netns', 'add', NAME);
  run('ip', 'link', 'add', `${NAME}o`, 'type', 'veth', 'peer', 'name', `${NAME}i`, 'netns', NAME);
  run('ip', 'address', 'add', `${OUTSIDE}/30`, 'dev', `${NAME}o`);
  run('ip', 'link', 'set', `${NAME}o`, 'up');
  for (const words of [['address', 'add', `${INSIDE}/30`, 'dev', `${NAME}i`], ['link', 'set', `${NAME}i`, 'up'], ['link', 'set', 'lo', 'up']]) {
    run('ip', '-n', NAME, ...words);
  }
}

export function close() {
  try {
    run('ip', 'netns', 'delete', NAME);
  } catch {
    // It was never made.
  }
}
