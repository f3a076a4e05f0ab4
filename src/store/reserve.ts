import { randomBytes } from 'node:crypto';
import { lstat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorInfo } from '../domain/errors.js';
import { diskSpace } from './disk-space.js';
import { replaceFile } from './files.js';

/** More than one command writes: a request, a generation, an intent, an answer, a few lines. */
const RESERVE_BYTES = 128 * 1024;

/** Makes the file whose blocks are a home's last ones, unless it is there or the disk is all but full. Never rejects: it is a help, no need. */
export async function keepReserve(path: string): Promise<void> {
  try {
    const there = await lstat(path).catch(() => null);
    if (there?.size === RESERVE_BYTES) return;
    const space = await diskSpace(dirname(path));
    if (space !== null && space.free < space.reserve + RESERVE_BYTES) return;
    // Not zeros: file systems that compress would keep no block for them.
    await replaceFile(path, randomBytes(RESERVE_BYTES), { durable: true });
  } catch {
    // The disk says what is wrong to whoever needs it.
  }
}

/** Does what makes room in the end, such as a purge. When the disk is too full even for that, the reserve goes, and it is done again. */
export async function withReserve<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const given = errorInfo(error).code === 'disk-full' && (await unlink(path).then(() => true, () => false));
    if (!given) throw error;
  }
  try {
    return await act();
  } finally {
    await keepReserve(path);
  }
}
