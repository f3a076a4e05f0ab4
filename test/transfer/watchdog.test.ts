import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Watchdog } from '../../src/transfer/watchdog.js';
import { until } from '../support/wait.js';

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
