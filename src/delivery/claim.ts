import { lstat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import type { FinishedFile, Task } from '../domain/task.js';
import { usersUmask } from '../platform/umask.js';
import { diskError } from '../store/disk-error.js';
import { removeIfThere, systemCode } from '../store/files.js';
import { isOwnDir } from '../store/own-dir.js';
import { withReserve } from '../store/reserve.js';
import { Together } from '../store/together.js';
import { sha256Of } from './digest.js';
import { choosePath, type OnConflict } from './destination.js';
import { takeTurn, type Turn } from './intent.js';
import { moveOnce, removeSource, undo, wasDelivered } from './move.js';
import { noteClaim } from './receipt.js';
import { isFirstToHear, settleLeft, type Completed, type Settling } from './settle.js';

export interface ClaimRequest extends Settling {
  /** Absolute path of the file to be. */
  readonly destination: string;
  readonly onConflict: OnConflict;
  /** Milliseconds to wait for a hook or another claim that is under way; `null` is without limit. */
  readonly waitMs: number | null;
  /** `POSTE_EVENT_ID`, when this process runs inside a hook: a claim of that hook's own task must not wait for the hook. */
  readonly insideHook: string | null;
}

export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly path: string; readonly from: string }
  /** It is not there to be claimed any more; `task` tells what became of it, perhaps a claim to the same place. */
  | { readonly kind: 'lost'; readonly task: Task };

/**
 * Moves one finished file to its destination, exactly once whoever else tries: intent → file in place → durable `task.claimed` →
 * source gone.
 * Killed between any two of these, the next claim or the session's owner completes or undoes it.
 * @throws PosteError `destination-exists`, `destination-unwritable`, `disk-full`, `io`, `damaged`, `nothing-to-claim`, `timeout`,
 *   `owned-elsewhere`, and what `recordClaim` and `reload` throw
 */
export async function claimTask(request: ClaimRequest): Promise<ClaimOutcome> {
  const { paths, task: number, destination, insideHook, waitMs } = request;
  const move = { kind: 'link', to: destination } as const;
  const turn = await withReserve(paths.reserve, () => takeTurn(paths, { task: number, by: 'claim', eventId: null, move, insideHook }, waitMs));
  try {
    const { task, completed } = await settleLeft(turn, request);
    if (task.state.kind === 'claimed') await turn.close();
    if (completed !== null && isSameClaim(completed, request)) {
      // An owner may have begun to complete it, and died too.
      await isFirstToHear(paths, number);
      return { kind: 'claimed', ...completed };
    }
    if (task.state.kind !== 'finished') return { kind: 'lost', task };
    await checkSource(task.state, number);
    const path = await place(turn, task.state, request);
    await confirm(turn, path, request);
    await conclude(turn, path, task.state, request);
    return { kind: 'claimed', path, from: task.state.file };
  } finally {
    // A turn that cannot be given back goes with this process.
    await turn.release().catch(() => undefined);
  }
}

/** A claim given again after it was killed gets what it asked for. */
function isSameClaim({ path }: Completed, { destination, onConflict }: ClaimRequest): boolean {
  return path === destination || (onConflict === 'rename' && dirname(path) === dirname(destination));
}

/** The upper two are those of many files. */
const ownDirs = new Together(isOwnDir);

/** A file that was not written to since it was checked is not read again: a claim costs a rename, not a look at every byte. */
async function checkSource({ file, size, sha256, modifiedAt }: FinishedFile, number: number): Promise<void> {
  // --temp-dir may lie where others can put something else in the place of poste's folder.
  for (let folder = file, level = 0; level < 3; level += 1) await ownDirs.run((folder = dirname(folder)));
  const there = await lstat(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null;
    throw diskError(error, file);
  });
  if (there === null) {
    throw new PosteError('nothing-to-claim', `the finished file of task ${number} is gone from ${printable(file)}`, {
      hint: 'someone removed it by hand; start it again with --new',
    });
  }
  const isSame = there.isFile() && there.size === size && (there.mtimeMs === modifiedAt || (await sha256Of(file)) === sha256);
  if (!isSame) {
    throw new PosteError('damaged', `${printable(file)} is not the file that was finished (task ${number}); it was left alone`, {
      hint: 'someone changed it by hand; start it again with --new',
    });
  }
}

async function place(turn: Turn, { file, size, sha256 }: FinishedFile, { destination, onConflict }: ClaimRequest): Promise<string> {
  // As open as the user has his files, as curl would make them.
  const mode = 0o666 & ~usersUmask();
  for (;;) {
    const to = await choosePath(destination, onConflict);
    try {
      await moveOnce({ from: file, to, size, sha256, overwrite: onConflict === 'overwrite', mode, record: (move) => turn.record(move) });
      return to;
    } catch (error) {
      const taken = error instanceof PosteError && error.code === 'destination-exists';
      if (!taken) await takeBack(turn, file, onConflict);
      if (!taken || onConflict !== 'rename') throw error;
    }
  }
}

/** The file may be in its place, and only that not be durable; or a staged copy be left. What cannot be removed is the next claim's to complete or undo. */
async function takeBack(turn: Turn, from: string, onConflict: OnConflict): Promise<void> {
  const { move } = turn;
  if (move === null) return;
  try {
    // What was overwritten is gone already.
    if (onConflict !== 'overwrite' && (await wasDelivered(move, from))) await unlink(move.to);
    if (move.kind !== 'link') await removeIfThere(move.staged);
  } catch {
    await turn.giveUp().catch(() => undefined);
  }
}

/** An error may hide a claim that was recorded all the same, so the journal is asked. */
async function confirm(turn: Turn, path: string, { task, onConflict, recordClaim, reload }: ClaimRequest): Promise<void> {
  try {
    await recordClaim({ task, path });
  } catch (error) {
    const state = await reload().then(
      (reloaded) => reloaded.state,
      (problem: unknown) => (isForgotten(problem) ? 'forgotten' : null),
    );
    // Nobody is left to record it, nor to deliver it once more: the file is where it was wanted.
    if (state === 'forgotten') return;
    if (state?.kind === 'claimed' && state.path === path) return;
    if (state === null || state.kind === 'finished') {
      try {
        await turn.giveUp();
      } catch (problem) {
        // Forgotten between the two.
        if (await reload().then(() => false, isForgotten)) return;
        throw problem;
      }
    } else {
      if (turn.move !== null) await undo(turn.move);
      // What was overwritten is gone already: taking the new file away as well would help nobody.
      if (onConflict !== 'overwrite') await unlink(path);
    }
    throw error;
  }
}

function isForgotten(error: unknown): boolean {
  return error instanceof PosteError && error.code === 'no-session';
}

/** The claim stands, whatever happens here: what cannot be removed now is left to the session's owner, if it has one yet. */
async function conclude(turn: Turn, path: string, { file }: FinishedFile, { paths, task }: ClaimRequest): Promise<void> {
  try {
    await noteClaim(paths, task, path, Date.now());
    await removeSource(turn.move, file);
    await turn.close();
  } catch {
    const { move } = turn;
    await turn.giveUp().catch(() => (move === null || move.kind === 'link' ? undefined : removeIfThere(move.staged).catch(() => undefined)));
  }
}
