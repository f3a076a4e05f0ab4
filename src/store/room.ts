import { setTimeout as delay } from 'node:timers/promises';
import { isShortage } from '../domain/errors.js';
import { systemCode } from './files.js';

const LOOK_MS = 1000;

/**
 * Does a write, and again every second while the disk is full or too much is open, until `patience` ends: what was decided is then written
 * late instead of lost. With `null` nobody waits. Rejects with the system's error, the one of the full disk included.
 */
export async function untilRoom<T>(write: () => Promise<T>, patience: AbortSignal | null): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      const code = systemCode(error);
      if (!(code === 'ENOSPC' || code === 'EDQUOT' || isShortage(code)) || patience === null || patience.aborted) throw error;
    }
    await delay(LOOK_MS, undefined, { signal: patience }).catch(() => undefined);
  }
}
