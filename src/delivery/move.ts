import { randomBytes } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { chmod, copyFile, link, lstat, open, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { removeIfThere, syncDir, syncWherePossible, systemCode } from '../store/files.js';
import { destinationError, destinationExists } from './destination-error.js';
import { sha256Of } from './digest.js';

/** How far a move has come: what may be found at and beside the destination, for whoever has to end it. Paths are absolute. */
export type Move =
  /** `to` may be a second name of the source. */
  | { readonly kind: 'link'; readonly to: string }
  /** A copy, or a second name of the source, is being made at `staged`. */
  | { readonly kind: 'stage'; readonly to: string; readonly staged: string }
  /** `staged` is complete and synced; it may have been linked or renamed to `to`. */
  | { readonly kind: 'place'; readonly to: string; readonly staged: string }
  /** As `place`, where there are no hard links: an empty file may hold the name `to`. */
  | { readonly kind: 'reserve'; readonly to: string; readonly staged: string };

export interface MoveRequest {
  readonly from: string;
  readonly to: string;
  /** Of the source, in bytes. */
  readonly size: number;
  /** Of the source, hex: a copy is read again before it gets its name. */
  readonly sha256: string;
  /** Replace a regular file at `to`, in one step. */
  readonly overwrite: boolean;
  /** Of the file at the destination. */
  readonly mode: number;
  /** Resolves when the step is durable. */
  readonly record: (move: Move) => Promise<void>;
}

/** Hard links are impossible between these two places, or on this file system at all (FAT, some network and user-space ones). */
const NO_LINK: ReadonlySet<string | undefined> = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

/**
 * Gives the file at `from` the name `to`, whole from the first instant and never over something that was there unasked; `from` stays.
 * When it throws, what was last recorded says what may be left at the destination.
 * @throws PosteError `destination-exists`, `destination-unwritable`, `disk-full` or `io`
 */
export async function moveOnce(request: MoveRequest): Promise<void> {
  const { from, to, overwrite, mode, record } = request;
  try {
    // Temp may be on a file system that has no modes.
    await chmod(from, mode).catch(ignoring('EPERM', 'ENOTSUP', 'EOPNOTSUPP'));
    if (overwrite || !(await linked(from, to, record))) await moveStaged(request);
    await syncWherePossible(dirname(to));
  } catch (error) {
    throw destinationError(error, to);
  }
}

/** Whether the file at `to` is the one that this move was to bring: the same inode, or the staged copy under its final name. */
export async function wasDelivered(move: Move, from: string): Promise<boolean> {
  const there = await lstatIfThere(move.to);
  const source = await lstatIfThere(from);
  if (there === null || source === null || !there.isFile()) return false;
  if (sameFile(there, source)) return true;
  if (move.kind === 'link' || move.kind === 'stage') return false;
  const staged = await lstatIfThere(move.staged);
  if (staged !== null) return sameFile(there, staged);
  // The copy was renamed, it seems. Inode numbers do not outlive a mount everywhere (FAT), bytes do.
  return there.size === source.size && (await sameBytes(move.to, from));
}

/** Takes away what an undelivered move may have left. */
export async function undo(move: Move): Promise<void> {
  if (move.kind === 'link') return;
  await removeStaged(move.staged);
  if (move.kind !== 'reserve') return;
  const there = await lstatIfThere(move.to);
  if (there?.isFile() === true && there.size === 0n) await unlink(move.to);
}

/** After a durable claim: removes the second names and the source, with the folder that held nothing else. */
export async function removeSource(move: Move | null, from: string): Promise<void> {
  if (move !== null && move.kind !== 'link') await removeStaged(move.staged);
  await removeIfThere(from);
  const folder = dirname(from);
  await rmdir(folder).catch(ignoring('ENOENT', 'ENOTEMPTY', 'EEXIST'));
  await syncDir(dirname(folder)).catch(ignoring('ENOENT'));
}

async function linked(from: string, to: string, record: MoveRequest['record']): Promise<boolean> {
  await record({ kind: 'link', to });
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (NO_LINK.has(systemCode(error))) return false;
    throw error;
  }
}

async function moveStaged({ from, to, size, sha256, overwrite, mode, record }: MoveRequest): Promise<void> {
  const staged = join(dirname(to), `.poste-${randomBytes(8).toString('hex')}`);
  await record({ kind: 'stage', to, staged });
  try {
    await stage(from, staged, { size, sha256 }, mode, overwrite);
    await record({ kind: 'place', to, staged });
    if (overwrite) {
      await checkReplaceable(to);
      await rename(staged, to);
    } else {
      await link(staged, to).catch(async (error: unknown) => {
        if (!NO_LINK.has(systemCode(error))) throw error;
        await record({ kind: 'reserve', to, staged });
        await placeReserved(staged, to);
      });
    }
  } catch (error) {
    await removeStaged(staged).catch(() => undefined);
    throw error;
  }
}

/** Durably, before the intent that tells of it goes: the two may be on different disks, and a power cut would bring back what nobody knows of. */
async function removeStaged(staged: string): Promise<void> {
  await removeIfThere(staged);
  await syncWherePossible(dirname(staged)).catch(ignoring('ENOENT'));
}

/** Makes `staged` a second name of the source or, failing that, a copy that is whole, synced and until then for nobody else to read. */
async function stage(from: string, staged: string, { size, sha256 }: Pick<MoveRequest, 'size' | 'sha256'>, mode: number, mayLink: boolean): Promise<void> {
  if (mayLink) {
    try {
      await link(from, staged);
      return;
    } catch (error) {
      if (!NO_LINK.has(systemCode(error))) throw error;
    }
  }
  const created = await open(staged, 'wx', 0o600);
  await created.close();
  await copyFile(from, staged, constants.COPYFILE_FICLONE);
  const handle = await open(staged, 'r+');
  try {
    const copied = await handle.stat();
    if (copied.size !== size) {
      throw new PosteError('io', `only ${copied.size} of ${size} bytes reached ${printable(dirname(staged))}; the file is kept in temp`);
    }
    if ((await sha256Of(staged)) !== sha256) {
      throw new PosteError('io', `what reached ${printable(dirname(staged))} is not the file that was finished; that one is kept in temp`, {
        hint: 'look at the disks; start --new fetches it again',
      });
    }
    await handle.chmod(mode).catch(ignoring('EPERM', 'ENOTSUP', 'EOPNOTSUPP'));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Only one can make the empty file; renaming onto it afterwards replaces nobody else's. */
async function placeReserved(staged: string, to: string): Promise<void> {
  const reserved = await open(to, 'wx', 0o600);
  await reserved.close();
  try {
    await rename(staged, to);
  } catch (error) {
    await unlink(to);
    throw error;
  }
}

/** @throws PosteError `destination-exists` when `to` is there and anything but a regular file */
export async function checkReplaceable(to: string): Promise<void> {
  const there = await lstatIfThere(to);
  if (there !== null && !there.isFile()) throw destinationExists(to, ', is not a regular file');
}

async function lstatIfThere(path: string): Promise<BigIntStats | null> {
  return lstat(path, { bigint: true }).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return null;
    throw error;
  });
}

function sameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  const size = (await stat(a)).size;
  const chunk = 1024 * 1024;
  const [first, second] = [await open(a), await open(b)];
  try {
    const [left, right] = [Buffer.alloc(chunk), Buffer.alloc(chunk)];
    for (let offset = 0; offset < size; offset += chunk) {
      const [{ bytesRead }, other] = [await first.read(left, 0, chunk, offset), await second.read(right, 0, chunk, offset)];
      if (bytesRead !== other.bytesRead || !left.subarray(0, bytesRead).equals(right.subarray(0, bytesRead))) return false;
    }
    return true;
  } finally {
    await first.close();
    await second.close();
  }
}

function ignoring(...codes: string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error;
  };
}
