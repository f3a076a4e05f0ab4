import { rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { errorInfo, PosteError } from '../domain/errors.js';
import { decide, type Decision } from '../domain/requests.js';
import { isOver, type Session } from '../domain/session.js';
import type { TaskSecrets } from '../domain/task.js';
import { makeDir } from './files.js';
import { answerRequest, pendingIds, readRequest } from './inbox.js';
import { Journal } from './journal.js';
import type { Ownership } from './ownership.js';
import { removeFinished } from './finished.js';
import { removeParts } from './part-file.js';
import { tempPaths, type SessionPaths } from './paths.js';
import { SecretStore } from './secrets.js';

/** A session in the hands of its owner: the worker, or a command for a moment. */
export interface OwnedSession {
  readonly id: string;
  readonly paths: SessionPaths;
  readonly ownership: Ownership;
  readonly journal: Journal;
  readonly secrets: SecretStore;
}

export async function openOwned(id: string, paths: SessionPaths, ownership: Ownership): Promise<OwnedSession> {
  await makeDir(paths.inbox);
  return { id, paths, ownership, journal: await Journal.open(paths.journal, ownership), secrets: await SecretStore.open(paths) };
}

/**
 * Carries out every request that waits. `quiesce` is called when the events of a request are durable and before it is
 * answered: tasks that are paused or cancelled by then must have no request under way when it resolves.
 * Returns false when the session was forgotten.
 */
export async function serveInbox(owned: OwnedSession, quiesce: () => Promise<void>): Promise<boolean> {
  for (const requestId of await pendingIds(owned.paths)) {
    const pending = await readRequest(owned.paths, requestId);
    if (pending === null) continue;
    if (pending.request === null) {
      const error = new PosteError('damaged', 'the request was damaged on its way; nothing was done', { hint: 'give the command again' });
      await answerRequest(owned.paths, requestId, { ok: false, error: errorInfo(error) });
      continue;
    }
    const { request } = pending;
    let decision: Decision | undefined;
    await owned.journal.commit((session) => {
      decision = decide(owned.id, session, requestId, request);
      return decision.events;
    });
    if (decision === undefined) continue;
    await quiesce();
    await keepWantedSecrets(owned, new Map([...decision.secrets, ...relinked(owned, decision.links)]));
    if (decision.purge.length > 0) await purge(owned.journal.session, decision.purge);
    await answerRequest(owned.paths, requestId, decision.answer);
    if (owned.journal.session?.forgotten === true) return false;
  }
  return true;
}

function relinked({ secrets }: OwnedSession, links: Decision['links']): [number, TaskSecrets][] {
  return [...links].map(([task, url]) => {
    const { url: _old, ...kept } = secrets.get(task);
    return [task, url === null ? kept : { ...kept, url }];
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

/** `forget --when-done`: true when the time has come. */
export function isForgettable(session: Session): boolean {
  if (session.forgetting === null || !isOver(session)) return false;
  return session.forgetting.purge || [...session.tasks.values()].every((task) => task.state.kind !== 'finished');
}

/** Removes all that a forgotten session left: first out of sight in one step, then for good. */
export async function removeSession(owned: OwnedSession): Promise<void> {
  const { session } = owned.journal;
  const grave = join(dirname(owned.paths.dir), `.forgotten-${randomBytes(6).toString('hex')}`);
  await owned.journal.close();
  await owned.ownership.release();
  await rename(owned.paths.dir, grave);
  if (session !== null && session.temp !== owned.paths.dir) await rm(session.temp, { recursive: true, force: true });
  await rm(grave, { recursive: true, force: true });
}

async function purge(session: Session | null, tasks: readonly number[]): Promise<void> {
  if (session === null) return;
  const temp = tempPaths(session.temp);
  for (const task of tasks) {
    await removeParts(temp, task);
    await removeFinished(temp, task);
  }
}
