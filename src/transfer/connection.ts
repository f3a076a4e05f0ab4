import type { Rate } from '../domain/rate.js';
import type { Stretch } from '../domain/segments.js';
import type { Fetching } from './receive.js';

/** Why a connection is given up although nothing went wrong with it. */
export class Replaced extends Error {}

/** One of several connections of a download: what it is at, and what it has brought. */
export class Connection implements Fetching {
  start: number;
  position: number;
  end: number;
  /** `null` before its first byte. */
  rate: Rate | null = null;
  /** What it had brought when its rate began to count. */
  ratedFrom = 0;
  /** Monotonic milliseconds: when it began with its stretch. */
  since = performance.now();
  replacements = 0;
  abort = new AbortController();
  /** It does no more than what it is at. */
  isLeaving = false;
  #earlier = 0;

  constructor({ start, end }: { start: number; end: number }) {
    this.start = start;
    this.position = start;
    this.end = end;
  }

  /** Bytes, over all its stretches. */
  get brought(): number {
    return this.#earlier + this.position - this.start;
  }

  get stretch(): Stretch {
    const { start, position, end, rate } = this;
    return { start, position, end, bytesPerSecond: rate?.bytesPerSecond ?? null };
  }

  move({ start, end }: { start: number; end: number }): void {
    this.#earlier = this.brought;
    this.start = start;
    this.position = start;
    this.end = end;
    this.since = performance.now();
  }

  /** Gives up the answer under way. */
  replace(): void {
    this.abort.abort(new Replaced('given up for another connection'));
  }
}
