import type { ErrorInfo } from '../domain/errors.js';
import type { Reason, Task, TaskStateKind } from '../domain/task.js';
import { currentBootId } from '../platform/process-identity.js';
import { receivedBytes } from '../store/part-file.js';
import { receiptPath, tempPaths } from '../store/paths.js';
import type { SessionView } from './read.js';

/** A task as `--json` shows it: sizes in bytes, times ISO 8601 UTC, unknown is `null`. The contract is poste-json(5). */
export interface TaskJson {
  readonly task: number;
  readonly url: string;
  readonly name: string;
  readonly label: string | null;
  readonly state: TaskStateKind;
  readonly bytesReceived: number;
  readonly bytesExpected: number | null;
  readonly bytesPerSecond: number | null;
  readonly etaSeconds: number | null;
  readonly connections: number;
  readonly attempts: number;
  readonly resumable: boolean | null;
  readonly evidence: string | null;
  readonly refetchBound: number | null;
  readonly waiting: readonly ReasonJson[];
  readonly error: ErrorInfo | null;
  readonly file: string | null;
  readonly sha256: string | null;
  readonly to: string | null;
  readonly claimedTo: string | null;
  readonly claimedBy: string | null;
  readonly receipt: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly expiresAt: string | null;
}

export interface ReasonJson {
  readonly code: string;
  readonly message: string;
  readonly since: string;
  readonly nextCheckAt: string | null;
}

const REFETCH_PER_CONNECTION = 1 << 20;

export async function taskJson(view: SessionView, task: Task): Promise<TaskJson> {
  const { state, spec, representation } = task;
  const live = view.progress?.tasks[String(task.number)] ?? null;
  const file = state.kind === 'finished' || state.kind === 'claimed' ? state : null;
  const received = file?.size ?? live?.received ?? (await partBytes(view, task));
  const connections = live?.connections ?? 0;
  return {
    task: task.number,
    url: spec.url,
    name: spec.name,
    label: spec.label,
    state: shownState(view, task),
    bytesReceived: received,
    bytesExpected: file?.size ?? live?.total ?? representation?.total ?? spec.expectSize,
    bytesPerSecond: live?.bytesPerSecond ?? null,
    etaSeconds: live?.etaSeconds ?? null,
    connections,
    attempts: task.attempts,
    resumable: representation?.resumable ?? null,
    evidence: representation?.evidence ?? null,
    refetchBound: file !== null ? 0 : representation === null ? null : representation.resumable ? REFETCH_PER_CONNECTION * Math.max(1, connections) : received,
    waiting: waitingReasons(task).map(reasonJson),
    error: state.kind === 'failed' ? state.error : null,
    file: state.kind === 'finished' ? state.file : null,
    sha256: file?.sha256 ?? null,
    to: spec.to,
    claimedTo: state.kind === 'claimed' ? state.path : null,
    claimedBy: state.kind === 'claimed' ? state.by : null,
    receipt: file === null ? null : receiptPath(view.paths, task.number),
    createdAt: iso(task.createdAt),
    startedAt: task.startedAt === null ? null : iso(task.startedAt),
    finishedAt: 'at' in state ? iso(state.at) : null,
    expiresAt: state.kind === 'finished' && state.expiresAt !== null ? iso(state.expiresAt) : null,
  };
}

/** What cannot be looked at (a link in its place, say) is the transfer's to complain of: it must not hide the rest of the status. */
async function partBytes(view: SessionView, task: Task): Promise<number> {
  if (task.attempts === 0) return 0;
  return receivedBytes(tempPaths(view.session.temp), task.number, currentBootId()).catch(() => 0);
}

export function reasonJson(reason: Reason): ReasonJson {
  return {
    code: reason.code,
    message: reason.message,
    since: iso(reason.since),
    // What has passed is no answer to "until when".
    nextCheckAt: reason.nextCheckAt === null || reason.nextCheckAt < Date.now() ? null : iso(reason.nextCheckAt),
  };
}

/** Why the task does not go on, a hook that was given up included. */
export function waitingReasons(task: Task): readonly Reason[] {
  const { state, hook } = task;
  if (state.kind === 'waiting') return state.reasons;
  if (state.kind === 'paused') {
    return [{ code: 'paused', message: 'paused; poste resume lets it go on', since: state.since, nextCheckAt: null }];
  }
  if (hook.kind === 'gave-up') {
    const message = `the hook failed (${hook.message}) and was given up; the file is kept: claim it`;
    return [{ code: 'hook', message, since: hook.at, nextCheckAt: null }];
  }
  if (hook.kind === 'due' && hook.failures > 0) {
    const message = `the hook failed ${hook.failures} time(s) and is run again; the file is kept`;
    return [{ code: 'hook', message, since: 'at' in state ? state.at : hook.notBefore, nextCheckAt: hook.notBefore }];
  }
  return [];
}

/** Without a live worker nothing runs, whatever the journal's last word was. */
export function shownState(view: SessionView, task: Task): TaskStateKind {
  const { kind } = task.state;
  return view.worker === null && (kind === 'running' || kind === 'verifying') ? 'queued' : kind;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
