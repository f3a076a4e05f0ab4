import { spawn, spawnSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Why system calls cannot be traced here, or `null`. */
export const noStrace = spawnSync('strace', ['-qq', '-o', '/dev/null', '-e', 'trace=exit_group', 'true']).status === 0 ? null : 'strace is missing, or may not trace';

const STEADY = fileURLToPath(new URL('steady.js', import.meta.url));

/** What changes a file system, of what Node may call. */
const CHANGES = [
  ...['mkdir', 'rmdir', 'link', 'rename', 'unlink', 'chmod', 'fchmod', 'ftruncate'],
  ...['write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'copy_file_range', 'sendfile', 'fsync', 'fdatasync'],
] as const;
/** What reads one. `openat` is either. */
const READS = ['read', 'pread64', 'getdents64'] as const;

/** One system call on a file of interest, told apart from every other of the run by these three. */
export interface Call {
  readonly name: string;
  /** Absolute, of the file or of its descriptor. */
  readonly path: string;
  /** Among the calls of this name on this path, from 1. */
  readonly nth: number;
  /** The second path of a link or a rename; what a copy writes to. */
  readonly to: string | null;
  /** It would change something: an open is a change when it may create. */
  readonly changes: boolean;
  /** Opened for writing, or anything but an open. */
  readonly writes: boolean;
}

export interface Program {
  /** Arguments of node. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** It leaves a process running that is not to be traced, nor waited for. */
  readonly leavesWorker: boolean;
}

export interface Traced {
  /** `null` after a signal. */
  readonly code: number | null;
  readonly killed: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** What strace saw. */
  readonly log: string;
}

/** What strace is to do to the calls `names` of the program; `paths` narrows them down, also for tracing. */
export interface Tampering {
  readonly paths: readonly string[];
  readonly traced: readonly string[];
  /** As in `-e inject=`. */
  readonly inject: readonly string[];
  /** Kills the program with all that is traced when it has not ended by then, milliseconds. */
  readonly patienceMs: number;
}

/** Every call that the program makes on what lies below `roots`, in order. */
export async function record(program: Program, roots: readonly string[]): Promise<{ calls: Call[]; ended: Traced }> {
  const ended = await trace(program, { paths: [], traced: ['openat', ...CHANGES, ...READS], inject: [], patienceMs: 60_000 });
  return { calls: parse(ended.log, roots), ended };
}

/** Runs the program and kills it, with all its threads, as it is about to make this call. `killed` is false when it makes no such call. */
export async function killBefore(program: Program, { name, path, nth }: Call): Promise<Traced> {
  return trace(program, { paths: [path], traced: [name], inject: [`${name}:signal=KILL:when=${nth}`], patienceMs: 60_000 });
}

let logs = 0;

export async function trace({ argv, env, cwd, leavesWorker }: Program, { paths, traced, inject, patienceMs }: Tampering): Promise<Traced> {
  logs += 1;
  const log = `${env['POSTE_HOME'] ?? ''}.trace-${logs}`;
  const injectsSignal = inject.some((rule) => rule.includes('signal='));
  const flags = [
    ...['-f', '-y', '-qq', '-s', '0', '-o', log],
    // A worker goes on by itself once it is another program. With the filter in the kernel neither that works, nor a signal (strace 6.1).
    ...(leavesWorker ? ['-b', 'execve'] : injectsSignal ? [] : ['--seccomp-bpf']),
    ...paths.flatMap((path) => ['-P', path]),
    ...['-e', `trace=${[...traced, ...(leavesWorker ? ['execve'] : [])].join(',')}`],
    ...inject.flatMap((rule) => ['-e', `inject=${rule}`]),
  ];
  const child = spawn('strace', [...flags, process.execPath, '--import', STEADY, ...argv], {
    cwd,
    // One thread for the file system: calls come in the same order each time.
    env: { ...env, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text));
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), patienceMs);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  const seen = await readFile(log, 'utf8');
  await rm(log);
  const killed = signal === 'SIGKILL' || code === 137;
  return { code: killed ? null : code, killed, ...out, log: seen };
}

function parse(log: string, roots: readonly string[]): Call[] {
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  for (const line of log.split('\n')) {
    const [, name = '', rest = ''] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? [];
    const paths = name === 'openat' ? [/"(.*?)"/.exec(rest)?.[1] ?? ''] : pathsOf(rest);
    const [path = '', to = null] = paths;
    if (name === '' || !paths.some((one) => roots.some((root) => one.startsWith(root)))) continue;
    // strace counts a call that has the path in either place.
    for (const one of new Set(paths)) counts.set(`${name} ${one}`, (counts.get(`${name} ${one}`) ?? 0) + 1);
    const creates = name === 'openat' && rest.includes('O_CREAT');
    const changes = creates || (CHANGES as readonly string[]).includes(name);
    calls.push({ name, path, to, nth: counts.get(`${name} ${path}`) ?? 0, changes, writes: name === 'openat' ? /O_WRONLY|O_RDWR/.test(rest) : changes });
  }
  return calls;
}

/** Paths that a call was given, and paths of descriptors that it was given. */
function pathsOf(rest: string): string[] {
  return [...rest.matchAll(/^"(.*?)"|, "(\/.*?)"|(?:^|, )\d+<(\/.*?)>/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}
