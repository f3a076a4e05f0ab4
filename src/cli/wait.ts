import type { Asking } from '../session/ask.js';
import { claim, type Claimed } from '../session/claim.js';
import { outcomeCode } from '../session/outcome.js';
import { requireSession } from '../session/read.js';
import type { Started } from '../session/start.js';
import { textView } from './attach.js';
import { claimCode, printClaimed } from './claimed.js';
import { endedCode, observe, timedOut } from './observe.js';
import type { Output } from './output.js';
import type { ProgressView } from './progress-view.js';
import { startedTasks } from './started.js';

const SILENT: ProgressView = { show: () => undefined, end: () => undefined };

/**
 * `start --wait`: stays until the session has an outcome; with `--to`, what has finished is claimed there.
 * Progress goes to stderr, final paths to stdout. Returns the exit code.
 */
export async function waitAndClaim(
  asking: Asking,
  started: Started,
  { to, timeoutMs }: { to: string | null; timeoutMs: number | null },
  output: Output,
): Promise<number> {
  const view = output.json || output.quiet ? SILENT : textView(process.stderr, (line) => {
    output.note(line);
  });
  const observed = await observe({ asking, since: started.view.session.lastSeq, revive: true }, timeoutMs, view);
  if (observed.ended === 'timeout') throw timedOut(asking.id);
  if (observed.ended !== null) {
    output.note(`detached; session ${asking.id} goes on. Come back with: poste attach --id ${asking.id}`);
    return endedCode(observed.ended, 'wait');
  }
  const claimed = to === null ? null : await claimFinished(asking, started, to);
  const after = await requireSession(asking.home, asking.id);
  const outcome = outcomeCode(after.session);
  if (output.json) {
    const { id } = after.session;
    const tasks = await startedTasks({ ...started, view: after });
    output.object({ schema: 1, id, worker: { pid: started.workerPid }, tasks, claimed: claimed?.claimed ?? [], failed: claimed?.failed ?? [] });
  } else if (claimed !== null) {
    printClaimed(asking.id, claimed, output, '\n');
  } else if (outcome === 0) {
    output.note(`ready; take it with: poste claim --id ${asking.id}`);
  }
  return outcome !== 0 ? outcome : claimed === null ? 0 : claimCode(claimed);
}

async function claimFinished(asking: Asking, { granted }: Started, to: string): Promise<Claimed> {
  const { session } = await requireSession(asking.home, asking.id);
  const names = [...new Set(granted.tasks)].filter((number) => {
    const kind = session.tasks.get(number)?.state.kind;
    return kind === 'finished' || kind === 'claimed';
  });
  if (names.length === 0) return { claimed: [], failed: [] };
  const cwd = process.cwd();
  return claim(asking, { names: names.map(String), to, cwd, onConflict: 'fail', wait: false, timeoutMs: null, since: performance.timeOrigin });
}
