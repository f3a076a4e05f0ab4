import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { lstat, open, rename } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

export interface DetachedProcess {
  readonly pid: number;
  /** Its exit code; `null` for a signal. Does not keep this process running. */
  readonly exited: Promise<number | null>;
}

export interface DetachedOptions {
  /** Absolute. */
  readonly file: string;
  readonly args: readonly string[];
  /** All of the environment it gets. */
  readonly env: Readonly<Record<string, string>>;
  /** What it writes to standard output and standard error is added here. Its directory must exist. */
  readonly logPath: string;
  /** Give way to all other programs for processor and disk. */
  readonly nice: boolean;
}

/** Bytes after which a log is put aside, as NAME.1, before the next process writes to it. */
const LOG_LIMIT = 1 << 20;

/**
 * Starts a process that outlives this one, its terminal and its session: own process group and session, nothing
 * inherited but the log, `/` as working directory. Rejects with the system's error when it cannot be started, or when
 * something other than a plain path is in the log's place (ELOOP for a symbolic link, ENXIO for a FIFO).
 */
export async function spawnDetached({ file, args, env, logPath, nice }: DetachedOptions): Promise<DetachedProcess> {
  await putAside(logPath);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  // Not to wait at a FIFO; of a plain file the flag changes nothing.
  const log = await open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const [command = file, ...rest] = nice ? [...niceness(env['PATH'] ?? ''), file, ...args] : [file, ...args];
    const child = spawn(command, rest, { env, cwd: '/', detached: true, stdio: ['ignore', log.fd, log.fd] });
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await once(child, 'spawn');
    child.unref();
    return { pid: child.pid ?? 0, exited };
  } finally {
    await log.close();
  }
}

async function putAside(logPath: string): Promise<void> {
  const size = await lstat(logPath).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size > LOG_LIMIT) await rename(logPath, `${logPath}.1`);
}

/**
 * The commands in front of the real one; each execs the next, so the pid stays. Setting the priority from inside would
 * reach one thread of many. Best effort, lowest level, for the disk: the idle class may get nothing for hours.
 */
function niceness(path: string): string[] {
  const isThere = (name: string): boolean => path.split(delimiter).some((dir) => dir !== '' && isExecutable(join(dir, name)));
  return [...(isThere('nice') ? ['nice', '-n', '10'] : []), ...(isThere('ionice') ? ['ionice', '-t', '-c', '2', '-n', '7'] : [])];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const PASSED_ON = new Set([
  ...['PATH', 'HOME', 'LANG', 'TMPDIR', 'USER', 'LOGNAME', 'SHELL', 'TZ', 'DBUS_SESSION_BUS_ADDRESS'],
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  ...['POSTE_HOME', 'POSTE_SYSFS_ROOT', 'POSTE_PROBE_FILE', 'POSTE_POLICY_POLL', 'POSTE_POLICY_HOLD', 'POSTE_BACKOFF', 'POSTE_CONNECTIONS_PER_HOST'],
  // By these a CI runner finds what a job left running. Dropping them would be hiding from it.
  ...['RUNNER_TRACKING_ID', 'VSTS_PROCESS_LOOKUP_ID', 'JENKINS_NODE_COOKIE', 'JENKINS_SERVER_COOKIE', 'HUDSON_COOKIE', 'BUILD_ID'],
]);

/** What a worker gets of a command's environment: a list of what is safe, as anything else may be a secret of the shell's. */
export function workerEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (PASSED_ON.has(name) || /^(LC|XDG)_/.test(name))) passed[name] = value;
  }
  // Name look-ups share these threads with the file system; four would make downloads wait for each other.
  return { ...passed, UV_THREADPOOL_SIZE: '16' };
}
