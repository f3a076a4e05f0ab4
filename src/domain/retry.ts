import { parseHttpDate } from './validators.js';

/** The longest back-off, in units of the first one: 10 min where that is 1 s. */
const LONGEST_UNITS = 600;
/** A server may ask for more than this; it is not obeyed further. */
const LONGEST_RETRY_AFTER_MS = 6 * 3_600_000;
/** A server that is busy and does not say for how long is left alone by all for so many units at most. */
const LONGEST_UNSAID_UNITS = 10;
/** Over how many units at most those come back who were asked to stay away until the same moment. */
const WIDEST_RETURN_UNITS = 60;

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
 * Milliseconds to wait before the next try: full jitter over 1, 2, 4, … 600 units. What the server asked for wins, never earlier, and
 * the jitter comes on top: over the back-off that is due, or as long again as was asked when that is longer, but at most 60 units. A
 * server gives all its clients the same answer, and would have them all back at the same moment.
 */
export function retryDelay({ fruitless, retryAfterMs, random, unitMs }: RetryDelayInput): number {
  const ceiling = unitMs * Math.min(LONGEST_UNITS, 2 ** Math.min(Math.max(0, fruitless - 1), 30));
  if (retryAfterMs === null) return Math.round(random * ceiling);
  const asked = Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
  return Math.ceil(asked + random * Math.min(WIDEST_RETURN_UNITS * unitMs, Math.max(ceiling, asked)));
}

/**
 * Milliseconds that a session's other tasks, and other sessions, wait on after a pause of `pausedMs` that one task was asked for: the server
 * meets them one after the other. `random` in [0, 1).
 */
export function pauseLag({ pausedMs, random, unitMs }: { readonly pausedMs: number; readonly random: number; readonly unitMs: number }): number {
  return Math.round(random * Math.min(WIDEST_RETURN_UNITS * unitMs, pausedMs));
}

/** Milliseconds that every task leaves a busy server alone, of which one waits for `delayMs`. */
export function hostPause({ retryAfterMs, delayMs, unitMs }: { readonly retryAfterMs: number | null; readonly delayMs: number; readonly unitMs: number }): number {
  return retryAfterMs === null ? Math.min(delayMs, LONGEST_UNSAID_UNITS * unitMs) : Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
}

/** `Retry-After` (RFC 9110, section 10.2.3) as milliseconds from `now`, at most 6 h; `null` for what makes no sense. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  const text = value?.trim() ?? '';
  const asked = /^\d+$/.test(text) ? Number(text) * 1000 : (parseHttpDate(text) ?? Number.NaN) - now;
  return asked >= 0 ? Math.min(asked, LONGEST_RETRY_AFTER_MS) : null;
}
