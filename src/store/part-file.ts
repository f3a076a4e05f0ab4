import { constants } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { PosteError } from '../domain/errors.js';
import { coveredBytes } from '../domain/segments.js';
import { diskError } from './disk-error.js';
import { emptyRecord, formatRecord, parseRecord, type PartHeader } from './extents.js';
import { openPlain, readIfThere, removeIfThere, replaceFile, systemCode } from './files.js';
import { isOwnDir, makeDir } from './own-dir.js';
import { PartFile } from './part.js';
import type { TempPaths } from './paths.js';

export interface OpenedPart {
  readonly part: PartFile | null;
  /** What was lost, in words, when there was something that cannot be used. */
  readonly lost: string | null;
}

/**
 * The newest usable part file of a task, its record brought in line with what is really there.
 * @throws PosteError `io` when something else than a regular file stands in its place, or it cannot be read; `disk-full`; `newer-version`.
 */
export async function openPart(temp: TempPaths, task: number, boot: string): Promise<OpenedPart> {
  let lost: string | null = null;
  for (const generation of await partGenerations(temp, task)) {
    const path = temp.part(task, generation);
    const text = await readRecord(temp, task, generation);
    const handle = await openBytes(path);
    if (handle === null || text === null) {
      await handle?.close();
      lost ??= handle === null ? 'the bytes that were here are gone' : 'the record of the bytes that were here is gone';
      continue;
    }
    try {
      const record = parseRecord(text, boot, (await handle.stat()).size);
      if (record !== null) {
        await replaceFile(temp.extents(task, generation), formatRecord(record, boot), { durable: true });
        return { part: await PartFile.over(handle, temp, task, generation, boot, record), lost };
      }
    } catch (error) {
      await handle.close();
      throw diskError(error, temp.extents(task, generation));
    }
    await handle.close();
    lost ??= 'the record of the bytes that were here is damaged';
  }
  return { part: null, lost };
}

/** A new, empty generation of a task's part file beside those that are there. */
export async function createPart(temp: TempPaths, task: number, boot: string, header: PartHeader): Promise<PartFile> {
  await makeDir(temp.parts);
  const [newest = 0] = await partGenerations(temp, task);
  const generation = newest + 1;
  const path = temp.part(task, generation);
  const record = emptyRecord(header);
  try {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      // Durably, or a power cut may show what another file had there: whole, with a mark of its own.
      await replaceFile(temp.extents(task, generation), formatRecord(record, boot), { durable: true });
      return await PartFile.over(handle, temp, task, generation, boot, record);
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    throw diskError(error, path);
  }
}

/** Bytes on disk of a task that nobody is transferring; changes nothing. @throws PosteError `newer-version` */
export async function receivedBytes(temp: TempPaths, task: number, boot: string): Promise<number> {
  for (const generation of await partGenerations(temp, task)) {
    const text = await readRecord(temp, task, generation).catch(() => null);
    const handle = text === null ? null : await openBytes(temp.part(task, generation)).catch(() => null);
    if (text === null || handle === null) continue;
    try {
      const record = parseRecord(text, boot, (await handle.stat()).size);
      if (record !== null) return coveredBytes(record.written);
    } finally {
      await handle.close();
    }
  }
  return 0;
}

/** Removes a task's part files: every generation, or all but those to `keep`. */
export async function removeParts(temp: TempPaths, task: number, keep: readonly number[] = []): Promise<void> {
  for (const generation of await partGenerations(temp, task)) {
    if (keep.includes(generation)) continue;
    await removeIfThere(temp.part(task, generation));
    await removeIfThere(temp.extents(task, generation));
  }
}

/** The generations of which a part file or its record exists, the newest first. */
export async function partGenerations(temp: TempPaths, task: number): Promise<readonly number[]> {
  let names: readonly string[];
  try {
    if (!(await isOwnDir(temp.parts))) return [];
    names = await readdir(temp.parts);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw diskError(error, temp.parts);
  }
  const generations = names.flatMap((name) => {
    const match = /^(\d+)\.(\d+)\.(?:part|extents)$/.exec(name);
    return match !== null && Number(match[1]) === task ? [Number(match[2])] : [];
  });
  return [...new Set(generations)].sort((a, b) => b - a);
}

/** The tasks of which there is a part file, a record, or a folder in `finished/`. What cannot be looked at is the transfer's to complain of. */
export async function tasksInTemp({ parts, finished }: TempPaths): Promise<ReadonlySet<number>> {
  const names = await Promise.all([parts, finished].map((folder) => readdir(folder).catch(() => [])));
  return new Set(names.flat().map((name) => Number.parseInt(name, 10)));
}

function readRecord(temp: TempPaths, task: number, generation: number): Promise<string | null> {
  const path = temp.extents(task, generation);
  return readIfThere(path).catch((error: unknown) => {
    throw refusal(error, path);
  });
}

/** Opens an existing part file for reading and writing, `null` when there is none. */
async function openBytes(path: string): Promise<FileHandle | null> {
  return openPlain(path, constants.O_RDWR).catch((error: unknown) => {
    throw refusal(error, path);
  });
}

/** What stands in the place of a part, or of its record, is not written over; the rest of the session goes on. */
function refusal(error: unknown, path: string): PosteError {
  if (!(error instanceof PosteError) || error.code !== 'damaged') return diskError(error, path);
  return new PosteError('io', error.message, { hint: 'remove what stands there, then `poste retry`' });
}
