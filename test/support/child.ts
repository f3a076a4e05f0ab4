import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';

/** Resolves when the process has ended, be it long ago. */
export async function hasEnded(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Resolves with the first output of a process. Throws when it ends without any. */
export async function firstOutput(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error('its output goes elsewhere');
  const silent = hasEnded(child).then(() => new Promise<never>((_resolve, reject) => setTimeout(() => reject(new Error(`ended without a word: ${child.spawnargs.join(' ')}`)), 1000)));
  silent.catch(() => undefined);
  const [data] = (await Promise.race([once(stdout, 'data'), silent])) as [Buffer | string];
  return String(data);
}
