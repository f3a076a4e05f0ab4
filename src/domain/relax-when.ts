import type { When } from './task.js';

/**
 * The power conditions as the deadline of `--by` nears: idleness is asked for until three quarters of the time
 * between `createdAt` and `by` have passed, power until all of it has. `ac-or-idle` asks for power, with idleness
 * as another way to be let off; so it stays until the end. Times are epoch milliseconds.
 */
export function relaxWhen(when: When | null, { createdAt, by, now }: { createdAt: number; by: number; now: number }): When | null {
  if (now >= by) return null;
  if (now - createdAt < 0.75 * (by - createdAt)) return when;
  if (when === 'idle') return null;
  return when === 'ac-and-idle' ? 'ac' : when;
}
