import { createHash } from 'node:crypto';
import { PosteError } from '../domain/errors.js';
import type { Checksum } from '../domain/task.js';
import type { PartFile } from '../store/part.js';

const READ_BYTES = 1024 * 1024;

export interface Digests {
  /** Hex. */
  readonly sha256: string;
  /** Hex, of the algorithm asked for; `null` when none was. */
  readonly asked: string | null;
}

/**
 * Reads the file back from disk, all `size` bytes of it.
 * @throws PosteError `io` when it cannot be read or is shorter; the signal's reason when it aborts.
 */
export async function digest(part: PartFile, size: number, algorithm: Checksum['algorithm'] | null, signal: AbortSignal): Promise<Digests> {
  const sha256 = createHash('sha256');
  const asked = algorithm === null || algorithm === 'sha256' ? null : createHash(algorithm);
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, size)));
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const bytes = await part.read(buffer.subarray(0, Math.min(buffer.length, size - at)), at);
    if (bytes === 0) throw new PosteError('io', `${part.path} is shorter than what was written to it`, { hint: 'look at the disk, then `poste retry`' });
    const chunk = buffer.subarray(0, bytes);
    sha256.update(chunk);
    asked?.update(chunk);
    at += bytes;
  }
  const hex = sha256.digest('hex');
  return { sha256: hex, asked: algorithm === 'sha256' ? hex : (asked?.digest('hex') ?? null) };
}
