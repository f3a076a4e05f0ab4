import { expiredTasks } from '../domain/delivery.js';
import { readTurns } from '../delivery/intent.js';
import { removeFinished } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { tempPaths } from '../store/paths.js';

/** Ends the wait of finished files that nobody claimed in time; one that is being delivered is left alone. */
export async function expire({ journal, paths }: OwnedSession, now: number): Promise<void> {
  const { session } = journal;
  if (session === null) return;
  for (const { number } of expiredTasks(session, now)) {
    if ((await readTurns(paths, number)).some(({ intent }) => intent !== null)) continue;
    await journal.commit(() => [{ type: 'task.expired', task: number }]);
    await removeFinished(tempPaths(session.temp), number);
  }
}
