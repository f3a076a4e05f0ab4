import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TaskSecrets } from '../../src/domain/task.js';
import { sessionPaths, type SessionPaths } from '../../src/store/paths.js';
import { SecretStore, urlHash } from '../../src/store/secrets.js';
import { specOf } from '../support/sessions.js';

let home: string;
let paths: SessionPaths;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-secrets-'));
  paths = sessionPaths(home, 's');
  await mkdir(paths.dir, { recursive: true });
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

const ALL = (): boolean => true;

function secretOf(task: number): TaskSecrets {
  return { headers: [['authorization', `Bearer secret-of-${task}.`]] };
}

async function holding(...tasks: readonly number[]): Promise<SecretStore> {
  const store = await SecretStore.open(paths, null);
  await store.update(new Map(tasks.map((task) => [task, secretOf(task)])), ALL);
  return store;
}

async function onDisk(): Promise<number[]> {
  const text = await readFile(paths.secrets, 'utf8');
  return [...text.matchAll(/secret-of-(\d+)\./g)].map(([, task]) => Number(task));
}

test('#71 secrets are the owner\'s alone, whatever the umask, and there for the next owner', async () => {
  const umask = process.umask(0);
  try {
    await holding(1, 2);
  } finally {
    process.umask(umask);
  }
  expect((await stat(paths.secrets)).mode & 0o777).toBe(0o600);
  const next = await SecretStore.open(paths, null);
  expect([next.get(1), next.get(2), next.get(3)]).toEqual([secretOf(1), secretOf(2), {}]);
  expect(await readdir(paths.dir)).toEqual(['secrets.json']);
});

test('a task that needs its secrets no more takes them off the disk', async () => {
  const store = await holding(1, 2, 3);
  await store.drop(2);
  expect(await onDisk()).toEqual([1, 3]);
  await store.update(new Map([[4, secretOf(4)]]), (task) => task !== 1);
  expect(await onDisk()).toEqual([3, 4]);
  await store.drop(3);
  await store.drop(4);
  expect(await onDisk()).toEqual([]);
});

test('of a thousand tasks not each rewrites the secrets of the others, and none stays for good', async () => {
  const store = await holding(...Array.from({ length: 1000 }, (_, index) => index + 1));
  let writes = 0;
  let inode = (await stat(paths.secrets)).ino;
  for (let task = 1; task <= 1000; task += 1) {
    await store.drop(task);
    const now = (await stat(paths.secrets)).ino;
    if (now !== inode) writes += 1;
    inode = now;
    if (task % 250 === 0) expect((await onDisk()).length).toBeLessThanOrEqual((1000 - task) * 1.125);
  }
  expect(await onDisk()).toEqual([]);
  expect(writes).toBeLessThan(100);
});

test('what an owner put off to drop, the next look drops', async () => {
  const store = await holding(...Array.from({ length: 100 }, (_, index) => index + 1));
  await store.drop(1);
  expect(await onDisk()).toContain(1);
  await store.update(new Map(), ALL);
  expect(await onDisk()).not.toContain(1);
});

test('many changes at once end with the newest on disk', async () => {
  const store = await holding();
  const tasks = Array.from({ length: 40 }, (_, index) => index + 1);
  await Promise.all(
    tasks.flatMap((task) => [
      store.update(new Map([[task, secretOf(task)]]), ALL),
      ...(task % 2 === 0 ? [store.drop(task - 1)] : []),
    ]),
  );
  expect(await onDisk()).toEqual(tasks.filter((task) => task % 2 === 0));
});

test('a long write that began first does not bring back what was dropped meanwhile', async () => {
  const store = await holding();
  const long = store.update(new Map(Array.from({ length: 200_000 }, (_, index) => [index + 1, secretOf(index + 1)])), ALL);
  await new Promise(setImmediate);
  await Promise.all([long, store.update(new Map(), () => false)]);
  expect(await onDisk()).toEqual([]);
});

test('#65 a task whose secrets were lost to damage is known: what it would fetch without them is another file', async () => {
  const whole = 'https://example.org/f?token=secret';
  const spec = specOf({ url: 'https://example.org/f?token=…', urlHash: urlHash(whole), headerNames: ['authorization'] });
  const plain = specOf({ url: 'https://example.org/f', urlHash: urlHash('https://example.org/f') });
  const store = await SecretStore.open(paths, null);
  await store.update(new Map([[1, { ...secretOf(1), url: whole }], [2, { url: whole }], [3, { ...secretOf(3), url: 'https://example.org/old' }]]), ALL);
  expect([1, 2, 3].map((task) => store.missing(task, spec))).toEqual([null, 'headers', 'url']);
  expect(store.missing(4, plain)).toBeNull();
  await writeFile(paths.secrets, 'rubbish');
  const next = await SecretStore.open(paths, null);
  expect([next.missing(1, spec), next.missing(4, plain)]).toEqual(['url', null]);
});
