import type { PartFile } from '../store/part.js';
import { recycle } from './socket-reads.js';

/** One write and its record. */
const MOST_BYTES = 256 * 1024;
/** A write waits until it is worth the trouble, or so long: a slow server sends a few kilobytes at a time. */
const WORTHWHILE_BYTES = 128 * 1024;
const LONGEST_WAIT_MS = 50;
const MOST_WRITES = 3;

/** Takes chunks as they arrive and writes them, several at a time, without copying them together. */
export class BodyWriter {
  readonly #part: Pick<PartFile, 'write'>;
  readonly #onWritten: (outstanding: number) => void;
  readonly #onError: (error: Error) => void;
  readonly #writes = new Set<Promise<void>>();
  #position: number;
  #chunks: Buffer[] = [];
  #queued = 0;
  #outstanding = 0;
  #failure: Error | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(part: Pick<PartFile, 'write'>, position: number, onWritten: (outstanding: number) => void, onError: (error: Error) => void) {
    this.#part = part;
    this.#position = position;
    this.#onWritten = onWritten;
    this.#onError = onError;
  }

  /** Bytes taken and not yet both written and recorded: what a killed process has to fetch again. */
  get outstanding(): number {
    return this.#outstanding;
  }

  push(chunk: Buffer): void {
    if (this.#failure !== null || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    this.#outstanding += chunk.length;
    this.#start();
  }

  /** Resolves when everything taken is on disk. Rejects with what went wrong in writing. */
  async drain(): Promise<void> {
    this.#start(0);
    while (this.#writes.size > 0) {
      await Promise.all(this.#writes);
      this.#start(0);
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#failure !== null) throw this.#failure;
  }

  #start(least = WORTHWHILE_BYTES): void {
    while (this.#queued > 0 && this.#writes.size < MOST_WRITES && this.#queued >= least) {
      const write = this.#write(this.#nextBatch());
      this.#writes.add(write);
      void write.then(() => {
        this.#writes.delete(write);
        this.#start();
      });
    }
    if (this.#queued === 0 || this.#timer !== null || this.#writes.size > 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#start(0);
    }, LONGEST_WAIT_MS);
  }

  /** Never rejects: a failure is kept for {@link drain} and told at once. */
  async #write(batch: readonly Buffer[]): Promise<void> {
    const bytes = batch.reduce((sum, chunk) => sum + chunk.length, 0);
    const position = this.#position;
    this.#position += bytes;
    this.#queued -= bytes;
    try {
      await this.#part.write(batch, position);
      batch.forEach(recycle);
      this.#outstanding -= bytes;
      this.#onWritten(this.#outstanding);
    } catch (error) {
      if (this.#failure !== null) return;
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#chunks = [];
      this.#queued = 0;
      this.#onError(this.#failure);
    }
  }

  #nextBatch(): readonly Buffer[] {
    let bytes = 0;
    const count = this.#chunks.findIndex((chunk) => (bytes += chunk.length) > MOST_BYTES);
    return this.#chunks.splice(0, count === -1 ? this.#chunks.length : Math.max(1, count));
  }
}
