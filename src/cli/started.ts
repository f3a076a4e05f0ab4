import { printable } from '../domain/printable.js';
import type { Started } from '../session/start.js';
import { taskJson, type TaskJson } from '../session/task-view.js';

type StartedTask = TaskJson & { readonly existing: boolean };

export async function startedTasks({ granted, view }: Started): Promise<StartedTask[]> {
  const tasks: StartedTask[] = [];
  for (const number of new Set(granted.tasks)) {
    const task = view.session.tasks.get(number);
    if (task !== undefined) tasks.push({ ...(await taskJson(view, task)), existing: granted.existing.includes(number) });
  }
  return tasks;
}

export async function startedJson(started: Started): Promise<object> {
  return { schema: 1, id: started.view.session.id, worker: { pid: started.workerPid }, tasks: await startedTasks(started) };
}

const SHOWN = 10;

/** The session, the tasks and what to type next. */
export function startedText({ granted, view }: Started, { quiet }: { quiet: boolean }): string[] {
  const { id } = view.session;
  const numbers = [...new Set(granted.tasks)];
  const lines = numbers.slice(0, SHOWN).map((number) => {
    const task = view.session.tasks.get(number);
    const known = granted.existing.includes(number) ? ` (there already: ${task?.state.kind ?? 'gone'})` : '';
    return `  ${number}  ${printable(task?.spec.name ?? '', 60)}${known}`;
  });
  if (numbers.length > SHOWN) lines.push(`  … and ${numbers.length - SHOWN} more`);
  const flag = id === 'default' ? '' : ` --id ${id}`;
  const what = [`session ${id}: ${numbers.length} task${numbers.length === 1 ? '' : 's'} in the background`, ...lines];
  if (quiet) return what;
  return [
    ...what,
    `watch it:    poste attach${flag}`,
    `how far:     poste status${id === 'default' ? '' : flag}`,
    `take it:     poste claim${flag} --wait`,
  ];
}
