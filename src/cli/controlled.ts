import { printable } from '../domain/printable.js';
import type { Controlled } from '../session/control.js';
import type { Output } from './output.js';

/** Says which tasks a control command was about, and how they are now; `session` is the one that it was itself about. */
export function printControlled(done: string, { tasks }: Controlled, output: Output, session: string | null = null): void {
  if (output.json) {
    output.object({ schema: 1, tasks: tasks.map((task) => ({ task: task.number, name: task.spec.name, state: task.state.kind })) });
    return;
  }
  if (session !== null) output.note(`${done}: session ${session}`);
  if (tasks.length === 0 && session === null) output.note(`nothing there that could be ${done}`);
  for (const task of tasks) output.note(`${done}: ${task.number}  ${printable(task.spec.name)}`);
}
