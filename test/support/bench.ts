import { setMaxListeners } from 'node:events';
import { accessSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PosteError } from '../../src/domain/errors.js';
import type { NewTask } from '../../src/domain/requests.js';
import { DEFAULT_SETTINGS } from '../../src/domain/events.js';
import { askingFor, type Asking } from '../../src/session/ask.js';
import { newTask } from '../../src/session/new-task.js';
import { readSession, type SessionView } from '../../src/session/read.js';
import { submit } from '../../src/store/inbox.js';
import { makeDir } from '../../src/store/own-dir.js';
import { take } from '../../src/store/ownership.js';
import { work } from '../../src/worker/work.js';
import { specOf } from './sessions.js';
import { until } from './wait.js';

const { url: _url, urlHash: _hash, name: _name, namedBy: _by, label: _label, to: _to, checksum: _sum, headerNames: _headers, ...PLAIN } = specOf();

export interface Wanted {
  readonly url: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly onFinish?: string;
}

/** A session that is worked on in the process of the test itself: a worker costs milliseconds instead of a process. */
export class Bench implements AsyncDisposable {
  readonly root: string;
  readonly asking: Asking;

  private constructor(root: string, id: string) {
    this.root = root;
    this.asking = askingFor(join(root, 'home'), id, false);
  }

  /** In memory where the system has a file system there: what is written is written as much, only sooner. */
  static async make(id = 's'): Promise<Bench> {
    const root = await realpath(await mkdtemp(join(memory(), 'poste-bench-')));
    const bench = new Bench(root, id);
    await makeDir(bench.asking.paths.dir);
    await makeDir(bench.out);
    return bench;
  }

  /** Where files are claimed to. */
  get out(): string {
    return join(this.root, 'out');
  }

  /** Puts a request for these downloads where the next worker finds it. */
  async add(...wanted: readonly Wanted[]): Promise<void> {
    const tasks = wanted.map(({ url, headers = [], onFinish = null }): NewTask =>
      newTask(
        { url, name: null, label: null, to: null, checksum: null, listed: null, headers, netrc: [], cookies: [] },
        { ...PLAIN, cwd: this.root, stallTimeoutMs: 10_000, onFinish, paused: false, forceNew: false, proxy: null, clientCertificate: null },
      ),
    );
    const { paths } = this.asking;
    await submit(paths, { kind: 'add', tasks, settings: { ...DEFAULT_SETTINGS, jobs: 8 }, temp: null, defaultTemp: paths.dir, cwd: this.root });
  }

  /** A worker until nothing is left to do, or `isEnough`, or `end`. Rejects as the worker's process would fail; the session is then free. */
  async work(isEnough?: () => Promise<boolean>, end = new AbortController()): Promise<void> {
    const { home, id, paths } = this.asking;
    const taken = await take(paths, 'worker', 'test');
    if (taken.kind !== 'taken') throw new PosteError('owned-elsewhere', `the session is ${taken.kind}`);
    setMaxListeners(0, end.signal);
    const worked = work({ id, home, paths, ownership: taken.ownership, end: end.signal });
    try {
      if (isEnough !== undefined) await Promise.race([worked, until('enough work', isEnough)]);
      if (isEnough !== undefined) end.abort('SIGTERM');
      await worked;
    } finally {
      // The process would be gone, and its session with it.
      await taken.ownership.release().catch(() => undefined);
    }
  }

  async view(): Promise<SessionView> {
    const view = await readSession(this.asking.home, this.asking.id);
    if (view === null) throw new Error('there is no session');
    return view;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

function memory(): string {
  try {
    accessSync('/dev/shm');
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}
