import { expect, test } from 'vitest';
import { grown, startGrowth, type Growth } from '../../src/domain/growth.js';

const MB = 1_000_000;

/** Plays a download against a server: `sum(n)` is what n connections bring together, bytes a second. Returns the count at each 50 ms. */
function play(sum: (count: number) => number, { seconds, size = 1e12, most = 16 }: { seconds: number; size?: number; most?: number }): number[] {
  let growth: Growth = startGrowth(0);
  let bytes = 0;
  const counts: number[] = [];
  for (let at = 0; at < seconds * 1000 && bytes < size; at += 50) {
    growth = grown(growth, { at, bytes, haveAllBegun: bytes > 0, left: size - bytes, most });
    counts.push(growth.count);
    bytes += sum(growth.count) / 20;
  }
  return counts;
}

test('a server that gives so much to each connection gets sixteen within half a second', () => {
  const counts = play((count) => count * 10 * MB, { seconds: 2 });
  expect(counts[10]).toBe(16);
  expect([...new Set(counts)]).toEqual([1, 6, 16]);
});

test('where the sum does not grow it goes back to what was enough, and asks ever more rarely', () => {
  const counts = play(() => 50 * MB, { seconds: 300 });
  const tries = counts.filter((count, index) => count === 6 && counts[index - 1] === 1).length;
  expect(Math.max(...counts)).toBe(6);
  expect(counts.filter((count) => count === 1).length / counts.length).toBeGreaterThan(0.98);
  expect(tries).toBeGreaterThan(2);
  expect(tries).toBeLessThan(8);
});

test('a step that helped, but less than it could have, goes back to as many as it takes', () => {
  expect(play((count) => Math.min(count * 10 * MB, 25 * MB), { seconds: 4 }).at(-1)).toBe(3);
  expect(play((count) => Math.min(count * 10 * MB, 90 * MB), { seconds: 4 }).at(-1)).toBe(9);
});

test('it stops where the line is full', () => {
  const counts = play((count) => Math.min(count * 10 * MB, 60 * MB), { seconds: 8 });
  expect(counts.at(-1)).toBe(6);
});

test('what is over in a moment gets no second connection; nor does anyone get more than is allowed', () => {
  expect(Math.max(...play((count) => count * 10 * MB, { seconds: 9, size: 4 * MB }))).toBe(1);
  expect(Math.max(...play((count) => count * 10 * MB, { seconds: 9, most: 4 }))).toBe(4);
});
