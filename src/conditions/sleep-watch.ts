import { clocksDisagree, type ClockPair } from '../domain/sleep.js';

export interface SleepWatchOptions {
  readonly tickMs: number;
  readonly readClocks: () => ClockPair;
  /** Called once for each sleep, or step of the clock. */
  readonly onWake: () => void;
}

/** Compares the clocks at every tick and tells of a wake from sleep. Returns what ends it; keeps no process alive. */
export function watchSleep({ tickMs, readClocks, onWake }: SleepWatchOptions): () => void {
  let before = readClocks();
  const timer = setInterval(() => {
    const after = readClocks();
    const woke = clocksDisagree(before, after);
    before = after;
    if (woke) onWake();
  }, tickMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
