import { PosteError } from '../domain/errors.js';
import type { Session } from '../domain/session.js';
import type { SessionPaths } from '../store/paths.js';
import { readTurns, tasksWithIntents } from './intent.js';

/** True while anyone delivers a file of the session, or left a delivery to be settled: the session must stay until then. */
export async function isDeliveryUnderWay(paths: SessionPaths, session: Session): Promise<boolean> {
  for (const number of await tasksWithIntents(paths)) {
    if (session.tasks.has(number) && (await isBeingDelivered(paths, number))) return true;
  }
  return false;
}

/** The same of one task. What a newer poste says of its delivery is taken for one. */
export async function isBeingDelivered(paths: SessionPaths, task: number): Promise<boolean> {
  try {
    return (await readTurns(paths, task)).some(({ intent }) => intent !== null);
  } catch (error) {
    if (error instanceof PosteError && error.code === 'newer-version') return true;
    throw error;
  }
}
