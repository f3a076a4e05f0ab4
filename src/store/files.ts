import { constants, mkdirSync, statSync } from 'node:fs';
import { link, lstat, mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { knownCode, PosteError } from '../domain/errors.js';
import { unseal } from './sealed.js';
import { Together } from './together.js';

/** No file of ours comes near it, in bytes; a hole that a power cut left, or something put there, may. */
const TOO_LONG = 256 * 1024 * 1024;

/** The `code` of a system error (`ENOENT`, `EEXIST`, …), or `undefined` for anything else. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? knownCode(thrown.code) : undefined;
}

/** Makes new directories survive a power cut, from the `first` that was made (none were, when undefined) down to `path`. */
export async function syncNewDirs(path: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncWherePossible(dirname(made));
}

/** A system error about a descriptor does not say of which file: this one does. Rethrows. */
export function naming(path: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof Error && systemCode(error) !== undefined && !error.message.includes(path)) error.message += ` '${path}'`;
    throw error;
  };
}

/**
 * Makes a directory and what is missing above it; returns the first that it made. As Node's own `recursive`, which goes round for ever where a
 * parent is there and nothing can be made in it (/proc).
 */
export function makeDirs(path: string, mode = 0o777): string | undefined {
  try {
    return makeOne(path, mode) ? path : undefined;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const first = makeDirs(dirname(path), mode);
  // Others may be making the same ones.
  return makeOne(path, mode) ? (first ?? path) : first;
}

/** False when the directory is there already. */
function makeOne(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && statSync(path).isDirectory()) return false;
    throw error;
  }
}

/** Makes a directory, durably, in one that is there already; false when that one is not. */
export async function makeDirIn(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    await syncWherePossible(dirname(path));
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    if (systemCode(error) !== 'EEXIST') throw error;
    return true;
  }
}

/** Makes names in a directory (created, renamed, removed) survive a power cut. Those who ask at the same time share a sync. */
export function syncDir(path: string): Promise<void> {
  return syncs.run(path);
}

const syncs = new Together(async (path) => {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync().catch(naming(path));
  } finally {
    await handle.close();
  }
});

/** As {@link syncDir}; some file systems cannot sync a folder, and a folder that may be written need not be readable. */
export async function syncWherePossible(path: string): Promise<void> {
  try {
    await syncDir(path);
  } catch (error) {
    if (!CANNOT_SYNC.has(systemCode(error))) throw error;
  }
}

const CANNOT_SYNC: ReadonlySet<string | undefined> = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES', 'EPERM', 'EBADF', 'ENOSYS']);

/** Replaces a file as a whole: readers see the old content or the new. `durable` also survives a power cut. */
export async function replaceFile(path: string, content: string | Uint8Array, { durable }: { durable: boolean }): Promise<void> {
  const temporary = await writeBeside(path, content, durable);
  try {
    await rename(temporary, path);
  } catch (error) {
    if (systemCode(error) !== 'EISDIR') {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    // Whatever a directory does in the place of a file of ours, it must not stop us, and is not ours to remove.
    await rename(path, `${path}.${randomBytes(6).toString('hex')}.aside`);
    await rename(temporary, path);
  }
  if (durable) await syncDir(dirname(path));
}

/** Creates a file that must not exist, with its content complete from the first instant. Throws EEXIST. */
export async function createFile(path: string, content: string | Uint8Array): Promise<void> {
  await createLinks([path], content, (target) => link(target, path));
}

/** Creates several files of one folder, with the same content, as {@link createFile} does one: they share a sync. False for each whose name is taken. */
export async function createFiles(paths: readonly string[], content: string | Uint8Array): Promise<boolean[]> {
  const made: boolean[] = [];
  await createLinks(paths, content, async (target) => {
    for (const path of paths) {
      made.push(
        await link(target, path).then(
          () => true,
          (error: unknown) => {
            if (systemCode(error) !== 'EEXIST') throw error;
            return false;
          },
        ),
      );
    }
  });
  return made;
}

async function createLinks([path = '']: readonly string[], content: string | Uint8Array, linkFrom: (target: string) => Promise<void>): Promise<void> {
  const temporary = await writeBeside(path, content, true);
  try {
    await linkFrom(temporary);
  } finally {
    // The files are there or not: a name that cannot be removed now is swept later.
    await unlink(temporary).catch(() => undefined);
  }
  await syncDir(dirname(path));
}

/**
 * Opens a regular file, `null` when there is none. Never follows a link and never waits at a FIFO: either may have been put in its place.
 * @throws PosteError `damaged` for anything else than a regular file
 */
export async function openPlain(path: string, flags: number): Promise<FileHandle | null> {
  try {
    const handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code !== 'ELOOP' && code !== 'ENXIO' && code !== 'EISDIR') return naming(path)(error);
  }
  throw notPlain(path, 'is not a regular file');
}

/** The file's text, or `null` when there is none. @throws PosteError `damaged` as {@link openPlain}, and for what is longer than any file of ours */
export async function readIfThere(path: string): Promise<string | null> {
  const handle = await openPlain(path, constants.O_RDONLY);
  if (handle === null) return null;
  try {
    if ((await handle.stat()).size > TOO_LONG) throw notPlain(path, 'is longer than it can be');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** As {@link readIfThere}; what cannot be a file of ours reads as one that holds nothing. */
export async function readWhatever(path: string): Promise<string | null> {
  return readIfThere(path).catch((error: unknown) => {
    unlessDamaged(error);
    return '';
  });
}

/** The record that is sealed in the file; `null` when there is none, or nothing that can be believed. */
export async function readSealed(path: string): Promise<Record<string, unknown> | null> {
  const text = await readWhatever(path);
  return text === null ? null : unseal(text);
}

/** For `catch`: to what cannot be used, `null` is as good an answer as to what is not there. */
export function unlessDamaged(error: unknown): null {
  if (error instanceof PosteError && error.code === 'damaged') return null;
  throw error;
}

function notPlain(path: string, what: string): PosteError {
  return new PosteError('damaged', `${path} ${what}; it was left alone`, { hint: 'move away what stands there' });
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** Writes all of `bytes` at `position`; the system may take fewer at a time. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position === null ? null : position + done);
    done += bytesWritten;
  }
}

/** Writes `buffers` one after the other from `position` on; answers where they end. */
export async function writeAllAt(handle: FileHandle, buffers: readonly Buffer[], position: number): Promise<number> {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
  return at;
}

/** `buffers` less their first `bytes`. */
function without(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  return buffers.flatMap((buffer) => {
    const skip = Math.min(left, buffer.length);
    left -= skip;
    return skip === buffer.length ? [] : [buffer.subarray(skip)];
  });
}

/** For a file that is to get the name `name`, or none, when all of it is there. One that a killed process has left is {@link isUnfinished}. */
export function unfinishedName(name: string): string {
  return `.${name}.${randomBytes(6).toString('hex')}.tmp`;
}

export function isUnfinished(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.tmp');
}

async function writeBeside(path: string, content: string | Uint8Array, durable: boolean): Promise<string> {
  const temporary = join(dirname(path), unfinishedName(basename(path)));
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await writeFully(handle, typeof content === 'string' ? Buffer.from(content) : content, null);
    if (durable) await handle.datasync();
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    return naming(path)(error);
  } finally {
    await handle.close();
  }
  return temporary;
}
