import { expiredTasks } from '../domain/delivery.js';
import { isBeingDelivered } from '../delivery/under-way.js';
import { removeFinished } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { tempPaths } from '../store/paths.js';

/** So many end with one write to the journal, and in one look: the worker serves requests in between. */
const AT_ONCE = 64;

/** Ends the wait of finished files that nobody claimed in time; one that is being delivered is left alone. True when more are due. */
export async function expire({ journal, paths }: OwnedSession, now: number): Promise<boolean> {
  const { session } = journal;
  if (session === null) return false;
  const free: number[] = [];
  for (const { number } of expiredTasks(session, now)) {
    if (await isBeingDelivered(paths, number)) continue;
    free.push(number);
    if (free.length > AT_ONCE) break;
  }
  if (free.length === 0) return false;
  const expired = free.slice(0, AT_ONCE);
  await journal.commit(() => expired.map((task) => ({ type: 'task.expired', task })));
  // What cannot be removed now is left to the next owner.
  for (const number of expired) if (session.tasks.get(number)?.state.kind === 'expired') await removeFinished(tempPaths(session.temp), number).catch(() => undefined);
  return free.length > expired.length;
}
