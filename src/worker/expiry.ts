import { expiredTasks } from '../domain/delivery.js';
import { isBeingDelivered } from '../delivery/under-way.js';
import { removeFinished } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { tempPaths } from '../store/paths.js';

/** Ends the wait of finished files that nobody claimed in time; one that is being delivered is left alone. */
export async function expire({ journal, paths }: OwnedSession, now: number): Promise<void> {
  const { session } = journal;
  if (session === null) return;
  for (const { number } of expiredTasks(session, now)) {
    if (await isBeingDelivered(paths, number)) continue;
    const [expired] = await journal.commit(() => [{ type: 'task.expired', task: number }]);
    // What cannot be removed now is left to the next owner.
    if (expired !== undefined) await removeFinished(tempPaths(session.temp), number).catch(() => undefined);
  }
}
