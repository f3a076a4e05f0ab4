import { hookEnvironment, hookEventId, hookInput, hookRetryDelay, isHookDue, type HookFacts } from '../domain/delivery.js';
import { errorInfo } from '../domain/errors.js';
import type { EventBody } from '../domain/events.js';
import { hookPending, type Session } from '../domain/session.js';
import type { HookState, Task } from '../domain/task.js';
import { endHook, runHook } from '../delivery/hook.js';
import { tryTurn, type Intent, type Turn } from '../delivery/intent.js';
import { noteClaim } from '../delivery/receipt.js';
import { identityOf, liveness } from '../platform/process-identity.js';
import { isThere } from '../store/files.js';
import type { OwnedSession } from '../store/owned-session.js';
import { tempPaths } from '../store/paths.js';
import { removeFinished } from '../store/finished.js';
import { printable } from '../domain/printable.js';

/** The session's own hook in the table of runs, beside the task numbers. */
const SESSION = 0;
/** Another delivery of the same file is under way: look again so much later. */
const TURN_LOOK_MS = 250;

/** Runs hooks when they are due: each at least once, and again with back-off while it fails. */
export class HookRuns {
  readonly #owned: OwnedSession;
  readonly #onEnd: () => void;
  readonly #running = new Map<number, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(owned: OwnedSession, onEnd: () => void) {
    this.#owned = owned;
    this.#onEnd = onEnd;
  }

  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /**
   * Starts the hooks that are due, no more at once than there are transfers at once. One that was running when a worker died is due
   * again. `now` is epoch milliseconds.
   */
  runDue(session: Session, now: number): void {
    for (const task of session.tasks.values()) {
      if (this.#running.size >= session.settings.jobs) return;
      if (this.#isDue(task.number, task.hook, now)) this.#runForTask(session, task);
    }
    const { onComplete } = session.settings;
    if (onComplete !== null && this.#isDue(SESSION, session.completeHook, now)) this.#runForSession(session, onComplete);
  }

  /** When the next hook is due, epoch milliseconds; `null` when none is. */
  nextAt(session: Session): number | null {
    if (this.isBusy) return null;
    const hooks = [session.completeHook, ...[...session.tasks.values()].map(({ hook }) => hook)];
    return hooks.reduce<number | null>((next, hook) => (hook.kind === 'due' && !(next !== null && next <= hook.notBefore) ? hook.notBefore : next), null);
  }

  /** Ends what is running; it is due again for the next worker. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running.values());
  }

  #isDue(key: number, hook: HookState, now: number): boolean {
    if (this.#running.has(key) || this.#stop.signal.aborted) return false;
    return hook.kind === 'running' || (hook.kind === 'due' && isHookDue(hook.notBefore, now));
  }

  /** A run never rejects: what keeps it from being told is a journal that cannot be written, and that ends the worker's loop. */
  #track(key: number, facts: HookFacts | null, hook: HookState, run: (facts: HookFacts) => Promise<void>): void {
    if (facts === null) return;
    const tracked = run(facts)
      .catch((error: unknown) => this.#failed(facts, hook, errorInfo(error).message))
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(key);
        this.#onEnd();
      });
    this.#running.set(key, tracked);
  }

  /** Something else than the command failed (the disk refused, a newer poste has the delivery): a failed run, unless it was told how it ended. */
  async #failed(facts: HookFacts, before: HookState, message: string): Promise<void> {
    const hook = hookOf(this.#owned.journal.session, facts);
    if (hook === undefined || !hookPending(hook) || failuresOf(hook) !== failuresOf(before) || this.#stop.signal.aborted) return;
    await this.#commit({ type: 'hook.started', ...whichHook(facts), run: failuresOf(before) + 1 });
    await this.#commit({ type: 'hook.finished', ...whichHook(facts), ok: false, message: printable(message, 200), retryAt: retryAt(failuresOf(before) + 1) });
  }

  #runForTask(session: Session, task: Task): void {
    const command = task.spec.onFinish;
    if (command === null) return;
    const { cwd, hookTimeoutMs } = task.spec;
    this.#track(task.number, taskFacts(session, task), task.hook, (facts) =>
      this.#inTurn(task.number, facts, async (turn) => {
        const ok = await this.#run({ command, cwd, timeoutMs: hookTimeoutMs, facts, hook: task.hook, turn });
        return this.#isClaimed(task.number, ok);
      }),
    );
  }

  #runForSession(session: Session, command: string): void {
    const { hookTimeoutMs } = session.settings;
    this.#track(SESSION, sessionFacts(session), session.completeHook, (facts) =>
      this.#inTurn(SESSION, facts, (turn) => this.#run({ command, cwd: session.cwd, timeoutMs: hookTimeoutMs, facts, hook: session.completeHook, turn })),
    );
  }

  /** `run` answers whether its turn was the last one. */
  async #inTurn(task: number, { eventId }: HookFacts, run: (turn: Turn) => Promise<boolean>): Promise<void> {
    const attempt = await tryTurn(this.#owned.paths, { task, by: 'hook', eventId, move: null, insideHook: null });
    if (attempt.kind === 'held') {
      await endOrphan(attempt.intent);
      await new Promise((resolve) => setTimeout(resolve, TURN_LOOK_MS));
      return;
    }
    try {
      if (await run(attempt.turn)) await attempt.turn.close();
    } finally {
      await attempt.turn.release();
    }
  }

  /** One run, told to the journal before and after. A run that the worker's end cut short counts for nothing: it is due again. */
  async #run(run: { command: string; cwd: string; timeoutMs: number; facts: HookFacts; hook: HookState; turn: Turn }): Promise<boolean> {
    const { command, cwd, timeoutMs, facts, hook, turn } = run;
    const number = failuresOf(hook) + 1;
    if (!(await this.#begin(facts, number))) return false;
    const env = hookEnvironment(process.env, facts);
    const announce = (pid: number): Promise<void> => turn.runBy(identityOf(pid));
    const request = { command, cwd, folder: this.#owned.paths.dir, env, stdin: hookInput(facts), timeoutMs, announce, signal: this.#stop.signal };
    const { ok, message } = await runHook(request);
    if (this.#stop.signal.aborted && !ok) return false;
    const told: EventBody = { type: 'hook.finished', ...whichHook(facts), ok, message: printable(message, 200), retryAt: ok ? null : retryAt(number) };
    // In one: nobody looks again at what a worker killed between the two would leave.
    const taken = ok ? await this.#taken(facts.task) : [];
    await this.#owned.journal.commit(() => [told, ...taken]);
    return ok;
  }

  /** False when what it was to run for is not so any more: its task was cancelled or begun again, or its session went on, while it waited for its turn. */
  async #begin(facts: HookFacts, run: number): Promise<boolean> {
    const started = await this.#owned.journal.commit((session) => {
      const hook = hookOf(session, facts);
      return hook !== undefined && hookPending(hook) ? [{ type: 'hook.started', ...whichHook(facts), run }] : [];
    });
    return started.length > 0;
  }

  /** After exit 0, a file that is no longer where it was has been taken by the hook. */
  async #taken(task: number | null): Promise<EventBody[]> {
    const state = task === null ? undefined : this.#owned.journal.session?.tasks.get(task)?.state;
    if (task === null || state?.kind !== 'finished' || (await isThere(state.file).catch(() => true))) return [];
    return [{ type: 'task.claimed', task, path: null, by: 'hook' }];
  }

  async #isClaimed(task: number, ok: boolean): Promise<boolean> {
    const { session } = this.#owned.journal;
    const state = session?.tasks.get(task)?.state;
    if (session === null || state?.kind !== 'claimed') return false;
    if (ok && state.by === 'hook') {
      await noteClaim(this.#owned.paths, task, null, state.at);
      await removeFinished(tempPaths(session.temp), task);
    }
    return true;
  }

  async #commit(body: EventBody): Promise<void> {
    await this.#owned.journal.commit(() => [body]);
  }
}

/** A hook that goes on without the worker that began it is ended, as that worker would have done: it is due again, and never runs twice at once. */
async function endOrphan({ by, maker, hook }: Intent): Promise<void> {
  if (by !== 'hook' || hook === undefined || (maker !== null && liveness(maker) !== 'dead')) return;
  if (liveness(hook) === 'alive') await endHook(hook.pid);
}

function hookOf(session: Session | null, { task }: HookFacts): HookState | undefined {
  return task === null ? session?.completeHook : session?.tasks.get(task)?.hook;
}

function failuresOf(hook: HookState): number {
  return hook.kind === 'due' || hook.kind === 'running' ? hook.failures : 0;
}

/** When it is run again after so many failures, epoch milliseconds; `null` when it is not. */
function retryAt(failures: number): number | null {
  const delay = hookRetryDelay(failures);
  return delay === null ? null : Date.now() + delay;
}

function whichHook({ task, eventId }: HookFacts): { hook: 'finish' | 'complete'; eventId: string; task?: number } {
  return task === null ? { hook: 'complete', eventId } : { hook: 'finish', eventId, task };
}

/** What a task's hook is told, or `null` when the task is in no state that has one. */
function taskFacts(session: Session, task: Task): HookFacts | null {
  const { state, spec } = task;
  const common = { id: session.id, task: task.number, name: spec.name, url: spec.url, to: spec.to, eventId: hookEventId(session.id, task.number, task.settledSeq ?? task.lastSeq) };
  switch (state.kind) {
    case 'finished':
    case 'claimed':
      return { ...common, event: 'finished', file: state.file, size: state.size, sha256: state.sha256, status: state.kind, errorCode: null };
    case 'failed':
      return { ...common, event: 'failed', file: null, size: null, sha256: null, status: 'failed', errorCode: state.error.code };
    default:
      return null;
  }
}

function sessionFacts(session: Session): HookFacts {
  return {
    event: 'complete',
    eventId: hookEventId(session.id, null, session.settledSeq ?? session.lastSeq),
    id: session.id,
    task: null,
    file: null,
    name: null,
    size: null,
    sha256: null,
    url: null,
    to: null,
    status: 'settled',
    errorCode: null,
  };
}
