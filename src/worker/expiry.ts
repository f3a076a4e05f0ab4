import { expiredTasks } from '../domain/delivery.js';
import { isBeingDelivered } from '../delivery/under-way.js';
import { removeFinished } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { tempPaths } from '../store/paths.js';

/** So many end with one write to the journal: a claim that begins after the look at its task, and before that write, comes too late. */
const AT_ONCE = 64;

/** Ends the wait of finished files that nobody claimed in time; one that is being delivered is left alone. */
export async function expire({ journal, paths }: OwnedSession, now: number): Promise<void> {
  const { session } = journal;
  if (session === null) return;
  const due = expiredTasks(session, now).map(({ number }) => number);
  while (due.length > 0) {
    const free: number[] = [];
    for (const number of due.splice(0, AT_ONCE)) if (!(await isBeingDelivered(paths, number))) free.push(number);
    if (free.length === 0) continue;
    const expired = await journal.commit(() => free.map((task) => ({ type: 'task.expired', task })));
    // What cannot be removed now is left to the next owner.
    if (expired.length > 0) for (const number of free) await removeFinished(tempPaths(session.temp), number).catch(() => undefined);
  }
}
