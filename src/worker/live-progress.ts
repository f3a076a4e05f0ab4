import { etaSeconds, sampled, startRate, type Rate } from '../domain/rate.js';
import { NOTHING_HELD, sumOfHeld, type Held } from '../domain/connection-budget.js';
import type { TaskProgress } from '../domain/progress.js';
import type { SessionPaths } from '../store/paths.js';
import { writeProgress } from '../store/progress.js';

interface Live {
  readonly origin: string;
  received: number;
  total: number | null;
  connections: number;
  rate: Rate;
  /** How long the file will be, once it is sure that it finds room. */
  expected: number | null;
}

const WRITE_EVERY_MS = 500;

/** How the running transfers stand, written for observers twice a second. A failed write costs nobody anything. */
export class LiveProgress {
  readonly #paths: SessionPaths;
  readonly #tasks = new Map<number, Live>();
  #timer: NodeJS.Timeout | null = null;
  #device: number | null = null;

  constructor(paths: SessionPaths) {
    this.#paths = paths;
  }

  begin(task: number, origin: string, received: number, total: number | null): void {
    this.#tasks.set(task, { origin, received, total, connections: 0, rate: startRate(performance.now(), received), expected: null });
    this.#timer ??= setInterval(() => {
      void this.write();
    }, WRITE_EVERY_MS);
  }

  update(task: number, now: { received: number; total: number | null; connections: number }): void {
    const live = this.#tasks.get(task);
    if (live !== undefined) Object.assign(live, now);
  }

  /** What is still to come of `task` counts as needed on the file system `device` from here on; `null` takes that back. */
  expect(task: number, total: number | null, device: number): void {
    const live = this.#tasks.get(task);
    if (live !== undefined) live.expected = total;
    this.#device = device;
  }

  /** Bytes that are still to come of all tasks but one. */
  needed(but: number | null = null): number {
    let needed = 0;
    for (const [task, { expected, received }] of this.#tasks) if (task !== but && expected !== null) needed += Math.max(0, expected - received);
    return needed;
  }

  /** What the running transfers have of each server. */
  held(): Map<string, Held> {
    const all = new Map<string, Held>();
    for (const { origin, connections } of this.#tasks.values()) {
      all.set(origin, sumOfHeld(all.get(origin) ?? NOTHING_HELD, { downloads: 1, connections: Math.max(1, connections) }));
    }
    return all;
  }

  /** What all but one have of one server. */
  heldAt(origin: string, but: number): Held {
    let held = NOTHING_HELD;
    for (const [task, live] of this.#tasks) {
      if (task !== but && live.origin === origin) held = sumOfHeld(held, { downloads: 1, connections: Math.max(1, live.connections) });
    }
    return held;
  }

  end(task: number): void {
    this.#tasks.delete(task);
    if (this.#tasks.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    void this.write();
  }

  async write(): Promise<void> {
    const tasks: Record<string, TaskProgress> = {};
    for (const [number, live] of this.#tasks) {
      live.rate = sampled(live.rate, performance.now(), live.received);
      tasks[number] = {
        received: live.received,
        total: live.total,
        connections: live.connections,
        bytesPerSecond: live.rate.bytesPerSecond === null ? null : Math.round(live.rate.bytesPerSecond),
        etaSeconds: etaSeconds(live.rate, live.total),
      };
    }
    await writeProgress(this.#paths, { pid: process.pid, at: Date.now(), needed: this.needed(), device: this.#device, tasks }).catch(() => undefined);
  }
}
