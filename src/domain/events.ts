import type { ErrorInfo } from './errors.js';
import type { Provenance } from './provenance.js';
import type { FinishedFile, Reason, Representation, TaskSpec } from './task.js';

/** Session-wide choices; a later `start` or `set` changes the ones that it names. */
export interface SessionSettings {
  /** Tasks transferred at once. */
  readonly jobs: number;
  /** Bytes a second over all connections of the session; `null` is without limit. */
  readonly limitRate: number | null;
  readonly onComplete: string | null;
  readonly hookTimeoutMs: number;
  /** Milliseconds that a finished file is kept unclaimed; `null` is forever. */
  readonly retainMs: number | null;
}

/** What happened, without the place it takes in the journal. */
export type EventBody =
  | {
      readonly type: 'session.created';
      readonly id: string;
      /** Absolute: where parts and finished files live. */
      readonly temp: string;
      readonly cwd: string;
      readonly settings: SessionSettings;
    }
  | { readonly type: 'session.changed'; readonly settings: Partial<SessionSettings> }
  | { readonly type: 'session.settled'; readonly counts: Readonly<Record<string, number>> }
  | { readonly type: 'session.acknowledged'; readonly upTo: number }
  | { readonly type: 'session.forgetting'; readonly purge: boolean }
  | { readonly type: 'session.forgotten' }
  | { readonly type: 'worker.started'; readonly pid: number; readonly version: string }
  | { readonly type: 'worker.exited'; readonly pid: number; readonly reason: string }
  | { readonly type: 'task.added'; readonly task: number; readonly request: string; readonly paused: boolean; readonly spec: TaskSpec }
  | { readonly type: 'task.changed'; readonly task: number; readonly spec: Partial<TaskSpec> }
  | { readonly type: 'task.started'; readonly task: number; readonly attempt: number; readonly offset: number }
  | { readonly type: 'task.answered'; readonly task: number; readonly name: string; readonly representation: Representation }
  | { readonly type: 'task.waiting'; readonly task: number; readonly reasons: readonly Reason[] }
  | {
      readonly type: 'task.retrying';
      readonly task: number;
      readonly error: ErrorInfo;
      /** The try brought bytes: back-off begins again. */
      readonly progressed: boolean;
      /** False when the wait is not the task's fault (offline, disk full): such a try is not counted. */
      readonly counts: boolean;
      readonly reason: Reason;
    }
  | { readonly type: 'task.restarted'; readonly task: number; readonly reason: string; readonly bytesDropped: number }
  | { readonly type: 'task.verifying'; readonly task: number }
  | ({
      readonly type: 'task.finished';
      readonly task: number;
      readonly name: string;
      /** For the receipt, which is made from it again when a power cut takes it. Absent in what an earlier poste wrote. */
      readonly provenance?: Provenance;
    } & FinishedFile)
  | { readonly type: 'task.failed'; readonly task: number; readonly error: ErrorInfo }
  | { readonly type: 'task.paused'; readonly task: number }
  | { readonly type: 'task.resumed'; readonly task: number; readonly now: boolean }
  | { readonly type: 'task.retried'; readonly task: number }
  | { readonly type: 'task.cancelled'; readonly task: number }
  | { readonly type: 'task.claimed'; readonly task: number; readonly path: string | null; readonly by: 'claim' | 'hook' }
  | { readonly type: 'task.expired'; readonly task: number }
  | {
      readonly type: 'hook.started';
      /** Absent for the hook of the whole session. */
      readonly task?: number;
      readonly hook: 'finish' | 'complete';
      /** Stable across re-runs. */
      readonly eventId: string;
      readonly run: number;
    }
  | {
      readonly type: 'hook.finished';
      readonly task?: number;
      readonly hook: 'finish' | 'complete';
      readonly eventId: string;
      readonly ok: boolean;
      /** Shown to people: exit code or signal, and the last line it printed, escaped. */
      readonly message: string;
      /** Epoch milliseconds of the next run; `null` when there is none. */
      readonly retryAt: number | null;
    };


/** One line of the journal. `time` is epoch milliseconds here and ISO 8601 on disk. */
export type SessionEvent = EventBody & {
  readonly seq: number;
  readonly gen: number;
  readonly time: number;
};

export const DEFAULT_SETTINGS: SessionSettings = {
  jobs: 3,
  limitRate: null,
  onComplete: null,
  hookTimeoutMs: 10 * 60_000,
  retainMs: 14 * 86_400_000,
};
