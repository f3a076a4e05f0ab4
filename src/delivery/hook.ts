import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describeHookExit, type HookExit } from '../domain/delivery.js';
import { printable } from '../domain/printable.js';

/** Bytes of a hook's output that are kept, the last ones. */
const OUTPUT_LIMIT = 64 * 1024;
/** Milliseconds between SIGTERM and SIGKILL. */
const KILL_GRACE = 2000;
/** Milliseconds that output is read on after the shell's end, when something it left behind holds it open. */
const OUTPUT_GRACE = 1000;
/** Milliseconds; setTimeout fires at once beyond it. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface HookRequest {
  readonly command: string;
  /** Absolute. */
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** Ends the run as a time-out does. */
  readonly signal: AbortSignal;
}

export interface HookResult {
  /** Exit 0, and nothing else. */
  readonly ok: boolean;
  readonly exit: HookExit;
  /** The end of what it printed, both streams as they came, each line printable. */
  readonly tail: string;
  /** One line for people. */
  readonly message: string;
}

/** Runs a hook once, in a process group of its own. Never throws: that it could not run is a result too. */
export async function runHook(request: HookRequest): Promise<HookResult> {
  const output = new Tail(OUTPUT_LIMIT);
  const exit: HookExit = request.signal.aborted
    ? { kind: 'not-started', reason: 'the worker is ending' }
    : await runShell(request, output);
  const tail = output.text().split(/\r?\n/).map((line) => printable(line)).join('\n');
  return { ok: exit.kind === 'exited' && exit.code === 0, exit, tail, message: describeHookExit(exit, tail) };
}

async function runShell({ command, cwd, env, stdin, timeoutMs, signal }: HookRequest, output: Tail): Promise<HookExit> {
  // A missing folder would be reported as a missing shell.
  const folder = await stat(cwd).catch(() => null);
  if (folder?.isDirectory() !== true) return { kind: 'not-started', reason: `the folder ${printable(cwd)} is not there any more` };
  const shell = spawn('/bin/sh', ['-c', command], { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output.append(chunk);
    });
    stream.on('error', () => undefined);
  }
  const closed = once(shell, 'close').catch(() => undefined);
  // A hook need not read what it is told.
  shell.stdin.on('error', () => undefined);
  shell.stdin.end(stdin);

  const ended = endOf(shell);
  const limit = new AbortController();
  const tooLate = delay(Math.min(timeoutMs, LONGEST_TIMER), 'stop' as const, { signal: AbortSignal.any([signal, limit.signal]) });
  let exit = await Promise.race([ended, tooLate.catch(() => 'stop' as const)]);
  limit.abort();
  if (exit === 'stop') {
    await killGroup(shell.pid);
    const how = await ended;
    exit = signal.aborted ? how : { kind: 'timeout', afterMs: timeoutMs };
  }
  await Promise.race([closed, delay(OUTPUT_GRACE, undefined, { ref: false })]);
  for (const stream of [shell.stdin, shell.stdout, shell.stderr]) stream.destroy();
  return exit;
}

function endOf(shell: ChildProcess): Promise<HookExit> {
  return new Promise((resolve) => {
    shell.once('error', (error) => {
      resolve({ kind: 'not-started', reason: error.message });
    });
    shell.once('exit', (code, signal) => {
      resolve(code === null ? { kind: 'killed', signal: signal ?? 'a signal' } : { kind: 'exited', code });
    });
  });
}

/** SIGTERM to all, a grace for those that clean up, SIGKILL to the rest. The number stays the group's for as long as it has a member. */
async function killGroup(group: number | undefined): Promise<void> {
  if (group === undefined) return;
  const deadline = Date.now() + KILL_GRACE;
  let alive = signalGroup(group, 'SIGTERM');
  while (alive && Date.now() < deadline) {
    await delay(20);
    alive = signalGroup(group, 0);
  }
  if (alive) signalGroup(group, 'SIGKILL');
}

function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/** Keeps the last bytes of a stream in bounded memory. */
class Tail {
  readonly #limit: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(limit: number) {
    this.#limit = limit;
  }

  append(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-this.#limit);
  }

  text(): string {
    return this.#bytes.toString('utf8');
  }
}
