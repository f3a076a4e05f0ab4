import { watch, type FSWatcher } from 'node:fs';

/** Lets the worker's one loop sleep until there is something to look at. */
export class Doorbell {
  #wake: (() => void) | null = null;
  #rung = false;
  readonly #watcher: FSWatcher | null;

  /** `directory` is watched for requests. Watches fail (limits, network file systems): the loop polls as well. */
  constructor(directory: string) {
    this.#watcher = startWatch(directory, () => {
      this.ring();
    });
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, at once if there was one since the last call, or after `milliseconds`. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#rung = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}

function startWatch(directory: string, ring: () => void): FSWatcher | null {
  try {
    const watcher = watch(directory, ring);
    watcher.on('error', () => {
      watcher.close();
    });
    return watcher;
  } catch {
    return null;
  }
}
