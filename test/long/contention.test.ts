import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ownIdentity } from '../../src/platform/process-identity.js';
import { createGeneration, highestGeneration } from '../../src/store/generations.js';
import { readOwner, take } from '../../src/store/ownership.js';
import { sessionPaths, type SessionPaths } from '../../src/store/paths.js';
import { compileContender, Contender } from '../support/contenders.js';
import { until } from '../support/wait.js';

let compiled: string;
let home: string;
let paths: SessionPaths;
let contenders: Contender[];

beforeAll(async () => {
  compiled = await compileContender();
});

afterAll(async () => {
  await rm(compiled, { recursive: true });
});

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-contention-'));
  paths = sessionPaths(home, 'contended');
  await mkdir(paths.dir, { recursive: true });
  contenders = [];
});

afterEach(async () => {
  await Promise.all(contenders.map((contender) => contender.kill()));
  await rm(home, { recursive: true, force: true });
});

async function start({ under = [], home: where = home }: { under?: readonly string[]; home?: string } = {}): Promise<Contender> {
  const contender = await Contender.start(compiled, where, { under });
  contenders.push(contender);
  return contender;
}

test('#46 of eight that contend at once, one gets the session: 8 owners killed, 2 that gave it back', async () => {
  await Promise.all(Array.from({ length: 8 }, () => start()));
  for (let round = 1; round <= 10; round += 1) {
    const answers = await Promise.all(contenders.map((contender) => contender.take()));
    const winner = contenders.find((_, index) => answers[index]?.kind === 'taken');
    const { pid } = winner?.identity ?? {};
    const what = `round ${round}: ${JSON.stringify(answers)}`;
    expect(answers.map(({ kind }) => kind).sort(), what).toEqual([...Array<string>(7).fill('held'), 'taken']);
    expect(answers).toEqual(answers.map(({ kind }) => ({ kind, gen: round, pid })));
    if (round % 5 === 0) {
      await winner?.release();
    } else {
      await winner?.kill();
      contenders = contenders.filter((contender) => contender !== winner);
      await start();
    }
  }
});

test('#43 an owner that is stopped keeps its session, and goes on with it', async () => {
  const owner = await start();
  await owner.take();
  owner.signal('SIGSTOP');
  await until('the owner to stop', async () => / T /.test(await readFile(`/proc/${owner.identity.pid}/stat`, 'utf8')));
  expect(await take(paths, 'worker', 'test')).toMatchObject({ kind: 'held', owner: { identity: owner.identity } });
  owner.signal('SIGCONT');
  expect(await owner.stillMine()).toBe(true);
});

test('a session is free at once when its owner was killed', async () => {
  const [owner, next] = [await start(), await start()];
  await owner.take();
  expect(await readOwner(paths)).toMatchObject({ kind: 'live', owner: { identity: owner.identity } });
  await owner.kill();
  expect(await readOwner(paths)).toMatchObject({ kind: 'dead', owner: { identity: owner.identity } });
  expect(await next.take()).toMatchObject({ kind: 'taken', gen: 2 });
});

const noStrace = spawnSync('strace', ['-f', '-e', 'trace=none', 'true']).status !== 0;

/** strace that sends `signal` to the contender as it makes the `nth` call of that name: KILL comes before the call, STOP after it. */
function interrupting(call: string, signal: string, nth: number): readonly string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:signal=${signal}:when=${nth}`];
}

/** All calls with which a contender changes something, as one way or the other of naming them. */
const CALLS = [
  ...['?mkdir,?mkdirat', '?link,?linkat', '?rename,?renameat,?renameat2', '?unlink,?unlinkat', '?rmdir'],
  ...['utimensat', 'fdatasync', 'fsync'],
];

test.skipIf(noStrace)('a contender that was killed at any step holds nobody up', { timeout: 120_000 }, async () => {
  const killed = await Promise.all(
    CALLS.map(async (call, index) => {
      const ownHome = join(home, String(index));
      const own = sessionPaths(ownHome, 'contended');
      await mkdir(own.dir, { recursive: true });
      for (let nth = 1; ; nth += 1) {
        await leaveDead(own);
        const victim = await start({ under: interrupting(call, 'KILL', nth), home: ownHome });
        const answer = await victim.take();
        await victim.kill();
        const next = await take(own, 'worker', 'test');
        if (next.kind !== 'taken') throw new Error(`held up by a contender killed at ${call} ${nth}: ${JSON.stringify(next)}`);
        expect(await next.ownership.stillMine()).toBe(true);
        await next.ownership.release();
        if (answer.kind !== 'killed') return nth - 1;
      }
    }),
  );
  expect(killed.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(12);
});

test.skipIf(noStrace)('#43 a contender that slept through several owners does not think that it is one', async () => {
  await leaveDead(paths);
  // As it opens the dead owner's record: by the time it goes on, generation 2 has come, gone and been swept.
  const [strace = '', ...args] = interrupting('openat', 'STOP', 1);
  const sleeper = await start({ under: [strace, '-P', join(paths.generations, '1'), ...args] });
  const late = sleeper.take();
  await until('the sleeper to sleep', async () => /\) [tT] /.test(await readFile(`/proc/${sleeper.identity.pid}/stat`, 'utf8')));
  const owner = await start();
  for (let round = 0; round < 5; round += 1) {
    expect(await owner.take()).toMatchObject({ kind: 'taken' });
    if (round < 4) await owner.release();
  }
  sleeper.signal('SIGCONT');
  expect(await late).toMatchObject({ kind: 'held', pid: owner.identity.pid });
  expect(await owner.stillMine()).toBe(true);
});

/** The next generation, held by one that is dead, with its lock. */
async function leaveDead(paths: SessionPaths): Promise<void> {
  await mkdir(paths.generations, { recursive: true });
  const identity = { ...ownIdentity(), bootId: 'an-earlier-boot' };
  const { gen } = await highestGeneration(paths);
  await createGeneration(paths, { gen: gen + 1, token: 'dead', role: 'worker', version: 'test', startedAt: '', identity });
  await mkdir(paths.lock);
}
