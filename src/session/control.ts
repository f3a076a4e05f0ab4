import type { Request } from '../domain/requests.js';
import { isSettled, type Task } from '../domain/task.js';
import { ask, ensureWorker, type Asking } from './ask.js';
import { readSession, requireSession } from './read.js';

export interface Controlled {
  /** The tasks that the request was about, as they are now. */
  readonly tasks: readonly Task[];
  /** The session does not exist any more. */
  readonly gone: boolean;
}

/**
 * Asks the session's owner for something and waits until it is done.
 * @throws PosteError `no-session`, `no-task`, the refusal, or `worker` when nobody answers
 */
export async function control(asking: Asking, request: Request): Promise<Controlled> {
  await requireSession(asking.home, asking.id);
  const granted = await ask({ ...asking, needsWorker: false }, request);
  const view = await readSession(asking.home, asking.id);
  if (view === null) return { tasks: [], gone: true };
  // What ended the last open task leaves hooks to be run.
  const onlyHooksLeft = [...view.session.tasks.values()].every(isSettled);
  if (view.state === 'interrupted' && (asking.needsWorker || onlyHooksLeft)) await ensureWorker(asking);
  const tasks = granted.tasks.flatMap((number) => view.session.tasks.get(number) ?? []);
  return { tasks, gone: false };
}
