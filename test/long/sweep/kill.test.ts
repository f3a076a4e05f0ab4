import { expect, test } from 'vitest';
import { otherFileSystem } from '../../delivery/shelf.js';
import { figure } from '../../support/scale.js';
import { killBefore, noStrace, type Call } from '../../support/strace.js';
import { Phase, PHASES, type PhaseName } from './phases.js';

const skipped = noStrace ?? (otherFileSystem() === null ? 'no second file system here' : null);
/** A call whose number in its run hangs on time is waited for in so many runs. */
const TRIES = 3;
/** Of going on; mostly the cheapest. */
const WAYS = [0, 1, 0, 2, 0] as const;

test.skipIf(skipped)(
  `#40 #48 #64 killed before any one system call of a start, a worker and a claim, the next command goes on: one file, once, nothing left over (${skipped ?? 'strace'})`,
  async () => {
    const wrong: string[] = [];
    const counts = new Map<PhaseName, number>();
    const waiting: PhaseName[] = [...PHASES];
    const lane = async (): Promise<void> => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        await using phase = await Phase.make(name);
        counts.set(name, await sweep(phase, wrong));
      }
    };
    await Promise.all([lane(), lane()]);
    const calls = [...counts.values()].reduce((sum, count) => sum + count, 0);
    figure('kill sweep', `${calls} calls over ${counts.size} phases: ${wrong.length} wrong or needing repair (${[...counts].map((entry) => entry.join(' ')).join(', ')})`);
    expect(wrong).toEqual([]);
    expect(calls).toBeGreaterThan(200);
  },
);

/** Kills the phase before each call in turn. Returns before how many it was killed. */
async function sweep(phase: Phase, wrong: string[]): Promise<number> {
  let kills = 0;
  for (const [index, call] of phase.calls.filter(isOfInterest(phase)).entries()) {
    const what = `${phase.name}: ${call.name} ${call.path}${call.to === null ? '' : ` ${call.to}`} #${call.nth}`;
    try {
      if (!(await reaches(phase, call))) {
        // Bytes may fall into fewer writes each time.
        if (call.path.includes('/parts/') && call.name.includes('write')) continue;
        throw new Error('the call was not made again');
      }
      kills += 1;
      await phase.expectNothingPartial();
      await phase.carryOn(WAYS[index % WAYS.length] ?? 0);
    } catch (error) {
      wrong.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      process.stdout.write(`${wrong.at(-1) ?? ''}\n`);
    }
  }
  return kills;
}

/**
 * Every call that changes something. Of a worker that goes on with a download only what leads to its first new bytes: the rest is as in one that
 * begins. Of a long download only the syncs.
 */
function isOfInterest({ name, calls }: Phase): (call: Call) => boolean {
  if (name === 'worker goes on') {
    const first = calls.findIndex((call) => call.path.endsWith('.part') && call.name.startsWith('pwrite'));
    return (call) => call.changes && calls.indexOf(call) <= first + 2;
  }
  if (name !== 'worker syncs') return ({ changes }) => changes;
  return (call) => call.path.includes('/parts') && call.name.endsWith('sync');
}

async function reaches(phase: Phase, call: Call): Promise<boolean> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    await phase.begin();
    const { killed } = await killBefore(phase.program, call);
    if (killed) return true;
    await phase.workerGone();
  }
  return false;
}
