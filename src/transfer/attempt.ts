import { errorInfo, PosteError, type ErrorInfo } from '../domain/errors.js';
import { saysUnreached } from '../domain/network-error.js';
import type { Provenance } from '../domain/provenance.js';
import { scrubbed, scrubber } from '../domain/scrub.js';
import type { Representation, TaskSecrets, TaskSpec } from '../domain/task.js';
import type { TempPaths } from '../store/paths.js';
import { Download } from './download.js';
import type { Network } from './network.js';
import type { Throttle } from './throttle.js';

export interface AttemptJob {
  readonly task: number;
  readonly spec: TaskSpec;
  readonly secrets: TaskSecrets;
  readonly temp: TempPaths;
  /** Times that the part file was begun anew so far, for whatever reason. */
  readonly restarts: number;
  /** Of this boot: what was written under another one counts only where it was synced. */
  readonly bootId: string;
  /** Nothing of this task is on disk, and nothing need be looked for. */
  readonly isFresh?: boolean;
  /** The server has sent bytes of this task before, even if none are here now. */
  readonly hadBytes: boolean;
  /** Names of the session's other files: a name that the server proposes gives way to them. */
  readonly takenNames?: ReadonlySet<string>;
  /** The most connections at this moment, and whether to find out how many of them help; absent is one. */
  readonly connections?: () => { readonly most: number; readonly auto: boolean };
  /** Asked once it is known how long the file is, with what is here of that, in bytes. Rejects with `disk-full` when there is no room for the rest. */
  readonly admit?: (received: number, total: number) => Promise<void>;
}

/** Learns what happens. The attempt waits for each promise, so that what is told is recorded before what follows from it. */
export interface AttemptObserver {
  /** The first good answer of this attempt, and again when more is known. */
  answered(name: string, representation: Representation): Promise<void>;
  restarted(reason: string, bytesDropped: number): Promise<void>;
  verifying(): Promise<void>;
  progress(progress: Progress): void;
}

export interface Progress {
  /** Bytes of the task on disk, earlier attempts included. */
  readonly received: number;
  readonly total: number | null;
  readonly connections: number;
}

/** All of a file, checked: in a part file, or, small and come whole, still in memory. */
export type Complete = {
  readonly kind: 'complete';
  readonly size: number;
  readonly sha256: string;
  readonly length: 'verified' | 'unverified';
  readonly name: string;
  readonly provenance: Provenance;
} & ({ readonly partGeneration: number } | { readonly bytes: readonly Buffer[] });

export type AttemptOutcome =
  | Complete
  | {
      readonly kind: 'retry';
      readonly error: ErrorInfo;
      /** It brought bytes: back-off begins again. */
      readonly progressed: boolean;
      /** Nothing came back from there at all. */
      readonly unreached: boolean;
      readonly retryAfterMs: number | null;
      /** The host asked to be left alone, by every task. */
      readonly hostBusy: boolean;
      readonly waitFor: null | 'disk-full' | 'portal';
    }
  /** Only someone can help; what is here is kept. */
  | { readonly kind: 'needs'; readonly code: 'needs-auth' | 'needs-url'; readonly error: ErrorInfo }
  | { readonly kind: 'failed'; readonly error: ErrorInfo }
  /** The signal aborted; every byte is synced and recorded. */
  | { readonly kind: 'stopped' };

/**
 * One attempt at one task: from whatever is on disk to a complete, verified part file, as far as server, network and disk let it.
 * Never rejects. Nothing of it runs on after it resolves.
 */
export async function attempt(
  job: AttemptJob,
  observer: AttemptObserver,
  network: Network,
  throttle: Throttle,
  signal: AbortSignal,
): Promise<AttemptOutcome> {
  const download = new Download(job, observer, network, throttle, signal);
  const scrub = scrubber(job.secrets);
  try {
    return told(await download.run(), scrub);
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    return told(outcomeOf(error, download, job), scrub);
  } finally {
    await download.close();
  }
}

/** What goes into the journal and the receipt: in the words of a server there may be what it was sent. */
function told(outcome: AttemptOutcome, scrub: (text: string) => string): AttemptOutcome {
  if (outcome.kind === 'stopped') return outcome;
  if (outcome.kind === 'complete') return { ...outcome, provenance: scrubbed(outcome.provenance, scrub) };
  return { ...outcome, error: scrubbed(outcome.error, scrub) };
}

function outcomeOf(thrown: unknown, download: Download, job: AttemptJob): AttemptOutcome {
  const kept = download.received;
  const error = errorInfo(thrown);
  const told = kept === 0 ? error : { ...error, message: `${error.message}; ${kept} bytes are kept` };
  if (error.transient) {
    const waitFor = error.code === 'disk-full' ? 'disk-full' : null;
    return { kind: 'retry', error: told, progressed: download.progressed, unreached: saysUnreached(thrown), retryAfterMs: null, hostBusy: false, waitFor };
  }
  const isProxyAuth = thrown instanceof PosteError && thrown.code === 'auth';
  if (isProxyAuth && (job.hadBytes || kept > 0)) return { kind: 'needs', code: 'needs-auth', error: told };
  return { kind: 'failed', error: told };
}
