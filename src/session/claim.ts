import { dirname } from 'node:path';
import { errorInfo, PosteError, type ErrorInfo } from '../domain/errors.js';
import { isOver, type Session } from '../domain/session.js';
import { selectTasks } from '../domain/select.js';
import { isSettled, type Task } from '../domain/task.js';
import { timerMs } from '../platform/timer.js';
import { claimTask } from '../delivery/claim.js';
import { isFirstToHear, settle, type Settling } from '../delivery/settle.js';
import { namesOneFile, refuseInside, resolveDestination, type OnConflict } from '../delivery/destination.js';
import { isThere } from '../store/files.js';
import { receiptPath } from '../store/paths.js';
import { ask, type Asking } from './ask.js';
import { ClaimRecord } from './claim-record.js';
import { follow } from './follow.js';
import { hasOutcome } from './outcome.js';
import { noSession, readSession, requireSession } from './read.js';

export interface ClaimChoices {
  /** As typed; `null` is the recorded destination, else the current directory. */
  readonly to: string | null;
  readonly cwd: string;
  readonly onConflict: OnConflict;
  /** Milliseconds for each thing that is waited for; `null` is as long as it takes. */
  readonly timeoutMs: number | null;
  /** When this claimer began, epoch milliseconds: tells a repeated claim from one that lost a race. */
  readonly since: number;
}

export interface ClaimRequest extends ClaimChoices {
  /** Numbers or file names; none is every finished task. */
  readonly names: readonly string[];
  /** Wait for what is unfinished, and then claim. */
  readonly wait: boolean;
}

export interface ClaimedFile {
  readonly task: number;
  readonly name: string;
  readonly from: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly receipt: string;
}

export interface Claimed {
  readonly claimed: readonly ClaimedFile[];
  readonly failed: readonly { readonly task: number; readonly error: ErrorInfo }[];
}

/** How long a claim waits for another delivery of the same file (a hook, another claim), milliseconds. */
const DELIVERY_DEADLINE = 15 * 60_000;
/** Files moved side by side, so that their claims are recorded together. */
const AT_ONCE = 256;

/**
 * Moves finished files to where they belong; `onClaimed` hears of each, in order. What cannot be moved is in `failed`; its file stays in temp.
 * @throws PosteError `no-session`, `no-task`, `nothing-to-claim`, `unfinished`, `timeout`, `usage`
 */
export async function claim(asking: Asking, request: ClaimRequest, onClaimed: (file: ClaimedFile) => void): Promise<Claimed> {
  if (request.wait) await waitForOutcome(asking, request);
  const { session } = await requireSession(asking.home, asking.id);
  const selected = selectTasks(session, request.names);
  const chosen = request.names.length > 0 ? selected : worthClaiming(selected);
  if (chosen.length === 0) throw nothingToClaim(asking.id, selected);
  if (chosen.length > 1 && request.to !== null && (await namesOneFile(request.to, request.cwd))) {
    throw new PosteError('usage', `--to names one file, and ${chosen.length} are to be claimed`, { hint: 'end it in / to mean a directory' });
  }
  const claimer = new Claimer(asking, request, onClaimed);
  await claimer.take(chosen);
  if (claimer.claimed.length > 0 && session.forgetting !== null) await forgetIfDone(asking);
  return claimer;
}

/** One command's claims, of all its files at once or as they finish. */
export class Claimer implements Claimed {
  readonly claimed: ClaimedFile[] = [];
  readonly failed: { task: number; error: ErrorInfo }[] = [];
  readonly #asking: Asking;
  readonly #request: ClaimChoices;
  readonly #onClaimed: (file: ClaimedFile) => void;
  readonly #record: ClaimRecord;

  constructor(asking: Asking, request: ClaimChoices, onClaimed: (file: ClaimedFile) => void) {
    this.#asking = asking;
    this.#request = request;
    this.#onClaimed = onClaimed;
    this.#record = new ClaimRecord(asking);
  }

  /** Claims these tasks, or notes why not. To be called again when this has resolved. */
  async take(tasks: readonly Task[]): Promise<void> {
    for (let start = 0; start < tasks.length; start += AT_ONCE) {
      const some = tasks.slice(start, start + AT_ONCE);
      const settled = await Promise.allSettled(some.map((task) => claimOne(this.#asking, this.#record, task, this.#request)));
      settled.forEach((outcome, index) => {
        if (outcome.status === 'rejected') this.failed.push({ task: some[index]?.number ?? 0, error: errorInfo(outcome.reason) });
        else {
          this.claimed.push(outcome.value);
          this.#onClaimed(outcome.value);
        }
      });
    }
  }
}

/** `forget --when-done` waits for the last file to be taken; without a worker nobody but who took it would notice. */
export async function forgetIfDone(asking: Asking): Promise<void> {
  const view = await readSession(asking.home, asking.id);
  if (view !== null && isOver(view.session)) await ask(asking, { kind: 'forget', mode: 'when-done', purge: false });
}

/** Without names: what has finished; when nothing has, what was claimed before (the same claim again). */
function worthClaiming(tasks: readonly Task[]): Task[] {
  const finished = tasks.filter((task) => task.state.kind === 'finished');
  return finished.length > 0 ? finished : tasks.filter((task) => task.state.kind === 'claimed');
}

async function claimOne(asking: Asking, record: ClaimRecord, task: Task, request: ClaimChoices): Promise<ClaimedFile> {
  if (task.state.kind === 'claimed') return claimedBefore(asking, record, task, request);
  if (task.state.kind !== 'finished') throw notClaimable(asking.id, task);
  const destination = await resolveDestination({ to: request.to, cwd: request.cwd, name: task.spec.name, taskTo: task.spec.to, make: true });
  await refuseInside(destination, [asking.paths.dir, dirname(dirname(dirname(task.state.file)))]);
  const outcome = await claimTask({
    ...settling(asking, record, task.number),
    destination,
    onConflict: request.onConflict,
    waitMs: request.timeoutMs ?? DELIVERY_DEADLINE,
    insideHook: process.env['POSTE_EVENT_ID'] ?? null,
  }).catch(async (error: unknown) => {
    // It was forgotten, file and all, while this claim looked at it: whatever was not found then is no fault of the disk.
    throw (await isThere(asking.paths.journal)) ? error : noSession(asking.id);
  });
  if (outcome.kind === 'claimed') return claimedFile(asking, task, outcome.path);
  if (outcome.task.state.kind === 'claimed') return claimedBefore(asking, record, outcome.task, request);
  throw notClaimable(asking.id, outcome.task);
}

/**
 * The same claim again finds the same path. One that was under way while another took the file has lost the race
 * instead: of any number of simultaneous claimers one gets it.
 */
async function claimedBefore(asking: Asking, record: ClaimRecord, task: Task, request: ClaimChoices): Promise<ClaimedFile> {
  if (task.state.kind !== 'claimed') throw notClaimable(asking.id, task);
  await settle(settling(asking, record, task.number));
  const { path, at, by } = task.state;
  const destination = await resolveDestination({ to: request.to, cwd: request.cwd, name: task.spec.name, taskTo: task.spec.to, make: false });
  const same = path !== null && (path === destination || (request.onConflict === 'rename' && dirname(path) === dirname(destination)));
  if (!same) {
    throw new PosteError('claimed-elsewhere', `task ${task.number} was claimed already, ${path === null ? 'by a hook' : `to ${path}`}`, {
      hint: 'a file is delivered once; start --new fetches it again',
    });
  }
  if (!(await isThere(path))) {
    throw new PosteError('nothing-to-claim', `task ${task.number} was claimed to ${path}, and is not there any more`, {
      hint: 'start --new fetches it again',
    });
  }
  if (!(await isFirstToHear(asking.paths, task.number)) && at >= request.since) {
    throw new PosteError('nothing-to-claim', `task ${task.number} was claimed at the same moment by another ${by}, which has it now`, {
      hint: `poste status --id ${asking.id} ${task.number} tells where`,
    });
  }
  return claimedFile(asking, task, path);
}

function claimedFile(asking: Asking, task: Task, path: string): ClaimedFile {
  if (task.state.kind !== 'finished' && task.state.kind !== 'claimed') throw notClaimable(asking.id, task);
  const { file, size, sha256 } = task.state;
  return { task: task.number, name: task.spec.name, from: file, path, size, sha256, receipt: receiptPath(asking.paths, task.number) };
}

/** What a delivery needs to record itself, and to complete one that a killed claimer left. */
function settling(asking: Asking, record: ClaimRecord, task: number): Settling {
  return {
    paths: asking.paths,
    task,
    recordClaim: ({ path }) => record.record(task, path),
    reload: () => record.reload(task),
  };
}

async function waitForOutcome(asking: Asking, { names, timeoutMs }: ClaimRequest): Promise<void> {
  const signal = timeoutMs === null ? new AbortController().signal : AbortSignal.timeout(timerMs(timeoutMs));
  // Looked up once: there may be 100 000, and this is asked ten times a second.
  let chosen: readonly number[] | null = null;
  const isDone = (session: Session): boolean => {
    chosen ??= names.length === 0 ? [] : selectTasks(session, names).map(({ number }) => number);
    const tasks = chosen.flatMap((number) => session.tasks.get(number) ?? []);
    return hasOutcome(session) || (tasks.length > 0 && tasks.every(isSettled));
  };
  const following = follow({ asking, since: 'now', revive: true, isDone, signal });
  let step = await following.next();
  while (step.done !== true) step = await following.next();
  if (signal.aborted && !isDone(step.value)) {
    throw new PosteError('timeout', `session ${asking.id} was not done in time; it goes on, and nothing was claimed`, {
      hint: `poste claim --id ${asking.id} --wait waits again`,
    });
  }
}

function nothingToClaim(id: string, tasks: readonly Task[]): PosteError {
  const open = tasks.filter((task) => !isSettled(task)).length;
  const why = tasks.length === 0 ? 'it has no task' : open > 0 ? `${open} task(s) not finished yet` : 'nothing finished that is still there';
  return new PosteError('nothing-to-claim', `session ${id} has nothing to claim: ${why}`, {
    hint: open > 0 ? `poste claim --id ${id} --wait waits for it` : `poste status --id ${id}`,
  });
}

function notClaimable(id: string, task: Task): PosteError {
  const { kind } = task.state;
  const hint = isSettled(task) ? `poste status --id ${id} ${task.number} says why` : `poste claim --id ${id} --wait waits for it`;
  return new PosteError('nothing-to-claim', `task ${task.number} cannot be claimed: it is ${kind}`, { hint });
}
