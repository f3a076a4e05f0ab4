import { setMaxListeners } from 'node:events';
import { errorInfo, isShortage, PosteError } from '../domain/errors.js';
import { parseBudget } from '../domain/connection-budget.js';
import { parseBackoff, parsePolicyTimes } from '../domain/policy-times.js';
import { schedule, type Schedule } from '../domain/schedule.js';
import { isOver, isParked, type Session } from '../domain/session.js';
import { isSettled, type Task } from '../domain/task.js';
import { watchSleep } from '../conditions/sleep-watch.js';
import { isDeliveryUnderWay } from '../delivery/under-way.js';
import { recordClaimIn, serving } from '../delivery/serving.js';
import { remakeReceipts } from '../delivery/remake-receipts.js';
import { recoverIntents } from '../delivery/settle.js';
import { descriptorLimit } from '../platform/descriptors.js';
import { VERSION } from '../platform/version.js';
import { systemCode } from '../store/files.js';
import { pendingIds } from '../store/inbox.js';
import {
  isForgettable,
  keepWantedSecrets,
  leaveEmpty,
  openOwned,
  removeSession,
  serveInbox,
  settleSession,
  type OwnedSession,
} from '../store/owned-session.js';
import { isAfterBoot, type Ownership } from '../store/ownership.js';
import type { SessionPaths } from '../store/paths.js';
import { keepReserve } from '../store/reserve.js';
import { Doorbell } from './doorbell.js';
import { expire } from './expiry.js';
import { Gates } from './gates.js';
import { HookRuns } from './hook-runs.js';
import { HostPauses } from './host-pauses.js';
import { ReadyLine } from './ready-line.js';
import { Transfers } from './transfers.js';

export interface Work {
  readonly id: string;
  readonly home: string;
  readonly paths: SessionPaths;
  readonly ownership: Ownership;
  /** Ends the work; its reason is the name of the signal that wanted this process gone. A full disk is waited out until then and no longer. */
  readonly end: AbortSignal;
}

/** The longest sleep of the loop, but for the rest after a long look: watches fail, so the inbox is looked at whatever happens. */
const LONGEST_SLEEP_MS = 1000;
const SHORTEST_SLEEP_MS = 10;
/** File descriptors of the worker itself, and of one task: a connection, the part file, its record, and one for the moment. */
const OWN_DESCRIPTORS = 32;
const TASK_DESCRIPTORS = 4;
/** Small files that are put away beside the transfers: so many at once, each with one descriptor, and no more than a sixteenth of the limit. */
const MOST_PUT_AWAY = 64;
/** Everything is looked at again after so many times what the last plan took, about half of a look: that costs a tenth of the time at most. */
const REST = 20;
const LEAST_REST_MS = 100;
const LONGEST_REST_MS = 5000;

/** Serves one session until nothing is left to do, `end` ends it, or its ownership is lost. */
export async function work({ id, home, paths, ownership, end }: Work): Promise<void> {
  // Whatever would keep it from working is found out before it answers anyone.
  parsePolicyTimes(process.env);
  parseBackoff(process.env);
  parseBudget(process.env);
  const owned = await openOwned(id, paths, ownership, end);
  await serveInbox(owned, serving(owned));
  const { session } = owned.journal;
  if (session === null || session.forgotten) {
    await (session === null ? leaveEmpty(owned) : removeSession(owned));
    return;
  }
  const { pid } = process;
  await owned.journal.commit(() => [{ type: 'worker.started', pid, version: VERSION }]);
  await keepReserve(paths.reserve);
  await recoverIntents(paths, session, recordClaimIn(owned));
  if (await isAfterBoot(paths, ownership.gen)) await remakeReceipts(paths);
  const reason = await new Shift(owned, home, session.temp, end).run();
  if (reason === 'forgotten') {
    await removeSession(owned);
    return;
  }
  await keepWantedSecrets(owned);
  await owned.journal.commit(() => [{ type: 'worker.exited', pid, reason }]);
  await owned.journal.close();
  await ownership.release();
  // A request that came between the last look and the release has nobody: its asker sees no owner and starts another worker.
}

/** One worker's time with a session: the loop, and all that it keeps going. */
class Shift {
  readonly #owned: OwnedSession;
  readonly #doorbell: Doorbell;
  readonly #gates: Gates;
  readonly #hosts: HostPauses;
  readonly #transfers: Transfers;
  readonly #hooks: HookRuns;
  readonly #end: AbortSignal;
  readonly #mostTasks: number;
  /** What the last look at everything found ready to start. */
  #ready = new ReadyLine();
  /** How long after a transfer's end everything is looked at again. */
  #restMs = LEAST_REST_MS;
  #look: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(owned: OwnedSession, home: string, temp: string, end: AbortSignal) {
    const ring = (): void => {
      this.#doorbell.ring();
    };
    this.#owned = owned;
    this.#end = end;
    this.#doorbell = new Doorbell(owned.paths.inbox);
    this.#gates = new Gates(process.env, ring);
    this.#hosts = new HostPauses(home, parseBackoff(process.env));
    const descriptors = descriptorLimit() ?? Infinity;
    const mostPutAway = Math.min(MOST_PUT_AWAY, Math.floor(descriptors / 16));
    this.#mostTasks = Math.max(1, Math.floor((descriptors - OWN_DESCRIPTORS - mostPutAway) / TASK_DESCRIPTORS));
    const onSlot = (): void => {
      this.#startReady();
    };
    const onEnd = (): void => {
      this.#startReady();
      this.#lookSoon();
    };
    this.#transfers = new Transfers({ home, owned, gates: this.#gates, hosts: this.#hosts, mostPutAway, onSlot, onEnd }, temp);
    this.#hooks = new HookRuns(owned, ring);
    setMaxListeners(0, owned.ownership.lost);
  }

  /** Returns why it ended, for the journal. */
  async run(): Promise<string> {
    for (const ending of [this.#end, this.#owned.ownership.lost]) {
      ending.addEventListener('abort', () => {
        this.#doorbell.ring();
      });
    }
    const stopSleepWatch = watchSleep({
      tickMs: LONGEST_SLEEP_MS,
      readClocks: () => ({ wall: Date.now(), monotonic: performance.now() }),
      onWake: () => {
        this.#transfers.dropSockets();
        this.#gates.refresh();
        this.#doorbell.ring();
      },
    });
    try {
      await this.#transfers.budget.learn();
      return await this.#loop();
    } finally {
      this.#isOver = true;
      stopSleepWatch();
      if (this.#look !== null) clearTimeout(this.#look);
      await Promise.all([this.#transfers.close(), this.#hooks.close()]);
      this.#gates.stop();
      this.#doorbell.close();
    }
  }

  async #loop(): Promise<string> {
    for (;;) {
      const next = await this.#round().catch((error: unknown) => this.#unlessShort(error));
      if (typeof next === 'string') return next;
      await this.#doorbell.wait(next);
    }
  }

  /** Returns why the work is over, or how long to sleep until the next round, milliseconds. */
  async #round(): Promise<string | number> {
    const kept = await serveInbox(this.#owned, { ...serving(this.#owned), quiesce: () => this.#quiesce() });
    if (!kept) return 'forgotten';
    if (this.#end.aborted) return `ended by ${String(this.#end.reason)}`;
    // What was decided and could not be written is no ground to go on: the next worker begins from what is on disk.
    if (this.#owned.journal.failure !== null) throw this.#owned.journal.failure;
    if (this.#owned.ownership.lost.aborted || !(await this.#owned.ownership.stillMine())) {
      throw new PosteError('worker', 'another worker has taken this session over; this one stops');
    }
    const sleep = await this.#step();
    const session = this.#session();
    if (isForgettable(session) && !(await isDeliveryUnderWay(this.#owned.paths, session))) {
      await this.#owned.journal.commit(() => [{ type: 'session.forgotten' }]);
      return 'forgotten';
    }
    return this.#isDone(session) && (await pendingIds(this.#owned.paths)).length === 0 ? 'nothing is left to do' : sleep;
  }

  /** Too many files open, here or everywhere: that passes. Transfers go on, and the next round begins a little later. */
  #unlessShort(error: unknown): number {
    if (!isShortage(systemCode(error)) || this.#owned.journal.failure !== null) throw error;
    return LONGEST_SLEEP_MS;
  }

  /** Looks at everything once and does what is due. Returns how long to sleep, milliseconds. */
  async #step(): Promise<number> {
    const { journal } = this.#owned;
    const isMoreDue = await expire(this.#owned, Date.now());
    this.#gates.look(this.#session().tasks.values(), performance.now());
    await this.#hosts.look(this.#session().tasks.values());
    this.#transfers.setRate(this.#session().settings.limitRate);
    this.#transfers.networkWatch.look(this.#session().tasks.values(), (task) => this.#owned.secrets.get(task));
    const now = Date.now();
    const began = performance.now();
    const plan = this.#plan(now);
    // While the plan is carried out nothing starts by the one before.
    this.#ready = new ReadyLine();
    this.#restMs = Math.min(LONGEST_REST_MS, Math.max(LEAST_REST_MS, REST * (performance.now() - began)));
    await Promise.all([...plan.giveUp, ...plan.stop.map(({ task }) => task)].map((task) => this.#transfers.stop(task.number)));
    if (plan.giveUp.length > 0) await journal.commit(() => plan.giveUp.map((task) => ({ type: 'task.failed', task: task.number, error: errorInfo(gaveUp(task)) })));
    const waits = [...plan.stop, ...plan.wait];
    if (waits.length > 0) await journal.commit(() => waits.map(({ task, reasons }) => ({ type: 'task.waiting', task: task.number, reasons })));
    this.#ready = new ReadyLine([...plan.start, ...plan.ready]);
    this.#startReady();
    // A transfer that has told of its end has still to put its secrets away: killed before, the session must not look settled.
    if (this.#transfers.running.size === 0) await settleSession(this.#owned);
    this.#hooks.runDue(this.#session(), now);
    if (isMoreDue) return SHORTEST_SLEEP_MS;
    const next = Math.min(plan.nextAt ?? Number.POSITIVE_INFINITY, this.#hooks.nextAt(this.#session()) ?? Number.POSITIVE_INFINITY);
    return Math.max(SHORTEST_SLEEP_MS, Math.min(Math.max(LONGEST_SLEEP_MS, this.#restMs), next - now, this.#gates.dueIn(performance.now())));
  }

  /** Of some tasks, or all. */
  #plan(now: number, tasks?: readonly Task[]): Schedule {
    const { running, putAway } = this.#transfers;
    return schedule({
      session: this.#session(),
      ...(tasks === undefined ? {} : { tasks }),
      running,
      putAway,
      conditionReasons: (task) => this.#gates.reasons(task, running.has(task.number), now),
      otherReason: (task) => this.#hosts.reason(task, now) ?? this.#transfers.roomReason(task, now),
      hostLimit: (task) => this.#transfers.limits.of(task, this.#session().settings.jobs, now),
      mostTasks: this.#mostTasks,
      isOver: (task, reason) => this.#transfers.networkWatch.isOver(task, reason),
      now,
    });
  }

  /** Takes the next of what was found ready: a look at all tasks for each one that ends would cost more the more there are. */
  #startReady(): void {
    const { journal, ownership } = this.#owned;
    if (this.#isOver || this.#end.aborted || ownership.lost.aborted || journal.failure !== null) return;
    this.#ready.offer(({ number }) => {
      // It may have changed since, if only in what it is told to wait for.
      const task = this.#session().tasks.get(number);
      const { start, ready, free } = this.#plan(Date.now(), task === undefined ? [] : [task]);
      for (const each of start) this.#transfers.start(each);
      if (ready.length === 0) return 'taken';
      return free > 0 ? 'passed' : 'kept';
    });
  }

  #lookSoon(): void {
    if (this.#transfers.running.size === 0) this.#doorbell.ring();
    if (this.#isOver) return;
    this.#look ??= setTimeout(() => {
      this.#look = null;
      this.#doorbell.ring();
    }, this.#restMs);
  }

  /** After a request: what is paused, cancelled, settled or asked for otherwise by now has no transfer under way when this resolves. */
  async #quiesce(): Promise<void> {
    await this.#transfers.stopWhere((number) => {
      const task = this.#session().tasks.get(number);
      return task === undefined || task.state.kind === 'paused' || isSettled(task) || !this.#transfers.isCurrent(task);
    });
  }

  #isDone(session: Session): boolean {
    if (this.#transfers.running.size > 0 || this.#hooks.isBusy) return false;
    if (isOver(session)) return true;
    // Due a moment after the look that settled the session: nobody else would run it.
    if (session.completeHook.kind === 'due' || session.completeHook.kind === 'running') return false;
    return [...session.tasks.values()].every((task) => isParked(task) || (isSettled(task) && task.hook.kind !== 'due' && task.hook.kind !== 'running'));
  }

  #session(): Session {
    const { session } = this.#owned.journal;
    if (session === null) throw new PosteError('internal', 'the session is gone from its journal');
    return session;
  }
}

function gaveUp({ number }: Task): PosteError {
  return new PosteError('gave-up', 'not finished within the time given by --give-up-after; what has arrived is kept', { hint: `poste retry ${number} goes on from there` });
}
