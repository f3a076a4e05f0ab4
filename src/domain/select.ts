import { PosteError } from './errors.js';
import { printable } from './printable.js';
import type { Session } from './session.js';
import type { Task } from './task.js';

/**
 * The tasks that a command names, by number or by file name; all of them when it names none.
 * @throws PosteError `no-task` for a name that no task has, `usage` for one that several have
 */
export function selectTasks(session: Session, names: readonly string[]): Task[] {
  if (names.length === 0) return [...session.tasks.values()];
  const chosen = new Map<number, Task>();
  for (const name of names) {
    const tasks = named(session, name);
    if (tasks.length === 0) {
      throw new PosteError('no-task', `session ${session.id} has no task ${printable(name)}`, { hint: `poste status --id ${session.id}` });
    }
    const [task, another] = tasks;
    if (another !== undefined) {
      const numbers = tasks.map(({ number }) => number).join(', ');
      throw new PosteError('usage', `${tasks.length} tasks are named ${printable(name)}: ${numbers}`, { hint: 'name one by its number' });
    }
    if (task !== undefined) chosen.set(task.number, task);
  }
  return [...chosen.values()];
}

function named(session: Session, name: string): Task[] {
  const byName = [...session.tasks.values()].filter((task) => task.spec.name === name);
  const byNumber = /^[1-9]\d*$/.test(name) ? session.tasks.get(Number(name)) : undefined;
  return byNumber === undefined ? byName : [byNumber];
}
