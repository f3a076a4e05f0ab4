import { checkRoom } from '../domain/disk-space.js';
import { diskSpace, type DiskSpace } from '../store/disk-space.js';
import type { SessionPaths } from '../store/paths.js';
import { neededElsewhere } from '../store/progress.js';
import type { LiveProgress } from './live-progress.js';

/** Milliseconds that a look at the disk serves for those who need next to nothing of what it found. */
const LOOK_MS = 1000;
const LITTLE = 1 / 1000;

/** Lets a transfer go on only when all that is still to come on its disk fits there, of this session and of the others of the home. */
export class Admission {
  readonly #home: string;
  readonly #paths: SessionPaths;
  readonly #temp: string;
  readonly #live: LiveProgress;
  readonly #admitted = new Map<number, { readonly received: number; readonly total: number }>();
  #space: DiskSpace | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(home: string, paths: SessionPaths, temp: string, live: LiveProgress) {
    this.#home = home;
    this.#paths = paths;
    this.#temp = temp;
    this.#live = live;
  }

  /** To be asked again when another length is known of `task`. @throws PosteError `disk-full` */
  async admit(task: number, received: number, total: number): Promise<void> {
    const before = this.#admitted.get(task);
    if (before?.total === total && before.received <= received) return;
    const needed = total - received;
    const space = await this.#look(needed);
    if (space === null) return;
    const { device, reserve } = space;
    checkRoom({ ...space, needed, others: this.#live.needed(task) });
    this.#admitted.set(task, { received, total });
    this.#live.expect(task, total, device);
    // As much as the reserve may be missing in the end: it is worth no look at every session.
    if (needed <= reserve) return;
    try {
      // Told before the others are asked: of two sessions that come at the same moment, one at least sees the other.
      await this.#live.write();
      const elsewhere = await neededElsewhere(this.#home, this.#paths, device, Date.now());
      checkRoom({ ...space, needed, others: this.#live.needed(task) + elsewhere });
    } catch (error) {
      this.#live.expect(task, null, device);
      this.release(task);
      throw error;
    }
  }

  release(task: number): void {
    this.#admitted.delete(task);
  }

  async #look(needed: number): Promise<DiskSpace | null> {
    const now = performance.now();
    if (this.#space === null || now - this.#lookedAt > LOOK_MS || needed > this.#space.free * LITTLE) {
      this.#space = await diskSpace(this.#temp);
      this.#lookedAt = now;
    }
    return this.#space;
  }
}
