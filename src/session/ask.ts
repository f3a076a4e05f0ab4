import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { serving } from '../delivery/serving.js';
import { isDeliveryUnderWay } from '../delivery/under-way.js';
import { errorFromInfo, PosteError } from '../domain/errors.js';
import type { Answer, Request } from '../domain/requests.js';
import { isThere } from '../store/files.js';
import { hasAnswer, isPending, pendingIds, submit, takeAnswer, withdraw } from '../store/inbox.js';
import { isForgettable, leaveEmpty, openOwned, removeSession, serveInbox, settleSession } from '../store/owned-session.js';
import { JournalReader } from '../store/journal-reader.js';
import { readOwner, take, type Owner, type Ownership } from '../store/ownership.js';
import { sessionPaths, type SessionPaths } from '../store/paths.js';
import { withReserve } from '../store/reserve.js';
import { VERSION } from '../platform/version.js';
import { noSession, readSession } from './read.js';
import { startWorker, workerFailed, type StartingWorker } from './worker-process.js';

export interface Asking {
  readonly home: string;
  readonly id: string;
  readonly paths: SessionPaths;
  /** A worker must serve the request, because there will be work to do; otherwise the command may do it itself. */
  readonly needsWorker: boolean;
  /** Start the worker niced: nothing of the session is urgent. */
  readonly nice?: boolean;
  readonly deadlineMs?: number;
}

export function askingFor(home: string, id: string, needsWorker: boolean): Asking {
  return { home, id, paths: sessionPaths(home, id), needsWorker };
}

/** How long an owner has to answer, milliseconds. */
export const DEADLINE = 30_000;
const POLL = 10;
/** For an answer, between two looks at everything else. */
const LOOKS = 10;

export type Granted = Answer & { ok: true };

const FORGOTTEN: Granted = { ok: true, tasks: [], existing: [] };

/**
 * Puts a request to the session's owner and waits for the answer. Without a live worker, one is started,
 * or this process owns the session for that moment.
 * @throws PosteError the refusal; `worker` when nobody answers in time; `owned-elsewhere` for another host's session
 */
export async function ask(asking: Asking, request: Request): Promise<Granted> {
  // What brings more work has no right to the last blocks.
  if (request.kind === 'add') return askOnce(asking, request, () => undefined);
  return withReserve(asking.paths.reserve, async () => {
    let submitting: Promise<string> | null = null;
    const takeBackFirst = (signal: NodeJS.Signals): void => {
      const withdrawn = submitting?.then((requestId) => withdraw(asking.paths, requestId)) ?? Promise.resolve();
      void withdrawn.catch(() => undefined).finally(() => process.exit(128 + constants.signals[signal]));
    };
    const signals = stands(request) ? [] : SIGNALS;
    for (const signal of signals) process.once(signal, takeBackFirst);
    try {
      return await askOnce(asking, request, (requestId) => {
        submitting = requestId;
      });
    } finally {
      for (const signal of signals) process.off(signal, takeBackFirst);
    }
  });
}

/** A claim stands whatever becomes of who made it, and what was seen was seen. */
function stands({ kind }: Request): boolean {
  return kind === 'claimed' || kind === 'acknowledge';
}

/** Those with which a person, or a system that shuts down, ends a command. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function askOnce(asking: Asking, request: Request, onSubmit: (requestId: Promise<string>) => void): Promise<Granted> {
  const { paths, needsWorker } = asking;
  const submitted = (): Promise<string> => {
    const requestId = submit(paths, request, { forNowOnly: !needsWorker && request.kind !== 'add' && !stands(request) });
    onSubmit(requestId);
    return requestId;
  };
  let requestId = await submitted();
  let wentWithSession = false;
  let given: Answer | null = null;
  const deadline = performance.now() + (asking.deadlineMs ?? DEADLINE);
  const starter = new WorkerStarter(asking);
  for (;;) {
    const pending = await isPending(paths, requestId);
    const answer = given ?? (await takeAnswer(paths, requestId));
    if (answer?.ok === true) return answer;
    if (answer !== null) {
      await removeIfEmpty(asking);
      // Somebody else's late request had made the folder anew.
      if (wentWithSession && request.kind === 'forget' && answer.error.code === 'no-session') return FORGOTTEN;
      throw errorFromInfo(answer.error);
    }
    // Neither request nor answer: they went with a session that was forgotten meanwhile. The one after it is asked, if it is for anyone.
    const isGone = !(await isThere(paths.journal));
    if (isGone && request.kind === 'forget') return FORGOTTEN;
    if (!pending && isGone && request.kind !== 'add') throw noSession(asking.id);
    if (!pending) {
      requestId = await submitted();
      wentWithSession = true;
    }
    const holder = await readOwner(paths);
    if (holder.kind === 'foreign') {
      await withdraw(paths, requestId);
      throw ownedElsewhere(asking.id, holder.owner);
    }
    if (holder.kind === 'live') starter.seen();
    else if (needsWorker) await starter.start();
    else given = await serveMyself(asking, requestId);
    if (given !== null) continue;
    if (performance.now() > deadline) {
      const isTakenBack = !needsWorker && !stands(request) && (await withdraw(paths, requestId));
      // It may have been carried out at this very moment.
      given = isTakenBack ? null : await takeAnswer(paths, requestId);
      if (given === null) throw noAnswer(asking.id, holder.kind === 'live' ? holder.owner : null, !isTakenBack);
      continue;
    }
    await (holder.kind === 'live' ? untilAnswered(paths, requestId) : delay(POLL));
  }
}

/** A live owner answers soon, most of the time: it takes a while before anything else is worth a look. */
async function untilAnswered(paths: SessionPaths, requestId: string): Promise<void> {
  let looks = 0;
  do {
    await delay(POLL);
    looks += 1;
  } while (looks < LOOKS && !(await hasAnswer(paths, requestId)));
}

/** A request that is refused may have made the folder of a session that was never to be. */
async function removeIfEmpty(asking: Asking): Promise<void> {
  const reader = new JournalReader(asking.paths.journal);
  await reader.catchUp();
  if (reader.session === null && reader.damage === null) await serveMyself(asking, '').catch(() => undefined);
}

/** Removes what is left of a session whose owner died between its last word, that it is forgotten, and the removal: nobody else looks at it. */
export async function removeForgotten(asking: Asking): Promise<void> {
  const reader = new JournalReader(asking.paths.journal);
  await reader.catchUp();
  if (reader.session?.forgotten === true) await serveMyself(asking, '');
}

/** Makes sure that a live worker owns the session, unless it has nothing left to do. */
export async function ensureWorker(asking: Asking): Promise<void> {
  const deadline = performance.now() + (asking.deadlineMs ?? DEADLINE);
  const starter = new WorkerStarter(asking);
  for (;;) {
    const holder = await readOwner(asking.paths);
    if (holder.kind === 'live' && holder.owner.role === 'worker') return;
    if (holder.kind === 'foreign') throw ownedElsewhere(asking.id, holder.owner);
    // It also goes when somebody's command owns the session for that moment: then the work is still there.
    const cameAndWent = holder.kind !== 'live' && (await starter.start()) === 'came and went';
    if (cameAndWent && (await readSession(asking.home, asking.id))?.state !== 'interrupted') return;
    if (performance.now() > deadline) throw noAnswer(asking.id, holder.kind === 'live' ? holder.owner : null, true);
    await delay(POLL);
  }
}

/**
 * Has carried out what was asked for and is still there: its worker died before it did it, and who asked was told that it stays recorded.
 * A live owner sees to it by itself. Returns whether there was anything to do.
 */
export async function carryOutLeft(asking: Asking): Promise<boolean> {
  if ((await pendingIds(asking.paths)).length === 0) return false;
  const { kind } = await readOwner(asking.paths);
  if (kind === 'live' || kind === 'foreign') return false;
  const deadline = performance.now() + (asking.deadlineMs ?? DEADLINE);
  while ((await pendingIds(asking.paths)).length > 0 && performance.now() < deadline) {
    await ensureWorker(asking);
    await delay(POLL);
  }
  return true;
}

/** Starts one worker at a time, and tells a worker that failed from one that found nothing to do or lost the race. */
class WorkerStarter {
  readonly #asking: Asking;
  #worker: StartingWorker | null = null;
  #exit: { code: number | null } | null = null;

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  /** A live owner was seen: whoever is starting may give up in peace. */
  seen(): void {
    if (this.#exit !== null) this.#worker = null;
  }

  async start(): Promise<'starting' | 'came and went'> {
    const { home, id, paths, nice } = this.#asking;
    if (this.#worker === null) {
      this.#exit = null;
      const worker = await startWorker(home, id, paths, nice ?? false);
      this.#worker = worker;
      void worker.exited.then((code) => {
        if (this.#worker === worker) this.#exit = { code };
      });
      return 'starting';
    }
    if (this.#exit === null) return 'starting';
    if (this.#exit.code !== 0) throw await workerFailed(paths, id, this.#exit.code);
    this.#worker = null;
    return 'came and went';
  }
}

/**
 * Returns the answer to a request, if it was given now. What was not done now must not be done later, when nobody expects it any more; what
 * failed after it was done is the next owner's to see. This process may go on for long after: whatever happens, it does not stay the owner.
 */
async function serveMyself({ id, paths }: Asking, requestId: string): Promise<Answer | null> {
  let ownership: Ownership | null = null;
  try {
    const taken = await take(paths, 'command', VERSION);
    if (taken.kind !== 'taken') return null;
    ({ ownership } = taken);
    return await serveAsOwner(id, paths, ownership, requestId);
  } catch (error) {
    if ((await withdraw(paths, requestId)) || (await isPending(paths, requestId))) throw error;
    return null;
  } finally {
    await ownership?.release();
  }
}

async function serveAsOwner(id: string, paths: SessionPaths, ownership: Ownership, requestId: string): Promise<Answer | null> {
  const owned = await openOwned(id, paths, ownership, null);
  let answer: Answer | null = null;
  try {
    const kept = await serveInbox(owned, serving(owned));
    // It may go with its session.
    answer = await takeAnswer(paths, requestId);
    await settleSession(owned);
    const { session } = owned.journal;
    const isOver = session !== null && isForgettable(session) && !(await isDeliveryUnderWay(paths, session));
    if (isOver) await owned.journal.commit(() => [{ type: 'session.forgotten' }]);
    if (session === null) await leaveEmpty(owned);
    else if (!kept || isOver) await removeSession(owned);
  } catch (error) {
    if (answer === null) throw error;
  } finally {
    await owned.journal.close();
  }
  return answer;
}

function ownedElsewhere(id: string, owner: Owner): PosteError {
  return new PosteError('owned-elsewhere', `session ${id} is owned on host ${owner.identity.host} by process ${owner.identity.pid}`, {
    hint: 'use it from there; its worker can only be judged dead on its own host',
  });
}

function noAnswer(id: string, owner: Owner | null, stays: boolean): PosteError {
  const who = owner === null ? 'no worker took it' : `its worker (process ${owner.identity.pid}) is alive but does not answer`;
  return new PosteError('worker', `session ${id}: ${who}; what was asked for ${stays ? 'stays recorded' : 'was taken back'}`, {
    hint: `see poste status --id ${id}`,
    transient: true,
  });
}
