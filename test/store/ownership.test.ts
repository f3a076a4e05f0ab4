import { mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ownIdentity, type ProcessIdentity } from '../../src/platform/process-identity.js';
import { isThere } from '../../src/store/files.js';
import { createGeneration, mirrorOwner, type Owner } from '../../src/store/generations.js';
import { readOwner, take, type Ownership } from '../../src/store/ownership.js';
import { sessionPaths, type SessionPaths } from '../../src/store/paths.js';
import { until } from '../support/wait.js';

let home: string;
let paths: SessionPaths;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-ownership-'));
  paths = sessionPaths(home, 'contended');
  await mkdir(paths.dir, { recursive: true });
});

afterEach(async () => {
  vi.useRealTimers();
  await rm(home, { recursive: true, force: true });
});

async function mustTake(): Promise<Ownership> {
  const taken = await take(paths, 'command', '1.2.3');
  if (taken.kind !== 'taken') throw new Error(`not taken: ${JSON.stringify(taken)}`);
  return taken.ownership;
}

/** What a holder of generation 1 leaves that never came to release it. */
async function leftBy(change: Partial<ProcessIdentity>): Promise<Owner> {
  const identity = { ...ownIdentity(), ...change };
  const owner: Owner = { gen: 1, token: 'forged', role: 'worker', version: '1.2.3', startedAt: new Date().toISOString(), identity };
  await mkdir(paths.generations);
  await createGeneration(paths, owner);
  await mirrorOwner(paths, owner);
  await mkdir(paths.lock);
  return owner;
}

const DEAD = { bootId: 'an-earlier-boot' };

test('a session has no owner, then one, then none again; each owner has its own generation', async () => {
  expect(await readOwner(paths)).toEqual({ kind: 'none' });
  const first = await mustTake();
  expect(await readOwner(paths)).toMatchObject({ kind: 'live', owner: { gen: 1, role: 'command', identity: ownIdentity() } });
  expect(await isThere(paths.lock)).toBe(true);
  expect(await take(paths, 'worker', '1.2.3')).toMatchObject({ kind: 'held', owner: { gen: 1, token: first.token } });
  await first.release();
  await first.release();
  expect(await first.stillMine()).toBe(false);
  expect(await readOwner(paths)).toEqual({ kind: 'none' });
  expect((await readdir(paths.dir)).sort()).toEqual(['gen']);
  expect((await mustTake()).gen).toBe(2);
});

test('a session that could not be given back is given back when that is asked for again', async () => {
  const first = await mustTake();
  await rm(paths.owner);
  await mkdir(paths.owner);
  await expect(first.release()).rejects.toThrow();
  expect(await readOwner(paths)).toMatchObject({ kind: 'live' });
  await rmdir(paths.owner);
  await first.release();
  expect(await readOwner(paths)).toEqual({ kind: 'none' });
});

test('whoever only looks changes nothing', async () => {
  await leftBy(DEAD);
  const before = await readdir(home, { recursive: true });
  expect(await readOwner(paths)).toMatchObject({ kind: 'dead', owner: { token: 'forged' } });
  expect(await readdir(home, { recursive: true })).toEqual(before);
  expect(await readOwner(sessionPaths(home, 'never-made'))).toEqual({ kind: 'none' });
  expect(await readdir(home)).toEqual(['sessions']);
});

const noProcess = 2 ** 22 + 1;

test.each([
  ['its machine has booted since', DEAD],
  ['its pid is another process by now', { startTime: '1' }],
  ['its pid is no process', { pid: noProcess }],
])('#45 a dead owner is replaced: %s', async (_what, change) => {
  await leftBy(change);
  const ownership = await mustTake();
  expect(ownership.gen).toBe(2);
  expect(await ownership.stillMine()).toBe(true);
  expect(JSON.parse(await readFile(paths.owner, 'utf8'))).toMatchObject({ gen: 2 });
});

test.each([
  ['another host', { host: 'elsewhere', bootId: 'other', pid: noProcess }],
  ['another pid namespace', { pidNamespace: 'pid:[1]', pid: noProcess }],
])('an owner of %s is never replaced', async (_what, change) => {
  const owner = await leftBy(change);
  expect(await take(paths, 'worker', '1.2.3')).toEqual({ kind: 'foreign', owner });
  expect(await readOwner(paths)).toEqual({ kind: 'foreign', owner });
});

test('a lock directory, or rubbish in its place, holds nobody up when no generation stands behind it', async () => {
  await mkdir(join(paths.lock, 'deep'), { recursive: true });
  const ownership = await mustTake();
  expect(await readdir(paths.lock)).toEqual([]);
  await ownership.release();
  await writeFile(paths.lock, 'rubbish');
  expect((await mustTake()).gen).toBe(2);
});

const RUBBISH = ['', '{"gen":1}', '\0\0\0\0', '{"gen":1,"token":"x","crc":"00000000"}\n'];

test.each(RUBBISH)('#65 a damaged record (%j) has its mirror', async (rubbish) => {
  await leftBy({});
  await writeFile(join(paths.generations, '1'), rubbish);
  expect(await take(paths, 'worker', '1.2.3')).toMatchObject({ kind: 'held', owner: { token: 'forged' } });
  await rm(paths.dir, { recursive: true });
  await mkdir(paths.dir);
  await leftBy(DEAD);
  await writeFile(join(paths.generations, '1'), rubbish);
  expect((await mustTake()).gen).toBe(2);
});

test('#65 a record emptied by a power cut, mirror and all, is taken over in the next boot; in the same boot it is told', async () => {
  await leftBy(DEAD);
  await writeFile(join(paths.generations, '1'), '');
  await rm(paths.owner);
  expect(await readOwner(paths)).toEqual({ kind: 'none' });
  await expect(take(paths, 'worker', '1.2.3')).rejects.toMatchObject({ code: 'damaged', hint: expect.stringContaining('gen/1') as string });
  await utimes(join(paths.generations, '1'), 1, 1);
  expect((await mustTake()).gen).toBe(2);
});

test.each([
  ['removed', () => rmdir(paths.lock)],
  ['touched', () => utimes(paths.lock, 1, 1)],
])('an owner whose lock directory was %s locks again, and nobody gets in meanwhile', async (_what, disturb) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const ownership = await mustTake();
  await disturb();
  expect(await take(paths, 'worker', '1.2.3')).toMatchObject({ kind: 'held' });
  vi.advanceTimersByTime(60_000);
  vi.useRealTimers();
  await until('a new lock', async () => (await stat(paths.lock)).mtimeMs > 1000);
  expect(await ownership.stillMine()).toBe(true);
  expect(ownership.lost.aborted).toBe(false);
  await ownership.release();
  expect(await isThere(paths.lock)).toBe(false);
});

test('#43 an owner that was displaced sees it, and gives back nothing that is not its own', async () => {
  const ownership = await mustTake();
  const owner: Owner = { gen: 2, token: 'other', role: 'worker', version: '1', startedAt: '', identity: ownIdentity() };
  await createGeneration(paths, owner);
  await mirrorOwner(paths, owner);
  expect(await ownership.stillMine()).toBe(false);
  expect(ownership.lost.aborted).toBe(true);
  await ownership.release();
  expect(await readOwner(paths)).toMatchObject({ kind: 'live', owner: { token: 'other' } });
  expect(await isThere(paths.lock)).toBe(true);
});

test('a session that was removed is nobody’s, and is not made anew', async () => {
  const ownership = await mustTake();
  await rename(paths.dir, join(home, 'removed'));
  expect(await ownership.stillMine()).toBe(false);
  await ownership.release();
  await expect(take(paths, 'command', '1.2.3')).rejects.toMatchObject({ code: 'no-session' });
  expect(await isThere(paths.dir)).toBe(false);
});

test('generations long past leave nothing on disk, and numbers never come again', async () => {
  for (let gen = 1; gen <= 8; gen += 1) {
    const ownership = await mustTake();
    expect(ownership.gen).toBe(gen);
    await ownership.release();
    await writeFile(join(paths.generations, `.${gen}.0123456789ab.tmp`), '');
  }
  expect((await readdir(paths.generations)).filter((name) => !/[678]/.test(name))).toEqual([]);
});
