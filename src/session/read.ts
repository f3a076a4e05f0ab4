import { PosteError } from '../domain/errors.js';
import { isNews, type Progress } from '../domain/progress.js';
import { allSettled, sessionState, type Session, type SessionStateKind } from '../domain/session.js';
import { systemCode } from '../store/files.js';
import { JournalReader, type JournalDamage } from '../store/journal-reader.js';
import { isOwnDir } from '../store/own-dir.js';
import { readOwner, type Holder, type Owner } from '../store/ownership.js';
import { sessionPaths, type SessionPaths } from '../store/paths.js';
import { readProgress } from '../store/progress.js';
import { hadSession, isOfAnother } from '../store/traces.js';

/** A session as anyone may see it at one moment, whether its worker lives or not. */
export interface SessionView {
  readonly session: Session;
  readonly paths: SessionPaths;
  readonly state: SessionStateKind;
  /** The live worker; `null` when there is none (a command that owns the session for a moment is none). */
  readonly worker: Owner | null;
  /** What the live worker last said; `null` without one. */
  readonly progress: Progress | null;
  readonly damage: JournalDamage | null;
}

/**
 * The session, or `null` when there is no such thing. Changes nothing on disk.
 * @throws PosteError `damaged` when there is a journal in which nothing can be read; `newer-version`; `io` as {@link isOwnDir}
 */
export async function readSession(home: string, id: string): Promise<SessionView | null> {
  const { view, error } = await readAsFarAsPossible(home, id);
  if (error !== null) throw error;
  return view;
}

/** What can be seen of a session, for those who only look, and why that may not be all of it. */
export interface PartialView {
  readonly view: SessionView | null;
  /** A PosteError, or the system's. */
  readonly error: Error | null;
}

/** As {@link readSession}; what a newer poste wrote hides neither what stands before it nor, where only its owner is a riddle, the rest. */
export async function readAsFarAsPossible(home: string, id: string): Promise<PartialView> {
  const paths = sessionPaths(home, id);
  await isOwnDir(paths.dir);
  const reader = new JournalReader(paths.journal);
  try {
    await reader.catchUp();
    return { view: await viewOf(id, paths, reader, () => readOwner(paths)), error: null };
  } catch (error) {
    if (!(error instanceof Error) || !(error instanceof PosteError || systemCode(error) !== undefined)) throw error;
    const isNewer = error instanceof PosteError && error.code === 'newer-version';
    const nobody = (): Promise<Holder> => Promise.resolve({ kind: 'none' });
    return { view: isNewer ? await viewOf(id, paths, reader, nobody).catch(() => null) : null, error };
  }
}

async function viewOf(id: string, paths: SessionPaths, reader: JournalReader, holding: () => Promise<Holder>): Promise<SessionView | null> {
  const isLost = reader.session === null && (reader.damage !== null || (await hadSession(paths.journal)));
  // It may have come to be between the two looks.
  if (isLost) await reader.catchUp();
  const { session, damage } = reader;
  if ((session === null && isLost) || isOfAnother(session, id)) {
    throw new PosteError('damaged', `session ${id} cannot be read: its journal tells nothing of it any more; its files were left alone`, {
      hint: `what it had is in ${paths.dir}; move that away to use the name again`,
    });
  }
  if (session === null || session.forgotten) return null;
  const holder = await holding();
  const worker = (holder.kind === 'live' || holder.kind === 'foreign') && holder.owner.role === 'worker' ? holder.owner : null;
  const progress = worker === null ? null : await readProgress(paths);
  return {
    session,
    paths,
    state: stateNow(session, worker !== null),
    worker,
    progress: progress?.pid === worker?.identity.pid && progress !== null && isNews(progress, Date.now()) ? progress : null,
    damage,
  };
}

/**
 * What the session is doing. A worker that died when it had only to say that all has settled left something to do: its hook is not
 * due before that was said, and whoever follows waits for it.
 */
export function stateNow(session: Session, workerAlive: boolean): SessionStateKind {
  const isUntold = !workerAlive && session.tasks.size > 0 && session.settledSeq === null && allSettled(session);
  return isUntold ? 'interrupted' : sessionState(session, workerAlive);
}

/** @throws PosteError `no-session` */
export async function requireSession(home: string, id: string): Promise<SessionView> {
  const view = await readSession(home, id);
  if (view === null) throw noSession(id);
  return view;
}

export function noSession(id: string): PosteError {
  return new PosteError('no-session', `there is no session ${id}`, { hint: 'poste status lists the sessions; poste start makes one' });
}
