import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { makeDirs, syncNewDirs, systemCode } from './files.js';

/** A folder that goes under each of them is not a session's that was forgotten. */
const MOST_TRIES = 3;

/** Why a directory is not for poste to use, and what to do about it. */
export interface DirFault {
  readonly what: string;
  readonly hint: string;
}

/**
 * Makes a directory of poste's own, with what is missing above it, 0700: that mode has no bit that the umasks of poste's processes take.
 * Durably: what is synced in it later must not go with its name in a power cut.
 * @throws PosteError `io` when something stands there that is not such a directory
 */
export async function makeDir(path: string): Promise<void> {
  const first = makeDirs(path, 0o700);
  if (first === undefined) await isOwnDir(path);
  else await syncNewDirs(path, first);
}

/** Makes directories of a session, and something in them: again when they went meanwhile, with a session that was forgotten. As {@link makeDir}. */
export async function inDirs<T>(paths: readonly string[], make: () => Promise<T>): Promise<T> {
  for (let left = MOST_TRIES; ; left -= 1) {
    try {
      for (const path of paths) await makeDir(path);
      return await make();
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || left === 1) throw error;
    }
  }
}

/**
 * Whether there is such a directory at all.
 * @throws PosteError `io` when what is there is a link or anything else, or is in the hands of others: what would be written, read or
 * removed through it might be anywhere
 */
export async function isOwnDir(path: string): Promise<boolean> {
  const found = await lstatIfThere(path);
  if (found === null) return false;
  const fault = dirFault(found, path);
  if (fault === null || (found.isDirectory() && (await hasNoOwners(path, found)))) return true;
  throw new PosteError('io', `${printable(path)} ${fault.what}; poste does not use it`, { hint: printable(fault.hint) });
}

/** `null` for a directory that belongs to this user and that nobody else may write to. */
export function dirFault(found: Stats, path: string): DirFault | null {
  if (found.isSymbolicLink()) return { what: 'is not a directory but a symbolic link', hint: 'move it away' };
  if (!found.isDirectory()) return { what: 'is not a directory', hint: 'move it away' };
  const user = process.getuid?.();
  if (user === undefined) return null;
  if (found.uid !== user) return { what: 'belongs to another user', hint: 'use a directory of your own' };
  return (found.mode & 0o022) === 0 ? null : { what: 'can be written by others', hint: `chmod 700 ${path}` };
}

export async function lstatIfThere(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return null;
    throw error;
  });
}

/** FAT and its kin give every directory one owner and one mode, that of a mount option: what is made there tells nothing of its maker. */
async function hasNoOwners(path: string, { uid, mode }: Stats): Promise<boolean> {
  const probe = join(path, `.owner-${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(probe, { mode: 0o700 });
    const made = await lstat(probe);
    await rmdir(probe);
    return made.uid === uid && (made.mode & 0o022) === (mode & 0o022);
  } catch {
    return false;
  }
}
