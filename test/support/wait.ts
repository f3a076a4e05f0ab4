import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';

const POLL_MS = 20;

/**
 * Waits until `probe` gives something true, and returns it. Throws after `deadlineMs` (default 15 s) with what
 * was waited for and the last value seen; a probe that throws counts as not yet.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = 15_000 }: { deadlineMs?: number } = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + deadlineMs;
  let last: unknown;
  do {
    const asked = Date.now();
    try {
      const value = await probe();
      if (isTrue(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    // A probe that takes long leaves as much time to what it looks at.
    await delay(Math.max(POLL_MS, Date.now() - asked));
  } while (Date.now() < deadline);
  throw new Error(`waited ${deadlineMs} ms for ${what}; last seen: ${inspect(last, { depth: 4, breakLength: 140 })}`);
}

/** Watches for `ms` that `probe` goes on giving what it gives now: the only way to see that something does not happen. */
export async function stays(what: string, probe: () => unknown, ms: number): Promise<void> {
  const first = inspect(await probe());
  const deadline = Date.now() + ms;
  do {
    await delay(POLL_MS);
    const now = inspect(await probe());
    if (now !== first) throw new Error(`${what} changed from ${first} to ${now}`);
  } while (Date.now() < deadline);
}

function isTrue<T>(value: T): value is Exclude<T, false | null | undefined | 0 | ''> {
  return Boolean(value);
}
