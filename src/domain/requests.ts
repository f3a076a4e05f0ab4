import { errorInfo, PosteError, type ErrorInfo } from './errors.js';
import { addTasks } from './add-tasks.js';
import type { EventBody, SessionSettings } from './events.js';
import { isForEveryone } from './redirect.js';
import { again, canRetry } from './retry-task.js';
import { selectTasks } from './select.js';
import { hookPending, type Session } from './session.js';
import { isSettled, type Task, type TaskConditions, type TaskSecrets, type TaskSpec } from './task.js';
import { originOf } from './url.js';

export interface NewTask {
  readonly spec: TaskSpec;
  readonly secrets: TaskSecrets;
  readonly paused: boolean;
  /** A task of its own even when the session has the same URL and name. */
  readonly forceNew: boolean;
}

/** What a command asks of the session's owner. Asking the same request twice does no harm. */
export type Request =
  | {
      readonly kind: 'add';
      readonly tasks: readonly NewTask[];
      readonly settings: Partial<SessionSettings>;
      /** Absolute; for the session's creation, and refused later when it differs. */
      readonly temp: string | null;
      readonly defaultTemp: string;
      readonly cwd: string;
    }
  | { readonly kind: 'pause'; readonly names: readonly string[] }
  | { readonly kind: 'resume'; readonly names: readonly string[]; readonly now: boolean }
  | { readonly kind: 'cancel'; readonly names: readonly string[]; readonly purge: boolean }
  | { readonly kind: 'retry'; readonly names: readonly string[] }
  | {
      readonly kind: 'set';
      readonly names: readonly string[];
      readonly settings: Partial<SessionSettings>;
      readonly spec: Partial<TaskSpec>;
      /** Of each task's conditions what is to be another; absent for none. */
      readonly conditions?: Partial<TaskConditions>;
      /** A new link for the same bytes: joined to what is secret of the task already. */
      readonly url: { readonly redacted: string; readonly hash: string; readonly secret: string | null } | null;
    }
  | { readonly kind: 'claimed'; readonly claims: readonly { readonly task: number; readonly path: string; readonly sha256?: string }[] }
  | { readonly kind: 'acknowledge'; readonly upTo: number }
  | { readonly kind: 'forget'; readonly mode: 'settled' | 'when-done' | 'cancel'; readonly purge: boolean };

export type Answer =
  | { readonly ok: true; readonly tasks: readonly number[]; readonly existing: readonly number[] }
  | { readonly ok: false; readonly error: ErrorInfo };

/** Everything that follows from a request; the owner carries it out. */
export interface Decision {
  readonly events: readonly EventBody[];
  readonly secrets: ReadonlyMap<number, TaskSecrets>;
  /** New URLs with secret parts, by task; `null` for one that has none. Proxies stay, and those headers that the task still names. */
  readonly links: ReadonlyMap<number, string | null>;
  /** Tasks whose bytes in temp are to be removed. */
  readonly purge: readonly number[];
  readonly answer: Answer;
}

/** Pure: the same session and request give the same decision. Refusals are answers, never exceptions. */
export function decide(id: string, session: Session | null, requestId: string, request: Request): Decision {
  try {
    return decideOrThrow(id, session, requestId, request);
  } catch (error) {
    return { ...NOTHING, answer: { ok: false, error: errorInfo(error) } };
  }
}

function decideOrThrow(id: string, session: Session | null, requestId: string, request: Request): Decision {
  if (request.kind === 'add') return { ...NOTHING, ...addTasks(id, session, requestId, request) };
  if (session === null) throw new PosteError('no-session', `there is no session ${id}`, { hint: 'poste status lists the sessions' });
  switch (request.kind) {
    case 'pause':
      return each(
        unsettled(session, request.names),
        (task) => task.state.kind !== 'paused' && [{ type: 'task.paused', task: task.number }],
      );
    case 'resume':
      return each(
        unsettled(session, request.names),
        (task) => (task.state.kind === 'paused' || request.now) && [{ type: 'task.resumed', task: task.number, now: request.now }],
      );
    case 'cancel':
      return cancel(session, request.names, request.purge);
    case 'retry':
      return retry(session, request.names);
    case 'set':
      return change(session, request);
    case 'claimed':
      return claimed(session, request.claims);
    case 'acknowledge':
      return { ...NOTHING, events: request.upTo > session.ackedSeq ? [{ type: 'session.acknowledged', upTo: request.upTo }] : [] };
    case 'forget':
      return forget(session, request.mode, request.purge);
    default:
      // Of a command that is newer than this worker. Unanswered it would end this worker, and every one after it.
      throw new PosteError('newer-version', 'the worker is of an older poste and does not know this request; nothing was done', {
        hint: 'poste pause and poste resume it: the next worker is the new one',
      });
  }
}

const NOTHING: Decision = { events: [], secrets: new Map(), links: new Map(), purge: [], answer: { ok: true, tasks: [], existing: [] } };

function unsettled(session: Session, names: readonly string[]): Task[] {
  const tasks = selectTasks(session, names);
  return tasks.filter((task) => !isSettled(task));
}

function each(tasks: readonly Task[], body: (task: Task) => readonly EventBody[] | false): Decision {
  const events = tasks.flatMap((task) => body(task) || []);
  return { ...NOTHING, events, answer: { ok: true, tasks: tasks.map((task) => task.number), existing: [] } };
}

function cancel(session: Session, names: readonly string[], purge: boolean): Decision {
  const tasks = selectTasks(session, names).filter((task) => {
    if (task.state.kind === 'finished') {
      if (names.length > 0 && !purge) {
        throw new PosteError('usage', `task ${task.number} has finished; its file is kept`, {
          hint: `poste claim --id ${session.id} ${task.number}, or cancel --purge to delete it`,
        });
      }
      return names.length > 0;
    }
    return !isSettled(task) || (task.state.kind === 'failed' && names.length > 0);
  });
  const purged = purge ? [...tasks, ...selectTasks(session, names).filter((task) => task.state.kind === 'cancelled')] : [];
  return { ...each(tasks, (task) => [{ type: 'task.cancelled', task: task.number }]), purge: purged.map((task) => task.number) };
}

/** Tasks that ended without a file begin again; tasks that wait for their next try do it at once. */
function retry(session: Session, names: readonly string[]): Decision {
  const tasks = selectTasks(session, names).filter(
    (task) => task.state.kind === 'waiting' || task.state.kind === 'failed' || (canRetry(task) && names.length > 0),
  );
  return each(tasks, ({ number, state }) => again(number, state));
}

/** A changed task that runs begins again from where it is; one that waited for a new link goes on. */
function change(session: Session, { names, settings, spec, conditions = {}, url }: Request & { kind: 'set' }): Decision {
  const link = url === null ? {} : { url: url.redacted, urlHash: url.hash };
  const concernsTasks = Object.keys({ ...spec, ...conditions, ...link }).length > 0;
  const reachable = (task: Task): boolean => !isSettled(task) || (url !== null && task.state.kind === 'failed');
  const tasks = concernsTasks || names.length > 0 ? selectTasks(session, names).filter(reachable) : [];
  if (url !== null && tasks.length !== 1) {
    throw new PosteError('usage', `--url is for one task, and ${tasks.length} are unfinished`, { hint: 'name the task' });
  }
  const sessionEvents: EventBody[] = Object.keys(settings).length > 0 ? [{ type: 'session.changed', settings }] : [];
  const taskEvents = tasks.flatMap(({ number, state, spec: old }): EventBody[] => [
    { type: 'task.changed', task: number, spec: { ...spec, ...conditionsWith(old, conditions), ...link, ...(url === null ? {} : keptFor(url.redacted, old)) } },
    ...(url === null ? [] : again(number, state)),
  ]);
  return {
    ...NOTHING,
    events: [...sessionEvents, ...(concernsTasks ? taskEvents : [])],
    links: url === null ? new Map() : new Map(tasks.map(({ number }) => [number, url.secret])),
    answer: { ok: true, tasks: tasks.map(({ number }) => number), existing: [] },
  };
}

function conditionsWith({ conditions }: TaskSpec, changed: Partial<TaskConditions>): Partial<TaskSpec> {
  return Object.keys(changed).length === 0 ? {} : { conditions: { ...conditions, ...changed } };
}

/** Credentials belong to the origin that they were given for. */
function keptFor(newUrl: string, { url, headerNames }: TaskSpec): Partial<TaskSpec> {
  return originOf(url) === originOf(newUrl) ? {} : { headerNames: headerNames.filter(isForEveryone), clientCertificate: null };
}

/** The answer names the tasks that are claimed as asked; another has taken the rest. */
function claimed(session: Session, claims: (Request & { kind: 'claimed' })['claims']): Decision {
  const events: EventBody[] = [];
  const tasks: number[] = [];
  for (const { task: number, path, sha256 } of claims) {
    const state = session.tasks.get(number)?.state;
    // It was asked of an earlier session of this name, which was forgotten meanwhile.
    if (state !== undefined && 'sha256' in state && sha256 !== undefined && sha256 !== state.sha256) continue;
    const isRecorded = state?.kind === 'claimed' && state.path === path;
    if (state?.kind === 'finished') events.push({ type: 'task.claimed', task: number, path, by: 'claim' });
    if (isRecorded || state?.kind === 'finished') tasks.push(number);
  }
  return { ...NOTHING, events, answer: { ok: true, tasks, existing: [] } };
}

function forget(session: Session, mode: 'settled' | 'when-done' | 'cancel', purge: boolean): Decision {
  const tasks = [...session.tasks.values()];
  const unclaimed = tasks.filter((task) => task.state.kind === 'finished');
  const open = tasks.filter((task) => !isSettled(task));
  const hooks = hookPending(session.completeHook) || tasks.some(({ hook }) => hookPending(hook));
  const later = mode === 'when-done' && (open.length > 0 || unclaimed.length > 0 || hooks);
  if (later) return { ...NOTHING, events: [{ type: 'session.forgetting', purge }] };
  if (open.length > 0 && mode === 'settled') {
    throw new PosteError('unfinished', `session ${session.id} has ${open.length} unfinished task(s); nothing was forgotten`, {
      hint: 'forget --when-done waits for them, forget --cancel ends them',
    });
  }
  if (unclaimed.length > 0 && !purge) {
    throw new PosteError('unfinished', `session ${session.id} holds ${unclaimed.length} unclaimed file(s); nothing was forgotten`, {
      hint: `poste claim --id ${session.id}, or forget --purge to delete them`,
    });
  }
  return {
    ...NOTHING,
    events: [...open.map((task): EventBody => ({ type: 'task.cancelled', task: task.number })), { type: 'session.forgotten' }],
  };
}
