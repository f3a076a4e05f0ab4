import { allowedConnections, allowedDownloads, NOTHING_HELD, parseBudget, sumOfHeld } from '../domain/connection-budget.js';
import type { HostLimit } from '../domain/schedule.js';
import { forgetHeld, heldElsewhere, tellHeld, type HeldByOrigin } from '../store/held-connections.js';
import type { LiveProgress } from './live-progress.js';

const LOOK_MS = 1_000;

/** This worker's share of the connections to each server, of which all sessions of the home have one budget: each tells what it holds. */
export class ConnectionBudget {
  readonly #home: string;
  readonly #id: string;
  readonly #live: LiveProgress;
  readonly #budget = parseBudget(process.env);
  #elsewhere: HeldByOrigin = new Map();
  #timer: NodeJS.Timeout | null = null;

  constructor(home: string, id: string, live: LiveProgress) {
    this.#home = home;
    this.#id = id;
    this.#live = live;
  }

  /** The most that a running task may have of its server now. */
  connections(task: number, origin: string): number {
    return allowedConnections(this.#budget, sumOfHeld(this.#live.heldAt(origin, task), this.#elsewhere.get(origin) ?? NOTHING_HELD));
  }

  /** How many tasks may run at once at a server beside those of other sessions; `null` while the session's own `jobs` are fewer. */
  downloads(origin: string, jobs: number, now: number): HostLimit | null {
    const elsewhere = this.#elsewhere.get(origin) ?? NOTHING_HELD;
    const most = allowedDownloads(this.#budget, jobs, elsewhere);
    return most >= jobs ? null : { origin, most, until: now + LOOK_MS, whose: elsewhere.downloads === 0 ? 'budget' : 'shared' };
  }

  /** While there are transfers: tells and learns every second. */
  begin(): void {
    this.#timer ??= setInterval(() => void this.#tell(), LOOK_MS);
  }

  /** Also takes back what a worker of this session told before it was killed. */
  async end(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#forget();
  }

  /** What cannot be told or learnt costs politeness, and no byte. */
  async #tell(): Promise<void> {
    await tellHeld(this.#home, this.#id, this.#live.held(), Date.now()).catch(() => undefined);
    if (this.#timer === null) await this.#forget();
    else await this.learn();
  }

  /** What the others hold: to be known before the first transfer begins. */
  async learn(): Promise<void> {
    this.#elsewhere = await heldElsewhere(this.#home, this.#id, Date.now()).catch(() => this.#elsewhere);
  }

  async #forget(): Promise<void> {
    await forgetHeld(this.#home, this.#id).catch(() => undefined);
  }
}
