import { createHash, type Hash } from 'node:crypto';
import { PosteError } from '../domain/errors.js';
import type { Checksum } from '../domain/task.js';
import type { PartFile } from '../store/part.js';
import { RunningDigest } from './running-digest.js';

const READ_BYTES = 1024 * 1024;

export interface Digests {
  /** Hex. */
  readonly sha256: string;
  /** Hex, of the algorithm asked for; `null` when none was. */
  readonly asked: string | null;
}

/** Follows the file while it arrives. */
export function startDigest({ path }: PartFile, algorithm: Checksum['algorithm'] | null): RunningDigest {
  return new RunningDigest(path, algorithmsFor(algorithm));
}

/**
 * Of what is on disk, all `size` bytes of it, by what `running` has found of them or by reading them back.
 * @throws PosteError `io` when it cannot be read or is shorter; the signal's reason when it aborts.
 */
export async function digest(part: PartFile, size: number, algorithm: Checksum['algorithm'] | null, running: RunningDigest | null, signal: AbortSignal): Promise<Digests> {
  const found = await running?.finish(size, signal);
  if (found !== null && found !== undefined) return named(found, algorithm);
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

/** Every file's SHA-256, and what was asked for if that is another one. */
function algorithmsFor(asked: Checksum['algorithm'] | null): string[] {
  return asked === null || asked === 'sha256' ? ['sha256'] : ['sha256', asked];
}

class Hashes {
  readonly #hashes: readonly Hash[];
  readonly #algorithm: Checksum['algorithm'] | null;

  constructor(algorithm: Checksum['algorithm'] | null) {
    this.#algorithm = algorithm;
    this.#hashes = algorithmsFor(algorithm).map((each) => createHash(each));
  }

  update(chunk: Buffer): void {
    for (const hash of this.#hashes) hash.update(chunk);
  }

  digests(): Digests {
    return named(this.#hashes.map((hash) => hash.digest('hex')), this.#algorithm);
  }
}

function named([sha256 = '', other = sha256]: readonly string[], asked: Checksum['algorithm'] | null): Digests {
  return { sha256, asked: asked === null ? null : other };
}
