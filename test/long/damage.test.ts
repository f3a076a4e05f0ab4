import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Turn } from '../../src/delivery/intent.js';
import { errorInfo, PosteError } from '../../src/domain/errors.js';
import { ownIdentity } from '../../src/platform/process-identity.js';
import { claim } from '../../src/session/claim.js';
import { readEvents } from '../../src/session/events.js';
import { readAllSessions, readOneSession, sessionJson } from '../../src/session/status.js';
import { createGeneration, highestGeneration, mirrorOwner, type Owner } from '../../src/store/generations.js';
import { pauseHost } from '../../src/store/host-pauses.js';
import { submit } from '../../src/store/inbox.js';
import { sessionPaths } from '../../src/store/paths.js';
import { writeProgress } from '../../src/store/progress.js';
import { Bench } from '../support/bench.js';
import { cuts, dice, flips, misshapen, REPLACED, type Damage } from '../support/damage.js';
import { content, routes, serve, sha256, startOrigin, type Behaviour, type Origin } from '../support/origin.js';
import { figure, SCALE } from '../support/scale.js';

/** What each file must be whenever it is delivered. */
const FILES = {
  'done.bin': content('done', 150_000),
  'part.bin': content('part', 400_000),
  'secret.bin': content('secret', 20_000),
  'claimed.bin': content('claimed', 1000),
  'left.bin': content('left', 5000),
};
const RIGHT = new Set(Object.values(FILES).map(sha256));
const CLAIM = { onConflict: 'fail', wait: false, timeoutMs: null, since: Number.MAX_SAFE_INTEGER } as const;
const HANGS_AFTER_MS = 20_000;

let bench: Bench;
let origin: Origin;
/** A copy of the session as its owner left it when he died: every kind of state file is in it. */
let saved: string;

beforeAll(async () => {
  process.env['POSTE_BACKOFF'] = '0.01';
  bench = await Bench.make();
  const part = FILES['part.bin'];
  // Whoever comes without what is secret of the task gets other bytes.
  const secret: Behaviour = (exchange) => {
    const { path, headers } = exchange.request;
    const isAllowed = path.includes('token=hunter2') && headers.get('x-key') === 'hunter3';
    return serve(isAllowed ? FILES['secret.bin'] : content('wrong', 20_000), { etag: isAllowed ? '"s"' : '"w"' })(exchange);
  };
  const good = {
    '/done.bin': serve(FILES['done.bin'], { etag: '"d"' }),
    '/part.bin': serve(part, { etag: '"p"' }),
    '/secret.bin': secret,
    '/claimed.bin': serve(FILES['claimed.bin'], { etag: '"c"' }),
    '/left.bin': serve(FILES['left.bin'], { etag: '"l"' }),
  };
  origin = await startOrigin(routes({ ...good, '/part.bin': serve(part, { etag: '"p"', stallAt: 250_000 }), '/secret.bin': serve(part, { stallAt: 0 }) }));
  await prepare();
  origin.script = routes(good);
});

afterAll(async () => {
  await origin[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

async function prepare(): Promise<void> {
  const { paths, home } = bench.asking;
  const [plain, secret] = [Object.keys(FILES).filter((name) => name !== 'secret.bin'), { url: origin.at('/secret.bin?token=hunter2') }];
  await bench.add(...plain.map((name) => ({ url: origin.at(`/${name}`) })), { ...secret, headers: [['X-Key', 'hunter3']] });
  await bench.work(async () => {
    const { session, progress } = await bench.view();
    const done = [...session.tasks.values()].filter(({ state }) => state.kind === 'finished').length;
    return done === 3 && (progress?.tasks['2']?.received ?? 0) >= 240_000;
  });
  await claim(bench.asking, { ...CLAIM, to: bench.out, cwd: bench.root, names: ['claimed.bin'] }, () => undefined);
  const dead = { ...ownIdentity(), startTime: '1' };
  await new Turn(paths, 1, { task: 4, by: 'claim', eventId: null, move: { kind: 'link', to: join(bench.out, 'left.bin') }, maker: dead, at: 1 }, []).create();
  const { gen } = await highestGeneration(paths);
  const owner: Owner = { gen: gen + 1, token: 'dead', role: 'worker', version: 'test', startedAt: new Date().toISOString(), identity: dead };
  await createGeneration(paths, owner);
  await mirrorOwner(paths, owner);
  await writeProgress(paths, { pid: dead.pid, at: Date.now(), tasks: { 2: { received: 1, total: 2, connections: 1, bytesPerSecond: 1, etaSeconds: 1 } } });
  await pauseHost(home, origin.url, { since: 1, until: 2 });
  await submit(paths, { kind: 'acknowledge', upTo: 1 });
  await writeFile(join(paths.answers, 'x.json'), '{}');
  saved = join(bench.root, 'saved');
  await save();
}

async function save(): Promise<void> {
  for (const name of ['home', 'out']) await cp(join(bench.root, name), join(saved, name), { recursive: true, preserveTimestamps: true });
}

async function restore(): Promise<void> {
  for (const name of ['home', 'out']) {
    await rm(join(bench.root, name), { recursive: true, force: true });
    await cp(join(saved, name), join(bench.root, name), { recursive: true, preserveTimestamps: true });
  }
}

/** What the session, hurt like this, came to: nothing but its own errors, and no wrong byte anywhere. */
interface Aftermath {
  readonly errors: readonly string[];
  readonly states: Readonly<Record<string, string>>;
  readonly delivered: readonly string[];
}

async function aftermath(path: string, { change }: Damage): Promise<Aftermath> {
  await restore();
  await change(path, await readFile(path));
  const errors = new Set<string>();
  const survive = async (what: string, attempt: () => Promise<unknown>): Promise<void> => {
    try {
      await inTime(what, attempt());
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { code, message } = errorInfo(error);
      if (code === 'internal') throw new Error(`${what}: ${error.stack ?? message}`, { cause: error });
      errors.add(`${what}: ${code}`);
    }
  };
  const { home, id } = bench.asking;
  const look = async (): Promise<void> => {
    const { views, unreadable } = await readAllSessions(home);
    for (const view of [...views, ...unreadable.flatMap(({ readable }) => readable ?? [])]) await sessionJson(view);
    for (const { error } of unreadable) if (error.code === 'internal') throw new Error(error.message);
  };
  await survive('status', look);
  await survive('status --id', () => readOneSession(home, id));
  await survive('events', () => readEvents(home, id, 0));
  await survive('work', () => bench.work());
  await survive('status', look);
  await survive('claim', async () => {
    const { failed } = await claim(bench.asking, { ...CLAIM, to: bench.out, cwd: bench.root, names: [] }, () => undefined);
    for (const { task, error } of failed) await survive(`claim ${task}`, () => Promise.reject(new PosteError(error.code, error.message)));
  });
  const delivered: string[] = [];
  for (const name of await readdir(bench.out)) {
    const hash = sha256(await readFile(join(bench.out, name)));
    if (!RIGHT.has(hash)) throw new Error(`${name} was delivered with wrong bytes`);
    delivered.push(name);
  }
  const { views } = await readAllSessions(home).catch(() => ({ views: [] }));
  const states = Object.fromEntries([...(views[0]?.session.tasks.values() ?? [])].map(({ number, state }) => [number, state.kind]));
  return { errors: [...errors].sort(), states, delivered };
}

async function inTime(what: string, attempt: Promise<unknown>): Promise<void> {
  const late = AbortSignal.timeout(HANGS_AFTER_MS);
  const hung = new Promise<never>((_resolve, reject) => {
    late.addEventListener('abort', () => {
      reject(new Error(`${what} hangs`));
    });
  });
  await Promise.race([attempt, hung]);
}

/** One state file of each kind, relative to the bench. */
async function stateFiles(): Promise<string[]> {
  const entries = await readdir(join(saved, 'home'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join('home', relative(join(saved, 'home'), parentPath), name));
  const { gen } = await highestGeneration(sessionPaths(join(saved, 'home'), bench.asking.id));
  return files.filter((file) => !/gen\/|receipts\/[^1]/.test(file) || basename(file) === String(gen)).sort();
}

let cases = 0;

const LOUD = process.env["LOUD"] !== undefined;
async function hurtEach(file: string, damages: readonly Damage[]): Promise<Map<string, Aftermath>> {
  const outcomes = new Map<string, Aftermath>();
  for (const damage of damages) {
    const t0 = performance.now();
    try {
      outcomes.set(damage.name, await aftermath(join(bench.root, file), damage));
    } catch (error) {
      throw new Error(`${basename(file)}: ${damage.name}`, { cause: error });
    }
    cases += 1;
    if (LOUD) console.log(file, damage.name, JSON.stringify(outcomes.get(damage.name)), Math.round(performance.now() - t0));
  }
  return outcomes;
}

test('what is hurt here is sound: all of it is delivered when nothing is done to it', async () => {
  const { errors, delivered } = await aftermath(join(bench.root, 'home/sessions/s/journal.ndjson'), { name: 'nothing', change: () => Promise.resolve() });
  expect([errors, [...delivered].sort()]).toEqual([[], Object.keys(FILES).sort()]);
});

test('#65 #66 #67 something else stands in the place of any state file: no crash, no hang, no wrong file', async () => {
  for (const file of await stateFiles()) await hurtEach(file, REPLACED);
});

test('#65 any state file cut anywhere, or with any bit flipped: no crash, no hang, no wrong file', async () => {
  const roll = dice(65);
  for (const file of await stateFiles()) {
    const { length } = await readFile(join(saved, file));
    await hurtEach(file, [...cuts(length, Math.round(40 * SCALE), roll), ...flips(length, Math.round(15 * SCALE), roll)]);
  }
});

test('#65 a whole line that means something else: no crash, no hang, no wrong file', async () => {
  const roll = dice(66);
  for (const file of await stateFiles()) {
    const count = /ndjson|extents/.test(file) ? 150 : 25;
    await hurtEach(file, misshapen(await readFile(join(saved, file), 'utf8'), Math.round(count * SCALE), roll));
  }
});

afterAll(() => {
  figure('damaged state', `${cases} cases: 0 crashes, 0 hangs, 0 wrong files`);
});
