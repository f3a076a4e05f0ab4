import type { Session } from '../domain/session.js';
import type { Asking } from '../session/ask.js';
import { Claimer, forgetIfDone } from '../session/claim.js';
import { haveOutcome, outcomeCode } from '../session/outcome.js';
import { readSession } from '../session/read.js';
import type { Started } from '../session/start.js';
import { textView } from './attach.js';
import { ClaimArrivals } from './claim-arrivals.js';
import { claimCode, printPath, reportClaimed } from './claimed.js';
import { endedCode, observe, timedOut } from './observe.js';
import type { Output } from './output.js';
import { SILENT_VIEW } from './progress-view.js';
import { startedTasks } from './started.js';

/**
 * `start --wait`: stays until what was asked for has an outcome; with `--to`, each file is claimed there as it finishes.
 * Progress goes to stderr, final paths to stdout. Returns the exit code.
 */
export async function waitAndClaim(
  asking: Asking,
  started: Started,
  { to, timeoutMs }: { to: string | null; timeoutMs: number | null },
  output: Output,
): Promise<number> {
  const shown = output.json || output.quiet ? SILENT_VIEW : textView(process.stderr, (line) => output.note(line));
  const numbers = [...new Set(started.granted.tasks)];
  const isDone = (session: Session): boolean => haveOutcome(session, numbers);
  const claimed = to === null ? null : claimerTo(asking, to);
  const arrivals = claimed === null ? null : new ClaimArrivals(shown, claimed, numbers);
  const observed = await observe({ asking, since: started.view.session.lastSeq, revive: true, isDone }, timeoutMs, arrivals ?? shown);
  await arrivals?.finish(observed.ended === null ? numbers.flatMap((number) => observed.session.tasks.get(number) ?? []) : []);
  claimed?.claimed.sort((one, other) => one.task - other.task);
  for (const file of claimed?.claimed ?? []) printPath(file, output, '\n');
  if (observed.ended === 'timeout') throw timedOut(asking.id);
  if (observed.ended !== null) {
    output.note(`detached; session ${asking.id} goes on. Come back with: poste attach --id ${asking.id}`);
    return endedCode(observed.ended, 'wait');
  }
  // Its worker may have forgotten it with the last claim, as it was asked to.
  const after = (await readSession(asking.home, asking.id)) ?? { ...started.view, session: observed.session };
  const mine = numbers.flatMap((number) => after.session.tasks.get(number) ?? []);
  const outcome = outcomeCode(after.session, mine);
  if (output.json) {
    const { id } = after.session;
    const tasks = await startedTasks({ ...started, view: after });
    output.object({ schema: 1, id, worker: { pid: started.workerPid }, tasks, claimed: claimed?.claimed ?? [], failed: claimed?.failed ?? [] });
  } else {
    if (output.quiet) for (const { state } of mine) if (state.kind === 'failed') output.error(state.error);
    if (claimed !== null) reportClaimed(asking.id, claimed, output);
    else if (mine.some(({ state }) => state.kind === 'finished')) output.note(`ready; take it with: poste claim --id ${asking.id}`);
  }
  if (claimed !== null && after.session.forgetting !== null) await forgetIfDone({ ...asking, needsWorker: false });
  return outcome !== 0 ? outcome : claimed === null ? 0 : claimCode(claimed);
}

function claimerTo(asking: Asking, to: string): Claimer {
  const request = { to, cwd: process.cwd(), onConflict: 'fail', timeoutMs: null, since: performance.timeOrigin } as const;
  // What was asked for has its worker, or has settled: to record a claim none need be started.
  return new Claimer({ ...asking, needsWorker: false }, request, () => undefined);
}
