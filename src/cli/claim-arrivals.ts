import { hookPending } from '../domain/session.js';
import type { Task } from '../domain/task.js';
import type { Claimer } from '../session/claim.js';
import type { Observation } from '../session/follow.js';
import type { ProgressView } from './progress-view.js';

/** Claims files as they finish, beside a view that shows it: each wave takes what has finished during the one before. */
export class ClaimArrivals implements ProgressView {
  readonly #view: ProgressView;
  readonly #claimer: Claimer;
  readonly #wanted: Set<number>;
  readonly #arrived: Task[] = [];
  #claiming: Promise<void> | null = null;

  /** `wanted`: the tasks whose files are to be claimed. */
  constructor(view: ProgressView, claimer: Claimer, wanted: readonly number[]) {
    this.#view = view;
    this.#claimer = claimer;
    this.#wanted = new Set(wanted);
  }

  async show(observation: Observation): Promise<void> {
    await this.#view.show(observation);
    if (observation.kind !== 'event' || !('task' in observation.event)) return;
    const task = observation.session.tasks.get(observation.event.task);
    if (task !== undefined) this.#offer(task);
  }

  end(): void {
    this.#view.end();
  }

  /** Claims the rest, and resolves when all is done. A claim that failed is not tried again. */
  async finish(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) this.#offer(task);
    await this.#claiming;
  }

  /** A file that has a hook is the hook's first. */
  #offer(task: Task): void {
    const isHere = task.state.kind === 'finished' || task.state.kind === 'claimed';
    if (!isHere || hookPending(task.hook) || !this.#wanted.delete(task.number)) return;
    this.#arrived.push(task);
    this.#claiming ??= this.#claim();
  }

  async #claim(): Promise<void> {
    while (this.#arrived.length > 0) await this.#claimer.take(this.#arrived.splice(0));
    this.#claiming = null;
  }
}
