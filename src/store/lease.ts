import { rm } from 'node:fs/promises';
import { removeIfThere, systemCode } from './files.js';
import { highestGeneration, markReleased, readGeneration, type Owner } from './generations.js';
import type { SessionPaths } from './paths.js';
import { Together } from './together.js';

/** Milliseconds between two looks of the holder at its lock. */
const LOCK_UPDATE = 60_000;

/** A session in this process's hands, until it is released or lost. */
export interface Ownership {
  readonly gen: number;
  readonly token: string;
  /** Fires when it is seen that the session has another owner: stop, and write nothing more. */
  readonly lost: AbortSignal;
  /** Whether this is still the highest generation. To be asked before whatever must not be done by two. */
  stillMine(): Promise<boolean>;
  /** Gives the session back. Does no harm when it was lost, or was given back before. */
  release(): Promise<void>;
}

/** Gives a lock of proper-lockfile back. */
export type Unlock = () => Promise<void>;

/** The ownership that a generation gives, with the lock that shows it. The rules are told in ownership.ts. */
export class Lease implements Ownership {
  readonly gen: number;
  readonly token: string;
  readonly #paths: SessionPaths;
  readonly #lost = new AbortController();
  readonly #looks = new Together(() => this.#isHighest());
  #unlock: Unlock | null = null;
  #relocking: Promise<void> = Promise.resolve();
  #released: Promise<void> | null = null;

  constructor(paths: SessionPaths, { gen, token }: Owner) {
    this.gen = gen;
    this.token = token;
    this.#paths = paths;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async stillMine(): Promise<boolean> {
    if (this.#released !== null) return false;
    const mine = await this.#looks.run('');
    if (!mine) this.#lost.abort();
    return mine;
  }

  release(): Promise<void> {
    this.#released ??= this.#release().catch((error: unknown) => {
      // Whoever asks again tries again.
      this.#released = null;
      throw error;
    });
    return this.#released;
  }

  /** Locks worker.lock. What is in the way was left by a dead holder, or put there by none. */
  async lock(): Promise<void> {
    const { lock } = await import('proper-lockfile');
    for (;;) {
      try {
        this.#unlock = await lock(this.#paths.dir, {
          lockfilePath: this.#paths.lock,
          realpath: false,
          // Never by time: a suspended holder is no dead one, and clocks are set.
          stale: Infinity,
          update: LOCK_UPDATE,
          onCompromised: () => {
            this.#relocking = this.#relock();
          },
        });
        return;
      } catch (error) {
        if (systemCode(error) !== 'ELOCKED') throw error;
        await rm(this.#paths.lock, { recursive: true, force: true });
      }
    }
  }

  /** Someone removed or touched the lock. Whether the session is lost, only the generations say. */
  async #relock(): Promise<void> {
    this.#unlock = null;
    try {
      if (await this.stillMine()) await this.lock();
    } catch {
      // A disk that is full or gone: without the lock's directory, the generation still holds the session.
    }
  }

  async #isHighest(): Promise<boolean> {
    if ((await readGeneration(this.#paths, this.gen))?.token !== this.token) return false;
    // Last: whoever was stopped on the way sees those who came meanwhile.
    return (await highestGeneration(this.#paths)).gen === this.gen;
  }

  async #release(): Promise<void> {
    await this.#relocking;
    if (!(await this.#isHighest())) return;
    // The lock goes first: once the generation is given back, the directory is the next holder's.
    await this.#unlock?.().catch(() => undefined);
    await removeIfThere(this.#paths.owner);
    await markReleased(this.#paths, this.gen);
  }
}
