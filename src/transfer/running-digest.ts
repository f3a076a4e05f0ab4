import type * as Crypto from 'node:crypto';
import type * as FileSystem from 'node:fs';
import type * as Threads from 'node:worker_threads';
import { Worker } from 'node:worker_threads';

/** A file is followed from so many bytes on; below, to read it once more when it is here costs less than a thread. */
export const FOLLOWED_FROM_BYTES = 16 * 1024 * 1024;
/** Bytes between two words to the thread. */
const STEP_BYTES = 4 * 1024 * 1024;

/** To the thread. `upTo`: the file's bytes before it are there and stay as they are. */
type Order =
  | { readonly kind: 'open'; readonly file: number; readonly path: string; readonly algorithms: readonly string[] }
  | { readonly kind: 'advance'; readonly file: number; readonly upTo: number }
  | { readonly kind: 'finish'; readonly file: number; readonly upTo: number }
  | { readonly kind: 'close'; readonly file: number };

/** From the thread, of a `finish`: hex, in the order of the algorithms; `null` when the file could not be read that far. */
interface Answer {
  readonly file: number;
  readonly digests: readonly string[] | null;
}

/**
 * The digest of a file that is still arriving: a thread reads what is on disk from the front, and has little left to do when the last byte
 * comes. SHA-256 of 1 GiB takes as long as a fast network takes to bring it.
 */
export class RunningDigest {
  readonly #file: number;
  #told = 0;
  #isOpen = true;

  constructor(path: string, algorithms: readonly string[]) {
    this.#file = thread.open(path, algorithms);
  }

  /** All bytes before `upTo` are in the file, for good. */
  advance(upTo: number): void {
    if (!this.#isOpen || upTo < this.#told + STEP_BYTES) return;
    this.#told = upTo;
    thread.tell({ kind: 'advance', file: this.#file, upTo });
  }

  /** Of the file's first `size` bytes, as hex; `null` when it could not be found. Rejects with the signal's reason when it aborts. */
  async finish(size: number, signal: AbortSignal): Promise<readonly string[] | null> {
    if (!this.#isOpen) return null;
    return thread.finish(this.#file, size, signal);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    thread.close(this.#file);
  }
}

/** One thread for all files, there while there is one. */
class DigestThread {
  #worker: Worker | null = null;
  #lastFile = 0;
  readonly #files = new Set<number>();
  readonly #waiting = new Map<number, (digests: readonly string[] | null) => void>();

  open(path: string, algorithms: readonly string[]): number {
    this.#lastFile += 1;
    const file = this.#lastFile;
    this.#files.add(file);
    this.tell({ kind: 'open', file, path, algorithms });
    return file;
  }

  tell(order: Order): void {
    try {
      this.#worker ??= this.#start();
    } catch {
      // No more threads for this user: the file is read when it is here.
      this.#files.clear();
      return;
    }
    this.#worker.postMessage(order);
  }

  async finish(file: number, upTo: number, signal: AbortSignal): Promise<readonly string[] | null> {
    signal.throwIfAborted();
    const worker = this.#worker;
    // It was lost with its thread.
    if (worker === null || !this.#files.has(file)) return null;
    worker.ref();
    try {
      return await new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
        this.#waiting.set(file, (digests) => {
          signal.removeEventListener('abort', abort);
          resolve(digests);
        });
        this.tell({ kind: 'finish', file, upTo });
      });
    } finally {
      this.#waiting.delete(file);
      if (this.#waiting.size === 0) worker.unref();
    }
  }

  close(file: number): void {
    if (!this.#files.delete(file)) return;
    if (this.#files.size > 0) {
      this.tell({ kind: 'close', file });
      return;
    }
    void this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    // As text: what a file of its own is called differs between sources and bundle.
    const worker = new Worker(`(${follow.toString()})(require('node:worker_threads'), require('node:fs'), require('node:crypto'))`, { eval: true });
    worker.unref();
    worker.on('message', ({ file, digests }: Answer) => this.#waiting.get(file)?.(digests));
    const lost = (): void => {
      if (this.#worker !== worker) return;
      this.#worker = null;
      this.#files.clear();
      for (const settle of this.#waiting.values()) settle(null);
    };
    worker.on('error', lost);
    worker.on('exit', lost);
    return worker;
  }
}

const thread = new DigestThread();

/** Runs in the thread, and uses nothing but what it is given. A file that cannot be read has no digest: whoever asked reads it himself, and tells why. */
function follow(threads: typeof Threads, fs: typeof FileSystem, crypto: typeof Crypto): void {
  const port = threads.parentPort;
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  const files = new Map<number, { descriptor: number; hashes: Crypto.Hash[]; at: number }>();
  const read = (file: number, upTo: number): string[] | null => {
    const followed = files.get(file);
    if (followed === undefined) return null;
    while (followed.at < upTo) {
      const bytes = fs.readSync(followed.descriptor, buffer, 0, Math.min(buffer.length, upTo - followed.at), followed.at);
      if (bytes === 0) return null;
      for (const hash of followed.hashes) hash.update(buffer.subarray(0, bytes));
      followed.at += bytes;
    }
    return followed.hashes.map((hash) => hash.copy().digest('hex'));
  };
  const close = (file: number): void => {
    const followed = files.get(file);
    files.delete(file);
    if (followed !== undefined) fs.closeSync(followed.descriptor);
  };
  port?.on('message', (order: Order) => {
    let digests: string[] | null = null;
    try {
      if (order.kind === 'open') {
        const descriptor = fs.openSync(order.path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
        files.set(order.file, { descriptor, hashes: order.algorithms.map((algorithm) => crypto.createHash(algorithm)), at: 0 });
      } else if (order.kind === 'close') close(order.file);
      else digests = read(order.file, order.upTo);
    } catch {
      close(order.file);
    }
    if (order.kind === 'finish') port.postMessage({ file: order.file, digests });
  });
}
