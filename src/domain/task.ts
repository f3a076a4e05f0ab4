import type { ErrorInfo } from './errors.js';

/** Why a task is not moving: a code for programs, words for people. Times are epoch milliseconds. */
export interface Reason {
  readonly code: ReasonCode;
  readonly message: string;
  readonly since: number;
  readonly nextCheckAt: number | null;
}

export type ReasonCode =
  | 'power'
  | 'idle'
  | 'low-power'
  | 'metered'
  | 'offline'
  | 'not-before'
  | 'only-if'
  | 'disk-full'
  | 'retry-after'
  | 'backoff'
  | 'host-limit'
  | 'jobs-limit'
  | 'needs-auth'
  | 'needs-url'
  | 'paused'
  | 'hook';

export type When = 'ac-or-idle' | 'ac' | 'idle' | 'ac-and-idle';

/** What must hold before and while a task's bytes move. `null` and `false` mean no such condition. */
export interface TaskConditions {
  readonly when: When | null;
  readonly onlyIf: string | null;
  readonly unmetered: boolean;
  /** Epoch milliseconds. */
  readonly notBefore: number | null;
  /** Epoch milliseconds; the power conditions relax as it nears. */
  readonly by: number | null;
}

export interface Checksum {
  readonly algorithm: 'md5' | 'sha1' | 'sha256' | 'sha512';
  readonly hex: string;
}

/** Absolute paths of PEM files that say who asks; the two may be one file. */
export interface ClientCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** One download as asked for. Holds no secret: what is secret lives in {@link TaskSecrets}. */
export interface TaskSpec {
  /** Without userinfo, with query values redacted; for showing, and for requesting when no secret URL is kept. */
  readonly url: string;
  /** Identifies the exact URL (hex), so that the same `start` again is recognised. */
  readonly urlHash: string;
  readonly name: string;
  /** Who chose the name: only a name from neither the user nor the URL may be replaced by the server's. */
  readonly namedBy: 'user' | 'url' | 'default';
  readonly label: string | null;
  readonly priority: 'high' | 'normal' | 'low';
  /** Absolute; ends in `/` when the file goes into that directory. */
  readonly to: string | null;
  /** Absolute: where the command was typed. Hooks and `--only-if` run here. */
  readonly cwd: string;
  readonly checksum: Checksum | null;
  readonly connections: 'auto' | number;
  readonly conditions: TaskConditions;
  readonly onFinish: string | null;
  readonly hookTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly giveUpAfterMs: number;
  /** How many failed tries in a row without a new byte; `null` is forever. */
  readonly retries: number | null;
  readonly maxSize: number | null;
  readonly expectSize: number | null;
  /** Names only; values are secrets. */
  readonly headerNames: readonly string[];
  readonly userAgent: string | null;
  /** Absolute path of a PEM file. */
  readonly caFile: string | null;
  readonly insecure: boolean;
  /** For the origin of the URL alone; its key stays where it is. Absent in what an earlier poste wrote. */
  readonly clientCertificate?: ClientCertificate | null;
}

/** What only the worker may know of a task; kept apart, 0600, and dropped when the task needs it no more. */
export interface TaskSecrets {
  /** The URL as given, less userinfo, when `TaskSpec.url` had to be redacted. */
  readonly url?: string;
  /** Name and value as given. */
  readonly headers?: readonly (readonly [string, string])[];
  /** Proxy URLs with their credentials, and the hosts that go without. */
  readonly proxy?: { readonly http?: string; readonly https?: string; readonly no?: string };
}

/** What is known of the bytes the server has, as far as the task's part file goes. */
export interface Representation {
  /** Bytes; `null` when the server did not say. */
  readonly total: number | null;
  readonly resumable: boolean;
  /** What proves that a resumed download is the same file. */
  readonly evidence: 'etag' | 'last-modified' | 'digest' | 'none';
}

export type TaskState =
  | { readonly kind: 'queued' }
  | { readonly kind: 'waiting'; readonly reasons: readonly Reason[] }
  | { readonly kind: 'running' }
  | { readonly kind: 'verifying' }
  | { readonly kind: 'paused'; readonly since: number }
  | ({ readonly kind: 'finished'; readonly at: number; readonly expiresAt: number | null } & FinishedFile)
  | ({
      readonly kind: 'claimed';
      readonly at: number;
      /** Absolute; `null` when a hook moved the file and did not say where. */
      readonly path: string | null;
      readonly by: 'claim' | 'hook';
    } & FinishedFile)
  | { readonly kind: 'failed'; readonly at: number; readonly error: ErrorInfo }
  | { readonly kind: 'cancelled'; readonly at: number }
  | { readonly kind: 'expired'; readonly at: number };

export type TaskStateKind = TaskState['kind'];

/** A complete, checked file. */
export interface FinishedFile {
  /** Absolute path in temp. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** How the length was known to be right. */
  readonly length: 'verified' | 'unverified';
  /** When it was last written to, epoch milliseconds, as the disk says: whoever finds another time there must read it again. */
  readonly modifiedAt?: number;
}

/** How far the delivery of one hook has come. */
export type HookState =
  | { readonly kind: 'none' }
  | { readonly kind: 'due'; readonly failures: number; readonly notBefore: number }
  | { readonly kind: 'running'; readonly failures: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'gave-up'; readonly message: string; readonly at: number };

export interface Task {
  /** 1, 2, … in the order added. */
  readonly number: number;
  /** The request that added it; the same request again is the same task. */
  readonly request: string;
  readonly spec: TaskSpec;
  readonly state: TaskState;
  readonly createdAt: number;
  /** When it was last asked for: added, resumed after a pause, or retried. The time to give up counts from here. */
  readonly askedAt: number;
  readonly startedAt: number | null;
  /** Tries of the transfer, over all of the task's life. */
  readonly attempts: number;
  /** Failed tries in a row that brought no byte. */
  readonly fruitless: number;
  /** Times that the part file was begun again because the remote file changed. */
  readonly restarts: number;
  readonly representation: Representation | null;
  readonly hook: HookState;
  /** `resume --now`: conditions do not count until the task settles or is paused. */
  readonly ignoreConditions: boolean;
  readonly lastSeq: number;
  /** `seq` of the event that it last finished or failed with: names what its hook is told. */
  readonly settledSeq: number | null;
  /** Events of this task up to here were acknowledged (by a claim or a hook). */
  readonly ackedSeq: number;
}

const SETTLED: ReadonlySet<TaskStateKind> = new Set(['finished', 'claimed', 'failed', 'cancelled', 'expired']);

/** Nothing more will be transferred, unless someone asks again. */
export function isSettled(task: Task): boolean {
  return SETTLED.has(task.state.kind);
}
