import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOwner } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import type { EventAnswer, SessionAnswer, StatusAnswer } from './contract.js';
import { until } from './wait.js';

export type * from './contract.js';

/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters -- a test names the shape that the contract promises */

const RUN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const WORKER = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));

export interface RunOptions {
  /** Added to an environment that holds nothing but PATH, HOME, LANG and POSTE_HOME. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** A command that runs it, with its first words: `['nsenter', …]`. */
  readonly under?: readonly string[];
  /** Default: the home's own working directory. */
  readonly cwd?: string;
  /** Milliseconds until the command is killed and the test fails; default 30 s. */
  readonly timeoutMs?: number;
}

export interface Result {
  /** `null` after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as the one JSON value it must be. */
  json<T>(): T;
  /** Standard output as NDJSON. */
  lines<T>(): T[];
}

export interface HomeOptions {
  /** Default: the system's folder for temporary files. */
  readonly under?: string;
  /** A command in front of every other (`nsenter …`), which it runs where `under` can be seen. */
  readonly enter?: readonly string[];
}

/** A home of its own for one test, a working directory, and the built program to run in them. */
export async function makeHome({ under, enter = [] }: HomeOptions = {}): Promise<Home> {
  const made = await mkdtemp(join(under ?? tmpdir(), 'poste-test-'));
  // A path below /proc/PID/root means another place once its link is resolved.
  const root = under === undefined ? await realpath(made) : made;
  const home = new Home(root, enter);
  for (const dir of [home.cwd, join(root, 'user'), join(root, 'bin')]) await mkdir(dir);
  const script = join(root, 'bin', 'poste');
  await writeFile(script, `#!/bin/sh\nexec '${process.execPath}' '${RUN}' "$@"\n`);
  await chmod(script, 0o755);
  return home;
}

export class Home implements AsyncDisposable {
  /** Everything of this test lies below. */
  readonly root: string;
  /** POSTE_HOME; not made here. */
  readonly dir: string;
  /** Where commands are typed, and files claimed to unless told otherwise. */
  readonly cwd: string;
  readonly #enter: readonly string[];

  constructor(root: string, enter: readonly string[] = []) {
    this.root = root;
    this.#enter = enter;
    this.dir = join(root, 'home');
    this.cwd = join(root, 'work');
  }

  get env(): Record<string, string> {
    return {
      PATH: `${join(this.root, 'bin')}:${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
      HOME: join(this.root, 'user'),
      LANG: 'C.UTF-8',
      POSTE_HOME: this.dir,
    };
  }

  /** Runs `poste` to its end. Rejects when that takes too long. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.#toItsEnd(this.spawn(args, options), `poste ${args.join(' ')}`, options);
  }

  /** Runs a script of /bin/sh, with `poste` on its PATH, to its end. */
  sh(script: string, options: RunOptions = {}): Promise<Result> {
    return this.#toItsEnd(this.#spawn('/bin/sh', ['-c', script], options), script, options);
  }

  /** Starts `poste` and leaves it running. */
  spawn(args: readonly string[], options: RunOptions = {}): Running {
    return this.#spawn(process.execPath, [RUN, ...args], options);
  }

  /** Starts the worker of a session as commands do, and leaves it running; here it is the caller's child. */
  spawnWorker(id: string, options: RunOptions = {}): Running {
    return this.#spawn(process.execPath, [WORKER, id], options);
  }

  /** `status --json` of one session. */
  async status(id = 'default'): Promise<SessionAnswer> {
    const result = await this.run(['status', '--id', id, '--json']);
    const session = result.code === 0 ? result.json<StatusAnswer>().sessions[0] : undefined;
    if (session === undefined) throw new Error(`no status of ${id}: exit ${result.code}, ${result.stdout}${result.stderr}`);
    return session;
  }

  /** The process id of the session's worker, or `null` when none lives. */
  async workerPid(id = 'default'): Promise<number | null> {
    // A command costs a third of a second, and this is asked again and again; where another file system is entered, only a command sees it.
    if (this.#enter.length > 0) return (await this.status(id)).worker?.pid ?? null;
    const holder = await readOwner(sessionPaths(this.dir, id));
    return holder.kind === 'live' && holder.owner.role === 'worker' ? holder.owner.identity.pid : null;
  }

  /** Bytes of a task on disk, as the worker says twice a second, without a command in between. */
  async received(task = 1, id = 'default'): Promise<number> {
    const text = await readFile(join(this.sessionDir(id), 'progress.json'), 'utf8').catch(() => '{}');
    const { tasks = {} } = JSON.parse(text) as { tasks?: Record<string, { received: number } | undefined> };
    return tasks[task]?.received ?? 0;
  }

  /** Waits until the worker has left by itself. */
  async workerGone(id = 'default'): Promise<void> {
    await until(`the worker of ${id} to exit by itself`, async () => (await this.workerPid(id)) === null);
  }

  sessionDir(id = 'default'): string {
    return join(this.dir, 'sessions', id);
  }

  /** The journal's whole lines, read from disk without poste; none when there is no journal. */
  async journal(id = 'default'): Promise<EventAnswer[]> {
    const text = await readFile(join(this.sessionDir(id), 'journal.ndjson'), 'utf8').catch(() => '');
    return parseLines(text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /** Every path below POSTE_HOME, relative to it; none when it was not made. */
  async files(): Promise<string[]> {
    return (await readdir(this.dir, { recursive: true }).catch(() => [])).sort();
  }

  /** Ids of the live processes whose environment or command line names this home. */
  async processes(): Promise<number[]> {
    const found: number[] = [];
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const texts = ['environ', 'cmdline'].map((name) => readFile(`/proc/${entry}/${name}`, 'latin1').catch(() => ''));
      if ((await Promise.all(texts)).some((text) => text.includes(this.root))) found.push(Number(entry));
    }
    return found;
  }

  /** Kills whatever still runs in this home, then removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await until('the processes of the home to be gone', async () => {
      const left = await this.processes();
      for (const pid of left) kill(pid);
      return left.length === 0;
    });
    await rm(this.root, { recursive: true, force: true, maxRetries: 5 });
  }

  #spawn(file: string, args: readonly string[], options: RunOptions): Running {
    const [command = file, ...all] = [...(options.under ?? []), ...this.#enter, file, ...args];
    const child = spawn(command, all, {
      cwd: options.cwd ?? this.cwd,
      env: { ...this.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new Running(child, options.input ?? '');
  }

  async #toItsEnd(running: Running, what: string, { timeoutMs = 30_000 }: RunOptions): Promise<Result> {
    const late = AbortSignal.timeout(timeoutMs);
    late.addEventListener('abort', () => running.abandon());
    const result = await running.exit;
    if (late.aborted) throw new Error(`not over after ${timeoutMs} ms: ${what}\n${result.stdout}${result.stderr}`);
    return result;
  }
}

/** A program that was started and may still run; what it wrote so far. */
class Running {
  stdout = '';
  stderr = '';
  readonly pid: number;
  /** Resolves when the program has ended and its output is closed. */
  readonly exit: Promise<Result>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, input: string) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    child.stdin?.on('error', () => undefined).end(input);
    this.exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const { stdout, stderr } = this;
        resolve({ code, signal, stdout, stderr, json: <T>() => parseJson<T>(stdout), lines: <T>() => parseLines<T>(stdout) });
      });
    });
  }

  /** Waits until standard output or standard error shows `pattern`. */
  async shows(pattern: RegExp, deadlineMs = 15_000): Promise<void> {
    await until(`${String(pattern)} in the output`, () => pattern.test(this.stdout) || pattern.test(this.stderr), { deadlineMs }).catch(
      (error: unknown) => {
        throw new Error(`standard output: ${this.stdout}\nstandard error: ${this.stderr}`, { cause: error });
      },
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills the program and stops listening, even if a process that outlives it holds its output open. */
  abandon(): void {
    this.#child.kill('SIGKILL');
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }
}

/** kill -9, or another signal; a process that is gone already is fine. */
export function kill(pid: number, signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone.
  }
}

function parseJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new Error(`not one JSON value: ${text}`);
  }
}

function parseLines<T>(text: string): T[] {
  return text.split('\n').filter(Boolean).map(parseJson<T>);
}
