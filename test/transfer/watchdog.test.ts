import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Watchdog } from '../../src/transfer/watchdog.js';
import { until } from '../support/wait.js';

test('a time of more than 24 days is waited for, and not looked at again and again', () => {
  using timers = vi.spyOn(globalThis, 'setTimeout');
  const watchdog = new Watchdog(30 * 86_400_000, () => undefined);
  watchdog.stop();
  expect(timers.mock.calls.map(([, milliseconds]) => milliseconds)).toEqual([2 ** 31 - 1]);
});

test('#26 silence is noticed; time in which nobody listened is none', async () => {
  let barks = 0;
  const watchdog = new Watchdog(1000, () => (barks += 1));
  watchdog.hold();
  await delay(1500);
  watchdog.release();
  // A whole second is due from here on.
  await delay(700);
  expect(barks).toBe(0);
  await until('a bark', () => barks === 1, { deadlineMs: 5000 });
});
