import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from './disk-error.js';
import { makeDir, readIfThere, removeIfThere, syncDir, systemCode } from './files.js';
import { partGenerations } from './part-file.js';
import type { TempPaths } from './paths.js';

/**
 * Moves a complete, verified part file to where finished files wait, so that it survives a power cut there.
 * Answers its absolute path. The record of its extents stays until {@link removeParts}: {@link undoFinish} needs it.
 * @throws PosteError `io` or `disk-full`.
 */
export async function finish(temp: TempPaths, task: number, partGeneration: number, name: string): Promise<string> {
  const directory = temp.finishedDir(task);
  const path = join(directory, name);
  try {
    await makeDir(temp.finished);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rename(temp.part(task, partGeneration), path);
    await syncDir(directory);
    await syncDir(temp.finished);
  } catch (error) {
    throw diskError(error, path);
  }
  return path;
}

/** Removes a task's finished file for good. */
export async function removeFinished(temp: TempPaths, task: number): Promise<void> {
  await rm(temp.finishedDir(task), { recursive: true, force: true });
}

/**
 * Takes back a finish that no journal tells of (a crash came between): the file becomes the part file again, and the next
 * attempt verifies it anew. Without a record of its bytes it is worth nothing and goes. Does nothing when there is nothing.
 */
export async function undoFinish(temp: TempPaths, task: number): Promise<void> {
  const directory = temp.finishedDir(task);
  try {
    const names = await readdir(directory);
    for (const name of names) {
      const [newest] = await partGenerations(temp, task);
      const isNeeded = newest !== undefined && (await readIfThere(temp.extents(task, newest))) !== null;
      if (isNeeded) await rename(join(directory, name), temp.part(task, newest));
      else await removeIfThere(join(directory, name));
    }
    await rmdir(directory);
    if (names.length > 0) await syncDir(temp.parts);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw diskError(error, directory);
  }
}
