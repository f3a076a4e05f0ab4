import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { currentBootId, liveness, ownIdentity, type ProcessIdentity } from '../../src/platform/process-identity.js';
import { compileContender, Contender } from '../support/contenders.js';
import { until } from '../support/wait.js';

let compiled: string;
let home: string;

beforeAll(async () => {
  compiled = await compileContender();
  home = await mkdtemp(join(tmpdir(), 'poste-identity-'));
});

afterAll(async () => {
  await rm(compiled, { recursive: true });
  await rm(home, { recursive: true });
});

const onLinux = process.platform === 'linux';

test('a process knows itself to be alive', () => {
  expect(liveness(ownIdentity())).toBe('alive');
  expect(ownIdentity()).toMatchObject({ pid: process.pid, host: hostname(), bootId: currentBootId() });
});

const NAMES = ['x) Z 1 (', ') R', 'poste worker default', '((('];

test.each(NAMES)('another process is told alive and then dead, whatever its name: %s', async (title) => {
  const other = await Contender.start(compiled, home, { title });
  if (onLinux) expect(await readFile(`/proc/${other.identity.pid}/stat`, 'utf8')).toContain(`(${title.slice(0, 15)})`);
  expect(liveness(other.identity)).toBe('alive');
  await other.kill();
  expect(liveness(other.identity)).toBe('dead');
});

test.each<[string, Partial<ProcessIdentity>, string]>([
  ['another host', { host: 'elsewhere', bootId: 'other' }, 'unknown'],
  ['another host, of whose boot nobody knows', { host: 'elsewhere', bootId: '' }, 'unknown'],
  ['a host that had another name', { host: 'elsewhere' }, 'alive'],
  ['a host that had another name, and no process', { host: 'elsewhere', pid: 2 ** 22 + 1 }, 'dead'],
  ['another name and pid namespace', { host: 'elsewhere', pidNamespace: 'pid:[1]' }, 'unknown'],
  ['an earlier boot', { bootId: 'earlier' }, 'dead'],
  ['an earlier boot, in whatever pid namespace', { bootId: 'earlier', pidNamespace: 'pid:[1]' }, 'dead'],
  ['another pid namespace', { pidNamespace: 'pid:[1]' }, 'unknown'],
  ['a later process under the same pid', { startTime: '1' }, 'dead'],
  ['no process', { pid: 2 ** 22 + 1 }, 'dead'],
  ['a pid that means a group', { pid: 0 }, 'dead'],
  ['a negative pid', { pid: -1 }, 'dead'],
  ['a start time that nobody knows', { startTime: '' }, 'alive'],
  ['a boot that nobody knows', { bootId: '' }, 'alive'],
])('#45 the same identity but of %s', (_what, change, expected) => {
  expect(liveness({ ...ownIdentity(), ...change })).toBe(expected);
});

const cannotRename = spawnSync('unshare', ['-u', 'hostname', 'elsewhere']).status === 0 ? null : 'naming a host is not allowed here';

test.skipIf(cannotRename)(`#45 a process that began when the host had another name is told alive and then dead (${cannotRename ?? 'it may be named'})`, async () => {
  const other = await Contender.start(compiled, home, { under: ['unshare', '-u', 'sh', '-c', 'hostname elsewhere && exec "$@"', 'sh'] });
  expect(other.identity.host).toBe('elsewhere');
  expect(liveness(other.identity)).toBe('alive');
  await other.kill();
  expect(liveness(other.identity)).toBe('dead');
});

test.runIf(onLinux)('a process that has ended and was not reaped is dead', async () => {
  const parent = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const pid = Number(await firstLine(parent));
    const startTime = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ')[21] ?? '';
    expect(liveness({ ...ownIdentity(), pid, startTime })).toBe('alive');
    // A shell would reap what it started; what it has become does not.
    await until('the parent to be sleep', async () => (await readFile(`/proc/${parent.pid ?? 0}/comm`, 'utf8')) === 'sleep\n');
    process.kill(pid, 'SIGKILL');
    await until('the process to end', async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z '));
    expect(liveness({ ...ownIdentity(), pid, startTime })).toBe('dead');
  } finally {
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  }
});

async function firstLine(child: ChildProcess & { stdout: NodeJS.ReadableStream }): Promise<string> {
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return chunk.toString().trim();
}
