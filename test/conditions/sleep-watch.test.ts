import { expect, it } from 'vitest';
import { watchSleep } from '../../src/conditions/sleep-watch.js';
import { until } from '../support/wait.js';

it('#44 a sleep is told once, at the next tick, and nothing more after the end', async () => {
  let slept = 0;
  let reads = 0;
  let wakes = 0;
  const readClocks = (): { wall: number; monotonic: number } => {
    reads += 1;
    const monotonic = performance.now();
    return { wall: monotonic + slept, monotonic };
  };
  const end = watchSleep({ tickMs: 5, readClocks, onWake: () => (wakes += 1) });
  try {
    await until('some ticks', () => reads > 3);
    expect(wakes).toBe(0);
    slept = 60_000;
    const before = reads;
    await until('more ticks', () => reads > before + 3);
    expect(wakes).toBe(1);
  } finally {
    end();
  }
});
