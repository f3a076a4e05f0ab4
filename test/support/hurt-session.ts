import { access, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { Turn } from '../../src/delivery/intent.js';
import { errorInfo, PosteError } from '../../src/domain/errors.js';
import { ownIdentity } from '../../src/platform/process-identity.js';
import { claim } from '../../src/session/claim.js';
import { readEvents } from '../../src/session/events.js';
import { readAllSessions, readOneSession, sessionJson } from '../../src/session/status.js';
import { createGeneration, highestGeneration, mirrorOwner, type Owner } from '../../src/store/generations.js';
import { pauseHost } from '../../src/store/host-pauses.js';
import { submit } from '../../src/store/inbox.js';
import { sessionPaths, tempPaths } from '../../src/store/paths.js';
import { writeProgress } from '../../src/store/progress.js';
import { Bench } from './bench.js';
import type { Damage } from './damage.js';
import { content, routes, serve, sha256, startOrigin, type Behaviour, type Origin } from './origin.js';

/** What each file must be whenever it is delivered. */
export const FILES = {
  'done.bin': content('done', 150_000),
  'part.bin': content('part', 400_000),
  'secret.bin': content('secret', 20_000),
  'claimed.bin': content('claimed', 1000),
  'left.bin': content('left', 5000),
};
const RIGHT = new Set(Object.values(FILES).map(sha256));
/** Finished and unclaimed, by task. */
const WAITING = { 1: 'done.bin', 4: 'left.bin' } as const;
const CLAIM = { onConflict: 'fail', wait: false, timeoutMs: null, since: Number.MAX_SAFE_INTEGER } as const;
/** Beyond what the kernel gives out. */
const NO_PROCESS = 2 ** 22 + 1;
const HANGS_AFTER_MS = 60_000;

/** What a session that was hurt came to. */
export interface Aftermath {
  readonly errors: readonly string[];
  /** Tasks by number. */
  readonly states: Readonly<Record<string, string>>;
  /** By name; each was compared. */
  readonly delivered: readonly string[];
  /** Lines of the journal that could not be read. */
  readonly damagedLines: number;
  readonly restarts: number;
}

/** A session as its owner left it when he died, with a state file of every kind, to be hurt again and again. */
export class HurtSession implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #origin: Origin;

  private constructor(bench: Bench, origin: Origin) {
    this.#bench = bench;
    this.#origin = origin;
  }

  static async make(): Promise<HurtSession> {
    process.env['POSTE_BACKOFF'] = '0.01';
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
    const half = { ...good, '/part.bin': serve(part, { etag: '"p"', stallAt: 250_000 }), '/secret.bin': serve(part, { stallAt: 0 }) };
    const origin = await startOrigin(routes(half));
    const session = new HurtSession(await Bench.make(), origin);
    await session.#prepare();
    origin.script = routes(good);
    return session;
  }

  /** One state file of each kind, relative to a root of which there are two: as it was saved, and as it is hurt. */
  async stateFiles(): Promise<string[]> {
    const home = join(this.#saved, 'home');
    const entries = await readdir(home, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join('home', relative(home, parentPath), name));
    const { gen } = await highestGeneration(sessionPaths(home, this.#bench.asking.id));
    return files.filter((file) => !/gen\/|receipts\/[^1]/.test(file) || basename(file) === String(gen)).sort();
  }

  /** What `file` holds while nothing hurts it. */
  whole(file: string): Promise<Buffer> {
    return readFile(join(this.#saved, file));
  }

  async #prepare(): Promise<void> {
    const [bench, origin] = [this.#bench, this.#origin];
    const { paths, home } = bench.asking;
    const [plain, secret] = [Object.keys(FILES).filter((name) => name !== 'secret.bin'), { url: origin.at('/secret.bin?token=hunter2') }];
    await bench.add(...plain.map((name) => ({ url: origin.at(`/${name}`) })), { ...secret, headers: [['X-Key', 'hunter3']] });
    await bench.work(async () => {
      const { session, progress } = await bench.view();
      const done = [...session.tasks.values()].filter(({ state }) => state.kind === 'finished').length;
      return done === 3 && (progress?.tasks['2']?.received ?? 0) >= 240_000;
    });
    await claim(bench.asking, { ...CLAIM, to: bench.out, cwd: bench.root, names: ['claimed.bin'] }, () => undefined);
    const dead = { ...ownIdentity(), pid: NO_PROCESS };
    await new Turn(paths, { number: 1 }, { task: 4, by: 'claim', eventId: null, move: { kind: 'link', to: join(bench.out, 'left.bin') }, maker: dead, at: 1 }, []).create();
    const { gen } = await highestGeneration(paths);
    const owner: Owner = { gen: gen + 1, token: 'dead', role: 'worker', version: 'test', startedAt: new Date().toISOString(), identity: dead };
    await createGeneration(paths, owner);
    await mirrorOwner(paths, owner);
    await writeProgress(paths, { pid: dead.pid, at: Date.now(), tasks: { 2: { received: 1, total: 2, connections: 1, bytesPerSecond: 1, etaSeconds: 1 } } });
    await pauseHost(home, origin.url, { since: 1, until: 2 });
    await submit(paths, { kind: 'acknowledge', upTo: 1 });
    await writeFile(join(paths.answers, 'x.json'), '{}');
    await this.#save();
  }

  async #save(): Promise<void> {
    for (const name of ['home', 'out']) await cp(join(this.#bench.root, name), join(this.#saved, name), { recursive: true, preserveTimestamps: true });
  }

  async #restore(): Promise<void> {
    for (const name of ['home', 'out']) {
      await rm(join(this.#bench.root, name), { recursive: true, force: true });
      await cp(join(this.#saved, name), join(this.#bench.root, name), { recursive: true, preserveTimestamps: true });
    }
  }

  /** Everything that anyone may do with it then. Throws when something crashes, hangs, is lost, or is delivered with a wrong byte. */
  async hurt(file: string, { change }: Damage): Promise<Aftermath> {
    const bench = this.#bench;
    const path = join(bench.root, file);
    await this.#restore();
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
    for (const [task, name] of Object.entries(WAITING)) {
      const kept = join(tempPaths(bench.asking.paths.dir).finishedDir(Number(task)), name);
      if (path !== kept && !delivered.includes(name)) await access(kept);
    }
    const [view] = (await readAllSessions(home)).views;
    const tasks = [...(view?.session.tasks.values() ?? [])];
    return {
      errors: [...errors].sort(),
      states: Object.fromEntries(tasks.map(({ number, state }) => [number, state.kind])),
      delivered: delivered.sort(),
      damagedLines: view?.damage?.lines ?? 0,
      restarts: tasks.reduce((sum, { restarts }) => sum + restarts, 0),
    };
  }

  get #saved(): string {
    return join(this.#bench.root, 'saved');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#origin[Symbol.asyncDispose]();
    await this.#bench[Symbol.asyncDispose]();
  }
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
