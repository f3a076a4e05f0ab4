import { etaSeconds, sampled, startRate, type Rate } from '../domain/rate.js';
import type { TaskProgress } from '../domain/progress.js';
import type { SessionPaths } from '../store/paths.js';
import { writeProgress } from '../store/progress.js';

interface Live {
  received: number;
  total: number | null;
  connections: number;
  rate: Rate;
}

const WRITE_EVERY_MS = 500;

/** How the running transfers stand, written for observers twice a second. A failed write costs nobody anything. */
export class LiveProgress {
  readonly #paths: SessionPaths;
  readonly #tasks = new Map<number, Live>();
  #timer: NodeJS.Timeout | null = null;

  constructor(paths: SessionPaths) {
    this.#paths = paths;
  }

  begin(task: number, received: number, total: number | null): void {
    this.#tasks.set(task, { received, total, connections: 0, rate: startRate(performance.now(), received) });
    this.#timer ??= setInterval(() => {
      void this.write();
    }, WRITE_EVERY_MS);
  }

  update(task: number, now: { received: number; total: number | null; connections: number }): void {
    const live = this.#tasks.get(task);
    if (live !== undefined) Object.assign(live, now);
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
    await writeProgress(this.#paths, { pid: process.pid, at: Date.now(), tasks }).catch(() => undefined);
  }
}
