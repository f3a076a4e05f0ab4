import type { PartFile } from '../store/part.js';

/** Bytes of one write and its record: what a killed process has to fetch again beside what was not written yet. */
const WRITE_BYTES = 256 * 1024;

/** Takes chunks as they arrive and writes them, several at a time, without copying them together. */
export class BodyWriter {
  readonly #part: PartFile;
  readonly #onWritten: (outstanding: number) => void;
  readonly #onError: (error: Error) => void;
  #position: number;
  #chunks: Buffer[] = [];
  #outstanding = 0;
  #writing: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(part: PartFile, position: number, onWritten: (outstanding: number) => void, onError: (error: Error) => void) {
    this.#part = part;
    this.#position = position;
    this.#onWritten = onWritten;
    this.#onError = onError;
  }

  /** Bytes taken and not yet both written and recorded. */
  get outstanding(): number {
    return this.#outstanding;
  }

  push(chunk: Buffer): void {
    if (this.#failure !== null || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#outstanding += chunk.length;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when everything taken is on disk. Rejects with what went wrong in writing. */
  async drain(): Promise<void> {
    await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Never rejects: a failure is kept for {@link drain} and told at once. */
  async #writeAll(): Promise<void> {
    try {
      while (this.#chunks.length > 0) {
        const batch = this.#nextBatch();
        const bytes = batch.reduce((sum, chunk) => sum + chunk.length, 0);
        await this.#part.write(batch, this.#position);
        this.#position += bytes;
        this.#outstanding -= bytes;
        this.#onWritten(this.#outstanding);
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#chunks = [];
      this.#onError(this.#failure);
    } finally {
      this.#writing = null;
    }
  }

  #nextBatch(): Buffer[] {
    let bytes = 0;
    const count = this.#chunks.findIndex((chunk) => (bytes += chunk.length) > WRITE_BYTES);
    return this.#chunks.splice(0, count === -1 ? this.#chunks.length : Math.max(1, count));
  }
}
