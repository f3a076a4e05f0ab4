import { errorInfo, type ErrorInfo } from '../domain/errors.js';
import { askingFor, ensureWorker } from './ask.js';
import { readAllSessions } from './status.js';

export interface Restored {
  readonly restored: readonly string[];
  readonly failed: readonly { readonly id: string; readonly error: ErrorInfo }[];
}

/** Gives every interrupted session a worker again. One that cannot have one does not keep the others from theirs. */
export async function restore(home: string): Promise<Restored> {
  const restored: string[] = [];
  const failed: { id: string; error: ErrorInfo }[] = [];
  for (const { session, state } of (await readAllSessions(home)).views) {
    if (state !== 'interrupted') continue;
    try {
      await ensureWorker(askingFor(home, session.id, true));
      restored.push(session.id);
    } catch (error) {
      failed.push({ id: session.id, error: errorInfo(error) });
    }
  }
  return { restored, failed };
}
