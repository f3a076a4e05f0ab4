import { createHash, type Hash } from 'node:crypto';
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
  const hashes = new Hashes(algorithm);
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, size)));
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const bytes = await part.read(buffer.subarray(0, Math.min(buffer.length, size - at)), at);
    if (bytes === 0) throw new PosteError('io', `${part.path} is shorter than what was written to it`, { hint: 'look at the disk, then `poste retry`' });
    hashes.update(buffer.subarray(0, bytes));
    at += bytes;
  }
  return hashes.digests();
}

/** The same of bytes that are in memory. */
export function digestOf(chunks: readonly Buffer[], algorithm: Checksum['algorithm'] | null): Digests {
  const hashes = new Hashes(algorithm);
  for (const chunk of chunks) hashes.update(chunk);
  return hashes.digests();
}

/** `transient`: the fault may be in how the pieces were joined. */
export function wrongDigest(found: string, wanted: string, { transient }: { transient: boolean }): PosteError {
  return new PosteError('checksum', `the digest of what arrived is ${found}, not ${wanted}; none of it will be delivered`, {
    hint: 'check the digest and the address, then `poste retry`',
    transient,
  });
}

class Hashes {
  readonly #sha256 = createHash('sha256');
  readonly #asked: Hash | null;
  readonly #isAsked: boolean;

  constructor(algorithm: Checksum['algorithm'] | null) {
    this.#isAsked = algorithm === 'sha256';
    this.#asked = algorithm === null || this.#isAsked ? null : createHash(algorithm);
  }

  update(chunk: Buffer): void {
    this.#sha256.update(chunk);
    this.#asked?.update(chunk);
  }

  digests(): Digests {
    const sha256 = this.#sha256.digest('hex');
    return { sha256, asked: this.#isAsked ? sha256 : (this.#asked?.digest('hex') ?? null) };
  }
}
