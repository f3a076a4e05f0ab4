import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { count, record, text } from '../domain/shape.js';

/**
 * Tells one process from every other, also from a later one with the same pid. A field that the platform does not
 * offer is the empty string.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Linux: clock ticks since boot, field 22 of /proc/PID/stat (proc_pid_stat(5)). Elsewhere: the date from ps, in UTC. */
  readonly startTime: string;
  readonly bootId: string;
  readonly host: string;
  readonly pidNamespace: string;
}

export const isIdentity = record({ pid: count, startTime: text, bootId: text, host: text, pidNamespace: text });

export type Liveness = 'alive' | 'dead' | 'unknown';

/**
 * Whether that very process still runs. `dead` is proof: another boot of this host, no such process, another one under
 * its pid, or one that has ended and was not reaped. `unknown` is what cannot be seen from here: another host or pid
 * namespace. A stopped process is alive, and so is one whose start time cannot be compared.
 */
export function liveness(identity: ProcessIdentity): Liveness {
  const here = ownIdentity();
  if (identity.host !== here.host && !isSameBoot(identity, here)) return 'unknown';
  if (differ(identity.bootId, here.bootId)) return 'dead';
  if (identity.pidNamespace !== here.pidNamespace) return 'unknown';
  const seen = look(identity.pid);
  if (seen.kind === 'gone') return 'dead';
  return differ(identity.startTime, seen.startTime) ? 'dead' : 'alive';
}

/** The same boot is the same machine, whatever it is called by now, unless it is a container of which nothing tells the pid namespace. */
function isSameBoot(identity: ProcessIdentity, here: ProcessIdentity): boolean {
  return identity.bootId !== '' && identity.bootId === here.bootId && (process.platform !== 'linux' || identity.pidNamespace !== '');
}

let own: ProcessIdentity | undefined;

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  own ??= identityOf(process.pid);
  return own;
}

/** The identity of a process of this pid namespace: this one, or a child that was not reaped yet. */
export function identityOf(pid: number): ProcessIdentity {
  const seen = look(pid);
  return {
    pid,
    startTime: seen.kind === 'gone' ? '' : seen.startTime,
    bootId: currentBootId(),
    host: hostname(),
    pidNamespace: procIsOurs() ? (attempt(() => readlinkSync('/proc/self/ns/pid')) ?? '') : '',
  };
}

let bootId: string | undefined;

/** Changes with every boot of this machine, and with nothing else; empty when the platform does not say. */
export function currentBootId(): string {
  bootId ??=
    process.platform === 'linux'
      ? (attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '')
      : // Not kern.boottime: that one moves whenever the clock is set.
        (attempt(() => run('sysctl', '-n', 'kern.bootsessionuuid')) ?? '');
  return bootId;
}

type Seen = { readonly kind: 'gone' } | { readonly kind: 'running'; readonly startTime: string };

function look(pid: number): Seen {
  if (!Number.isSafeInteger(pid) || pid <= 0) return { kind: 'gone' };
  if (procIsOurs()) {
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
    if (stat !== null) return parseStat(stat);
    // /proc may hide what is there (hidepid): only the kernel's own word is proof.
    return exists(pid) ? { kind: 'running', startTime: '' } : { kind: 'gone' };
  }
  if (!exists(pid)) return { kind: 'gone' };
  const line = process.platform === 'linux' ? null : attempt(() => run('ps', '-o', 'stat=,lstart=', '-p', String(pid)));
  const [state, ...startTime] = line?.split(/\s+/) ?? [];
  return state?.startsWith('Z') === true ? { kind: 'gone' } : { kind: 'running', startTime: startTime.join(' ') };
}

/** The command's name, field 2, is in parentheses and may itself hold spaces and parentheses: count from the last one. */
function parseStat(stat: string): Seen {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  return state === 'Z' || state === 'X' ? { kind: 'gone' } : { kind: 'running', startTime: fields[19] ?? '' };
}

/** False without /proc, and where /proc is that of another pid namespace: there `/proc/PID` is somebody else. */
function procIsOurs(): boolean {
  return process.platform === 'linux' && attempt(() => readlinkSync('/proc/self')) === String(process.pid);
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** Two known values that are not the same; an unknown one proves nothing. */
function differ(one: string, other: string): boolean {
  return one !== '' && other !== '' && one !== other;
}

function run(file: string, ...args: readonly string[]): string {
  const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };
  return execFileSync(file, args, { env, encoding: 'utf8', timeout: 2000, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
