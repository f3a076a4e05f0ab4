import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { kill, type Home } from './poste.js';

const MAIN = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));

/** The worker process of a session as a test sees it: killed, started again, and never believed to have died of itself. */
export class SessionWorker {
  readonly #home: Home;
  readonly #id: string;
  readonly #env: Readonly<Record<string, string>>;
  #pid: number | null = null;
  #exited: number | null = null;
  /** Kills that met a live worker. */
  kills = 0;
  /** The most descriptors that any of the workers had open when it was looked at. */
  mostDescriptors = 0;
  /** Workers that ended without having been killed, in a way that none should. */
  readonly findings: string[] = [];

  constructor(home: Home, id: string, env: Readonly<Record<string, string>> = {}) {
    this.#home = home;
    this.#id = id;
    this.#env = env;
  }

  get pid(): number | null {
    return this.#pid;
  }

  /** Takes over one that a command has started; `null` when it has left already. */
  adopt(pid: number | null): void {
    this.#pid = pid;
    this.#exited = null;
  }

  /** Starts one as the next command would. The session may be new. */
  async start(): Promise<void> {
    await mkdir(this.#home.sessionDir(this.#id), { recursive: true, mode: 0o700 });
    const log = openSync(join(this.#home.sessionDir(this.#id), 'worker.log'), 'a', 0o600);
    const child = spawn(process.execPath, [MAIN, this.#id], {
      env: { ...this.#home.env, ...this.#env, UV_THREADPOOL_SIZE: '16' },
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    this.adopt(child.pid ?? null);
    child.once('exit', (code, signal) => {
      if (this.#pid === child.pid) this.#exited = code ?? -1;
      if (signal !== 'SIGKILL' && code !== 0) this.findings.push(`a worker ended by itself with ${signal ?? `exit ${code ?? '?'}`}`);
    });
  }

  /** SIGSTOP: from here on it does nothing, as if it were dead. Resolves when the system has seen to that. False when there was none. */
  async freeze(): Promise<boolean> {
    const pid = this.#pid;
    if (pid === null || !(await this.lives())) return false;
    kill(pid, 'SIGSTOP');
    while ((await stateOf(pid)) !== 'T') {
      if (!(await this.lives())) return false;
      await delay(1);
    }
    return true;
  }

  /** kill -9; resolves when it is dead. False when there was none to kill. */
  async kill(): Promise<boolean> {
    const pid = this.#pid;
    if (pid === null || !(await this.lives())) return false;
    kill(pid);
    this.kills += 1;
    while (await this.lives()) await delay(1);
    this.#pid = null;
    return true;
  }

  /** Whether it runs; also looks at how many descriptors it has. */
  async lives(): Promise<boolean> {
    const pid = this.#pid;
    if (pid === null || this.#exited !== null) return false;
    const state = await stateOf(pid);
    if (state === null || state === 'Z' || state === 'X') return false;
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    this.mostDescriptors = Math.max(this.mostDescriptors, descriptors.length);
    return true;
  }

  /** What any worker of the session has written to its log: one that ends properly says nothing. */
  async words(): Promise<string> {
    return (await readFile(join(this.#home.sessionDir(this.#id), 'worker.log'), 'utf8').catch(() => '')).trim();
  }
}

/** As the system calls it (proc(5)); `null` when there is no such process. */
async function stateOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? null;
}
