import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants, fstatSync, ftruncateSync, readSync } from 'node:fs';
import { open, stat, writeFile, type FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describeHookExit, type HookExit } from '../domain/delivery.js';
import { printable } from '../domain/printable.js';
import { timerMs } from '../platform/timer.js';
import { removeIfThere } from '../store/files.js';

/** Bytes of a hook's output that are kept, the last ones. */
const OUTPUT_LIMIT = 64 * 1024;
/** Bytes of output on disk at which all but the end is dropped, and milliseconds between two looks at it. */
const OUTPUT_ON_DISK = 8 * 1024 * 1024;
const OUTPUT_LOOK = 200;
/** Milliseconds without a new byte after which a stopped hook has written what it was at; and how often that is waited for. */
const STANDSTILL = 10;
const MOST_LOOKS = 20;
/** Milliseconds between SIGTERM and SIGKILL. */
const KILL_GRACE = 2000;
/** The same process runs the command once it is given a line, and nothing at all when there is none. */
const ONCE_ANNOUNCED = 'IFS= read -r go <&3 || exit; exec 3<&-; exec /bin/sh -c "$1"';

export interface HookRequest {
  readonly command: string;
  /** Absolute. */
  readonly cwd: string;
  /** Absolute: where its input and its output are, as files without a name. */
  readonly folder: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** Called with the process that will run it. The command begins when this resolves, and never when it rejects or this process dies before. */
  readonly announce: (pid: number) => Promise<void>;
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
  const { exit, printed } = await run(request).catch((error: unknown) => notStarted(error instanceof Error ? error.message : 'no reason'));
  const tail = printed.split(/\r?\n/).map((line) => printable(line)).join('\n');
  return { ok: exit.kind === 'exited' && exit.code === 0, exit, tail, message: describeHookExit(exit, tail) };
}

interface Run {
  readonly exit: HookExit;
  readonly printed: string;
}

function notStarted(reason: string): Run {
  return { exit: { kind: 'not-started', reason }, printed: '' };
}

/**
 * Input and output are files: the sockets that Node makes for pipes cannot be opened by name, as `jq . /dev/stdin` and
 * `echo >/dev/stderr` do. And a file has no end to wait for, which something left in the background could hold up.
 */
async function run(request: HookRequest): Promise<Run> {
  const { cwd, folder, signal } = request;
  if (signal.aborted) return notStarted('the worker is ending');
  // A missing folder would be reported as a missing shell.
  const workFolder = await stat(cwd).catch(() => null);
  if (workFolder?.isDirectory() !== true) return notStarted(`the folder ${printable(cwd)} is not there any more`);
  const output = await namelessFile(folder, constants.O_RDWR | constants.O_APPEND, '');
  try {
    const over = new AbortController();
    let group: number | null = null;
    const announce = (pid: number): Promise<void> => request.announce((group = pid));
    const exit = runShell({ ...request, announce }, output.fd).finally(() => {
      over.abort();
    });
    // Not to be able to read what it printed says nothing of how it ended.
    const [ended, printed] = await Promise.all([exit, lastOutput(output, over.signal, () => group).catch(() => '')]);
    return { exit: ended, printed };
  } finally {
    await output.close();
  }
}

async function runShell({ command, cwd, env, folder, stdin, timeoutMs, announce, signal }: HookRequest, output: number): Promise<HookExit> {
  const input = await namelessFile(folder, constants.O_RDONLY, stdin);
  try {
    const shell = spawn('/bin/sh', ['-c', ONCE_ANNOUNCED, 'sh', command], { cwd, env, detached: true, stdio: [input.fd, output, output, 'pipe'] });
    const ended = endOf(shell);
    await begin(shell, announce);
    const limit = new AbortController();
    const tooLate = delay(timerMs(timeoutMs), 'stop' as const, { signal: AbortSignal.any([signal, limit.signal]) });
    const exit = await Promise.race([ended, tooLate.catch(() => 'stop' as const)]);
    limit.abort();
    if (exit !== 'stop') return exit;
    if (shell.pid !== undefined) await endHook(shell.pid);
    const how = await ended;
    return signal.aborted ? how : { kind: 'timeout', afterMs: timeoutMs };
  } finally {
    await input.close();
  }
}

async function begin({ pid, stdio }: ChildProcess, announce: HookRequest['announce']): Promise<void> {
  const go = stdio[3] as Socket;
  // What keeps the shell from hearing shows in how it ends.
  go.on('error', () => undefined);
  if (pid === undefined) return;
  try {
    await announce(pid);
    go.end('\n');
  } finally {
    if (!go.writableEnded) go.destroy();
  }
}

/** A file that only its descriptors lead to, made with `content` (0600) and opened with `flags`. */
async function namelessFile(folder: string, flags: number, content: string): Promise<FileHandle> {
  const path = join(folder, `.hook-${randomBytes(6).toString('hex')}.tmp`);
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
    return await open(path, flags);
  } finally {
    await removeIfThere(path);
  }
}

/** The last of what has come into `file` by the time that the run is `over`. Keeps it short on disk meanwhile. */
async function lastOutput(file: FileHandle, over: AbortSignal, group: () => number | null): Promise<string> {
  let dropped: Buffer = Buffer.alloc(0);
  while (await delay(OUTPUT_LOOK, true, { signal: over }).catch(() => false)) {
    if (fstatSync(file.fd).size > OUTPUT_ON_DISK) dropped = await cutShort(file.fd, group());
  }
  return Buffer.concat([dropped, lastBytes(file.fd)]).subarray(-OUTPUT_LIMIT).toString('utf8');
}

/**
 * Drops what is there; returns the end of it. The hook is stopped for these milliseconds: what it said between the look and the cut would
 * be lost, and may be the last that it has to say.
 */
async function cutShort(fd: number, group: number | null): Promise<Buffer> {
  if (group !== null) signalGroup(group, 'SIGSTOP');
  try {
    // A write that is under way comes to its end; what the hook has put into another group may go on for ever.
    for (let size = -1, looks = 0; size !== fstatSync(fd).size && looks < MOST_LOOKS; looks += 1) {
      size = fstatSync(fd).size;
      await delay(STANDSTILL);
    }
    const last = lastBytes(fd);
    ftruncateSync(fd);
    return last;
  } finally {
    if (group !== null) signalGroup(group, 'SIGCONT');
  }
}

function lastBytes(fd: number): Buffer {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(Math.min(size, OUTPUT_LIMIT));
  return last.subarray(0, readSync(fd, last, 0, last.length, size - last.length));
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

/** Ends a hook's process group: SIGTERM to all, a grace for those that clean up, SIGKILL to the rest. The number stays the group's for as long as it has a member. */
export async function endHook(group: number): Promise<void> {
  const deadline = performance.now() + KILL_GRACE;
  let alive = signalGroup(group, 'SIGTERM');
  while (alive && performance.now() < deadline) {
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
