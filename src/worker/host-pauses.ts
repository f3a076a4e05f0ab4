import { originOf } from '../domain/url.js';
import { isSettled, type Reason, type Task, type TaskSpec } from '../domain/task.js';
import { pauseHost, readHostPause, type HostPause } from '../store/host-pauses.js';

/** What this worker knows of servers that asked to be left alone; shared with other workers through files. */
export class HostPauses {
  readonly #home: string;
  readonly #pauses = new Map<string, HostPause>();
  /** Every look asks for every task's: parsing 100 000 URLs anew each time would be all that the worker does. */
  readonly #origins = new WeakMap<TaskSpec, string>();

  constructor(home: string) {
    this.#home = home;
  }

  /** A pause that is known already and lasts longer stands. */
  async pause(task: Task, now: number, milliseconds: number): Promise<void> {
    const origin = this.#originOf(task);
    const pause = { since: now, until: now + milliseconds };
    const known = await readHostPause(this.#home, origin);
    if (known !== null && known.since <= now && known.until >= pause.until) return;
    this.#pauses.set(origin, pause);
    // The others do not learn of it then; this task has a delay of its own.
    await pauseHost(this.#home, origin, pause).catch(() => undefined);
  }

  /** Learns what other sessions were told. */
  async look(tasks: Iterable<Task>): Promise<void> {
    const origins = new Set<string>();
    for (const task of tasks) if (!isSettled(task)) origins.add(this.#originOf(task));
    for (const origin of origins) {
      const pause = await readHostPause(this.#home, origin);
      if (pause === null) this.#pauses.delete(origin);
      else this.#pauses.set(origin, pause);
    }
  }

  reason(task: Task, now: number): Reason | null {
    const origin = this.#originOf(task);
    const pause = this.#pauses.get(origin);
    if (pause === undefined || pause.until <= now || pause.since > now) return null;
    return { code: 'retry-after', message: `${origin} asked to be left alone for a while`, since: pause.since, nextCheckAt: pause.until };
  }

  #originOf({ spec }: Task): string {
    const known = this.#origins.get(spec);
    if (known !== undefined) return known;
    const origin = originOf(spec.url);
    this.#origins.set(spec, origin);
    return origin;
  }
}
