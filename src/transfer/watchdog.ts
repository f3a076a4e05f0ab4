import { timerMs } from '../platform/timer.js';

/** Fewer bytes than this in a whole window are as good as none: a byte every ten seconds never ends. */
const TRICKLE = 1024;

/** Notices when a connection has gone quiet. Time during which nobody reads from it does not count. */
export class Watchdog {
  readonly #limitMs: number;
  readonly #bark: () => void;
  #timer: NodeJS.Timeout | null = null;
  #windowStart = performance.now();
  #windowBytes = 0;
  #heldSince: number | null = null;
  #heardAt = performance.now();

  constructor(limitMs: number, bark: () => void) {
    this.#limitMs = limitMs;
    this.#bark = bark;
    this.#watch();
  }

  heard(bytes: number): void {
    this.#windowBytes += bytes;
    this.#heardAt = performance.now();
    if (this.#windowBytes >= TRICKLE) this.renew();
  }

  /** Something new begins (the body after the head): its window is its own. */
  renew(): void {
    this.#windowBytes = 0;
    this.#windowStart = performance.now();
  }

  hold(): void {
    this.#heldSince ??= performance.now();
  }

  release(): void {
    if (this.#heldSince === null) return;
    const held = performance.now() - this.#heldSince;
    this.#windowStart += held;
    this.#heardAt += held;
    this.#heldSince = null;
  }

  /** Milliseconds since the last byte, or since it began; 0 while nobody listens. */
  get silentMs(): number {
    return this.#heldSince === null ? performance.now() - this.#heardAt : 0;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #watch(): void {
    const held = this.#heldSince === null ? 0 : performance.now() - this.#heldSince;
    const left = this.#windowStart + held + this.#limitMs - performance.now();
    if (left <= 0) {
      this.#timer = null;
      this.#bark();
      return;
    }
    this.#timer = setTimeout(() => this.#watch(), timerMs(Math.ceil(left)));
  }
}
