import type { Task, TaskSpec } from '../domain/task.js';

/** What follows from a task's spec alone, found once for each: every look asks for every task's, and there may be 100 000. */
export class PerTask<T> {
  readonly #find: (task: Task) => T;
  /** By task number. A spec is another object when it changes. */
  readonly #known: ({ readonly spec: TaskSpec; readonly value: T } | undefined)[] = [];

  constructor(find: (task: Task) => T) {
    this.#find = find;
  }

  of(task: Task): T {
    const known = this.#known[task.number];
    if (known?.spec === task.spec) return known.value;
    const value = this.#find(task);
    this.#known[task.number] = { spec: task.spec, value };
    return value;
  }
}
