import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Session } from '../domain/session.js';
import type { Task } from '../domain/task.js';
import { diskError } from './disk-error.js';
import { readIfThere, removeIfThere, syncDir, systemCode, unlessDamaged, writeFully } from './files.js';
import { isOwnDir, makeDir } from './own-dir.js';
import { partGenerations } from './part-file.js';
import type { TempPaths } from './paths.js';
import { Together } from './together.js';

/** A file where finished files wait. */
export interface Finished {
  /** Absolute. */
  readonly file: string;
  /** When it was last written to, epoch milliseconds. */
  readonly modifiedAt: number;
}

/**
 * Moves a complete, verified part file to where finished files wait, so that it survives a power cut there.
 * The record of its extents stays until {@link removeParts}: {@link undoFinish} needs it.
 * @throws PosteError `io` or `disk-full`.
 */
export async function finish(temp: TempPaths, task: number, partGeneration: number, name: string): Promise<Finished> {
  return putFinished(temp, task, name, async (path) => {
    await rename(temp.part(task, partGeneration), path);
    return (await lstat(path)).mtimeMs;
  });
}

/**
 * As {@link finish}, for a small, verified file that came whole and was never a part. If this process is killed before a journal tells of
 * it, {@link undoFinish} removes it, and it is fetched again.
 * @throws PosteError `io` or `disk-full`.
 */
export async function finishWhole(temp: TempPaths, task: number, bytes: readonly Buffer[], name: string): Promise<Finished> {
  return putFinished(temp, task, name, async (path) => {
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      await writeFully(handle, Buffer.concat(bytes), null);
      await handle.datasync();
      return (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
    }
  });
}

const folders = new Together(makeDir);

/** `put` gives the file its name, and answers when it was last written to. */
async function putFinished(temp: TempPaths, task: number, name: string, put: (path: string) => Promise<number>): Promise<Finished> {
  const directory = temp.finishedDir(task);
  const path = join(directory, name);
  try {
    await folders.run(temp.finished);
    // Its name is synced below.
    if ((await mkdir(directory, { recursive: true, mode: 0o700 })) === undefined) await isOwnDir(directory);
    const modifiedAt = await put(path);
    await syncDir(directory);
    await syncDir(temp.finished);
    return { file: path, modifiedAt };
  } catch (error) {
    throw diskError(error, path);
  }
}

/** Removes a task's finished file for good. */
export async function removeFinished(temp: TempPaths, task: number): Promise<void> {
  if (await isOwnDir(temp.finished)) await rm(temp.finishedDir(task), { recursive: true, force: true });
}

/**
 * Removes what an owner has left that was killed after it told that a file is here, or that its time is over: the record of its part, the file.
 * What cannot be removed stays for the next one.
 */
export async function sweepTold(temp: TempPaths, session: Session): Promise<void> {
  const stateOf = (name: string): Task['state']['kind'] | undefined => session.tasks.get(Number.parseInt(name, 10))?.state.kind;
  for (const name of await readdir(temp.finished).catch(() => [])) {
    if (stateOf(name) === 'expired') await removeFinished(temp, Number(name)).catch(() => undefined);
  }
  if (!(await isOwnDir(temp.parts).catch(() => false))) return;
  for (const name of await readdir(temp.parts).catch(() => [])) {
    if (['finished', 'claimed', 'expired'].includes(stateOf(name) ?? '')) await removeIfThere(join(temp.parts, name)).catch(() => undefined);
  }
}

/**
 * Takes back a finish that no journal tells of (a crash came between): the file becomes the part file again, and the next
 * attempt verifies it anew. Without a record of its bytes it is worth nothing and goes. Does nothing when there is nothing.
 */
export async function undoFinish(temp: TempPaths, task: number): Promise<void> {
  const directory = temp.finishedDir(task);
  try {
    for (const folder of [temp.dir, temp.parts, temp.finished, directory]) await isOwnDir(folder);
    const names = await readdir(directory);
    for (const name of names) {
      const [newest] = await partGenerations(temp, task);
      const isNeeded = newest !== undefined && (await readIfThere(temp.extents(task, newest)).catch(unlessDamaged)) !== null;
      if (isNeeded) await rename(join(directory, name), temp.part(task, newest));
      else await removeIfThere(join(directory, name));
    }
    await rmdir(directory);
    if (names.length > 0) await syncDir(temp.parts);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw diskError(error, directory);
  }
}
