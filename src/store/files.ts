import { constants } from 'node:fs';
import { link, lstat, mkdir, open, readFile, rename, unlink, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

/** The `code` of a system error (`ENOENT`, `EEXIST`, …), or `undefined` for anything else. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * Makes a directory and its parents, durably: what is synced in it later must not go with its name in a power cut. They are 0700 whatever
 * the umask: that has no bit that a usual umask takes.
 */
export async function makeDir(path: string, mode = 0o700): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
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

/** Makes names in a directory (created, renamed, removed) survive a power cut. */
export async function syncDir(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync().catch(naming(path));
  } finally {
    await handle.close();
  }
}

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
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  if (durable) await syncDir(dirname(path));
}

/** Creates a file that must not exist, with its content complete from the first instant. Throws EEXIST. */
export async function createFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = await writeBeside(path, content, true);
  try {
    await link(temporary, path);
  } finally {
    // The file is there or not: a name that cannot be removed now is swept later.
    await unlink(temporary).catch(() => undefined);
  }
  await syncDir(dirname(path));
}

/** The file's text, or `null` when there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return null;
    throw error;
  }
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
