import { errorInfo, type ErrorInfo } from '../domain/errors.js';
import { countStates } from '../domain/session.js';
import type { ExplainedTask } from './explain.js';
import { sessionIds } from './home.js';
import { noSession, readAsFarAsPossible, type SessionView } from './read.js';
import { reasonJson, shownState, taskJson, waitingReasons, type ReasonJson, type TaskJson } from './task-view.js';
import type { Reason, Task } from '../domain/task.js';

export interface SessionJson {
  readonly id: string;
  readonly generation: number;
  readonly state: string;
  readonly worker: { readonly pid: number; readonly startedAt: string } | null;
  readonly discretionary: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly bytesReceived: number;
  readonly bytesExpected: number | null;
  readonly waiting: readonly ReasonJson[];
  readonly damage: { readonly lines: number } | null;
  /** Only with `--explain`. */
  readonly explain?: readonly ExplainedTask[];
  readonly tasks: readonly TaskJson[];
}

/** A worker tells twice a second how its transfers stand; what it said is void after so long. */
const SILENT_MS = 5000;

/** One session, whole; `only` keeps some of its tasks. */
export async function sessionJson(view: SessionView, only?: readonly Task[]): Promise<SessionJson> {
  const tasks: TaskJson[] = [];
  for (const task of only ?? view.session.tasks.values()) tasks.push(await taskJson(view, task));
  const { waiting, damage, ...head } = headOf(view, only);
  return {
    ...head,
    bytesReceived: tasks.reduce((sum, task) => sum + task.bytesReceived, 0),
    bytesExpected: tasks.every((task) => task.bytesExpected !== null) ? tasks.reduce((sum, task) => sum + (task.bytesExpected ?? 0), 0) : null,
    waiting,
    damage,
    tasks,
  };
}

/** What a person is shown of a session: its first tasks, since there may be a hundred thousand. */
export interface SessionShown extends Omit<SessionJson, 'bytesReceived' | 'bytesExpected'> {
  /** How many tasks are left out. */
  readonly more: number;
  /** The worker should have said by now how its transfers stand. */
  readonly isSilent: boolean;
}

/** One session for a person to read, with at most so many tasks; `only` keeps some of them. */
export async function sessionShown(view: SessionView, most: number, only?: readonly Task[]): Promise<SessionShown> {
  const { session, worker, progress } = view;
  const all = only ?? [...session.tasks.values()];
  const tasks: TaskJson[] = [];
  for (const task of all.slice(0, most)) tasks.push(await taskJson(view, task));
  const isYoung = worker === null || Date.now() - Date.parse(worker.startedAt) < SILENT_MS;
  const isSilent = !isYoung && all.some(({ number, state }) => state.kind === 'running' && (progress?.tasks[String(number)]?.connections ?? 0) === 0);
  return { ...headOf(view, only), more: all.length - tasks.length, isSilent, tasks };
}

function headOf(view: SessionView, only?: readonly Task[]): Omit<SessionJson, 'bytesReceived' | 'bytesExpected' | 'tasks'> {
  const { session } = view;
  const counts: Record<string, number> = {};
  for (const task of session.tasks.values()) counts[shownState(view, task)] = (counts[shownState(view, task)] ?? 0) + 1;
  return {
    id: session.id,
    generation: session.generation,
    state: view.state,
    worker: view.worker === null ? null : { pid: view.worker.identity.pid, startedAt: view.worker.startedAt },
    discretionary: [...session.tasks.values()].some((task) => task.spec.conditions.when !== null),
    counts: only === undefined ? counts : countStates(session),
    waiting: sessionReasons(session.tasks.values()).map(reasonJson),
    damage: view.damage,
  };
}

/** A session that is damaged or of a newer poste: what can be read of it is not taken for its state. */
export interface Unreadable {
  readonly id: string;
  readonly error: ErrorInfo;
  readonly readable: SessionView | null;
}

export interface UnreadableJson {
  readonly id: string;
  readonly error: ErrorInfo;
  /** As far as it could be read; `null` for nothing. */
  readonly readable: SessionJson | null;
}

export interface Sessions {
  readonly views: readonly SessionView[];
  /** These do not hide the ones that can be shown. */
  readonly unreadable: readonly Unreadable[];
}

/** Every session of a home that has a journal to read. */
export async function readAllSessions(home: string): Promise<Sessions> {
  const views: SessionView[] = [];
  const unreadable: Unreadable[] = [];
  for (const id of await sessionIds(home)) {
    const { view, error } = await readAsFarAsPossible(home, id);
    if (error !== null) unreadable.push({ id, error: errorInfo(error), readable: view });
    else if (view !== null) views.push(view);
  }
  return { views, unreadable };
}

/** The same of one session. @throws PosteError `no-session` */
export async function readOneSession(home: string, id: string): Promise<Sessions> {
  const { view, error } = await readAsFarAsPossible(home, id);
  if (error !== null) return { views: [], unreadable: [{ id, error: errorInfo(error), readable: view }] };
  if (view === null) throw noSession(id);
  return { views: [view], unreadable: [] };
}

/** Each reason once, the oldest of its code. */
function sessionReasons(tasks: Iterable<Task>): Reason[] {
  const byCode = new Map<string, Reason>();
  for (const task of tasks) {
    for (const reason of waitingReasons(task)) {
      const known = byCode.get(reason.code);
      if (known === undefined || reason.since < known.since) byCode.set(reason.code, reason);
    }
  }
  return [...byCode.values()];
}
