import { isParked, type Session } from './session.js';
import { isSettled, type Reason, type ReasonCode, type Task, type TaskSpec } from './task.js';

/** A server serves us only so many connections at once, or all sessions together ask it for no more. */
export interface HostLimit {
  readonly origin: string;
  /** `budget`: of one session; `shared`: what others have of it is taken off. */
  readonly whose: 'server' | 'budget' | 'shared';
  readonly most: number;
  /** Epoch milliseconds: from then on more is tried again. */
  readonly until: number;
}

export interface ScheduleInput {
  readonly session: Session;
  /** The tasks to be looked at, in the order in which they may start; all of the session's when it is absent. */
  readonly tasks?: readonly Task[];
  /** Tasks whose transfer is under way. */
  readonly running: ReadonlySet<number>;
  /** Those of {@link running} that have all they need of their server: they take no one's place. */
  readonly putAway?: ReadonlySet<number>;
  /** Why the task's conditions keep it from running; empty when they do not, `null` when that is not known yet. */
  readonly conditionReasons: (task: Task) => readonly Reason[] | null;
  /** Why it is left alone all the same for now (its server asked for it, its disk has no room), or `null`. */
  readonly otherReason: (task: Task) => Reason | null;
  /** How many tasks of the task's server may run at once, or `null` when nobody knows of a limit. */
  readonly hostLimit: (task: Task) => HostLimit | null;
  /** Whether what a timed reason waits for has come about before its time. */
  readonly isOver: (task: Task, reason: Reason) => boolean;
  /** How many tasks this machine lets a worker run at once, whatever the session's `jobs`. */
  readonly mostTasks: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What the worker does next. */
export interface Schedule {
  readonly start: readonly Task[];
  /** What else could start at once, if more might run at once, here or at its server, in order. */
  readonly ready: readonly Task[];
  /** How many more might run at once, if it were for their servers. */
  readonly free: number;
  readonly stop: readonly { readonly task: Task; readonly reasons: readonly Reason[] }[];
  /** Tasks whose reasons for not running are not those that the journal tells. */
  readonly wait: readonly { readonly task: Task; readonly reasons: readonly Reason[] }[];
  readonly giveUp: readonly Task[];
  /** When something may change by time alone; `null` when nothing will. */
  readonly nextAt: number | null;
}

const NONE: ReadonlySet<number> = new Set();
const TIMED: ReadonlySet<ReasonCode> = new Set(['backoff', 'retry-after', 'disk-full']);

/** Pure: which tasks start, stop, wait or are given up now. High priority first, then in the order added. */
export function schedule(input: ScheduleInput): Schedule {
  const { session, tasks = inOrder(session), running, putAway = NONE, conditionReasons, otherReason, hostLimit, isOver, mostTasks, now } = input;
  const start: Task[] = [];
  const ready: Task[] = [];
  const stop: { task: Task; reasons: readonly Reason[] }[] = [];
  const wait: { task: Task; reasons: readonly Reason[] }[] = [];
  const giveUp: Task[] = [];
  let nextAt = Number.POSITIVE_INFINITY;
  const places = Math.min(session.settings.jobs, mostTasks);
  let slots = places - (running.size - putAway.size);
  let kept = 0;
  let turnedAway = 0;
  const atHost = new Map<string, number>();
  const count = (limit: HostLimit | null): void => {
    if (limit !== null) atHost.set(limit.origin, (atHost.get(limit.origin) ?? 0) + 1);
  };
  const tell = (task: Task, reasons: readonly Reason[]): void => {
    if (!isTold(task, reasons)) wait.push({ task, reasons: reasons.map((reason) => keepSince(task, reason)) });
  };
  for (const number of running) {
    const task = session.tasks.get(number);
    if (task !== undefined && !putAway.has(number)) count(hostLimit(task));
  }
  for (const task of tasks) {
    if (isSettled(task)) continue;
    const deadline = task.askedAt + task.spec.giveUpAfterMs;
    if (deadline <= now && task.state.kind !== 'paused') {
      giveUp.push(task);
      continue;
    }
    if (isParked(task)) continue;
    nextAt = Math.min(nextAt, deadline);
    const unmet = task.ignoreConditions ? [] : conditionReasons(task);
    if (unmet === null) continue;
    if (running.has(task.number)) {
      if (unmet.length > 0) stop.push({ task, reasons: unmet });
      // Only where `jobs` was lowered meanwhile are there more than places.
      else if (!putAway.has(task.number) && (kept += 1) > places) stop.push({ task, reasons: [jobsReason(session.settings.jobs, places, now)] });
      continue;
    }
    const other = otherReason(task);
    const timed = timedReasons(task, now).filter((reason) => !isOver(task, reason));
    // Told before, it is among the task's own already.
    const fresh = other === null || timed.some((reason) => isSame(reason, other)) ? [] : [other];
    const reasons = [...timed, ...fresh, ...unmet];
    for (const { nextCheckAt } of reasons) nextAt = Math.min(nextAt, nextCheckAt ?? nextAt);
    if (reasons.length > 0) {
      tell(task, reasons);
      continue;
    }
    const limit = slots > 0 || task.state.kind === 'waiting' ? hostLimit(task) : null;
    const isFull = limit !== null && (atHost.get(limit.origin) ?? 0) >= limit.most;
    if (slots > 0 && !isFull) {
      slots -= 1;
      count(limit);
      start.push(task);
      continue;
    }
    ready.push(task);
    const isTurnedAway = isFull && turnedAway < slots;
    if (isTurnedAway) {
      turnedAway += 1;
      nextAt = Math.min(nextAt, limit.until);
    }
    // Those whose turn it would be are told, and those who were told what is no more; a long queue behind them is not.
    if (isTurnedAway || task.state.kind === 'waiting') tell(task, [isFull ? limitReason(limit, now) : jobsReason(session.settings.jobs, places, now)]);
  }
  return { start, ready, free: slots, stop, wait, giveUp, nextAt: nextAt === Number.POSITIVE_INFINITY ? null : nextAt };
}

function inOrder(session: Session): Task[] {
  const order: Record<TaskSpec['priority'], Task[]> = { high: [], normal: [], low: [] };
  // In the order added, as they are.
  for (const task of session.tasks.values()) if (!isSettled(task)) order[task.spec.priority].push(task);
  return [...order.high, ...order.normal, ...order.low];
}

/** A back-off that the journal tells and that has not passed yet. One from the future is of a clock that was set back since: it is over. */
function timedReasons(task: Task, now: number): Reason[] {
  if (task.state.kind !== 'waiting') return [];
  return task.state.reasons.filter(({ code, since, nextCheckAt }) => TIMED.has(code) && since <= now && nextCheckAt !== null && nextCheckAt > now);
}

function limitReason({ origin, whose, most, until }: HostLimit, now: number): Reason {
  const messages = {
    server: `${origin} serves no more than ${most} of our connections at once`,
    budget: `${origin} is asked for no more than ${most} files at once`,
    shared: `other sessions download from ${origin}; together they keep to one limit`,
  };
  return { code: 'host-limit', message: messages[whose], since: now, nextCheckAt: until };
}

function jobsReason(jobs: number, places: number, now: number): Reason {
  return { code: 'jobs-limit', message: `no more than ${places} at once are ${places < jobs ? 'possible here' : 'wanted'}`, since: now, nextCheckAt: null };
}

/** How much is free on a full disk changes all the time, and is no news. */
function isSame(one: Reason, other: Reason): boolean {
  return one.code === other.code && (one.code === 'disk-full' || one.message === other.message);
}

function isTold(task: Task, reasons: readonly Reason[]): boolean {
  if (task.state.kind !== 'waiting') return false;
  const told = task.state.reasons;
  return told.length === reasons.length && reasons.every((reason) => told.some((known) => isSame(known, reason)));
}

function keepSince(task: Task, reason: Reason): Reason {
  const known = task.state.kind === 'waiting' ? task.state.reasons.find(({ code }) => code === reason.code) : undefined;
  return known === undefined ? reason : { ...reason, since: Math.min(known.since, reason.since) };
}
