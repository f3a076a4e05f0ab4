import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ownIdentity, type ProcessIdentity } from '../../src/platform/process-identity.js';
import { createGeneration, generationPath, highestGeneration, mirrorOwner, type Owner } from '../../src/store/generations.js';
import { submit } from '../../src/store/inbox.js';
import { sessionPaths } from '../../src/store/paths.js';
import { seal, unseal } from '../../src/store/sealed.js';
import { compileContender, Contender } from '../support/contenders.js';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { kill, makeHome, type EventAnswer, type Home, type StatusAnswer } from '../support/poste.js';
import { figure } from '../support/scale.js';
import { until } from '../support/wait.js';

const WORKER = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));
const file = content('owners', 300_000);
const served = serve(file, { etag: '"a"' });
/** Milliseconds. Longer than any limit there is: contenders queue for four seconds at most, and a holder looks at its lock once a minute. */
const LONG = 5000;

test('#43 an owner that is stopped for longer than any limit, its lock old and its guard broken, keeps its session', async () => {
  const compiled = await compileContender();
  const home = await mkdtemp(join(tmpdir(), 'poste-owners-'));
  const paths = sessionPaths(home, 'contended');
  await mkdir(paths.dir, { recursive: true });
  const [owner, ...others] = await Promise.all(Array.from({ length: 5 }, () => Contender.start(compiled, home)));
  try {
    if (owner === undefined) throw new Error('no owner');
    expect(await owner.take()).toMatchObject({ kind: 'taken' });
    owner.signal('SIGSTOP');
    await utimes(paths.lock, 1, 1);
    const deadline = performance.now() + LONG;
    let tries = 0;
    while (performance.now() < deadline) {
      await mkdir(paths.guardLock, { recursive: true });
      const answers = await Promise.all(others.map((other) => other.take()));
      expect(new Set(answers.map(({ kind, pid }) => `${kind} ${pid}`))).toEqual(new Set([`held ${owner.identity.pid}`]));
      tries += answers.length;
    }
    owner.signal('SIGCONT');
    expect(await owner.stillMine()).toBe(true);
    await owner.release();
    expect((await Promise.all(others.map((other) => other.take()))).filter(({ kind }) => kind === 'taken')).toHaveLength(1);
    figure('stopped owner', `${tries} tries to take over in ${LONG / 1000} s: 0 thefts`);
  } finally {
    await Promise.all([...(owner === undefined ? [] : [owner]), ...others].map((contender) => contender.kill()));
    for (const folder of [compiled, home]) await rm(folder, { recursive: true });
  }
});

const noStrace = spawnSync('strace', ['-f', '-e', 'trace=none', 'true']).status !== 0;

/** Milliseconds that strace holds a write back: long enough to stop strace itself, which then holds it for as long as is wanted. */
const HELD_BACK = 8000;

test.skipIf(noStrace)('#43 #45 an owner that is displaced while it is stopped, or its write to the journal is held back, adds nothing that counts', async () => {
  let stops = 0;
  let late = 0;
  for (const [kind, nth] of [...[1, 2, 3, 5].map((n) => ['look', n] as const), ...[1, 3].map((n) => ['write', n] as const)]) {
    await using home = await makeHome();
    await using origin = await startOrigin(() => served);
    const paths = sessionPaths(home.dir, 'default');
    expect(await home.run(['start', '--paused', origin.at('/file.bin')])).toMatchObject({ code: 0 });
    await home.workerGone();
    await forge(home, { ...ownIdentity(), startTime: '1' });
    const { gen } = await highestGeneration(paths);
    const record = generationPath(paths, gen + 1);
    // What resumes the task waits in the inbox: the worker decides it, and is stopped on the way to the disk.
    await submit(paths, { kind: 'resume', names: [], now: false });
    const worker =
      kind === 'look' ? strace(home, record, `openat:signal=STOP:when=${nth}`) : strace(home, paths.journal, `write:delay_enter=${HELD_BACK * 1000}:when=${nth}`);
    const stopped = await until('the worker to stop, or to be done', async () => (worker.exitCode === null ? await stoppedWorker(home) : 'done'), { deadlineMs: 40_000 });
    if (stopped !== 'done') {
      stops += 1;
      const holder = kind === 'look' ? stopped : (worker.pid ?? 0);
      process.kill(holder, 'SIGSTOP');
      await forgeDeath(record);
      await forgeDeath(paths.owner);
      expect((await home.run(['resume'], { timeoutMs: 60_000 })).code).toBe(0);
      expect((await home.run(['attach', '--timeout', '40s'], { timeoutMs: 60_000 })).code).toBe(0);
      // strace counts for each thread: the same call of another one stops it again.
      await until('the displaced worker to end', () => worker.exitCode !== null || worker.signalCode !== null || !process.kill(holder, 'SIGCONT'), { deadlineMs: 60_000 });
    }
    expect((await home.run(['attach', '--timeout', '40s'], { timeoutMs: 60_000 })).code).toBe(0);
    const lines = (await home.journal()).map(({ gen }) => Number(gen));
    late += lines.filter((own, index) => lines.slice(0, index).some((earlier) => earlier > own)).length;
    const events = (await home.run(['events', '--json'])).lines<EventAnswer>();
    const what = `${kind} ${nth}`;
    expect(events.map(({ seq }) => seq), what).toEqual(events.map((_, index) => index + 1));
    expect(events.filter(({ type }) => type === 'task.finished'), what).toHaveLength(1);
    const claimed = await home.run(['claim']);
    expect([what, claimed.code, claimed.stderr]).toEqual([what, 0, '']);
    expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
  }
  expect(stops).toBeGreaterThanOrEqual(4);
  expect(late).toBeGreaterThanOrEqual(1);
  figure('displaced between deciding and writing', `${stops} places: ${late} lines came late, 0 counted, 0 wrong files`);
});

/** A worker of the default session that is interfered with, as strace's `rule` says, at calls about `path`. */
function strace(home: Home, path: string, rule: string): ReturnType<typeof spawn> {
  const args = ['-f', '-qq', '-o', '/dev/null', '-P', path, '-e', `trace=${rule.slice(0, rule.indexOf(':'))}`, '-e', `inject=${rule}`];
  return spawn('strace', [...args, process.execPath, WORKER, 'default'], { env: home.env, stdio: 'ignore' });
}

/** The worker of which a thread has been stopped for a while: under strace a process also looks stopped for a moment, at every call. */
async function stoppedWorker(home: Home): Promise<number | null> {
  let seen: number | null = null;
  for (let look = 0; look < 5; look += 1) {
    const pid = await stoppedNow(home);
    if (pid === null || (seen !== null && pid !== seen)) return null;
    seen = pid;
    await delay(50);
  }
  return seen;
}

async function stoppedNow(home: Home): Promise<number | null> {
  for (const pid of await home.processes()) {
    const cmdline = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!/^(poste worker|[^\0]*node\0)/.test(cmdline)) continue;
    const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
    const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '')));
    if (stats.some((stat) => /^\) [tT] /.test(stat.slice(stat.lastIndexOf(')'))))) return pid;
  }
  return null;
}

async function forgeDeath(path: string): Promise<void> {
  const { crc: _crc, ...record } = unseal(await readFile(path, 'utf8').catch(() => '')) ?? {};
  if ('identity' in record) await writeFile(path, seal({ ...record, identity: { ...(record['identity'] as ProcessIdentity), startTime: '1' } }));
}

/** The next generation, held by this one. */
async function forge(home: Home, identity: ProcessIdentity): Promise<Owner> {
  const paths = sessionPaths(home.dir, 'default');
  const { gen } = await highestGeneration(paths);
  const owner: Owner = { gen: gen + 1, token: 'forged', role: 'worker', version: 'test', startedAt: new Date().toISOString(), identity };
  await createGeneration(paths, owner);
  await mirrorOwner(paths, owner);
  return owner;
}

const noProcess = 2 ** 22 + 1;

test('#45 a forged owner: dead ones are replaced, those of another host or pid namespace never', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--paused', origin.at('/file.bin')]);
  await home.workerGone();
  const paths = sessionPaths(home.dir, 'default');
  const foreign = [
    { host: 'elsewhere.example', bootId: 'another', pid: noProcess },
    { pidNamespace: 'pid:[1]', pid: noProcess },
  ];
  for (const change of foreign) {
    const { gen } = await forge(home, { ...ownIdentity(), ...change });
    const before = await readFile(generationPath(paths, gen), 'utf8');
    for (const args of [['start', origin.at('/more.bin')], ['resume'], ['forget', '--cancel']]) {
      expect([args[0], (await home.run([...args, '--json'])).code]).toEqual([args[0], 11]);
    }
    expect((await home.run(['status'])).code).toBe(0);
    expect(await highestGeneration(paths)).toEqual({ gen, released: false });
    expect(await readFile(generationPath(paths, gen), 'utf8')).toBe(before);
    await rm(generationPath(paths, gen));
  }
  for (const change of [{ startTime: '1' }, { bootId: 'an-earlier-boot' }, { pid: noProcess }]) {
    const { gen } = await forge(home, { ...ownIdentity(), ...change });
    expect((await home.run(['set', '--jobs', '2'])).code).toBe(0);
    expect((await highestGeneration(paths)).gen).toBeGreaterThan(gen);
  }
});

test('#45 #65 records of a live owner that are damaged: one is enough; without any, nobody gets in before someone says so', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(({ path }) => (path === '/slow.bin' ? serve(file, { etag: '"a"', bytesPerSecond: 1000 }) : served));
  await home.run(['start', origin.at('/slow.bin')]);
  const paths = sessionPaths(home.dir, 'default');
  const pid = await home.workerPid();
  const { gen } = await highestGeneration(paths);
  for (const [path, rubbish] of [
    [generationPath(paths, gen), ''],
    [paths.owner, '{"gen": 1}'],
  ] as const) {
    const whole = await readFile(path);
    await writeFile(path, rubbish);
    expect((await home.run(['start', origin.at(`/${rubbish.length}.bin`)])).code).toBe(0);
    expect(await home.workerPid()).toBe(pid);
    await writeFile(path, whole);
  }
  for (const path of [generationPath(paths, gen), paths.owner]) await writeFile(path, Buffer.alloc(10));
  const refused = await home.run(['start', origin.at('/more.bin')]);
  expect([refused.code, refused.stderr]).toEqual([expect.anything(), expect.stringContaining('the record of who owns session default is damaged')]);
  await until('the worker to see that nothing names it any more', async () => (await home.processes()).length === 0);
  const status = (await home.run(['status', '--json'])).json<StatusAnswer>();
  expect(status.sessions[0]?.state).toBe('interrupted');
  await rm(generationPath(paths, gen));
  origin.script = () => served;
  expect((await home.run(['start', origin.at('/more.bin')])).code).toBe(0);
  expect((await home.run(['attach', '--timeout', '40s'], { timeoutMs: 60_000 })).code).toBe(0);
  expect((await readdir(paths.generations)).length).toBeGreaterThan(0);
  if (pid !== null) kill(pid);
});
