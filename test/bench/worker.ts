import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The process that owns the default session of a home; `null` when there is none yet. */
export function workerPid(home: string): number | null {
  try {
    const owner = JSON.parse(readFileSync(join(home, 'sessions', 'default', 'owner.json'), 'utf8')) as { identity: { pid: number } };
    return owner.identity.pid;
  } catch {
    return null;
  }
}

/** Bytes of memory that a process has, and had at most: VmRSS and VmHWM of proc_pid_status(5). @throws Error when it is gone */
export function memoryOf(pid: number): { readonly resident: number; readonly peak: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (name: string): number => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
  return { resident: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Milliseconds of processor time that a process has used, of user and system, in ticks of 10 ms: proc_pid_stat(5). @throws Error when it is gone */
export function processorTimeOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
