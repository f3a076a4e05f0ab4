import { parseHttpDate } from './validators.js';

/** The longest back-off, in units of the first one: 10 min where that is 1 s. */
const LONGEST_UNITS = 600;
/** A server may ask for more than this; it is not obeyed further. */
const LONGEST_RETRY_AFTER_MS = 6 * 3_600_000;

export interface RetryDelayInput {
  /** Tries in a row that brought no byte, this one included (so at least 0). */
  readonly fruitless: number;
  readonly retryAfterMs: number | null;
  /** In [0, 1). */
  readonly random: number;
  /** Milliseconds that the first back-off lasts at most. */
  readonly unitMs: number;
}

/**
 * Milliseconds to wait before the next try: full jitter over 1, 2, 4, … 600 units. What the server asked for wins,
 * with a little jitter on top so that its clients do not come back all at once, never earlier.
 */
export function retryDelay({ fruitless, retryAfterMs, random, unitMs }: RetryDelayInput): number {
  if (retryAfterMs !== null) {
    const asked = Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
    return Math.round(asked + random * Math.min(5_000, asked / 10));
  }
  const ceiling = unitMs * Math.min(LONGEST_UNITS, 2 ** Math.min(Math.max(0, fruitless - 1), 30));
  return Math.round(random * ceiling);
}

/** `Retry-After` (RFC 9110, section 10.2.3) as milliseconds from `now`, at most 6 h; `null` for what makes no sense. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  const text = value?.trim() ?? '';
  const asked = /^\d+$/.test(text) ? Number(text) * 1000 : (parseHttpDate(text) ?? Number.NaN) - now;
  return asked >= 0 ? Math.min(asked, LONGEST_RETRY_AFTER_MS) : null;
}
