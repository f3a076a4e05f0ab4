import { setTimeout as delay } from 'node:timers/promises';
import { isDeliveryUnderWay } from '../delivery/under-way.js';
import { errorFromInfo, PosteError } from '../domain/errors.js';
import type { Answer, Request } from '../domain/requests.js';
import { isThere } from '../store/files.js';
import { submit, takeAnswer, withdraw } from '../store/inbox.js';
import { isForgettable, openOwned, removeSession, serveInbox } from '../store/owned-session.js';
import { readOwner, take, type Owner } from '../store/ownership.js';
import { sessionPaths, type SessionPaths } from '../store/paths.js';
import { VERSION } from '../platform/version.js';
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

const DEADLINE = 30_000;
const POLL = 10;

export type Granted = Answer & { ok: true };

/**
 * Puts a request to the session's owner and waits for the answer. Without a live worker, one is started,
 * or this process owns the session for that moment.
 * @throws PosteError the refusal; `worker` when nobody answers in time; `owned-elsewhere` for another host's session
 */
export async function ask(asking: Asking, request: Request): Promise<Granted> {
  const { paths, needsWorker } = asking;
  const requestId = await submit(paths, request);
  const deadline = Date.now() + (asking.deadlineMs ?? DEADLINE);
  const starter = new WorkerStarter(asking);
  for (;;) {
    const answer = await takeAnswer(paths, requestId);
    if (answer?.ok === true) return answer;
    if (answer !== null) throw errorFromInfo(answer.error);
    // Whoever forgets a session takes its answers away too.
    if (request.kind === 'forget' && !(await isThere(paths.journal))) return { ok: true, tasks: [], existing: [] };
    const holder = await readOwner(paths);
    if (holder.kind === 'foreign') {
      await withdraw(paths, requestId);
      throw ownedElsewhere(asking.id, holder.owner);
    }
    if (holder.kind === 'live') starter.seen();
    else if (needsWorker) await starter.start();
    else await serveMyself(asking);
    if (Date.now() > deadline) {
      if (!needsWorker) await withdraw(paths, requestId);
      throw noAnswer(asking.id, holder.kind === 'live' ? holder.owner : null);
    }
    await delay(POLL);
  }
}

/** Makes sure that a live worker owns the session. */
export async function ensureWorker(asking: Asking): Promise<void> {
  const deadline = Date.now() + (asking.deadlineMs ?? DEADLINE);
  const starter = new WorkerStarter(asking);
  for (;;) {
    const holder = await readOwner(asking.paths);
    if (holder.kind === 'live' && holder.owner.role === 'worker') return;
    if (holder.kind === 'foreign') throw ownedElsewhere(asking.id, holder.owner);
    if (holder.kind !== 'live' && (await starter.start()) === 'came and went') return;
    if (Date.now() > deadline) throw noAnswer(asking.id, holder.kind === 'live' ? holder.owner : null);
    await delay(POLL);
  }
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

async function serveMyself({ id, paths }: Asking): Promise<void> {
  const taken = await take(paths, 'command', VERSION);
  if (taken.kind !== 'taken') return;
  const owned = await openOwned(id, paths, taken.ownership);
  const kept = await serveInbox(owned, () => Promise.resolve());
  const { session } = owned.journal;
  if (!kept || session === null) {
    await removeSession(owned);
    return;
  }
  if (isForgettable(session) && !(await isDeliveryUnderWay(paths, session))) {
    await owned.journal.commit(() => [{ type: 'session.forgotten' }]);
    await removeSession(owned);
    return;
  }
  await owned.journal.close();
  await taken.ownership.release();
}

function ownedElsewhere(id: string, owner: Owner): PosteError {
  return new PosteError('owned-elsewhere', `session ${id} is owned on host ${owner.identity.host} by process ${owner.identity.pid}`, {
    hint: 'use it from there; its worker can only be judged dead on its own host',
  });
}

function noAnswer(id: string, owner: Owner | null): PosteError {
  const who = owner === null ? 'no worker took it' : `its worker (process ${owner.identity.pid}) is alive but does not answer`;
  return new PosteError('worker', `session ${id}: ${who}; what was asked for stays recorded`, {
    hint: `see poste status --id ${id}`,
    transient: true,
  });
}
