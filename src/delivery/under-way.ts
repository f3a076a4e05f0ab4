import type { Session } from '../domain/session.js';
import type { SessionPaths } from '../store/paths.js';
import { readTurns } from './intent.js';

/** True while anyone delivers a file of the session, or left a delivery to be settled: the session must stay until then. */
export async function isDeliveryUnderWay(paths: SessionPaths, session: Session): Promise<boolean> {
  for (const number of session.tasks.keys()) {
    if ((await readTurns(paths, number)).some(({ intent }) => intent !== null)) return true;
  }
  return false;
}
