import { rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { errorInfo, PosteError, type ErrorInfo } from '../domain/errors.js';
import { decide, type Answer, type Decision, type Request } from '../domain/requests.js';
import { selectTasks } from '../domain/select.js';
import { allSettled, countStates, isOver, type Session } from '../domain/session.js';
import type { TaskSecrets } from '../domain/task.js';
import { VERSION } from '../platform/version.js';
import { diskError } from './disk-error.js';
import { isOwnDir, makeDir } from './own-dir.js';
import { answerRequest, answersTaken, begin, hasAnswers, pendingIds, readRequest, unbegin, withdraw } from './inbox.js';
import { Journal } from './journal.js';
import { sweepLeftovers } from './leftovers.js';
import type { Ownership } from './ownership.js';
import { removeFinished, sweepTold } from './finished.js';
import { removeParts } from './part-file.js';
import { gravePath, tempPaths, type SessionPaths } from './paths.js';
import { untilRoom } from './room.js';
import { SecretStore } from './secrets.js';
import { isOfAnother } from './traces.js';

/** A session in the hands of its owner: the worker, or a command for a moment. */
export interface OwnedSession {
  readonly id: string;
  readonly paths: SessionPaths;
  readonly ownership: Ownership;
  readonly journal: Journal;
  readonly secrets: SecretStore;
  /** Until it ends, a full disk is waited out; `null`: whoever has no room fails at once. */
  readonly patience: AbortSignal | null;
}

/** Opens the state of a session that this process owns. @throws PosteError as {@link Journal.open}; `damaged` for another session's journal */
export async function openOwned(id: string, paths: SessionPaths, ownership: Ownership, patience: AbortSignal | null): Promise<OwnedSession> {
  await makeDir(paths.inbox);
  const secrets = await SecretStore.open(paths, patience);
  const journal = await Journal.open(paths.journal, ownership, patience);
  if (isOfAnother(journal.session, id)) {
    await journal.close();
    throw new PosteError('damaged', `the journal in ${paths.dir} is not of session ${id}; its files were left alone`, { hint: `move ${paths.dir} away to use the name again` });
  }
  await sweepLeftovers(paths, journal.session?.temp ?? null, Date.now());
  if (journal.session !== null) await sweepTold(tempPaths(journal.session.temp), journal.session);
  return { id, paths, ownership, journal, secrets, patience };
}

/** What serving a request takes of those who are not the store. */
export interface Serving {
  /**
   * Called when the events of a request are durable and before it is answered: tasks that are paused or cancelled by then must have no
   * request under way when it resolves.
   */
  quiesce(): Promise<void>;
  /** Called before finished files are removed: rejects, with what the asker is told, while somebody delivers one of the `wanted` tasks. */
  endDeliveries(session: Session, wanted: (task: number) => boolean): Promise<void>;
}

/**
 * Carries out every request that waits.
 * Returns false when the session is forgotten; what waits then is its asker's to ask again, of a new session.
 */
export async function serveInbox(owned: OwnedSession, serving: Serving): Promise<boolean> {
  for (const requestId of await pendingIds(owned.paths)) {
    if (owned.journal.session?.forgotten === true) return false;
    const pending = await readRequest(owned.paths, requestId);
    if (pending === null) continue;
    const { request, isAbandoned } = pending;
    if (isAbandoned) {
      await withdraw(owned.paths, requestId);
      continue;
    }
    if (typeof request === 'string') {
      await tell(owned, requestId, { ok: false, error: errorInfo(notServed(request)) });
      continue;
    }
    const hindrance = await hindranceTo(request, owned.journal.session, serving);
    if (hindrance !== null) {
      await tell(owned, requestId, { ok: false, error: hindrance });
      continue;
    }
    if (!(await untilRoom(() => begin(owned.paths, requestId), owned.patience))) continue;
    let decision: Decision | undefined;
    try {
      await owned.journal.commit((session) => {
        decision = decide(owned.id, session, requestId, request);
        return decision.events;
      });
    } catch (error) {
      await unbegin(owned.paths, requestId).catch(() => undefined);
      throw error;
    }
    if (decision === undefined) continue;
    await serving.quiesce();
    // What makes room comes before what needs some.
    const answer = await purged(owned.journal.session, decision);
    await keepWantedSecrets(owned, new Map([...givenAgain(owned, decision.secrets), ...relinked(owned, decision.links)]));
    await tell(owned, requestId, answer);
  }
  return owned.journal.session?.forgotten !== true;
}

/** Nobody's file is removed under his hands. */
async function hindranceTo(request: Request, session: Session | null, serving: Serving): Promise<ErrorInfo | null> {
  const isCancel = request.kind === 'cancel' && request.purge && request.names.length > 0;
  const isForget = request.kind === 'forget' && request.mode !== 'when-done';
  if (session === null || !(isCancel || isForget)) return null;
  try {
    const wanted = new Set(selectTasks(session, isCancel ? request.names : []).map(({ number }) => number));
    await serving.endDeliveries(session, (task) => wanted.has(task));
    return null;
  } catch (error) {
    return errorInfo(error);
  }
}

function notServed(why: 'damaged' | 'of a newer poste'): PosteError {
  if (why === 'damaged') return new PosteError('damaged', 'the request was damaged on its way; nothing was done', { hint: 'give the command again' });
  return new PosteError('newer-version', `this command is of a newer poste than the worker of its session (${VERSION}); nothing was done`, {
    hint: 'when that worker has ended, give the command again',
  });
}

async function tell({ paths, patience }: OwnedSession, requestId: string, answer: Answer): Promise<void> {
  await untilRoom(() => answerRequest(paths, requestId, answer), patience);
}

/** What is not said again stays as it was, but for proxies: that there are none is said too. */
function givenAgain({ secrets }: OwnedSession, given: Decision['secrets']): [number, TaskSecrets][] {
  return [...given].map(([task, added]) => {
    const { proxy: _old, ...kept } = secrets.get(task);
    return [task, { ...kept, ...added }];
  });
}

/** Which headers stay the journal says, not the link: the same request again, after a crash, finds the new URL there already. */
function relinked({ secrets, journal }: OwnedSession, links: Decision['links']): [number, TaskSecrets][] {
  return [...links].map(([task, url]) => {
    const { url: _old, headers = [], ...kept } = secrets.get(task);
    const names = journal.session?.tasks.get(task)?.spec.headerNames ?? [];
    const left = headers.filter(([name]) => names.includes(name));
    return [task, { ...kept, ...(left.length === 0 ? {} : { headers: left }), ...(url === null ? {} : { url }) }];
  });
}

/** Secrets go when their task has no further use for them. A failed task keeps its own: `retry` must be able to ask again. */
export async function keepWantedSecrets(owned: OwnedSession, added: ReadonlyMap<number, TaskSecrets> = new Map()): Promise<void> {
  const tasks = owned.journal.session?.tasks;
  await owned.secrets.update(added, (number) => {
    const state = tasks?.get(number)?.state.kind;
    return state !== undefined && state !== 'finished' && state !== 'claimed' && state !== 'cancelled' && state !== 'expired';
  });
}

/** Tells, once, that every task has settled and every hook of a task was delivered. Another event may make it untrue again. */
export async function settleSession({ journal }: OwnedSession): Promise<void> {
  const isDue = (session: Session | null): session is Session =>
    session !== null && session.tasks.size > 0 && session.settledSeq === null && !session.forgotten && allSettled(session);
  if (!isDue(journal.session)) return;
  await journal.commit((session) => (isDue(session) ? [{ type: 'session.settled', counts: countStates(session) }] : []));
}

/** `forget --when-done`: true when the time has come. */
export function isForgettable(session: Session): boolean {
  if (session.forgetting === null || !isOver(session)) return false;
  return session.forgetting.purge || [...session.tasks.values()].every((task) => task.state.kind !== 'finished');
}

/**
 * Removes all that a forgotten session left: first out of sight in one step, then for good. The session stays owned until it is out of
 * sight: whoever comes between would lose what he just made.
 */
export async function removeSession(owned: OwnedSession): Promise<void> {
  const { session } = owned.journal;
  const grave = gravePath(owned.paths, randomBytes(6).toString('hex'));
  await owned.journal.close();
  await answersTaken(owned.paths);
  try {
    if (session !== null && session.temp !== owned.paths.dir) await rm(session.temp, { recursive: true, force: true });
    await rename(owned.paths.dir, grave);
  } finally {
    await owned.ownership.release();
  }
  await rm(grave, { recursive: true, force: true });
}

/** Ends the ownership of a folder in which no session came to be. It stays while a refusal lies in it: who is refused removes it. */
export async function leaveEmpty(owned: OwnedSession): Promise<void> {
  if (!(await hasAnswers(owned.paths))) {
    await removeSession(owned);
    return;
  }
  await owned.journal.close();
  await owned.ownership.release();
}

/** The answer, when what the decision wants away is away; bytes that cannot be removed are no reason to serve nobody any more. */
async function purged(session: Session | null, { answer, purge }: Decision): Promise<Answer> {
  if (session === null) return answer;
  const temp = tempPaths(session.temp);
  try {
    if (purge.length > 0) await isOwnDir(session.temp);
    for (const task of purge) {
      await removeParts(temp, task);
      await removeFinished(temp, task);
    }
    return answer;
  } catch (error) {
    return { ok: false, error: errorInfo(diskError(error, session.temp)) };
  }
}
