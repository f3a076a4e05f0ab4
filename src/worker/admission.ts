import { checkRoom } from '../domain/disk-space.js';
import { PosteError } from '../domain/errors.js';
import type { Reason } from '../domain/task.js';
import { diskSpace, type DiskSpace } from '../store/disk-space.js';
import type { SessionPaths } from '../store/paths.js';
import { neededElsewhere } from '../store/progress.js';
import type { LiveProgress } from './live-progress.js';

/** Milliseconds that a look at the disk serves for those who need next to nothing of what it found. */
const LOOK_MS = 1000;
const LITTLE = 1 / 1000;

export interface AdmissionContext {
  readonly home: string;
  readonly paths: SessionPaths;
  /** Absolute: where parts are. */
  readonly temp: string;
  readonly live: LiveProgress;
  /** How long a task that found no room waits, milliseconds. */
  readonly lookAgainMs: number;
}

/** Lets a transfer go on only when all that is still to come on its disk fits there, of this session and of the others of the home. */
export class Admission {
  readonly #home: string;
  readonly #paths: SessionPaths;
  readonly #temp: string;
  readonly #live: LiveProgress;
  readonly #lookAgainMs: number;
  /** Tasks that do not fit on the disk, and when to look again, epoch milliseconds. Kept here: a full disk is no place for a word at every look. */
  readonly #noRoom = new Map<number, { readonly reason: Reason; readonly until: number }>();
  readonly #admitted = new Map<number, { readonly received: number; readonly total: number }>();
  #space: DiskSpace | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor({ home, paths, temp, live, lookAgainMs }: AdmissionContext) {
    this.#home = home;
    this.#paths = paths;
    this.#temp = temp;
    this.#live = live;
    this.#lookAgainMs = lookAgainMs;
  }

  /** Why a task finds no room, until it is time to look again. */
  reason(task: number, now: number): Reason | null {
    const known = this.#noRoom.get(task);
    return known !== undefined && now < known.until && known.reason.since <= now ? known.reason : null;
  }

  /** False when nothing need be asked for, because what would come does not fit: {@link reason} tells. */
  async findsRoom(task: number, received: number, total: number): Promise<boolean> {
    this.#noRoom.delete(task);
    try {
      await this.admit(task, received, total);
      return true;
    } catch (error) {
      if (!(error instanceof PosteError) || error.code !== 'disk-full') throw error;
      const now = Date.now();
      const reason = { code: 'disk-full' as const, message: error.message, since: now, nextCheckAt: null };
      // Sessions that kept each other from beginning do not come back at the same moment.
      this.#noRoom.set(task, { reason, until: now + this.#lookAgainMs * (0.75 + Math.random() / 2) });
      return false;
    }
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
