/** Bytes of small files that are put away at once: with what each connection has not written yet, a kill costs less than 1 MiB for each. */
const MOST_BYTES = 320 * 1024;

/** Small files that have arrived and are still to be written, made durable and told, beside the transfers of the next ones. */
export class PutAway {
  readonly #most: number;
  /** Bytes by task. */
  readonly #files = new Map<number, number>();

  /** `most`: files at once. */
  constructor(most: number) {
    this.#most = most;
  }

  get tasks(): ReadonlySet<number> {
    return new Set(this.#files.keys());
  }

  /** False when there are too many: the next transfer waits until this one is on disk. */
  add(task: number, bytes: number): boolean {
    const underWay = [...this.#files.values()].reduce((sum, size) => sum + size, 0);
    if (this.#files.size >= this.#most || underWay + bytes > MOST_BYTES) return false;
    this.#files.set(task, bytes);
    return true;
  }

  delete(task: number): void {
    this.#files.delete(task);
  }
}
