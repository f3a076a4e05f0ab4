import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { readOwner } from '../../../src/store/ownership.js';
import { sessionPaths } from '../../../src/store/paths.js';
import { otherFileSystem } from '../../delivery/shelf.js';
import { content, serve, startOrigin, type Origin } from '../../support/origin.js';
import { makeHome, type Home, type Result } from '../../support/poste.js';
import { killBefore, record, type Call, type Program } from '../../support/strace.js';
import { until } from '../../support/wait.js';

const RUN = fileURLToPath(new URL('../../../bin/run.js', import.meta.url));
const WORKER = fileURLToPath(new URL('../../../dist/worker/main.js', import.meta.url));
const NAME = 'file.bin';
/** After so long what killed processes have left half-written is swept. */
const LONG_AGO_S = 11 * 60;
/** Every wait by time alone is short. */
const ENV = { POSTE_BACKOFF: '0.02' };

export const PHASES = ['start', 'worker', 'worker small', 'worker goes on', 'worker syncs', 'claim', 'claim elsewhere'] as const;
export type PhaseName = (typeof PHASES)[number];

/** A step in the life of one download, which can be taken again and again from the same beginning. */
export class Phase implements AsyncDisposable {
  readonly name: PhaseName;
  readonly home: Home;
  /** Where the file is claimed to. */
  readonly out: string;
  readonly program: Program;
  /** Of the one run without a fault. */
  calls: readonly Call[] = [];
  readonly #origin: Origin;
  readonly #file: Buffer;
  readonly #kept: string;
  readonly #url: string;

  private constructor(name: PhaseName, home: Home, origin: Origin, file: Buffer, out: string) {
    this.name = name;
    this.home = home;
    this.out = out;
    this.#origin = origin;
    this.#file = file;
    this.#kept = join(home.root, 'kept');
    // What is secret of it goes through a file of its own.
    this.#url = origin.at(`/${NAME}?token=abc`);
    const command = name === 'start' ? [RUN, 'start', this.#url] : name.startsWith('claim') ? [RUN, 'claim', '--to', `${out}/`] : [WORKER, 'default'];
    this.program = { argv: command, env: { ...home.env, ...ENV }, cwd: home.cwd, leavesWorker: name === 'start' };
  }

  static async make(name: PhaseName): Promise<Phase> {
    const file = content('sweep', sizeFor(name));
    const origin = await startOrigin(() => serve(file, { etag: '"a"', ...(file.length > 1_000_000 ? {} : { bytesPerSecond: 4_000_000 }) }));
    const home = await makeHome();
    const out = await mkdtemp(join(name === 'claim elsewhere' ? (otherFileSystem() ?? '') : home.root, 'poste-out-'));
    const phase = new Phase(name, home, origin, file, out);
    await phase.#prepare();
    await phase.begin();
    const { calls, ended } = await record(phase.program, [home.dir, out]);
    if (ended.code !== 0) throw new Error(`${name} fails by itself: ${ended.code} ${ended.stdout}${ended.stderr}`);
    phase.calls = calls;
    await phase.workerGone();
    return phase;
  }

  /** As it is before the first call of the phase. */
  async begin(): Promise<void> {
    for (const path of [this.home.dir, this.out, this.home.cwd]) await rm(path, { recursive: true, force: true });
    await cp(this.#kept, this.home.dir, { recursive: true, preserveTimestamps: true }).catch(ignoreMissing);
    for (const path of [this.out, this.home.cwd]) await mkdir(path);
  }

  /** Whatever was killed or refused: at the destination there is nothing, or the whole file. */
  async expectNothingPartial(): Promise<void> {
    const there = await readFile(join(this.out, NAME)).catch(() => null);
    expect(there === null || there.equals(this.#file), `${there?.length ?? 0} bytes at the destination`).toBe(true);
  }

  /** What a user may do next, one of three ways, and what must be true in the end. */
  async carryOn(way: 0 | 1 | 2): Promise<void> {
    if (this.name.startsWith('claim')) await this.#claimOn(way);
    else await this.#downloadOn(way);
    await this.workerGone();
    await this.#expectDelivered();
  }

  async workerGone(): Promise<void> {
    const paths = sessionPaths(this.home.dir, 'default');
    await until('the worker to leave by itself', async () => (await readOwner(paths)).kind !== 'live', { deadlineMs: 60_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
    await rm(this.out, { recursive: true, force: true });
    await this.#origin[Symbol.asyncDispose]();
  }

  async #downloadOn(way: 0 | 1 | 2): Promise<void> {
    if (way === 0) {
      await this.#succeeds(['start', '--wait', '--to', `${this.out}/`, this.#url]);
      return;
    }
    if (way === 1) await this.#succeeds(['start', this.#url]);
    const attached = await this.#run(['attach']);
    // Nothing was recorded: there is no such session yet.
    if (attached.code === 40 && this.name === 'start') await this.#succeeds(['start', '--wait', this.#url]);
    else expect(attached, 'attach').toMatchObject({ code: 0 });
    await this.#succeeds(['claim', '--to', `${this.out}/`]);
  }

  async #claimOn(way: 0 | 1 | 2): Promise<void> {
    const elsewhere = join(this.home.cwd, NAME);
    if (way === 1) await this.#succeeds(['start', this.#url]);
    if (way === 2) {
      const { code, stderr } = await this.#run(['claim', '--to', elsewhere]);
      // It was delivered before: to where it was wanted first.
      expect(code === 0 || code === 42, `claim elsewhere: exit ${code}: ${stderr}`).toBe(true);
      if (code === 42) return;
      expect(await readdir(this.out)).toEqual([]);
      await cp(elsewhere, join(this.out, NAME));
      await rm(elsewhere);
      return;
    }
    const { stdout } = await this.#succeeds(['claim', '--to', `${this.out}/`]);
    expect(stdout).toBe(`${join(this.out, NAME)}\n`);
  }

  async #succeeds(args: readonly string[]): Promise<Result> {
    const result = await this.#run(args);
    expect(result, args.join(' ')).toMatchObject({ code: 0 });
    return result;
  }

  #run(args: readonly string[]): Promise<Result> {
    return this.home.run(args, { env: ENV, timeoutMs: 60_000 });
  }

  /** The one file, whole, once, and nothing else left over anywhere: not even for those who come after the sweepers. */
  async #expectDelivered(): Promise<void> {
    expect(await readdir(this.out)).toEqual([NAME]);
    await this.expectNothingPartial();
    const events = await this.home.journal();
    const told = (type: string): number => events.filter((event) => event.type === type).length;
    expect({ added: told('task.added'), claimed: told('task.claimed') }).toEqual({ added: 1, claimed: 1 });
    let strays = await this.#strays();
    // Twice: the first worker may carry out a dead claimer's request, and leave the answer.
    for (let times = 0; times < 2 && strays.length > 0; times += 1) {
      const then = Date.now() / 1000 - LONG_AGO_S;
      for (const path of strays) await utimes(join(this.home.dir, path), then, then);
      await this.#succeeds(['start', this.#url]);
      await this.workerGone();
      strays = await this.#strays();
    }
    expect(strays, 'left for ever').toEqual([]);
  }

  /** What a session with one claimed task does not consist of. */
  async #strays(): Promise<string[]> {
    const own = /^(?:reserve|hosts(\/connections)?|sessions(\/default(\/(journal\.ndjson|progress\.json|worker\.log|secrets\.json|gen|gen\/\d+|gen\/\d+\.released|inbox|answers|intents|parts|finished|receipts|receipts\/1\.json))?)?)$/;
    return (await this.home.files()).filter((path) => !own.test(path));
  }

  /** Leaves in `kept` what the phase begins with; nothing where it begins with nothing. */
  async #prepare(): Promise<void> {
    const { home } = this;
    if (this.name === 'start') return;
    if (this.name.startsWith('claim')) {
      await this.#succeeds(['start', '--wait', this.#url]);
    } else {
      // A start that cannot have its worker leaves its request.
      const log = join(home.sessionDir(), 'worker.log');
      await mkdir(home.sessionDir(), { recursive: true, mode: 0o700 });
      await symlink('nowhere', log);
      expect((await this.#run(['start', this.#url])).code).toBe(17);
      await rm(log);
    }
    if (this.name === 'worker goes on') {
      // However the bytes fall into writes, there are two: the second is made, and not recorded.
      const record = { name: 'write', path: join(home.sessionDir(), 'parts', '1.1.extents'), nth: 2, to: null, changes: true, writes: true };
      expect((await killBefore(this.program, record)).killed).toBe(true);
    }
    await this.workerGone();
    await cp(home.dir, this.#kept, { recursive: true, preserveTimestamps: true });
  }
}

/** Beyond 32 MiB the worker syncs while it receives; less, in slices, makes several writes; a small file has no part. */
function sizeFor(name: PhaseName): number {
  if (name === 'worker syncs') return 36 * 1024 * 1024;
  return name === 'worker small' ? 40_000 : 400_000;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
