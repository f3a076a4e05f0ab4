import { expect, onTestFinished, test, vi } from 'vitest';
import type { Reason, Task } from '../../src/domain/task.js';
import { NetworkWatch } from '../../src/worker/network-watch.js';
import { addedTask, CREATED, sessionAfter } from '../support/sessions.js';

const HOUR = 3_600_000;
const BACKOFF: Reason = { code: 'backoff', message: 'the connection broke', since: 0, nextCheckAt: null };

test('#44 the network is back, and the clock is set back an hour: what fails after that waits for its back-off', () => {
  const task = sessionAfter(CREATED, addedTask(1)).tasks.get(1) as Task;
  let moved = false;
  const watch = new NetworkWatch({ dropMoved: () => moved, dropSilent: () => undefined, silentPeers: () => [] }, () => undefined);
  watch.failed(1, { triedAt: performance.now(), by: 'network' });
  expect(watch.isOver(task, BACKOFF)).toBe(false);
  moved = true;
  watch.look([], () => ({}));
  expect(watch.isOver(task, BACKOFF)).toBe(true);
  const real = Date.now;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => real() - HOUR);
  onTestFinished(() => {
    clock.mockRestore();
  });
  watch.failed(1, { triedAt: performance.now(), by: 'network' });
  expect(watch.isOver(task, BACKOFF)).toBe(false);
  watch.stop();
});
