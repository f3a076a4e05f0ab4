import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Answer, Request } from '../../src/domain/requests.js';
import { startWorker } from '../../src/session/worker-process.js';
import { answerRequest, begin, isPending, pendingIds, readRequest, submit, takeAnswer, unbegin, withdraw } from '../../src/store/inbox.js';
import { sessionPaths, type SessionPaths } from '../../src/store/paths.js';
import { seal } from '../../src/store/sealed.js';

let home: string;
let paths: SessionPaths;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-inbox-'));
  paths = sessionPaths(home, 's');
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

const PAUSE: Request = { kind: 'pause', names: ['1'] };
const GRANTED: Answer = { ok: true, tasks: [1], existing: [] };

test('a request waits until it is answered, and nobody else can read it', async () => {
  const id = await submit(paths, PAUSE);
  expect(await pendingIds(paths)).toEqual([id]);
  expect(await isPending(paths, id)).toBe(true);
  expect(await readRequest(paths, id)).toMatchObject({ requestId: id, request: PAUSE });
  expect(await takeAnswer(paths, id)).toBeNull();
  expect((await stat(join(paths.inbox, `${id}.json`))).mode & 0o777).toBe(0o600);
  expect((await stat(paths.inbox)).mode & 0o777).toBe(0o700);
  await answerRequest(paths, id, GRANTED);
  expect([await pendingIds(paths), await isPending(paths, id), await readRequest(paths, id)]).toEqual([[], false, null]);
});

test('an answer is taken once', async () => {
  const id = await submit(paths, PAUSE);
  await answerRequest(paths, id, GRANTED);
  expect(await takeAnswer(paths, id)).toEqual(GRANTED);
  expect(await takeAnswer(paths, id)).toBeNull();
  expect(await readdir(paths.answers)).toEqual([]);
});

test('an owner that was killed between answering and removing answers again, and the asker takes one', async () => {
  const id = await submit(paths, PAUSE);
  const file = join(paths.inbox, `${id}.json`);
  const request = await readFile(file);
  await answerRequest(paths, id, GRANTED);
  await writeFile(file, request);
  await answerRequest(paths, id, { ...GRANTED, existing: [1] });
  expect(await takeAnswer(paths, id)).toEqual({ ...GRANTED, existing: [1] });
  expect(await pendingIds(paths)).toEqual([]);
});

test('requests are served in the order of asking, each with an id of its own', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) {
    ids.push(await submit(paths, { kind: 'acknowledge', upTo: n }));
    const before = Date.now();
    while (Date.now() === before);
  }
  expect(await pendingIds(paths)).toEqual(ids);
  const many = await Promise.all(Array.from({ length: 50 }, () => submit(paths, PAUSE)));
  expect(new Set(many).size).toBe(50);
});

test('#65 a request that was damaged on its way, or is of another version, is known as such', async () => {
  const id = await submit(paths, PAUSE);
  const file = join(paths.inbox, `${id}.json`);
  const whole = await readFile(file, 'utf8');
  for (const text of [whole.slice(0, -1), whole.replace('pause', 'cause'), '', '\0'.repeat(60), seal({ v: 1, request: { kind: 'pause' } })]) {
    await writeFile(file, text);
    expect(await readRequest(paths, id)).toMatchObject({ requestId: id, request: 'damaged' });
  }
  for (const text of [seal({ v: 2, request: PAUSE }), seal({ v: 1, request: { kind: 'teleport' } })]) {
    await writeFile(file, text);
    expect(await readRequest(paths, id)).toMatchObject({ requestId: id, request: 'of a newer poste' });
  }
});

test('#65 a damaged answer is none', async () => {
  const id = await submit(paths, PAUSE);
  await answerRequest(paths, id, GRANTED);
  await writeFile(join(paths.answers, `${id}.json`), 'rubbish');
  expect(await takeAnswer(paths, id)).toBeNull();
});

test('a request that was taken back is not served', async () => {
  const id = await submit(paths, PAUSE);
  await withdraw(paths, id);
  await withdraw(paths, id);
  expect(await pendingIds(paths)).toEqual([]);
});

test('one that an owner has begun with is taken back no more, answered or not; one that he could not carry out is', async () => {
  const id = await submit(paths, PAUSE);
  expect(await begin(paths, id)).toBe(true);
  expect([await withdraw(paths, id), await isPending(paths, id), (await readRequest(paths, id))?.request]).toEqual([false, true, PAUSE]);
  await unbegin(paths, id);
  await begin(paths, id);
  await answerRequest(paths, id, GRANTED);
  expect([await withdraw(paths, id), await pendingIds(paths)]).toEqual([false, []]);
  const other = await submit(paths, PAUSE);
  await begin(paths, other);
  await unbegin(paths, other);
  expect([await withdraw(paths, other), await begin(paths, other), await pendingIds(paths)]).toEqual([true, false, []]);
});

test('#47 a request whose folder goes with a forgotten session, while it is written, is in the one after it', async () => {
  await submit(paths, PAUSE);
  const handle = await open(home);
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const datasync = Reflect.get<FileHandle, 'datasync'>(prototype, 'datasync');
  const sync = vi.spyOn(prototype, 'datasync').mockImplementationOnce(async function (this: FileHandle) {
    await Reflect.apply(datasync, this, []);
    await rename(paths.dir, `${paths.dir}.gone`);
  });
  try {
    const id = await submit(paths, PAUSE);
    expect(await pendingIds(paths)).toEqual([id]);
  } finally {
    sync.mockRestore();
  }
});

test('#47 and a worker that is started then is started all the same', async () => {
  await mkdir(dirname(paths.dir), { mode: 0o700 });
  const handle = await open(home);
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const sync = vi.spyOn(prototype, 'sync').mockImplementationOnce(() => rename(paths.dir, `${paths.dir}.gone`));
  try {
    const { pid, exited } = await startWorker(home, 's', paths, false);
    expect(pid).toBeGreaterThan(0);
    await exited;
    expect(sync).toHaveBeenCalledTimes(2);
  } finally {
    sync.mockRestore();
  }
});

test('a request is pending also at the moment at which it could not be carried out', async () => {
  const id = await submit(paths, PAUSE);
  for (let round = 0; round < 2000; round += 1) {
    await begin(paths, id);
    const [isSeen] = await Promise.all([isPending(paths, id), unbegin(paths, id)]);
    expect(isSeen).toBe(true);
  }
});

test('half-written requests are not seen', async () => {
  const id = await submit(paths, PAUSE);
  await writeFile(join(paths.inbox, `.${id}.json.abcdef.tmp`), 'half of a sec');
  expect(await pendingIds(paths)).toEqual([id]);
});

test('there is nothing in the inbox of a session that is not there', async () => {
  expect(await pendingIds(paths)).toEqual([]);
});
