import { pauseLag } from '../domain/retry.js';
import { isSettled, type Reason, type Task } from '../domain/task.js';
import { pauseHost, readHostPause, type HostPause } from '../store/host-pauses.js';
import { originOfTask } from './origins.js';

/** What this worker knows of servers that asked to be left alone; shared with other workers through files. */
export class HostPauses {
  readonly #home: string;
  readonly #unitMs: number;
  /** As it was read or written last, and when this session comes back from it, epoch milliseconds. */
  readonly #pauses = new Map<string, HostPause & { readonly returnsAt: number }>();

  /** `unitMs`: milliseconds that the first back-off lasts at most. */
  constructor(home: string, unitMs: number) {
    this.#home = home;
    this.#unitMs = unitMs;
  }

  /**
   * Until the moment that the server named: who was turned down comes back some time after it, so the others get their turn, and one address
   * that is refused for good does not keep them waiting for good. A pause that is known already and lasts longer stands.
   */
  async pause(task: Task, now: number, milliseconds: number): Promise<void> {
    const origin = originOfTask(task);
    const pause = { since: now, until: now + milliseconds };
    const known = await readHostPause(this.#home, origin).catch(() => null);
    if (known !== null && known.since <= now && known.until >= pause.until) return;
    this.#pauses.set(origin, { ...pause, returnsAt: this.#comesBack(pause) });
    // The others do not learn of it then; this task has a delay of its own.
    await pauseHost(this.#home, origin, pause).catch(() => undefined);
  }

  /** Learns what other sessions were told. */
  async look(tasks: Iterable<Task>): Promise<void> {
    const origins = new Set<string>();
    for (const task of tasks) if (!isSettled(task)) origins.add(originOfTask(task));
    for (const origin of origins) {
      const pause = await readHostPause(this.#home, origin).catch(() => null);
      if (pause === null) this.#pauses.delete(origin);
      else if (!isSame(pause, this.#pauses.get(origin))) this.#pauses.set(origin, { ...pause, returnsAt: this.#comesBack(pause) });
    }
  }

  /** Those who were told of one pause do not come back from it in step. */
  #comesBack({ since, until }: HostPause): number {
    return until + pauseLag({ pausedMs: until - since, random: Math.random(), unitMs: this.#unitMs });
  }

  reason(task: Task, now: number): Reason | null {
    if (this.#pauses.size === 0) return null;
    const origin = originOfTask(task);
    const pause = this.#pauses.get(origin);
    if (pause === undefined || pause.returnsAt <= now || pause.since > now) return null;
    return { code: 'retry-after', message: `${origin} asked to be left alone for a while`, since: pause.since, nextCheckAt: pause.returnsAt };
  }
}

function isSame(one: HostPause, other: HostPause | undefined): boolean {
  return one.since === other?.since && one.until === other.until;
}
