import { createServer, type ServerResponse } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../support/wait.js';
import { posteCommand } from '../clients.js';
import { measure } from '../measure.js';
import { DISK, environment, makeDir, MEBIBYTE } from '../place.js';
import { figuresOf, inTurn, SCALE, type Outcome } from '../turns.js';
import { memoryOf, processorTimeOf, workerPid } from '../worker.js';
import type { Work } from '../work.js';

const SIZES = [1000, 10_000, 100_000].map((size) => Math.round(SCALE * size));
/** So many of them are let through, or what can be done in that time; the others wait. */
const LET_THROUGH = { most: Math.min(500, Math.round((SIZES[0] ?? 0) / 2)), ms: 30_000 };
const MOST_MS = 900_000;

export const queue: Work = {
  name: 'queue',
  title: 'What a task costs when many are queued',
  about: [
    `\`start -i\` with so many URLs, to the prompt; then \`status\`; then ${LET_THROUGH.most} tasks of one byte are let through, at most for`,
    `${LET_THROUGH.ms / 1000} s, while the others wait. The CPU is the worker’s. In one round.`,
  ],
  columns: [
    { key: 'add', title: 'to record a task, ms' },
    { key: 'memory', title: 'worker, MiB', digits: 0 },
    { key: 'peak', title: 'at most, MiB', digits: 0 },
    { key: 'status', title: 'status, ms', digits: 0, ratio: 'this ÷ baseline' },
    { key: 'wall', title: 'a task, ms' },
    { key: 'cpu', title: 'a task, CPU ms', ratio: 'this ÷ baseline' },
    { key: 'done', title: 'tasks done', digits: 0 },
  ],
  baseline: nameOf(SIZES[0] ?? 0),
  run: async () => {
    const server = await startTurnstile();
    try {
      return await inTurn('queue', SIZES.map((size) => ({ name: nameOf(size), missing: null, run: () => queued(size, server) })), 1);
    } finally {
      server.close();
    }
  },
  chart: (results) => ({
    title: 'What a task costs when so many are queued',
    x: 'tasks queued',
    y: 'milliseconds a task',
    logX: true,
    series: [['add', 'to record it'], ['wall', 'to carry it out'], ['cpu', 'the worker’s CPU']].map(([key = '', name = '']) => ({
      name,
      points: results.flatMap((result, n) => figuresOf(result, key).map((value): [number, number] => [SIZES[n] ?? 0, value])),
    })),
  }),
};

function nameOf(size: number): string {
  return `${size.toLocaleString('en')} tasks`;
}

async function queued(size: number, server: Turnstile): Promise<Outcome> {
  await using dir = await makeDir(DISK);
  const list = join(dir.path, 'list');
  await writeFile(list, Array.from({ length: size }, (_, n) => `${server.at(`/${n}.bin`)}\n`).join(''));
  const env = environment(dir.path);
  const start = measure(posteCommand('start', '--stall-timeout', '1h', '-i', list), { cwd: dir.path, env, mostMs: MOST_MS });
  try {
    const { code, wallMs, words } = await start.command;
    if (code !== 0) return { kind: 'failed', why: `exit ${code ?? 'by a signal'}: ${words}` };
    const pid = workerPid(env['POSTE_HOME'] ?? '');
    if (pid === null) return { kind: 'failed', why: 'there is no worker' };
    const { resident } = memoryOf(pid);
    const status = await measure(posteCommand('status'), { cwd: dir.path, env, mostMs: MOST_MS }).all;
    if (status.code !== 0) return { kind: 'failed', why: `status: exit ${status.code ?? 'by a signal'}: ${status.words}` };
    const [before, startedAt] = [processorTimeOf(pid), performance.now()];
    const { done, lastAt } = await server.letThrough(LET_THROUGH.most, LET_THROUGH.ms);
    const cpu = (processorTimeOf(pid) - before) / done;
    if (done === 0) return { kind: 'failed', why: 'no task was done' };
    const wall = (lastAt - startedAt) / done;
    const { peak } = memoryOf(pid);
    return { kind: 'right', figures: { add: wallMs / size, memory: resident / MEBIBYTE, peak: peak / MEBIBYTE, status: status.wallMs, wall, cpu, done } };
  } finally {
    start.kill();
    await start.all.catch(() => undefined);
    server.forget();
  }
}

interface Turnstile {
  readonly at: (path: string) => string;
  /** Answers so many requests, or those that come within `ms`; tells how many, and when the last one was. */
  readonly letThrough: (count: number, ms: number) => Promise<{ readonly done: number; readonly lastAt: number }>;
  /** Those whose client is gone. */
  readonly forget: () => void;
  readonly close: () => void;
}

/** A server that has every request wait until it is let through. */
async function startTurnstile(): Promise<Turnstile> {
  let waiting: ServerResponse[] = [];
  let open = 0;
  let lastAt = 0;
  const pass = (): void => {
    for (; open > 0 && waiting.length > 0; open -= 1) {
      waiting.shift()?.setHeader('ETag', '"1"').end('x');
      lastAt = performance.now();
    }
  };
  const server = createServer((request, response) => {
    request.resume();
    waiting.push(response);
    pass();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    at: (path) => `http://127.0.0.1:${port}${path}`,
    letThrough: async (count, ms) => {
      open = count;
      pass();
      await until('the requests to be answered', () => open === 0, { deadlineMs: ms }).catch(() => undefined);
      const done = count - open;
      open = 0;
      return { done, lastAt };
    },
    forget: () => {
      [waiting, open] = [[], 0];
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
