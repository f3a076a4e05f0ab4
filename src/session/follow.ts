import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { PosteError } from '../domain/errors.js';
import type { SessionEvent } from '../domain/events.js';
import type { Progress } from '../domain/progress.js';
import type { Session } from '../domain/session.js';
import { isThere } from '../store/files.js';
import { JournalReader } from '../store/journal-reader.js';
import { readOwner } from '../store/ownership.js';
import { readProgress } from '../store/progress.js';
import { carryOutLeft, ensureWorker, type Asking } from './ask.js';
import { hasOutcome } from './outcome.js';
import { requireSession, stateNow, type SessionView } from './read.js';

/** What an observer is told, in this order: a snapshot, what was missed, `caught-up`, then what happens. */
export type Observation =
  | { readonly kind: 'snapshot'; readonly view: SessionView }
  | { readonly kind: 'event'; readonly event: SessionEvent; readonly session: Session }
  | { readonly kind: 'caught-up'; readonly lastSeq: number }
  | { readonly kind: 'progress'; readonly progress: Progress; readonly session: Session };

export interface Following {
  readonly asking: Asking;
  /** Replay from this `seq` on; `unacknowledged` is what no claim, hook or `--ack` has acknowledged. */
  readonly since: number | 'unacknowledged' | 'now';
  /** Start a worker again when the last one died with work left. */
  readonly revive: boolean;
  /** When there is nothing more to wait for; without it, when the whole session has an outcome. */
  readonly isDone?: (session: Session) => boolean;
  /** Ends the following, without an error. */
  readonly signal: AbortSignal;
}

const POLL = 100;
const REPLAYED_AT_ONCE = 1000;

/**
 * Follows a session until it has an outcome (or `isDone` says so) or the signal ends it. Returns the session as last seen.
 * @throws PosteError `no-session`; `unfinished` when its worker is dead and it is not to be revived
 */
export async function* follow({ asking, since, revive, isDone = hasOutcome, signal }: Following): AsyncGenerator<Observation, Session> {
  if (revive) await carryOutLeft(asking);
  const view = await requireSession(asking.home, asking.id);
  const reader = new JournalReader(asking.paths.journal);
  await reader.hold();
  try {
    const past = await reader.poll();
    yield { kind: 'snapshot', view };
    let session = current(reader, asking.id);
    for (const [index, event] of past.entries()) {
      // Signals and timers get their turn.
      if (index % REPLAYED_AT_ONCE === 0) await turn();
      if (signal.aborted) return session;
      if (isWanted(event, since, session)) yield { kind: 'event', event, session };
    }
    yield { kind: 'caught-up', lastSeq: session.lastSeq };
    let shownAt = 0;
    while (!isDone(session) && !signal.aborted) {
      // Looked at before the journal is read: what an owner that has left told, and one that removed the session, is then seen.
      const holder = await readOwner(asking.paths);
      const isHere = await isThere(asking.paths.journal);
      for (const event of await reader.poll()) {
        session = current(reader, asking.id);
        yield { kind: 'event', event, session };
      }
      if (!isHere || session.forgotten || isDone(session)) break;
      if (holder.kind !== 'live') await keepAlive(asking, session, revive);
      const progress = await readProgress(asking.paths);
      if (progress !== null && progress.at !== shownAt) {
        shownAt = progress.at;
        yield { kind: 'progress', progress, session };
      }
      await delay(POLL, undefined, { signal }).catch(() => undefined);
    }
    return session;
  } finally {
    await reader.close();
  }
}

function current(reader: JournalReader, id: string): Session {
  if (reader.session === null) throw new PosteError('no-session', `session ${id} is gone`);
  return reader.session;
}

function isWanted(event: SessionEvent, since: Following['since'], session: Session): boolean {
  if (since === 'now') return false;
  if (since !== 'unacknowledged') return event.seq >= since;
  const task = 'task' in event ? session.tasks.get(event.task) : undefined;
  return event.seq > Math.max(session.ackedSeq, task?.ackedSeq ?? 0);
}

/** A session with work and no worker goes nowhere: revive it, or say so. */
async function keepAlive(asking: Asking, session: Session, revive: boolean): Promise<void> {
  if (stateNow(session, false) !== 'interrupted') return;
  if (!revive) {
    throw new PosteError('unfinished', `session ${asking.id} is interrupted: it has work left and no worker; its bytes are kept`, {
      hint: `poste attach --id ${asking.id} revives it`,
    });
  }
  await ensureWorker(asking);
}
