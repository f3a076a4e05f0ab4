import { PosteError } from './errors.js';
import { formatSize } from './quantities.js';

const MIB = 1024 * 1024;

/**
 * Bytes of a file system of `total` bytes that no download takes, so that the state can still be written: 1 %, from 1 to 64 MiB, but no
 * more than a sixteenth of a tiny one.
 */
export function diskReserve(total: number): number {
  return Math.floor(Math.min(64 * MIB, Math.max(total / 100, Math.min(MIB, total / 16))));
}

/** What may be written to a file system, and what is still to come; bytes. */
export interface Room {
  readonly free: number;
  readonly reserve: number;
  /** Of the download in question. */
  readonly needed: number;
  /** Of the other downloads under way on the same file system, whosever they are. */
  readonly others: number;
}

/** @throws PosteError `disk-full`, with the numbers, unless all of it fits; what needs nothing always does. */
export function checkRoom({ free, reserve, needed, others }: Room): void {
  if (needed <= 0 || needed + others <= free - reserve) return;
  const besides = others > 0 ? `other downloads there ${formatSize(others)}, ` : '';
  const message = `${formatSize(needed)} are still to come, ${besides}and ${formatSize(free)} are free, of which ${formatSize(reserve)} stay free`;
  throw new PosteError('disk-full', message, { hint: 'it goes on by itself when there is room', transient: true });
}
