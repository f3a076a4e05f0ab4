import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isUnfinished } from './files.js';
import { heldConnectionsDir, hostsDir, tempPaths, type SessionPaths } from './paths.js';

/** Milliseconds after which an answer that nobody fetched is swept, and what others than the owner never finished writing. */
const LIFETIME = 10 * 60_000;

/**
 * Removes what processes that are gone have left in a session: half-written files (there may be secrets in them) and answers that nobody
 * fetched. `temp` is the session's, `null` before there is one. Where only the owner writes, nothing half-written can be anybody's who lives;
 * elsewhere it may be, until it is old. `now` is epoch milliseconds. What cannot be removed stays for the next owner.
 */
export async function sweepLeftovers(paths: SessionPaths, temp: string | null, now: number): Promise<void> {
  const owners = [paths.dir, ...(temp === null ? [] : [tempPaths(temp).parts])];
  for (const directory of owners) await sweep(directory, isUnfinished, Infinity);
  const shared = [paths.generations, paths.inbox, paths.intents, paths.receipts];
  for (const directory of shared) await sweep(directory, isUnfinished, now - LIFETIME);
  await sweep(paths.answers, () => true, now - LIFETIME);
}

/** The same for what lies beside the sessions of a home: its reserve, what servers asked for, and what workers hold. `now` is epoch milliseconds. */
export async function sweepHome(home: string, now: number): Promise<void> {
  for (const directory of [home, hostsDir(home), heldConnectionsDir(home)]) await sweep(directory, isUnfinished, now - LIFETIME);
}

/** Removes those of a folder's files that are older than `before`, epoch milliseconds. */
async function sweep(directory: string, isMeant: (name: string) => boolean, before: number): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const path of names.filter(isMeant).map((name) => join(directory, name))) {
    const { mtimeMs } = await lstat(path).catch(() => ({ mtimeMs: Infinity }));
    if (mtimeMs < before) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
