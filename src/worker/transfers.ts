import { errorInfo, PosteError, type ErrorCode } from '../domain/errors.js';
import type { EventBody } from '../domain/events.js';
import { parseBackoff } from '../domain/policy-times.js';
import { hostPause, retryDelay } from '../domain/retry.js';
import type { Reason, ReasonCode, Task } from '../domain/task.js';
import { currentBootId } from '../platform/process-identity.js';
import { undoFinish } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { receivedBytes, tasksInTemp } from '../store/part-file.js';
import { tempPaths, type TempPaths } from '../store/paths.js';
import { attempt, type AttemptOutcome } from '../transfer/attempt.js';
import { Network } from '../transfer/network.js';
import { Throttle } from '../transfer/throttle.js';
import { Admission } from './admission.js';
import { basisOf, recordComplete } from './completion.js';
import { ConnectionBudget } from './connection-budget.js';
import type { Gates } from './gates.js';
import { exhausted, failure, without } from './failures.js';
import { HostLimits } from './host-limits.js';
import type { HostPauses } from './host-pauses.js';
import { LiveProgress } from './live-progress.js';
import { isOffNetwork, NetworkWatch } from './network-watch.js';
import { originOfTask } from './origins.js';
import { PutAway } from './put-away.js';

/** What passes by itself, but not at once: how long until the next look, in units of the first back-off. */
const LOOK_AGAIN = { 'disk-full': 5, portal: 30 } as const;

/** Failures that the network may be to blame for. */
const OF_THE_NETWORK: ReadonlySet<ErrorCode> = new Set(['network', 'dns', 'proxy', 'stalled']);

interface Running {
  readonly origin: string;
  /** Milliseconds, monotonic. */
  readonly startedAt: number;
  /** What the transfer began with and cannot change under way. */
  readonly basis: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

export interface TransferContext {
  readonly home: string;
  readonly owned: OwnedSession;
  readonly gates: Gates;
  readonly hosts: HostPauses;
  /** Small files that may be put away at once beside the transfers: each may have a file open. */
  readonly mostPutAway: number;
  /** Called when another transfer may begin. */
  readonly onSlot: () => void;
  /** Called when a transfer has ended, however it did, and the journal tells of it; and when one that waits need not wait any longer. */
  readonly onEnd: () => void;
}

/** The transfers under way in this worker, one for each running task. */
export class Transfers {
  readonly #context: TransferContext;
  readonly #temp: TempPaths;
  readonly #throttle = new Throttle();
  readonly #network = new Network(() => this.#throttle.isLimited);
  readonly #live: LiveProgress;
  readonly #unitMs = parseBackoff(process.env);
  readonly #admission: Admission;
  readonly #running = new Map<number, Running>();
  readonly #putAway: PutAway;
  /** What lay in temp when the first transfer began; the journal tells of the rest. */
  #inTemp: Promise<ReadonlySet<number>> | null = null;
  readonly budget: ConnectionBudget;
  readonly limits: HostLimits;
  readonly networkWatch: NetworkWatch;

  constructor(context: TransferContext, temp: string) {
    const { home, owned } = context;
    this.#context = context;
    this.#temp = tempPaths(temp);
    this.#putAway = new PutAway(context.mostPutAway);
    this.#live = new LiveProgress(owned.paths);
    this.budget = new ConnectionBudget(home, owned.id, this.#live);
    this.limits = new HostLimits(this.#unitMs, this.budget);
    this.#admission = new Admission({ home, paths: owned.paths, temp, live: this.#live, lookAgainMs: LOOK_AGAIN['disk-full'] * this.#unitMs });
    this.networkWatch = new NetworkWatch(this.#network, context.onEnd);
  }

  get running(): ReadonlySet<number> {
    return new Set(this.#running.keys());
  }

  /** Those of {@link running} whose bytes are all here: the next ones need not wait for the disk. */
  get putAway(): ReadonlySet<number> {
    return this.#putAway.tasks;
  }

  /** Whether the task's transfer, if it has one, goes by what is asked for now: the URL, the digest, the size. */
  isCurrent(task: Task): boolean {
    const running = this.#running.get(task.number);
    return running === undefined || running.basis === basisOf(task);
  }

  /** Why the task does not find room on its disk, while that is known. */
  roomReason(task: Task, now: number): Reason | null {
    return this.#admission.reason(task.number, now);
  }

  setRate(bytesPerSecond: number | null): void {
    this.#throttle.setRate(bytesPerSecond);
  }

  /** After a sleep every connection is suspect. */
  dropSockets(): void {
    this.#network.dropSockets();
  }

  start(task: Task): void {
    const abort = new AbortController();
    this.budget.begin();
    const ended = this.#run(task, abort.signal)
      .catch((error: unknown) => this.#record(task, failure(errorInfo(error))))
      // What cannot even be recorded now is a journal that cannot be written, and that ends the worker's loop.
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(task.number);
        this.#putAway.delete(task.number);
        this.#admission.release(task.number);
        this.#live.end(task.number);
        if (this.#running.size === 0) void this.budget.end();
        this.#context.onEnd();
      });
    this.#running.set(task.number, { basis: basisOf(task), origin: originOfTask(task), startedAt: performance.now(), abort, ended });
  }

  /** Resolves when the task's request is torn down and its bytes are synced. Never rejects. */
  async stop(task: number): Promise<void> {
    const running = this.#running.get(task);
    running?.abort.abort();
    await running?.ended;
  }

  /** Stops every transfer whose task `should` be stopped. */
  async stopWhere(should: (task: number) => boolean): Promise<void> {
    await Promise.all([...this.#running.keys()].filter(should).map((task) => this.stop(task)));
  }

  async close(): Promise<void> {
    this.networkWatch.stop();
    await this.stopWhere(() => true);
    await this.budget.end();
    await this.#live.write();
    await this.#network.close();
  }

  async #run(task: Task, signal: AbortSignal): Promise<void> {
    const { owned } = this.#context;
    const { number } = task;
    const missing = owned.secrets.missing(number, task.spec);
    if (missing !== null) {
      await this.#record(task, without(missing));
      return;
    }
    const isFresh = task.attempts === 0 && !(await this.#tasksInTemp()).has(number);
    const offset = isFresh ? 0 : await this.#bytesHere(number);
    if (offset === null) return;
    const total = task.representation?.total ?? task.spec.expectSize;
    this.#live.begin(number, originOfTask(task), offset, total);
    if (total !== null && !(await this.#admission.findsRoom(number, offset, total))) return;
    // Nothing on disk rests on these events, and what comes after them in the journal is written after them: the transfer does not wait.
    const started = this.#commit([{ type: 'task.started', task: number, attempt: task.attempts + 1, offset }]);
    const tell = (body: EventBody): Promise<void> => {
      this.#commit([body]).catch(() => undefined);
      return Promise.resolve();
    };
    started.catch(() => undefined);
    const outcome = await attempt(
      {
        task: number,
        spec: task.spec,
        secrets: owned.secrets.get(number),
        temp: this.#temp,
        restarts: task.restarts,
        bootId: currentBootId(),
        isFresh,
        hadBytes: offset > 0,
        connections: () => this.#connections(number),
        admit: (received, length) => this.#admission.admit(number, received, length),
      },
      {
        answered: (name, representation) => tell({ type: 'task.answered', task: number, name, representation }),
        restarted: async (reason, bytesDropped) => {
          await this.#commit([{ type: 'task.restarted', task: number, reason, bytesDropped }]);
        },
        verifying: () => tell({ type: 'task.verifying', task: number }),
        progress: (now) => {
          this.#live.update(number, now);
          this.limits.served(task, performance.now());
        },
      },
      this.#network,
      this.#throttle,
      signal,
    );
    if (outcome.kind === 'complete' && 'bytes' in outcome && this.#putAway.add(number, outcome.size)) this.#context.onSlot();
    // It was cancelled before it was told to have started.
    if ((await started) === 0) return;
    await this.#record(task, outcome);
  }

  /** As the task wants it now: it may be told otherwise under way. */
  #connections(number: number): { readonly most: number; readonly auto: boolean } {
    const task = this.#task(number);
    const { connections } = task.spec;
    if (connections !== 'auto') return { most: connections, auto: false };
    return { most: this.budget.connections(number, originOfTask(task)), auto: true };
  }

  async #tasksInTemp(): Promise<ReadonlySet<number>> {
    this.#inTemp ??= tasksInTemp(this.#temp);
    return this.#inTemp;
  }

  /** Bytes on disk of a task of which there may be some; `null` when the session is not this worker's any more. */
  async #bytesHere(task: number): Promise<number | null> {
    // To one that was displaced, its successor's finished file would look like a finish to be taken back.
    if (!(await this.#context.owned.ownership.stillMine())) return null;
    await undoFinish(this.#temp, task);
    return receivedBytes(this.#temp, task, currentBootId());
  }

  /** What became of a transfer that began with `asked`. Of what is asked for otherwise by now it says nothing. */
  async #record(asked: Task, outcome: AttemptOutcome): Promise<void> {
    const { number } = asked;
    const task = this.#task(number);
    if (basisOf(task) !== basisOf(asked)) return;
    switch (outcome.kind) {
      case 'stopped':
        return;
      case 'complete':
        await recordComplete(this.#context.owned, this.#temp, task, outcome);
        return;
      case 'failed':
        await this.#commit([{ type: 'task.failed', task: number, error: outcome.error }]);
        return;
      case 'needs': {
        const reason = { code: outcome.code, message: outcome.error.message, since: Date.now(), nextCheckAt: null };
        await this.#commit([{ type: 'task.waiting', task: number, reasons: [reason] }]);
        return;
      }
      case 'retry': {
        const event = await this.#retry(task, outcome);
        const recorded = await this.#commit([event]);
        // It failed before it was told to have started: without a word it would be started again at once, for ever.
        if (recorded === 0 && event.type === 'task.retrying') await this.#commit([{ type: 'task.waiting', task: number, reasons: [event.reason] }]);
      }
    }
  }

  /** The one place that decides about another try. */
  async #retry(task: Task, outcome: AttemptOutcome & { kind: 'retry' }): Promise<EventBody> {
    const { error, progressed, retryAfterMs, hostBusy, waitFor } = outcome;
    const isLimit = !progressed && this.#isTurnedDown(task, outcome);
    const isOffline = !this.#context.gates.isOnline(task) || (outcome.unreached && isOffNetwork());
    const counts = waitFor === null && !isLimit && !isOffline;
    const fruitless = progressed ? 0 : task.fruitless + (counts ? 1 : 0);
    if (task.spec.retries !== null && fruitless > task.spec.retries) return { type: 'task.failed', task: task.number, error: exhausted(error, fruitless) };
    const now = Date.now();
    const by = outcome.unreached ? 'unreached' : OF_THE_NETWORK.has(error.code) ? 'network' : 'other';
    this.networkWatch.failed(task.number, { triedAt: this.#running.get(task.number)?.startedAt ?? performance.now(), by });
    // "Retry-After: 0" asks for nothing: taken at its word it would be a request after the other, for ever.
    const asked = retryAfterMs === 0 ? null : retryAfterMs;
    const delay =
      waitFor !== null
        ? LOOK_AGAIN[waitFor] * this.#unitMs
        : retryDelay({ fruitless: Math.max(1, fruitless), retryAfterMs: asked, random: Math.random(), unitMs: this.#unitMs });
    if (hostBusy) await this.#context.hosts.pause(task, now, hostPause({ retryAfterMs: asked, delayMs: delay, unitMs: this.#unitMs }));
    const code: ReasonCode = waitFor === 'disk-full' ? 'disk-full' : asked !== null ? 'retry-after' : 'backoff';
    const { message } = error;
    const reason = { code, message, since: now, nextCheckAt: now + delay };
    return { type: 'task.retrying', task: task.number, error, progressed, counts, reason };
  }

  /** By a server that goes on serving our others: that is its limit on connections. */
  #isTurnedDown(task: Task, { error, hostBusy }: AttemptOutcome & { kind: 'retry' }): boolean {
    const { origin, startedAt } = this.#running.get(task.number) ?? { origin: '', startedAt: Infinity };
    if (!hostBusy && error.code !== 'network') return false;
    const others = [...this.#running].filter(([number, running]) => number !== task.number && running.origin === origin).length;
    return this.limits.turnedDown(task, { startedAt, others, now: Date.now() });
  }

  /** How many of the events came to be: an event that has become impossible (the task was cancelled) is dropped. */
  async #commit(bodies: readonly EventBody[]): Promise<number> {
    return (await this.#context.owned.journal.commit(() => bodies)).length;
  }

  #task(number: number): Task {
    const task = this.#context.owned.journal.session?.tasks.get(number);
    if (task === undefined) throw new PosteError('internal', `task ${number} is not in the journal`);
    return task;
  }
}
