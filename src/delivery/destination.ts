import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { numberedName } from '../domain/file-name.js';
import { printable } from '../domain/printable.js';
import { asUserWants } from '../platform/umask.js';
import { isThere, makeDirs, syncNewDirs, systemCode } from '../store/files.js';
import { Together } from '../store/together.js';
import { destinationError, destinationExists } from './destination-error.js';
import { checkReplaceable } from './move.js';

export type OnConflict = 'fail' | 'rename' | 'overwrite';

export interface WantedDestination {
  /** As typed in `cwd`. */
  readonly to: string | null;
  /** Absolute. */
  readonly cwd: string;
  readonly name: string;
  /** What `start --to` recorded: absolute, with `/` at the end when it is a folder to be. */
  readonly taskTo: string | null;
  /** Make the folder when it is missing; without it, only say where the file would be. */
  readonly make: boolean;
}

/**
 * Where a task's file goes, as an absolute path: `to`, else the task's own `--to`, else `cwd`. What is a folder, or ends in `/`, means
 * into it.
 * @throws PosteError `destination-unwritable` when it cannot be made
 */
export async function resolveDestination({ to, cwd, name, taskTo, make }: WantedDestination): Promise<string> {
  const wanted = to ?? taskTo ?? './';
  const path = resolve(cwd, wanted);
  try {
    if (wanted.endsWith('/')) {
      // A user's folder, with the mode that the umask gives it.
      if (make) await makeFolder(path);
    } else if (!(await isFolder(path))) return path;
    return join(path, name);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw destinationError(error, path);
    throw new PosteError('destination-unwritable', `${printable(path)} is not a folder; the file is kept in temp`, {
      hint: 'leave out the / at the end to name the file itself',
    });
  }
}

/** Whether `to`, as typed in `cwd`, names one file and no folder. */
export async function namesOneFile(to: string, cwd: string): Promise<boolean> {
  return !to.endsWith('/') && !(await isFolder(resolve(cwd, to)));
}

/**
 * A file is not delivered into poste's own `folders`: there it would be its own source, and go with it.
 * @throws PosteError `destination-unwritable`
 */
export async function refuseInside(destination: string, folders: readonly string[]): Promise<void> {
  // What cannot be looked at cannot be delivered to either, and that is told by whoever tries.
  const [parent, ...own] = await Promise.all([dirname(destination), ...folders].map((folder) => realPaths.run(folder)));
  if (!own.some((folder) => folder !== null && `${parent}/`.startsWith(`${folder}/`))) return;
  throw new PosteError('destination-unwritable', `${printable(destination)} is in the folder where poste keeps the file until it is claimed; it is still there`, {
    hint: 'name another place with --to',
  });
}

/** For many files they are the same few. */
const realPaths = new Together((folder) => realpath(folder).catch(() => null));

/** The path to try now. Looks before anything is copied; `link` has the last word. */
export async function choosePath(destination: string, onConflict: OnConflict): Promise<string> {
  try {
    if (onConflict === 'overwrite') {
      await checkReplaceable(destination);
      return destination;
    }
    if (!(await isThere(destination))) return destination;
    if (onConflict === 'fail') throw destinationExists(destination);
    return await freePath((n) => join(dirname(destination), numberedName(basename(destination), n)));
  } catch (error) {
    throw destinationError(error, destination);
  }
}

/** A path that is free and whose number follows one that is taken; found in a few looks, however many there are. */
async function freePath(numbered: (n: number) => string): Promise<string> {
  let taken = 0;
  let free = 1;
  for (; await isThere(numbered(free)); free *= 2) taken = free;
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2);
    if (await isThere(numbered(middle))) taken = middle;
    else free = middle;
  }
  return numbered(free);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** A user's folder, with the mode that the umask gives it; it and its new parents survive a power cut. */
async function makeFolder(path: string): Promise<void> {
  await syncNewDirs(path, asUserWants(() => makeDirs(path)));
}
