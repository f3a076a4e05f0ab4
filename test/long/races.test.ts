import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Request } from '../../src/domain/requests.js';
import { askingFor, type Asking } from '../../src/session/ask.js';
import { readSession } from '../../src/session/read.js';
import { take } from '../../src/store/ownership.js';
import { sessionPaths, sessionsDir, tempPaths } from '../../src/store/paths.js';
import { work } from '../../src/worker/work.js';
import { otherFileSystem } from '../delivery/shelf.js';
import { Asker, compileAsker, type Outcome } from '../support/askers.js';
import { compileContender, Contender } from '../support/contenders.js';
import { dice } from '../support/damage.js';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { kill, makeHome, type EventAnswer, type StartAnswer } from '../support/poste.js';
import { figure, SCALE } from '../support/scale.js';
import { makeShelves } from '../support/shelves.js';
import { until } from '../support/wait.js';

const ROUNDS = Math.max(1, Math.round(300 * SCALE));
const AT_ONCE = 8;

let compiled: readonly string[];
let root: string;
let home: string;
let elsewhere: string;
const children = new Set<{ stop(): Promise<void> }>();

beforeAll(async () => {
  compiled = [await compileContender(), await compileAsker()];
});

afterAll(async () => {
  for (const folder of compiled) await rm(folder, { recursive: true });
});

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'poste-races-')));
  elsewhere = await mkdtemp(join(otherFileSystem() ?? root, 'poste-races-'));
  home = join(root, 'home');
  await mkdir(sessionsDir(home), { recursive: true });
});

afterEach(async () => {
  await Promise.all([...children].map((child) => child.stop()));
  children.clear();
  for (const folder of [root, elsewhere]) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function startContender(): Promise<Contender> {
  const contender = await Contender.start(compiled[0] ?? '', home);
  children.add({ stop: () => contender.kill() });
  return contender;
}

function startAskers(count: number): Promise<Asker[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const asker = await Asker.start(compiled[1] ?? '', home);
      children.add(asker);
      return asker;
    }),
  );
}

test('#46 eight contend for a session whose owner was killed, again and again: one owner each time', async () => {
  await mkdir(sessionPaths(home, 'contended').dir, { recursive: true });
  let contenders = await Promise.all(Array.from({ length: AT_ONCE }, startContender));
  for (let round = 1; round <= ROUNDS; round += 1) {
    const answers = await Promise.all(contenders.map((contender) => contender.take()));
    const winner = contenders.find((_, index) => answers[index]?.kind === 'taken');
    const what = `round ${round}: ${JSON.stringify(answers)}`;
    expect(answers.map(({ kind }) => kind).sort(), what).toEqual([...Array<string>(AT_ONCE - 1).fill('held'), 'taken']);
    expect(new Set(answers.map(({ gen, pid }) => `${gen} ${pid}`)), what).toEqual(new Set([`${round} ${winner?.identity.pid}`]));
    const successor = startContender();
    await winner?.kill();
    contenders = [...contenders.filter((contender) => contender !== winner), await successor];
  }
  figure('stale-lock races', `${ROUNDS} × ${AT_ONCE}: 0 double owners`);
});

const COMMAND_ROUNDS = Math.max(1, Math.round(5 * SCALE));

test('#40 #46 eight `start`s at once on a session whose worker was just killed: one worker, every task once', async () => {
  await using own = await makeHome();
  const slow = content('slow', 3_000_000);
  const small = content('small', 2000);
  await using origin = await startOrigin(({ path }) => (path === '/slow.bin' ? serve(slow, { etag: '"s"', bytesPerSecond: 100_000 }) : serve(small, { etag: '"t"' })));
  expect(await own.run(['start', origin.at('/slow.bin')])).toMatchObject({ code: 0 });
  for (let round = 1; round <= COMMAND_ROUNDS; round += 1) {
    const before = await until('a worker', () => own.workerPid());
    kill(before);
    const starts = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => own.run(['start', '--json', origin.at(`/${round}-${n}.bin`)], { timeoutMs: 120_000 })));
    expect(starts.map(({ code, stderr }) => [code, stderr])).toEqual(starts.map(() => [0, '']));
    const workers = new Set(starts.map((start) => start.json<StartAnswer>().worker?.pid));
    expect(workers.size).toBe(1);
    expect(workers.has(before)).toBe(false);
    const journal = await own.journal();
    expect(journal.filter(({ type }) => type === 'worker.started')).toHaveLength(round + 1);
    await until('every small task to finish', async () => (await own.status()).counts['finished'] === round * AT_ONCE, { deadlineMs: 60_000 });
  }
  const names = (await own.status()).tasks.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toHaveLength(1 + COMMAND_ROUNDS * AT_ONCE);
  expect(origin.log.filter(({ path }) => path !== '/slow.bin')).toHaveLength(COMMAND_ROUNDS * AT_ONCE);
  figure('starts on a killed worker', `${COMMAND_ROUNDS} × ${AT_ONCE}: 1 worker each, every task once`);
});

test('#47 eight claim one file at once, to one place, to eight, and to another file system: one gets it, the others hear of it', async () => {
  const asking = askingFor(home, 'shelf', false);
  const files = new Map(Array.from({ length: ROUNDS }, (_, n) => [`file-${n + 1}`, content(`file-${n + 1}`, 1 + n * 40)]));
  await makeShelves(asking, files);
  const askers = await startAskers(AT_ONCE);
  let task = 0;
  for (const [name, bytes] of files) {
    task += 1;
    const base = join(task % 3 === 2 ? elsewhere : root, 'out', String(task));
    const isOnePlace = task % 2 === 0;
    const places = askers.map((_, index) => join(base, isOnePlace ? 'one' : String(index), '/'));
    const since = Date.now();
    const outcomes = await Promise.all(
      askers.map((asker, index) => asker.run({ kind: 'claim', id: 'shelf', delayMs: 0, names: [String(task)], to: places[index] ?? '', since })),
    );
    const what = `${name}: ${JSON.stringify(outcomes)}`;
    const paths = outcomes.flatMap((outcome) => outcome.paths);
    expect(paths, what).toHaveLength(1);
    const lost = isOnePlace ? 'nothing-to-claim' : 'claimed-elsewhere';
    expect(outcomes.flatMap(({ codes }) => codes), what).toEqual(Array<string>(AT_ONCE - 1).fill(lost));
    const found = (await readdir(base, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    expect(found.map((entry) => join(entry.parentPath, entry.name)), what).toEqual(paths);
    expect((await readFile(paths[0] ?? '')).equals(bytes), what).toBe(true);
  }
  expect(await readdir(tempPaths(asking.paths.dir).finished)).toEqual([]);
  expect((await readdir(asking.paths.intents)).filter((entry) => !entry.startsWith('.'))).toEqual([]);
  const { events } = await journalOf(asking);
  expect(events.filter(({ type }) => type === 'task.claimed')).toHaveLength(ROUNDS);
  figure('claim races', `${ROUNDS} × ${AT_ONCE}: 0 delivered twice, 0 lost`);
});

test('#47 the same with eight `poste claim` while the worker lives', async () => {
  await using own = await makeHome();
  const file = content('file', 200_000);
  await using origin = await startOrigin(({ path }) => serve(file, { etag: '"a"', ...(path === '/slow.bin' ? { bytesPerSecond: 1000 } : {}) }));
  const names = Array.from({ length: Math.max(1, Math.round(3 * SCALE)) }, (_, n) => `${n}.bin`);
  expect(await own.run(['start', origin.at('/slow.bin'), ...names.map((name) => origin.at(`/${name}`))])).toMatchObject({ code: 0 });
  await until('the files', async () => (await own.status()).counts['finished'] === names.length, { deadlineMs: 60_000 });
  for (const [index, name] of names.entries()) {
    const claims = await Promise.all(Array.from({ length: AT_ONCE }, () => own.run(['claim', String(index + 2)], { timeoutMs: 120_000 })));
    expect(claims.map(({ code }) => code).sort()).toEqual([0, ...Array<number>(AT_ONCE - 1).fill(41)]);
    expect(claims.map(({ stdout }) => stdout).join('')).toBe(`${join(own.cwd, name)}\n`);
    expect(sha256(await readFile(join(own.cwd, name)))).toBe(sha256(file));
  }
  await own.run(['forget', '--cancel']);
});

/** What may happen to a session at the moment that someone claims its two files. */
const OPPONENTS: Readonly<Record<string, Request | 'expiry'>> = {
  cancel: { kind: 'cancel', names: [], purge: false },
  'cancel --purge': { kind: 'cancel', names: ['1', '2'], purge: true },
  forget: { kind: 'forget', mode: 'settled', purge: false },
  'forget --purge': { kind: 'forget', mode: 'settled', purge: true },
  'forget --cancel --purge': { kind: 'forget', mode: 'cancel', purge: true },
  'forget --when-done': { kind: 'forget', mode: 'when-done', purge: false },
  expiry: 'expiry',
};
const DUELS = Math.max(2, Math.round(14 * SCALE));

test.each(Object.entries(OPPONENTS))('#47 #48 a claim and %s at one instant: each file is delivered whole, or its end is told; nothing hangs', async (name, opponent) => {
  const roll = dice(name.length);
  const [claimer, other] = await startAskers(2);
  if (claimer === undefined || other === undefined) throw new Error('no askers');
  const seen = { delivered: 0, ended: 0 };
  for (let round = 1; round <= DUELS; round += 1) {
    const id = `d${round}`;
    const asking = askingFor(home, id, false);
    const files = new Map([1, 2].map((n) => [`${id}-${n}`, content(`${id}-${n}`, 300_000)]));
    await makeShelves(asking, files, opponent === 'expiry' ? 60 + roll(40) : null);
    const out = join(round % 2 === 0 ? root : elsewhere, 'out', id, '/');
    const lead = roll(40) + (opponent === 'expiry' ? 60 : 0);
    const claiming = claimer.run({ kind: 'claim', id, delayMs: lead, names: [], to: out, since: Date.now() });
    const ended = opponent === 'expiry' ? workUntilSettled(asking) : other.run({ kind: 'control', id, delayMs: roll(40), request: opponent });
    const [claimed, opposed] = await inTime(Promise.all([claiming, ended]));
    const what = `${name}, round ${round}: ${JSON.stringify([claimed, opposed])}`;
    expect([...claimed.codes, ...opposed.codes], what).not.toContain('internal');
    const found = await readdir(out).catch((): string[] => []);
    expect(found.map((file) => join(out, file)).sort(), what).toEqual([...claimed.paths].sort());
    for (const file of found) expect((await readFile(join(out, file))).equals(files.get(file) ?? Buffer.alloc(0)), what).toBe(true);
    seen.delivered += found.length;
    const left = await inTemp(asking);
    const lost = [...files.keys()].filter((file) => !found.includes(file) && !left.includes(file));
    seen.ended += lost.length;
    // What is neither delivered nor kept, somebody wanted to be gone and was told that it is.
    if (lost.length > 0) expect([/purge|expiry/.test(name), opposed.codes], what).toEqual([true, []]);
    expect(left.every((file) => !found.includes(file)), what).toBe(true);
    if (opposed.codes.length === 0 && name.startsWith('forget') && name !== 'forget --when-done') expect(await readdir(sessionsDir(home)), what).toEqual([]);
    await rm(asking.paths.dir, { recursive: true, force: true });
  }
  figure(`claim against ${name}`, `${DUELS} × 2 files: ${seen.delivered} delivered whole, ${seen.ended} ended and told, 0 lost`);
});

/** The worker that sees that the time of finished files is over. */
async function workUntilSettled(asking: Asking): Promise<Outcome> {
  const { home, id, paths } = asking;
  await until('the time to be over', async () => {
    const session = (await readSession(home, id))?.session;
    return [...(session?.tasks.values() ?? [])].every(({ state }) => state.kind !== 'finished' || (state.expiresAt ?? 0) < Date.now() + 10);
  });
  const taken = await take(paths, 'worker', 'test');
  if (taken.kind === 'taken') await work({ id, home, paths, ownership: taken.ownership, end: new AbortController().signal });
  return { paths: [], codes: [] };
}

async function inTemp(asking: Asking): Promise<string[]> {
  const entries = await readdir(tempPaths(asking.paths.dir).finished, { recursive: true, withFileTypes: true }).catch(() => null);
  return (entries ?? []).filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(60_000);
  return Promise.race([
    promise,
    new Promise<never>((_resolve, reject) => {
      late.addEventListener('abort', () => {
        reject(new Error('it hangs'));
      });
    }),
  ]);
}

async function journalOf({ paths }: Asking): Promise<{ events: EventAnswer[] }> {
  const lines = (await readFile(paths.journal, 'utf8')).trim().split('\n');
  return { events: lines.map((line) => JSON.parse(line) as EventAnswer) };
}
