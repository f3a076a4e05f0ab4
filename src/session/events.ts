import type { SessionEvent } from '../domain/events.js';
import { JournalReader } from '../store/journal-reader.js';
import { sessionPaths } from '../store/paths.js';
import { requireSession } from './read.js';

/** The journal from event `since` on. @throws PosteError `no-session` */
export async function readEvents(home: string, id: string, since: number): Promise<SessionEvent[]> {
  await requireSession(home, id);
  const events = await new JournalReader(sessionPaths(home, id).journal).poll();
  return events.filter((event) => event.seq >= since);
}
