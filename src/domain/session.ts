import { DEFAULT_SETTINGS, type SessionEvent, type SessionSettings } from './events.js';
import { isSettled, type HookState, type Task, type TaskState, type TaskStateKind } from './task.js';

/** A session as its journal tells it. What is alive (worker, transfers) is not in here. */
export interface Session {
  readonly id: string;
  readonly temp: string;
  readonly cwd: string;
  readonly settings: SessionSettings;
  readonly createdAt: number;
  readonly generation: number;
  readonly lastSeq: number;
  /** Events up to here were acknowledged. */
  readonly ackedSeq: number;
  /** `seq` of the `session.settled` that still holds; `null` while something is unsettled. */
  readonly settledSeq: number | null;
  readonly completeHook: HookState;
  readonly forgetting: { readonly purge: boolean } | null;
  readonly forgotten: boolean;
  readonly tasks: ReadonlyMap<number, Task>;
}

export type SessionStateKind = 'running' | 'waiting' | 'paused' | 'settled' | 'interrupted';

type SessionHead = Omit<Session, 'tasks'>;

type Changing<T> = { -readonly [Member in keyof T]: T[Member] };

/** Applies events one after the other. The map of tasks it hands out is its own and goes on changing. */
export class SessionFold {
  #head: Changing<SessionHead> | null = null;
  readonly #tasks = new Map<number, Task>();

  /** `null` until `session.created` was seen. */
  get session(): Session | null {
    return this.#head === null ? null : { ...this.#head, tasks: this.#tasks };
  }

  /** What is impossible in the present state changes nothing: a damaged journal must not crash anyone. */
  apply(event: SessionEvent): void {
    if (event.type === 'session.created') {
      this.#head ??= created(event);
      return;
    }
    const head = this.#head;
    if (head === null) return;
    const changes = sessionChange(head, event);
    head.lastSeq = event.seq;
    head.generation = Math.max(head.generation, event.gen);
    if (changes !== NO_CHANGE) Object.assign(head, changes);
    if (event.type === 'task.added') {
      if (!this.#tasks.has(event.task)) this.#tasks.set(event.task, added(event));
      return;
    }
    if ('task' in event) {
      const task = this.#tasks.get(event.task);
      if (task === undefined) return;
      const next = taskAfter(task, event, head.settings);
      if (next === null) return;
      next.lastSeq = event.seq;
      this.#tasks.set(event.task, next);
    }
  }
}

/** Whether `event` may follow in the task's present state. The worker never writes one that may not. */
export function isLegal(task: Task, event: SessionEvent, settings: SessionSettings = DEFAULT_SETTINGS): boolean {
  return taskAfter(task, event, settings) !== null;
}

function created(event: SessionEvent & { type: 'session.created' }): SessionHead {
  return {
    id: event.id,
    temp: event.temp,
    cwd: event.cwd,
    settings: event.settings,
    createdAt: event.time,
    generation: event.gen,
    lastSeq: event.seq,
    ackedSeq: 0,
    settledSeq: null,
    completeHook: { kind: 'none' },
    forgetting: null,
    forgotten: false,
  };
}

const NO_CHANGE: Partial<SessionHead> = {};

function unsettled({ settledSeq, completeHook }: SessionHead): Partial<SessionHead> {
  return settledSeq === null && completeHook.kind === 'none' ? NO_CHANGE : { settledSeq: null, completeHook: { kind: 'none' } };
}

function sessionChange(session: SessionHead, event: SessionEvent): Partial<SessionHead> {
  switch (event.type) {
    case 'session.changed':
      return { settings: { ...session.settings, ...event.settings } };
    case 'session.settled':
      return {
        settledSeq: event.seq,
        completeHook: session.settings.onComplete === null ? { kind: 'none' } : { kind: 'due', failures: 0, notBefore: event.time },
      };
    case 'task.added':
      // Whoever adds to a session that was to go with its files wants this one.
      return session.forgetting?.purge === true ? { ...unsettled(session), forgetting: null } : unsettled(session);
    case 'task.retried':
    case 'task.resumed':
      return unsettled(session);
    case 'session.acknowledged':
      return { ackedSeq: Math.max(session.ackedSeq, Math.min(event.upTo, session.lastSeq)) };
    case 'session.forgetting':
      return { forgetting: { purge: event.purge } };
    case 'session.forgotten':
      return { forgotten: true };
    case 'hook.started':
    case 'hook.finished': {
      if (event.hook !== 'complete' || isOutOfDate(session.completeHook, event)) return NO_CHANGE;
      const completeHook = hookAfter(session.completeHook, event);
      return completeHook.kind === 'done' ? { completeHook, ackedSeq: event.seq } : { completeHook };
    }
    default:
      return NO_CHANGE;
  }
}

function added(event: SessionEvent & { type: 'task.added' }): Task {
  return {
    number: event.task,
    request: event.request,
    spec: event.spec,
    state: event.paused ? { kind: 'paused', since: event.time } : { kind: 'queued' },
    createdAt: event.time,
    askedAt: event.time,
    startedAt: null,
    attempts: 0,
    fruitless: 0,
    restarts: 0,
    representation: null,
    hook: { kind: 'none' },
    ignoreConditions: false,
    lastSeq: event.seq,
    settledSeq: null,
    ackedSeq: 0,
  };
}

/** From which states each event may come. A task event that is not listed may come at any time. */
const FROM: Partial<Record<SessionEvent['type'], readonly TaskStateKind[]>> = {
  'task.started': ['queued', 'waiting', 'running', 'verifying'],
  'task.answered': ['running'],
  'task.waiting': ['queued', 'waiting', 'running', 'verifying'],
  'task.retrying': ['running', 'verifying'],
  'task.restarted': ['running', 'verifying'],
  'task.verifying': ['running'],
  'task.finished': ['running', 'verifying'],
  'task.failed': ['queued', 'waiting', 'running', 'verifying'],
  'task.paused': ['queued', 'waiting', 'running', 'verifying'],
  'task.resumed': ['paused', 'queued', 'waiting', 'running', 'verifying'],
  'task.retried': ['failed', 'cancelled', 'expired'],
  'task.cancelled': ['queued', 'waiting', 'running', 'verifying', 'paused', 'failed', 'finished'],
  'task.claimed': ['finished'],
  'task.expired': ['finished'],
};

/** The task after `event`, a new object, or `null` when the event is impossible in its state. */
function taskAfter(task: Task, event: SessionEvent, settings: SessionSettings): Changing<Task> | null {
  const from = FROM[event.type];
  if (from !== undefined && !from.includes(task.state.kind)) return null;
  const to = (state: TaskState, more: Partial<Task> = {}): Task => ({ ...task, ...more, state });
  switch (event.type) {
    case 'task.changed':
      return { ...task, spec: { ...task.spec, ...event.spec } };
    case 'task.started':
      return to({ kind: 'running' }, { attempts: event.attempt, startedAt: task.startedAt ?? event.time });
    case 'task.answered':
      return { ...task, spec: { ...task.spec, name: event.name }, representation: event.representation };
    case 'task.waiting':
      return to({ kind: 'waiting', reasons: event.reasons });
    case 'task.retrying':
      return to(
        { kind: 'waiting', reasons: [event.reason] },
        { fruitless: event.progressed ? 0 : task.fruitless + (event.counts ? 1 : 0) },
      );
    case 'task.restarted':
      return { ...task, restarts: task.restarts + 1, representation: null };
    case 'task.verifying':
      return to({ kind: 'verifying' });
    case 'task.finished':
      return to(
        {
          kind: 'finished',
          at: event.time,
          expiresAt: settings.retainMs === null ? null : event.time + settings.retainMs,
          file: event.file,
          size: event.size,
          sha256: event.sha256,
          length: event.length,
          ...(event.modifiedAt === undefined ? {} : { modifiedAt: event.modifiedAt }),
        },
        { spec: { ...task.spec, name: event.name }, hook: dueHook(task, event.time), ignoreConditions: false, settledSeq: event.seq },
      );
    case 'task.failed':
      return to({ kind: 'failed', at: event.time, error: event.error }, { hook: dueHook(task, event.time), ignoreConditions: false, settledSeq: event.seq });
    case 'task.paused':
      return to({ kind: 'paused', since: event.time }, { ignoreConditions: false });
    case 'task.resumed': {
      const ignoreConditions = task.ignoreConditions || event.now;
      return task.state.kind === 'paused' ? to({ kind: 'queued' }, { askedAt: event.time, ignoreConditions, fruitless: 0 }) : { ...task, ignoreConditions };
    }
    case 'task.retried':
      return to({ kind: 'queued' }, { askedAt: event.time, fruitless: 0, restarts: 0, hook: { kind: 'none' } });
    case 'task.cancelled':
      return to({ kind: 'cancelled', at: event.time }, { hook: { kind: 'none' }, ignoreConditions: false });
    case 'task.claimed': {
      if (task.state.kind !== 'finished') return null;
      const { file, size, sha256, length } = task.state;
      const hook: HookState = task.hook.kind === 'running' ? task.hook : { kind: 'done' };
      return to({ kind: 'claimed', at: event.time, path: event.path, by: event.by, file, size, sha256, length }, { ackedSeq: event.seq, hook });
    }
    case 'task.expired':
      return to({ kind: 'expired', at: event.time });
    case 'hook.started':
      return isOutOfDate(task.hook, event) ? null : { ...task, hook: hookAfter(task.hook, event) };
    case 'hook.finished': {
      const hook = hookAfter(task.hook, event);
      return event.ok ? { ...task, hook, ackedSeq: event.seq } : { ...task, hook };
    }
    default:
      return null;
  }
}

function dueHook(task: Task, now: number): HookState {
  return task.spec.onFinish === null ? { kind: 'none' } : { kind: 'due', failures: 0, notBefore: now };
}

function hookAfter(hook: HookState, event: SessionEvent & { type: 'hook.started' | 'hook.finished' }): HookState {
  const failures = hook.kind === 'due' || hook.kind === 'running' ? hook.failures : 0;
  if (event.type === 'hook.started') return { kind: 'running', failures };
  // Its task was cancelled or begun again, or its session went on, while it ran: nobody waits for it any more.
  if (hook.kind !== 'running') return hook;
  if (event.ok) return { kind: 'done' };
  if (event.retryAt === null) return { kind: 'gave-up', message: event.message, at: event.time };
  return { kind: 'due', failures: failures + 1, notBefore: event.retryAt };
}

/** Its task was cancelled or begun again, or its session went on, before it could start: nobody waits for it. */
function isOutOfDate(hook: HookState, { type }: SessionEvent & { type: 'hook.started' | 'hook.finished' }): boolean {
  return type === 'hook.started' && !hookPending(hook);
}

export function hookPending(hook: HookState): boolean {
  return hook.kind === 'due' || hook.kind === 'running';
}

/** Every task settled and every hook of a task delivered or given up. */
export function allSettled(session: Session): boolean {
  for (const task of session.tasks.values()) {
    if (!isSettled(task) || hookPending(task.hook)) return false;
  }
  return true;
}

/** Settled, and told so: nothing at all is left to do, the session's own hook included. */
export function isOver(session: Session): boolean {
  return session.settledSeq !== null && !hookPending(session.completeHook);
}

/** Waits for a person: more time alone will not move it. */
export function isParked(task: Task): boolean {
  if (task.state.kind === 'paused') return true;
  return task.state.kind === 'waiting' && task.state.reasons.some(({ code }) => code === 'needs-auth' || code === 'needs-url');
}

/** What the session is doing, seen from its journal and from whether a worker lives. */
export function sessionState(session: Session, workerAlive: boolean): SessionStateKind {
  const open = [...session.tasks.values()].filter((task) => !isSettled(task) || hookPending(task.hook));
  if (open.length === 0) return hookPending(session.completeHook) ? (workerAlive ? 'running' : 'interrupted') : 'settled';
  if (open.every((task) => task.state.kind === 'paused')) return 'paused';
  if (open.every(isParked)) return 'waiting';
  if (!workerAlive) return 'interrupted';
  return open.every((task) => task.state.kind === 'waiting' || task.state.kind === 'paused') ? 'waiting' : 'running';
}

/** How many tasks are in each state; states without a task are absent. */
export function countStates(session: Session): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const task of session.tasks.values()) counts[task.state.kind] = (counts[task.state.kind] ?? 0) + 1;
  return counts;
}
