import type { Task } from '../domain/task.js';
import { originOfTask } from './origins.js';

/** What became of a task whose turn it was. `passed`: its server has no place for it. `kept`: nobody has one now. */
export type Turn = 'taken' | 'passed' | 'kept';

/** Tasks of one full server, by their places in the line; so many of them are `taken`. */
interface Passed {
  readonly places: number[];
  taken: number;
}

/** Tasks that only wait for a place, in order. Those of a full server are passed over once, and keep their turn: no step goes through all of them. */
export class ReadyLine {
  readonly #tasks: readonly Task[];
  #next = 0;
  /** By server. */
  readonly #passed = new Map<string, Passed>();

  constructor(tasks: readonly Task[] = []) {
    this.#tasks = tasks;
  }

  /** Offers turns until one is kept, or everyone was asked. Of a server that is full only the first is. */
  offer(turnOf: (task: Task) => Turn): void {
    const passed = [...this.#passed].sort(([, one], [, other]) => firstOf(one) - firstOf(other));
    for (const [server, waiting] of passed) {
      for (let task = this.#tasks[firstOf(waiting)]; task !== undefined; task = this.#tasks[firstOf(waiting)]) {
        const turn = turnOf(task);
        if (turn === 'kept') return;
        if (turn === 'passed') break;
        waiting.taken += 1;
      }
      if (waiting.taken === waiting.places.length) this.#passed.delete(server);
    }
    for (let task = this.#tasks[this.#next]; task !== undefined; task = this.#tasks[this.#next]) {
      const server = originOfTask(task);
      const waiting = this.#passed.get(server);
      const turn = waiting === undefined ? turnOf(task) : 'passed';
      if (turn === 'kept') return;
      if (waiting !== undefined) waiting.places.push(this.#next);
      else if (turn === 'passed') this.#passed.set(server, { places: [this.#next], taken: 0 });
      this.#next += 1;
    }
  }
}

function firstOf({ places, taken }: Passed): number {
  return places[taken] ?? Infinity;
}
