import { expect, test } from 'vitest';
import { retryDelay } from '../../src/domain/retry.js';
import { figure } from '../support/scale.js';

const CLIENTS = 1_000_000;
/** Milliseconds that the server fails for, from 0 on. */
const OUTAGE = 60_000;
const MINUTE = 60_000;

interface Outage {
  /** How many times the mean of a minute a second may bring at most. */
  readonly most: number;
  /** When a client first meets the failing server. */
  readonly met: (random: number) => number;
  /** What the failing server asks of a client at that moment; `null` for nothing. */
  readonly asks: (now: number) => number | null;
}

const atOnce = (): number => 0;
const evenly = (random: number): number => Math.floor(random * OUTAGE);

const OUTAGES: Readonly<Record<string, Outage>> = {
  'all connected, and cut off at one instant': { most: 3, met: atOnce, asks: () => null },
  // Whoever comes in the last second before its return comes again in the next, among all who try for the fourth or the tenth time.
  'arriving evenly while it fails': { most: 7, met: evenly, asks: () => null },
  'all cut off at one instant, told to wait 60 s': { most: 3, met: atOnce, asks: () => OUTAGE },
  'arriving evenly, all told the same instant': { most: 7, met: evenly, asks: (now) => OUTAGE - now },
  'all cut off at one instant, told to wait 1 s, again and again': { most: 3, met: atOnce, asks: () => 1000 },
};

test.each(Object.entries(OUTAGES))('#18 a million clients of a server that failed for a minute do not come back in step: %s', (what, { most, met, asks }) => {
  const random = numbersFrom(1);
  const arrivals = new Float64Array(10 * (MINUTE / 1000));
  for (let client = 0; client < CLIENTS; client += 1) {
    let now = met(random());
    for (let fruitless = 1; now < OUTAGE; fruitless += 1) {
      now += retryDelay({ fruitless, retryAfterMs: asks(now), random: random(), unitMs: 1000 });
    }
    const second = Math.floor((now - OUTAGE) / 1000);
    arrivals[second] = (arrivals[second] ?? 0) + 1;
  }
  const peak = Math.max(...arrivals);
  const mean = (CLIENTS / MINUTE) * 1000;
  const back = arrivals.findIndex((_, second) => arrivals.slice(0, second + 1).reduce((sum, each) => sum + each, 0) >= 0.99 * CLIENTS) + 1;
  figure(`1 M clients, ${what}`, `at most ${Math.round(peak)} a second, ${(peak / mean).toFixed(1)} × the mean of a minute; 99 % are back after ${back} s`);
  expect(peak / mean).toBeLessThan(most);
  // Nor does that take for ever: the waits that have begun by then are two minutes long at most, but for a few.
  expect(back).toBeLessThan(4 * (MINUTE / 1000));
});

/** The same numbers in [0, 1) at every run (mulberry32). */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
