import { expect, test } from 'vitest';
import { inTurn, median, medianRatio, type Outcome } from './turns.js';

test('the median is the middle one, or the mean of two', () => {
  expect(median([])).toBeNull();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test('contenders take turns, and what failed or is missing has no part in a ratio', async () => {
  const order: string[] = [];
  const contender = (name: string, outcomes: (number | Error | null)[], missing: string | null = null) => ({
    name,
    missing,
    run: (): Promise<Outcome> => {
      order.push(name);
      const next = outcomes.shift() ?? null;
      if (next instanceof Error) return Promise.reject(next);
      return Promise.resolve(next === null ? { kind: 'failed', why: 'exit 1' } : { kind: 'right', figures: { seconds: next } });
    },
  });
  const contenders = [contender('a', [1, 2, 4, 1]), contender('b', [3, null, 8, new Error('broken')]), contender('c', [], 'not installed')];
  const [a, b, c] = await inTurn('test', contenders, 4);
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are three results');
  expect(order.join('')).toBe('abababab');
  expect(medianRatio(b, a, 'seconds')).toBe(2.5);
  expect(b.outcomes[3]).toEqual({ kind: 'failed', why: 'not measured: Error: broken' });
  expect(c.outcomes).toEqual([]);
  expect(medianRatio(c, a, 'seconds')).toBeNull();
});
