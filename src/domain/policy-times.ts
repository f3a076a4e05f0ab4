import { PosteError } from './errors.js';
import { printable } from './printable.js';

export interface PolicyTimes {
  /** Milliseconds between two looks at the conditions. */
  readonly pollMs: number;
  /** Milliseconds that conditions must last before they count. */
  readonly holdMs: number;
}

const DAY_SECONDS = 86_400;

/** `POSTE_POLICY_POLL` (5 s) and `POSTE_POLICY_HOLD` (10 s), in seconds, fractions allowed. Throws `usage`. */
export function parsePolicyTimes(env: Readonly<Record<string, string | undefined>>): PolicyTimes {
  return {
    // Below a hundredth of a second, looking would be all that is done.
    pollMs: parseSeconds('POSTE_POLICY_POLL', env['POSTE_POLICY_POLL'], { byDefault: 5, atLeast: 0.01 }),
    holdMs: parseSeconds('POSTE_POLICY_HOLD', env['POSTE_POLICY_HOLD'], { byDefault: 10, atLeast: 0 }),
  };
}

/**
 * `POSTE_BACKOFF` (1 s): how long the first back-off lasts at most, milliseconds; whatever is waited for by time alone (back-off, a full
 * disk, a log-in page) is a multiple of it. Throws `usage`.
 */
export function parseBackoff(env: Readonly<Record<string, string | undefined>>): number {
  return parseSeconds('POSTE_BACKOFF', env['POSTE_BACKOFF'], { byDefault: 1, atLeast: 0.01 });
}

function parseSeconds(name: string, text: string | undefined, { byDefault, atLeast }: { byDefault: number; atLeast: number }): number {
  if (text === undefined || text === '') return byDefault * 1000;
  const seconds = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= atLeast && seconds <= DAY_SECONDS)) {
    throw new PosteError('usage', `${name} must be seconds from ${atLeast} to ${DAY_SECONDS}, not "${printable(text.slice(0, 200), 40)}"`, {
      hint: `set it to a number such as ${byDefault} or 0.5, or unset it`,
    });
  }
  return seconds * 1000;
}
