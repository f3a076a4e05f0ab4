import type { HostLimit } from '../domain/schedule.js';
import type { Task } from '../domain/task.js';
import type { ConnectionBudget } from './connection-budget.js';
import { originOfTask } from './origins.js';

/** How long a limit counts before more is tried again, in units of the first back-off. */
const LASTS_UNITS = 600;
/** Who is turned down is so at once, and what is served comes in at its own pace: bytes of so long before the try count too. */
const STILL_MS = 1_000;

/**
 * Servers that serve a client only so many connections at once. Learnt from being turned down while the server goes on serving others of
 * our tasks: a server that is busy, or a network that is away, serves nobody.
 */
export class HostLimits {
  readonly #unitMs: number;
  readonly #budget: ConnectionBudget;
  readonly #limits = new Map<string, HostLimit>();
  /** Which task of an origin brought bytes last, and when: milliseconds, monotonic. */
  readonly #served = new Map<string, { task: number; at: number }>();

  constructor(unitMs: number, budget: ConnectionBudget) {
    this.#unitMs = unitMs;
    this.#budget = budget;
  }

  served(task: Task, at: number): void {
    this.#served.set(originOfTask(task), { task: task.number, at });
  }

  /**
   * A try of `task`, begun at `startedAt` (monotonic; `now` is epoch milliseconds), was turned down while so many `others` of its origin are
   * under way. True when that is the server's limit and no failure: at most as many as it still serves are under way from then on.
   */
  turnedDown(task: Task, { startedAt, others, now }: { startedAt: number; others: number; now: number }): boolean {
    const origin = originOfTask(task);
    const served = this.#served.get(origin);
    if (others === 0 || served === undefined || served.task === task.number || served.at < startedAt - STILL_MS) return false;
    this.#limits.set(origin, { origin, whose: 'server', most: others, until: now + LASTS_UNITS * this.#unitMs });
    return true;
  }

  /** The tightest that holds now, of a session that lets so many `jobs` run at once. */
  of(task: Task, jobs: number, now: number): HostLimit | null {
    const origin = originOfTask(task);
    const learnt = this.#limits.get(origin);
    const own = this.#budget.downloads(origin, jobs, now);
    if (learnt === undefined || learnt.until <= now) return own;
    return own === null || learnt.most <= own.most ? learnt : own;
  }
}
