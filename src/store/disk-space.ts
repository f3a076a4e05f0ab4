import { stat, statfs } from 'node:fs/promises';
import { diskReserve } from '../domain/disk-space.js';

/** How a file system stands; bytes. */
export interface DiskSpace {
  /** For whoever is not privileged. */
  readonly free: number;
  readonly reserve: number;
  /** Tells it from every other on this machine. */
  readonly device: number;
}

/** Of the file system that holds `path`; `null` when that does not say, as some of those in user space, or the path is gone. Never rejects. */
export async function diskSpace(path: string): Promise<DiskSpace | null> {
  try {
    const { blocks, bavail, bsize } = await statfs(path);
    if (blocks === 0) return null;
    return { free: bavail * bsize, reserve: diskReserve(blocks * bsize), device: (await stat(path)).dev };
  } catch {
    // What is wrong there shows in reading and writing.
    return null;
  }
}
