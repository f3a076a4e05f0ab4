import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Watchdog } from '../../src/transfer/watchdog.js';
import { until } from '../support/wait.js';

test('silence is noticed; time in which nobody listened is none', async () => {
  let barks = 0;
  const watchdog = new Watchdog(300, () => (barks += 1));
  watchdog.hold();
  await delay(700);
  watchdog.release();
  // Another 300 ms are due from here on.
  await delay(50);
  expect(barks).toBe(0);
  await until('a bark', () => barks === 1, { deadlineMs: 5000 });
});
