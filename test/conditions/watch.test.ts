import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConditionWatch } from '../../src/conditions/watch.js';
import { judgeConditions } from '../../src/domain/conditions.js';
import type { TaskConditions } from '../../src/domain/task.js';
import { until } from '../support/wait.js';

const NONE: TaskConditions = { when: null, onlyIf: null, unmetered: false, notBefore: null, by: null };
const MINUTE = 60_000;

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'poste-watch-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(dir, { recursive: true, force: true });
});

/** A zombie that its parent has not fetched is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function pidIn(file: string): Promise<number> {
  // Not `until`: it waits by the timers that a test here replaces.
  while (!existsSync(file) || !/^\d+\n/.test(readFileSync(file, 'utf8'))) await new Promise((resolve) => setImmediate(resolve));
  return Number(await readFile(file, 'utf8'));
}

describe('POSTE_PROBE_FILE', () => {
  const conditions: TaskConditions = { ...NONE, when: 'ac-or-idle', unmetered: true };
  const watch = (): ConditionWatch => new ConditionWatch({ env: { POSTE_PROBE_FILE: join(dir, 'probe.json') }, pollMs: MINUTE });
  async function write(content: string): Promise<void> {
    await writeFile(join(dir, 'probe.tmp'), content);
    await rename(join(dir, 'probe.tmp'), join(dir, 'probe.json'));
  }

  it('is read again at every check', async () => {
    const watched = watch();
    const verdict = async (): Promise<string> =>
      judgeConditions(conditions, await watched.read(conditions, dir), Date.now())
        .unmet.map(({ code }) => code)
        .join(' ');
    await write('{"ac": "no", "batteryPercent": 63, "idleSeconds": 12, "metered": "no", "lowPower": "no", "online": "yes"}');
    expect(await verdict()).toBe('power idle');
    await write('{"ac": "yes", "idleSeconds": 12, "metered": "yes"}');
    expect(await verdict()).toBe('metered');
    await write('{"ac": "no", "idleSeconds": 240, "lowPower": "yes", "online": "no"}');
    expect(await verdict()).toBe('low-power offline');
  });

  it('says what it says in words, with itself as the source', async () => {
    await write('{"ac": "no", "batteryPercent": 63, "idleSeconds": 12}');
    const { ac, idle, metered } = await watch().read(conditions, dir);
    expect(ac).toMatchObject({ value: 'no', detail: 'on battery (63 %)', source: 'POSTE_PROBE_FILE' });
    expect(idle).toMatchObject({ value: 'no', detail: 'last input 12 s ago' });
    expect(metered).toMatchObject({ value: 'unknown', detail: 'the probe file does not know metered' });
    expect(Math.abs(Date.now() - ac.at)).toBeLessThan(MINUTE);
  });

  it.each([
    ['missing', null, /cannot be read \(ENOENT/],
    ['empty', '', /no valid JSON/],
    ['torn', '{"ac": "ye', /no valid JSON/],
    ['not an object', '["ac"]', /no JSON object/],
    ['of other types', '{"ac": true, "idleSeconds": "12"}', /ac in the probe file is not yes, no or unknown/],
  ])('that is %s makes everything unknown and says so', async (_name, content, why) => {
    if (content !== null) await write(content);
    const { ac, idle, metered, lowPower, online } = await watch().read(conditions, dir);
    expect([ac, idle, metered, lowPower, online].map(({ value }) => value)).toEqual(Array.from({ length: 5 }, () => 'unknown'));
    expect(ac.detail).toMatch(why);
  });
});

describe('the probes', () => {
  it('look only at what the conditions ask for', async () => {
    const watch = new ConditionWatch({ env: { POSTE_SYSFS_ROOT: dir, PATH: '' }, pollMs: MINUTE });
    const readings = await watch.read({ ...NONE, when: 'ac' }, dir);
    expect(readings.ac).toMatchObject({ value: 'yes', source: join(dir, 'class/power_supply') });
    expect(readings.idle.detail).toBe('no condition asks for it');
    expect(readings.onlyIf).toBeNull();
  });

  it.runIf(process.platform === 'linux')('a tool that hangs is killed after 2 s with its children, and the answer is unknown', async () => {
    await writeFile(join(dir, 'busctl'), `#!/bin/sh\n/bin/sleep 300 & echo $! > ${dir}/pid\nwait\n`);
    await chmod(join(dir, 'busctl'), 0o755);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const watch = new ConditionWatch({ env: { PATH: dir }, pollMs: MINUTE });
    const reading = watch.read({ ...NONE, unmetered: true }, dir);
    const pid = await pidIn(join(dir, 'pid'));
    vi.advanceTimersByTime(1999);
    expect(isAlive(pid)).toBe(true);
    vi.advanceTimersByTime(1);
    expect((await reading).metered).toMatchObject({ value: 'unknown', detail: 'the probe did not answer in time' });
    vi.useRealTimers();
    await until('the child to die', () => !isAlive(pid));
  });
});

describe('--only-if', () => {
  const env = { PATH: process.env['PATH'], HOME: '/home/someone', LC_TIME: 'C', API_TOKEN: 'secret' };
  const onlyIf = (command: string): TaskConditions => ({ ...NONE, onlyIf: command });
  const watch = (pollMs = MINUTE): ConditionWatch => new ConditionWatch({ env, pollMs });

  it.each([
    ['true', 'yes', /exited with 0/],
    ['exit 3', 'no', /exited with 3/],
    ['kill -9 $$', 'no', /was killed/],
    ['/no/such/command', 'no', /exited with 127/],
    ['printf x; head -c 1000000 /dev/zero', 'yes', /exited with 0/],
  ])('%s: %s', async (command, value, detail) => {
    const { onlyIf: reading } = await watch().read(onlyIf(command), dir);
    expect(reading).toMatchObject({ value });
    expect(reading?.detail).toMatch(detail);
  });

  it('says no where the directory that it was typed in is gone', async () => {
    expect((await watch().read(onlyIf('true'), join(dir, 'gone'))).onlyIf).toMatchObject({ value: 'no' });
  });

  it('runs where it was typed, without the secrets of the environment', async () => {
    await watch().read(onlyIf('env > seen; pwd >> seen'), dir);
    const seen = await readFile(join(dir, 'seen'), 'utf8');
    expect(seen).toContain('HOME=/home/someone');
    expect(seen).toContain('LC_TIME=C');
    expect(seen).toContain(`${dir}\n`);
    expect(seen).not.toContain('API_TOKEN');
  });

  it('#44 runs once for all tasks of a round, and again after a wake', async () => {
    const watched = watch();
    const command = onlyIf('echo run >> runs');
    await Promise.all([watched.read(command, dir), watched.read(command, dir)]);
    await watched.read(command, dir);
    expect(await readFile(join(dir, 'runs'), 'utf8')).toBe('run\n');
    watched.refresh();
    await watched.read(command, dir);
    expect(await readFile(join(dir, 'runs'), 'utf8')).toBe('run\nrun\n');
  });

  it('that hangs is killed after 10 s with its children, and says no', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const reading = watch().read(onlyIf('trap "" TERM; sleep 300 & echo $! > pid; wait'), dir);
    const pid = await pidIn(join(dir, 'pid'));
    vi.advanceTimersByTime(9999);
    expect(isAlive(pid)).toBe(true);
    vi.advanceTimersByTime(1);
    expect((await reading).onlyIf).toMatchObject({ value: 'no', detail: 'the --only-if command ran for 10 s and was killed' });
    vi.useRealTimers();
    await until('the child to die', () => !isAlive(pid));
  });

  it('leaves nothing running behind itself', async () => {
    const { onlyIf: reading } = await watch().read(onlyIf('sleep 300 & echo $! > pid'), dir);
    expect(reading).toMatchObject({ value: 'yes' });
    const pid = await pidIn(join(dir, 'pid'));
    await until('the child to die', () => !isAlive(pid));
  });

  it('is killed when the worker stops', async () => {
    const watched = watch();
    const reading = watched.read(onlyIf('sleep 300 & echo $! > pid; wait'), dir);
    const pid = await pidIn(join(dir, 'pid'));
    watched.stop();
    await reading;
    await until('the child to die', () => !isAlive(pid));
  });
});
