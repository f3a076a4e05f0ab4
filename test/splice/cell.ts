import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sha256, startOrigin, type Origin } from '../support/origin.js';
import { heldBytes } from '../support/socket-queues.js';
import { until } from '../support/wait.js';
import type { Client } from './clients.js';
import type { Schedule } from './schedules.js';

/** How a client came out of a schedule. */
export type Cell =
  | { readonly kind: 'right'; readonly refetched: number; readonly cut: Cut }
  /** Exit code 0, and a file that the server never had. */
  | { readonly kind: 'wrong'; readonly how: 'mixed' | 'short' | 'a page' | 'no file'; readonly refetched: number }
  /** It never ended with 0. */
  | { readonly kind: 'error'; readonly exitCode: number | string };

/** What an interruption met: connections, and bytes of theirs that were sent and not received. */
interface Cut {
  readonly connections: number;
  readonly unread: number;
}

/** A user runs the command again until it says that it has the file, but not for ever. */
const MOST_RUNS = 6;

/** Lets one client download, be interrupted and resume as one schedule has it, in a directory of its own; at most `mostMs` long. */
export async function runCell(schedule: Schedule, client: Client, mostMs: number): Promise<Cell> {
  const dir = await mkdtemp(join(tmpdir(), 'poste-splice-'));
  const deadline = Date.now() + mostMs;
  const origin = await startOrigin(schedule.before());
  try {
    await mkdir(join(dir, 'work'));
    const runs = new Runs(client, dir, origin.at('/file.bin'));
    const interruption = interrupt(schedule, origin, runs, deadline);
    let exitCode: number | string = 'hangs';
    for (let run = 1; run <= MOST_RUNS && exitCode !== 0 && Date.now() < deadline; run += 1) exitCode = await runs.run(deadline);
    const cut = await interruption;
    await runs.endBackground();
    const refetched = origin.refetched(schedule.versions[0]?.length ?? 0);
    return exitCode === 0 ? judged(await fileIn(join(dir, 'work')), schedule.versions, { refetched, cut }) : { kind: 'error', exitCode };
  } finally {
    await origin.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Half of the file was sent: now it happens. @throws Error when the client ends before */
async function interrupt({ interruption, after, versions }: Schedule, origin: Origin, runs: Runs, deadline: number): Promise<Cut> {
  if (interruption === null || after === undefined) return { connections: 0, unread: 0 };
  const half = (versions[0]?.length ?? 0) / 2;
  await until('half of the file to be sent', () => origin.bodyBytesSent >= half, { deadlineMs: deadline - Date.now() });
  const kill = interruption === 'kill' ? await runs.killer() : null;
  origin.script = after();
  // From here to the kill in one go: the server is this process too, and sends nothing meanwhile.
  const connections = origin.log.filter(({ ended }) => ended === 'open').length;
  const unread = [...heldBytes(origin.port).values()].reduce((sum, bytes) => sum + bytes, 0);
  kill?.();
  if (interruption === 'reset') {
    await origin.down();
    await origin.up();
  }
  return { connections, unread };
}

class Runs {
  readonly #client: Client;
  readonly #dir: string;
  readonly #url: string;
  #child: ChildProcess | null = null;

  constructor(client: Client, dir: string, url: string) {
    this.#client = client;
    this.#dir = dir;
    this.#url = url;
  }

  /** Its exit code, a signal's name, or `hangs`. */
  async run(deadline: number): Promise<number | string> {
    const [file, ...args] = this.#client.command(this.#url);
    const { PATH } = process.env;
    const env = { PATH: `${PATH}:${dirname(process.execPath)}`, HOME: this.#dir, LANG: 'C.UTF-8', POSTE_HOME: join(this.#dir, 'home'), POSTE_BACKOFF: '0.02' };
    const child = spawn(file, args, { cwd: join(this.#dir, 'work'), env, stdio: 'ignore' });
    this.#child = child;
    let hangs = false;
    const late = setTimeout(() => {
      hangs = true;
      child.kill('SIGKILL');
    }, deadline - Date.now());
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        clearTimeout(late);
        resolve(hangs ? 'hangs' : (code ?? String(signal)));
      });
    });
  }

  /** What kills it with -9, and before it what it has started; throws when something is dead already. */
  async killer(): Promise<() => void> {
    const pid = await this.#client.backgroundPid?.(this.#dir);
    if (pid === null) throw new Error(`${this.#client.name} has nothing in the background`);
    return () => {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      if (this.#child?.kill('SIGKILL') !== true) throw new Error(`${this.#client.name} ended before it could be killed`);
    };
  }

  async endBackground(): Promise<void> {
    const pid = await this.#client.backgroundPid?.(this.#dir);
    if (typeof pid !== 'number') return;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has left by itself.
    }
  }
}

/** What the client calls the file: some take another name when one is taken. */
async function fileIn(dir: string): Promise<Buffer | null> {
  const names = (await readdir(dir)).filter((name) => name.startsWith('file.bin') && !/\.(aria2|st)$/.test(name)).sort();
  const newest = names.at(-1);
  return newest === undefined ? null : readFile(join(dir, newest));
}

function judged(bytes: Buffer | null, versions: readonly Buffer[], { refetched, cut }: { refetched: number; cut: Cut }): Cell {
  if (bytes === null) return { kind: 'wrong', how: 'no file', refetched };
  if (versions.some((version) => sha256(version) === sha256(bytes))) return { kind: 'right', refetched, cut };
  const isShort = versions.some((version) => version.subarray(0, bytes.length).equals(bytes));
  const isPage = bytes.subarray(0, 9).toString().toLowerCase() === '<!doctype';
  return { kind: 'wrong', how: isPage ? 'a page' : isShort ? 'short' : 'mixed', refetched };
}

