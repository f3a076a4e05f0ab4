import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PosteError } from '../domain/errors.js';
import type { Session } from '../domain/session.js';
import type { Task } from '../domain/task.js';
import { replaceFile, syncWherePossible, systemCode } from '../store/files.js';
import { untoldPath, type SessionPaths } from '../store/paths.js';
import { destinationError } from './destination-error.js';
import { ownIdentity } from '../platform/process-identity.js';
import { livenessOf, readTurns, stillHeld, tasksWithIntents, tryTurn, type Turn } from './intent.js';
import { removeSource, undo, wasDelivered } from './move.js';
import { noteClaim } from './receipt.js';

/** Resolves when `task.claimed` is durable. Recording the same claim twice does no harm. */
export type RecordClaim = (claim: { task: number; path: string }) => Promise<void>;

export interface Settling {
  readonly paths: SessionPaths;
  readonly task: number;
  readonly recordClaim: RecordClaim;
  /** The task as the journal has it now. */
  readonly reload: () => Promise<Task>;
}

/** A delivery that a dead maker had all but ended. */
export interface Completed {
  readonly path: string;
  readonly from: string;
}

/**
 * For the session's owner at load: ends every delivery whose maker is dead. One that is under way is left to its maker, and one that cannot
 * be ended now (its destination is out of reach) to the next claim, which tells about it. `session` must be the owner's own, in which a
 * recorded claim shows.
 */
export async function recoverIntents(paths: SessionPaths, session: Session, recordClaim: RecordClaim): Promise<void> {
  const recordUntold: RecordClaim = async (claim) => {
    await replaceFile(untoldPath(paths, claim.task), '', { durable: false });
    await recordClaim(claim);
  };
  for (const number of await tasksWithIntents(paths)) {
    const task = session.tasks.get(number);
    if (task === undefined) continue;
    try {
      await settle({ paths, task: number, recordClaim: recordUntold, reload: () => Promise.resolve(session.tasks.get(number) ?? task) });
    } catch (error) {
      if (!(error instanceof PosteError) && systemCode(error) === undefined) throw error;
    }
  }
}

/**
 * For the session's owner before it removes files for good (of the `wanted` tasks): ends what dead makers left, and refuses while somebody is
 * moving one of them. A hook's run of this process is its own to end.
 * @throws PosteError `timeout` or `owned-elsewhere`, as a claim does that another one holds up
 */
export async function endDeliveries(
  paths: SessionPaths,
  session: Session,
  wanted: (task: number) => boolean,
  recordClaim: RecordClaim,
): Promise<void> {
  await recoverIntents(paths, session, recordClaim);
  const own = ownIdentity();
  for (const number of await tasksWithIntents(paths)) {
    if (!session.tasks.has(number) || !wanted(number)) continue;
    for (const { intent } of await readTurns(paths, number)) {
      if (intent === null || intent.maker === null) continue;
      const isOwnHook = intent.by === 'hook' && intent.maker.pid === own.pid && intent.maker.startTime === own.startTime;
      const proof = isOwnHook ? 'dead' : livenessOf(intent);
      if (proof !== 'dead') throw stillHeld({ kind: 'held', intent, proof }, 'nothing was removed');
    }
  }
}

/**
 * Ends what a dead maker began for one task, if anything: a claimed task's second copy in temp among it. Waits for nobody.
 * @throws PosteError as a claim does, and what `recordClaim` and `reload` throw
 */
export async function settle(settling: Settling): Promise<void> {
  const { paths, task: number, reload } = settling;
  const turns = await readTurns(paths, number);
  const claimed = (await reload()).state.kind === 'claimed';
  if (!turns.some(({ intent }) => intent !== null) && !(claimed && turns.length > 0)) return;
  const attempt = await tryTurn(paths, { task: number, by: 'claim', eventId: null, move: null, insideHook: null });
  if (attempt.kind === 'held') return;
  try {
    const { task } = await settleLeft(attempt.turn, settling);
    if (task.state.kind === 'claimed') await attempt.turn.close();
  } finally {
    await attempt.turn.release();
  }
}

/**
 * True for one of those who claim again a file whose first claimer died after it was in place: the owner has recorded that claim, maybe at
 * this moment, and nobody was told where the file is.
 */
export async function isFirstToHear(paths: SessionPaths, task: number): Promise<boolean> {
  try {
    await unlink(untoldPath(paths, task));
    return true;
  } catch {
    return false;
  }
}

/**
 * Completes or undoes what dead makers left, oldest first. Returns the task as it is then, and the delivery that was completed here.
 * Every step may be done twice: whoever does this may be killed too.
 */
export async function settleLeft(turn: Turn, settling: Settling): Promise<{ task: Task; completed: Completed | null }> {
  const { paths, task: number, recordClaim, reload } = settling;
  let task = await reload();
  let completed: Completed | null = null;
  for (const left of turn.left) {
    const { move } = left.intent;
    try {
      if (move !== null && task.state.kind === 'finished' && (await wasDelivered(move, task.state.file))) {
        completed = { path: move.to, from: task.state.file };
        // Its maker may have been killed before he did: what is recorded is to outlive a power cut.
        await syncWherePossible(dirname(move.to));
        await recordClaim({ task: number, path: move.to });
        task = await reload();
      }
      const { state } = task;
      if (state.kind === 'claimed') {
        await noteClaim(paths, number, state.path, state.at);
        await removeSource(move, state.file);
      } else if (move !== null) {
        await undo(move);
      }
    } catch (error) {
      throw move === null ? error : destinationError(error, move.to);
    }
    await turn.settled(left);
  }
  return { task, completed };
}

