import { expect, test } from 'vitest';
import { otherFileSystem } from '../../delivery/shelf.js';
import { figure, SCALE } from '../../support/scale.js';
import { noStrace, trace, type Call, type Tampering, type Traced } from '../../support/strace.js';
import { Phase, type PhaseName } from './phases.js';

const skipped = noStrace ?? (otherFileSystem() === null ? 'no second file system here' : null);
const SWEPT: readonly PhaseName[] = ['start', 'worker', 'worker small', 'claim', 'claim elsewhere'];
/** What a command or a worker may end with when its disk fails. */
const EXITS: readonly (number | null)[] = [0, 9, 14, 17, 38];
/** A worker whose disk is full for good waits for room: it is ended, milliseconds after it was started. */
const PATIENCE_MS = 4000;

interface Fault {
  readonly call: Call;
  readonly errno: string;
  readonly forGood: boolean;
}

test.skipIf(skipped)(
  `#40 #48 #52 #60 #61 #62 #63 any one system call of a start, a worker and a claim fails, once and for good: one line of error, and the next command goes on (${skipped ?? 'strace'})`,
  async () => {
    const wrong: string[] = [];
    const counts = new Map<PhaseName, number>();
    const waiting = [...SWEPT];
    const lane = async (): Promise<void> => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        await using phase = await Phase.make(name);
        counts.set(name, await sweep(phase, wrong));
      }
    };
    await Promise.all([lane(), lane()]);
    const faults = [...counts.values()].reduce((sum, count) => sum + count, 0);
    figure('errno sweep', `${faults} faults over ${counts.size} phases: ${wrong.length} wrong or needing repair (${[...counts].map((entry) => entry.join(' ')).join(', ')})`);
    expect(wrong).toEqual([]);
    expect(faults).toBeGreaterThan(300);
  },
);

async function sweep(phase: Phase, wrong: string[]): Promise<number> {
  let met = 0;
  for (const [index, fault] of faultsOf(phase.calls).entries()) {
    const { call, errno, forGood } = fault;
    try {
      await phase.begin();
      const ended = await trace(phase.program, tampering(phase.calls, fault, phase.name.startsWith('worker') && forGood ? PATIENCE_MS : 60_000));
      // How the bytes fall into writes hangs on time: a call that is not made cannot fail.
      if (!ended.log.includes('(INJECTED)')) {
        await phase.workerGone();
        continue;
      }
      met += 1;
      expectComposure(phase, fault, ended);
      await phase.expectNothingPartial();
      if (phase.name.startsWith('worker') && !forGood) await expectOutcome(phase, fault);
      await phase.carryOn(index % 4 === 3 ? 1 : 0);
    } catch (error) {
      const what = `${phase.name}: ${call.name} ${call.path}${call.to === null ? '' : ` ${call.to}`} #${call.nth} ${errno}${forGood ? ' for good' : ''}`;
      wrong.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      process.stdout.write(`${wrong.at(-1) ?? ''}\n`);
    }
  }
  return met;
}

/**
 * Every call that changes something with one errno once and one for good, and one of each kind that reads; with `SCALE=10`, every call with every
 * errno that it can give. How the transfers stand is written for showing only, at times of its own.
 */
function faultsOf(calls: readonly Call[]): Fault[] {
  const choose = chooser(SCALE);
  const swept = calls.filter((call) => !call.path.includes('progress.json') && (SCALE >= 10 || !isOneOfMany(call, calls)));
  return swept.flatMap((call) => {
    const once = choose(errnosOf(call)).map((errno) => ({ call, errno, forGood: false }));
    const forGood = call.changes ? choose(errnosOf(call)).map((errno) => ({ call, errno, forGood: true })) : [];
    return [...once, ...forGood];
  });
}

/** Another look at what was read before, or one of the writes of a body that is neither the first nor the last. */
function isOneOfMany({ name, path, nth, changes }: Call, calls: readonly Call[]): boolean {
  if (!changes) return nth > 1;
  if (!path.includes('/parts/') || !name.includes('write')) return false;
  return nth > 1 && nth < calls.filter((other) => other.name === name && other.path === path).length;
}

/** What the kernel may say to such a call. */
function errnosOf({ name, changes, writes }: Call): readonly string[] {
  if (name === 'openat') return ['EIO', 'EMFILE', ...(writes ? ['EROFS'] : []), ...(changes ? ['ENOSPC', 'EDQUOT'] : [])];
  if (!changes) return ['EIO'];
  if (/^(rmdir|unlink|f?chmod|ftruncate)$/.test(name)) return ['EIO', 'EROFS'];
  const full = ['EIO', 'ENOSPC', 'EDQUOT'];
  return /^(mkdir|link|rename)$/.test(name) ? [...full, 'EROFS'] : full;
}

/** Takes `SCALE` of what it is given, the same in every run: the state of the generator is the seed. */
function chooser(most: number): (from: readonly string[]) => string[] {
  let state = 1;
  return (from) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const first = (state >>> 16) % from.length;
    return [...from.slice(first), ...from.slice(0, first)].slice(0, Math.max(1, Math.floor(most)));
  };
}

/** Once: this call. For good: this call, and from there on every one that the same trouble would stop, on anything of this download's. */
function tampering(calls: readonly Call[], { call, errno, forGood }: Fault, patienceMs: number): Tampering {
  const always = ['openat', 'fsync', 'fdatasync'];
  if (!forGood) {
    return { paths: [call.path], traced: [...new Set([call.name, ...always])], inject: [`${call.name}:error=${errno}:when=${call.nth}`], patienceMs };
  }
  const steady = calls.filter(({ path }) => !path.includes('progress.json'));
  const before = steady.slice(0, steady.indexOf(call));
  // An open fails for good only when it is the fault: which of the others would create something, no rule can tell.
  const stopped = new Set(steady.filter((other) => other.changes && other.name !== 'openat' && errnosOf(other).includes(errno)).map(({ name }) => name));
  stopped.add(call.name);
  const inject = [...stopped].map((name) => `${name}:error=${errno}:when=${before.filter((other) => other.name === name).length + 1}+`);
  const paths = [...new Set(steady.flatMap(({ path, to }) => (to === null ? [path] : [path, to])))];
  return { paths, traced: [...new Set([...stopped, ...always])], inject, patienceMs };
}

/** It says what is wrong in a line and ends with a code that tells; what failed to sync is not synced again. */
function expectComposure(phase: Phase, { forGood }: Fault, { code, killed, stderr, log }: Traced): void {
  const isWaiting = killed && forGood && phase.name.startsWith('worker');
  expect(isWaiting || EXITS.includes(code), `exit ${code}: ${stderr}`).toBe(true);
  const lines = stderr.split('\n').filter(Boolean);
  if (!phase.name.startsWith('worker') && code !== 0) expect(lines).toEqual([expect.stringMatching(/^poste: /)]);
  expect(stderr).not.toMatch(/^ +at /m);
  const failed = new Set<string>();
  for (const line of log.split('\n')) {
    const [, name = '', fd = ''] = /^\d+\s+(\w+)\((\d+<.*?\.part>)/.exec(line) ?? [];
    if (/openat\(.*\.part"/.test(line)) failed.clear();
    if (!name.endsWith('sync')) continue;
    expect(failed, 'synced again after a failure').not.toContain(fd);
    if (line.includes('(INJECTED)')) failed.add(fd);
  }
}

/** With the bytes themselves: a full disk is waited out, an error of the disk stops the task and names the file. */
async function expectOutcome({ home }: Phase, { call, errno }: Fault): Promise<void> {
  if (!call.path.endsWith('.part') || !/^p?write|sync$/.test(call.name)) return;
  const events = await home.journal();
  if (errno === 'EIO') {
    const failed = events.find((event) => event.type === 'task.failed');
    expect(failed, 'EIO').toMatchObject({ error: { code: 'io', message: expect.stringContaining(call.path) as string } });
    return;
  }
  expect(events.find((event) => event.type === 'task.retrying')).toMatchObject({ reason: { code: 'disk-full' } });
  expect(events.some((event) => event.type === 'task.finished'), 'it went on by itself').toBe(true);
}
