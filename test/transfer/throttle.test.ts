import { expect, it } from 'vitest';
import { Throttle } from '../../src/transfer/throttle.js';
import { until } from '../support/wait.js';

it('whoever is told to wait is released afterwards, never before: it would wait for good', async () => {
  // A clock that goes on at every look pays any debt while `take` still runs.
  let clock = 0;
  const throttle = new Throttle(() => (clock += 10));
  throttle.setRate(100_000);
  let hasReturned = false;
  let released = false;
  const waits = throttle.take(2500, () => {
    released = hasReturned;
  });
  hasReturned = true;
  expect(waits).toBe(true);
  await until('the release', () => released);
});

it('a rate that is lifted releases everyone', () => {
  const throttle = new Throttle();
  throttle.setRate(1000);
  let released = 0;
  expect(throttle.take(1_000_000, () => (released += 1))).toBe(true);
  throttle.setRate(null);
  expect(released).toBe(1);
  expect(throttle.take(1_000_000, () => undefined)).toBe(false);
});
