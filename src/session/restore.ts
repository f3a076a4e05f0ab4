import { errorInfo, type ErrorInfo } from '../domain/errors.js';
import { askingFor, carryOutLeft, ensureWorker, removeForgotten } from './ask.js';
import { sessionIds } from './home.js';
import { noSession } from './read.js';
import { readAllSessions } from './status.js';

export interface Restored {
  readonly restored: readonly string[];
  readonly failed: readonly { readonly id: string; readonly error: ErrorInfo }[];
}

/** Gives every session that is interrupted, or was about to begin, a worker again. `only` is one of them. One that cannot have one does not keep the others from theirs. */
export async function restore(home: string, only: string | null): Promise<Restored> {
  const restored: string[] = [];
  const failed: { id: string; error: ErrorInfo }[] = [];
  const { views, unreadable } = await readAllSessions(home);
  failed.push(...unreadable.filter(({ id }) => only === null || id === only).map(({ id, error }) => ({ id, error })));
  const lost = new Set(unreadable.map(({ id }) => id));
  const seen = new Set(views.map(({ session }) => session.id));
  const interrupted = new Set(views.flatMap(({ session, state }) => (state === 'interrupted' ? [session.id] : [])));
  const ids = await sessionIds(home);
  if (only !== null && !ids.includes(only)) throw noSession(only);
  for (const id of ids) {
    if (lost.has(id) || (only !== null && id !== only)) continue;
    const asking = askingFor(home, id, true);
    try {
      if (interrupted.has(id)) await ensureWorker(asking);
      else if (!(await carryOutLeft(asking))) {
        if (!seen.has(id)) await removeForgotten(asking);
        continue;
      }
      restored.push(id);
    } catch (error) {
      failed.push({ id, error: errorInfo(error) });
    }
  }
  return { restored, failed };
}
