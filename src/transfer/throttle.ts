interface Waiter {
  /** Bytes granted in all from which on this one may go on. */
  readonly at: number;
  readonly release: () => void;
}

/** How far unused allowance is saved up. */
const BURST_SECONDS = 0.25;
const SMALLEST_BURST = 64 * 1024;

/** A token bucket that all connections of a session drink from. */
export class Throttle {
  /** Bytes a second; `null` is without limit. */
  #rate: number | null = null;
  #granted = 0;
  #taken = 0;
  #grantedAt: number;
  readonly #now: () => number;
  #waiters: readonly Waiter[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#grantedAt = now();
  }

  get isLimited(): boolean {
    return this.#rate !== null;
  }

  /** Takes effect at once, for those who wait already too. */
  setRate(bytesPerSecond: number | null): void {
    this.#grant();
    this.#rate = bytesPerSecond;
    this.#serve();
  }

  /**
   * Counts bytes that have arrived. Answers true when whoever took them must not read on; `release` is called once it may.
   * A connection has at most one such wait at a time.
   */
  take(bytes: number, release: () => void): boolean {
    if (this.#rate === null) return false;
    this.#grant();
    this.#taken += bytes;
    if (this.#taken <= this.#granted) return false;
    this.#waiters = [...this.#waiters, { at: this.#taken, release }];
    // Nobody is released before this has returned: whoever asks holds only then, and would hold for good.
    if (this.#timer === null) this.#schedule();
    return true;
  }

  #grant(): void {
    const now = this.#now();
    const rate = this.#rate;
    const burst = rate === null ? 0 : Math.max(SMALLEST_BURST, rate * BURST_SECONDS);
    const earned = rate === null ? Number.POSITIVE_INFINITY : (rate * (now - this.#grantedAt)) / 1000;
    this.#granted = Math.min(this.#granted + earned, this.#taken + burst);
    this.#grantedAt = now;
  }

  #serve(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#grant();
    const rate = this.#rate;
    const due = this.#waiters.filter(({ at }) => rate === null || at <= this.#granted);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    this.#schedule();
    for (const { release } of due) release();
  }

  #schedule(): void {
    const [first] = this.#waiters;
    const rate = this.#rate;
    if (first === undefined || rate === null) return;
    const delay = Math.min(((first.at - this.#granted) / rate) * 1000, 60_000);
    this.#timer = setTimeout(() => this.#serve(), Math.max(1, Math.ceil(delay)));
    this.#timer.unref();
  }
}
