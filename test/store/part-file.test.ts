import { cp, mkdir, mkdtemp, open, readFile, rm, stat, symlink, truncate, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { coveredBytes } from '../../src/domain/segments.js';
import type { PartHeader } from '../../src/store/extents.js';
import { finish, undoFinish } from '../../src/store/finished.js';
import type { PartFile } from '../../src/store/part.js';
import { createPart, openPart, receivedBytes, removeParts } from '../../src/store/part-file.js';
import { tempPaths, type TempPaths } from '../../src/store/paths.js';

const HEADER: PartHeader = {
  total: 1000,
  validators: { etag: '"1"', lastModified: null, dateIsStrong: false },
  hasWeakEtag: false,
  contentType: null,
  contentEncoding: null,
  changes: 0,
  provenance: {
    finalHost: 'example.org',
    redirects: [],
    status: 206,
    etag: '"1"',
    lastModified: null,
    contentType: null,
    contentEncoding: null,
    resumes: [],
  },
};

let dir: string;
let temp: TempPaths;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'poste-part-'));
  temp = tempPaths(dir);
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function withPart(use: (part: PartFile) => Promise<void>): Promise<void> {
  const part = await createPart(temp, 1, 'boot', HEADER);
  await use(part);
  await part.close();
}

/** What the next worker finds. */
async function reopened(boot = 'boot'): Promise<{ extents: readonly unknown[]; lost: string | null; header: PartHeader | null }> {
  const { part, lost } = await openPart(temp, 1, boot);
  await part?.close();
  return { extents: part?.extents ?? [], lost, header: part?.header ?? null };
}

test('what was written is there again, wherever it was written', async () => {
  await withPart(async (part) => {
    await part.write([Buffer.from('abc'), Buffer.from('def')], 0);
    await part.write([Buffer.from('xyz')], 100);
    await part.describe({ ...HEADER, total: 103 });
  });
  expect(await reopened()).toEqual({ extents: [{ start: 0, end: 6 }, { start: 100, end: 103 }], lost: null, header: { ...HEADER, total: 103 } });
  expect((await readFile(temp.part(1, 1))).subarray(0, 6).toString()).toBe('abcdef');
  expect(await receivedBytes(temp, 1, 'boot')).toBe(9);
});

test('#64 what a killed worker wrote counts as durable only when the next one has synced it', async () => {
  const dead = await createPart(temp, 1, 'boot', HEADER);
  await dead.write([Buffer.from('abcdef')], 0);
  const { part } = await openPart(temp, 1, 'boot');
  await part?.sync();
  await dead.close();
  // A power cut is seen in the boot id: then only what was synced counts.
  expect((await reopened('the next boot')).extents).toEqual([{ start: 0, end: 6 }]);
  await part?.close();
});

test('#71 files are for their owner alone, whatever the umask', async () => {
  const before = process.umask(0);
  try {
    await withPart(() => Promise.resolve());
  } finally {
    process.umask(before);
  }
  expect((await stat(temp.part(1, 1))).mode & 0o777).toBe(0o600);
  expect((await stat(temp.extents(1, 1))).mode & 0o777).toBe(0o600);
});

test('#64 after a killed process everything written counts, after a power cut only what was synced', async () => {
  const part = await createPart(temp, 1, 'boot', HEADER);
  await part.write([Buffer.alloc(100)], 0);
  await part.sync();
  await part.write([Buffer.alloc(50)], 100);
  const snapshot = join(dir, 'snapshot');
  await cp(temp.parts, join(snapshot, 'parts'), { recursive: true });
  await part.close();
  expect(await receivedBytes(tempPaths(snapshot), 1, 'boot')).toBe(150);
  expect(await receivedBytes(tempPaths(snapshot), 1, 'another boot')).toBe(100);
});

test('#65 what a power cut shows of another record in the place of the end of this one is not believed', async () => {
  await withPart((part) => part.write([Buffer.alloc(500)], 0));
  await withPart((part) => part.write([Buffer.alloc(9)], 0));
  const [other = '', own = ''] = await Promise.all([1, 2].map((generation) => readFile(temp.extents(1, generation), 'utf8')));
  await truncate(temp.part(1, 2), 500);
  const header = own.slice(0, own.indexOf('\n') + 1);
  await writeFile(temp.extents(1, 2), header + other.slice(other.indexOf('\n') + 1));
  expect((await reopened('the next boot')).extents).toEqual([]);
  await writeFile(temp.extents(1, 2), header + other);
  expect((await reopened('the next boot')).extents).toEqual([]);
});

test('#66 extents never exceed the part file', async () => {
  await withPart((part) => part.write([Buffer.alloc(500)], 0));
  await truncate(temp.part(1, 1), 200);
  expect((await reopened()).extents).toEqual([{ start: 0, end: 200 }]);
  await truncate(temp.part(1, 1), 900);
  expect((await reopened()).extents).toEqual([{ start: 0, end: 200 }]);
});

test('#66 a part that is gone, or whose record is gone or rubbish, is said to be lost', async () => {
  await withPart((part) => part.write([Buffer.alloc(500)], 0));
  const record = await readFile(temp.extents(1, 1));
  await writeFile(temp.extents(1, 1), Buffer.alloc(record.length));
  expect(await reopened()).toMatchObject({ extents: [], lost: expect.stringContaining('damaged') as unknown });
  await unlink(temp.extents(1, 1));
  expect(await reopened()).toMatchObject({ extents: [], lost: expect.stringContaining('record') as unknown });
  await writeFile(temp.extents(1, 1), record);
  await unlink(temp.part(1, 1));
  expect(await reopened()).toMatchObject({ extents: [], lost: expect.stringContaining('gone') as unknown });
});

test('#65 damage anywhere in the record takes back, never adds', async () => {
  await withPart(async (part) => {
    for (let at = 0; at < 500; at += 50) await part.write([Buffer.alloc(50, at)], at);
  });
  const record = await readFile(temp.extents(1, 1));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(record.length - 1),
      fc.oneof(
        fc.record({ kind: fc.constant('flip' as const), bit: fc.nat(7) }),
        fc.record({ kind: fc.constant('cut' as const) }),
        fc.record({ kind: fc.constant('zero' as const) }),
      ),
      async (at, damage) => {
        const damaged = Buffer.from(damage.kind === 'cut' ? record.subarray(0, at) : record);
        if (damage.kind === 'flip') damaged[at] = (damaged[at] ?? 0) ^ (1 << damage.bit);
        if (damage.kind === 'zero') damaged.fill(0, at);
        await writeFile(temp.extents(1, 1), damaged);
        const received = await receivedBytes(temp, 1, 'boot');
        expect(received).toBeLessThanOrEqual(500);
        expect(received % 50).toBe(0);
        const { extents } = await reopened();
        expect(coveredBytes(extents as never)).toBe(received);
      },
    ),
    { numRuns: 60 },
  );
});

test('#65 a torn last line costs that line, and writing goes on after it', async () => {
  await withPart(async (part) => {
    await part.write([Buffer.alloc(50)], 0);
    await part.write([Buffer.alloc(50)], 50);
  });
  const text = await readFile(temp.extents(1, 1), 'utf8');
  const lines = text.split('\n').filter((line) => line.includes('"w"'));
  await writeFile(temp.extents(1, 1), text.slice(0, text.indexOf(lines[1] ?? '') + 10));
  const { part } = await openPart(temp, 1, 'boot');
  expect(part?.received).toBe(50);
  await part?.write([Buffer.alloc(50)], 50);
  await part?.close();
  expect((await reopened()).extents).toEqual([{ start: 0, end: 100 }]);
});

/** What every open file does, to be made to fail. */
async function fileHandles(): Promise<FileHandle> {
  const handle = await open(dir);
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

test.each([
  ['nothing else', 0],
  ['a write of other bytes', 1],
  ['a line of the record, half written,', 2],
  ['that line, and every other record,', 3],
])('#64 bytes whose sync failed are not believed, though %s failed before that was known', async (_what, failures) => {
  const broken = Object.assign(new Error('EIO'), { code: 'EIO' });
  const prototype = await fileHandles();
  await using part = { file: await createPart(temp, 1, 'boot', HEADER), [Symbol.asyncDispose]: () => part.file.close() };
  await part.file.write([Buffer.alloc(50)], 0);
  await part.file.sync();
  await part.file.write([Buffer.alloc(50)], 50);
  let fail: (error: Error) => void = () => undefined;
  const sync = vi.spyOn(prototype, 'datasync').mockReturnValueOnce(new Promise((_resolve, reject) => (fail = reject)));
  if (failures === 3) sync.mockRejectedValue(broken);
  try {
    const synced = expect(part.file.sync()).rejects.toMatchObject({ code: 'io' });
    await vi.waitUntil(() => sync.mock.calls.length === 1);
    if (failures > 0) {
      const write = Reflect.get<FileHandle, 'write'>(prototype, 'write');
      const spy =
        failures === 1
          ? vi.spyOn(prototype, 'writev').mockRejectedValueOnce(broken)
          : vi.spyOn(prototype, 'write').mockImplementationOnce(async function (this: FileHandle, bytes: unknown) {
              await (Reflect.apply(write, this, [(bytes as Buffer).subarray(0, 5)]) as Promise<unknown>);
              throw broken;
            });
      await expect(part.file.write([Buffer.alloc(10)], 100)).rejects.toMatchObject({ code: 'io' });
      spy.mockRestore();
    }
    fail(broken);
    await synced;
  } finally {
    sync.mockRestore();
  }
  expect((await reopened()).extents).toEqual(failures === 3 ? [] : [{ start: 0, end: 50 }]);
});

test('#64 a part is not begun before its record is sure to stay', async () => {
  const sync = vi.spyOn(await fileHandles(), 'datasync').mockRejectedValue(Object.assign(new Error('EIO'), { code: 'EIO' }));
  try {
    await expect(createPart(temp, 1, 'boot', HEADER)).rejects.toMatchObject({ code: 'io' });
  } finally {
    sync.mockRestore();
  }
});

test('#64 bytes that were synced stay, though another write failed before that was recorded', async () => {
  const prototype = await fileHandles();
  const part = await createPart(temp, 1, 'boot', HEADER);
  await part.write([Buffer.alloc(50)], 0);
  let end: () => void = () => undefined;
  const sync = vi.spyOn(prototype, 'datasync').mockReturnValueOnce(new Promise((resolve) => (end = resolve)));
  const synced = expect(part.sync()).rejects.toMatchObject({ code: 'disk-full' });
  await vi.waitUntil(() => sync.mock.calls.length === 1);
  vi.spyOn(prototype, 'writev').mockRejectedValueOnce(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
  await expect(part.write([Buffer.alloc(10)], 50)).rejects.toMatchObject({ code: 'disk-full' });
  vi.restoreAllMocks();
  end();
  await synced;
  await part.close();
  expect((await reopened()).extents).toEqual([{ start: 0, end: 50 }]);
});

test.each(['symlink', 'directory'])('#67 a %s in the place of the part is refused', async (kind) => {
  await withPart((part) => part.write([Buffer.alloc(10)], 0));
  const victim = join(dir, 'victim');
  await writeFile(victim, 'precious');
  await unlink(temp.part(1, 1));
  if (kind === 'symlink') await symlink(victim, temp.part(1, 1));
  else await mkdir(temp.part(1, 1));
  await expect(openPart(temp, 1, 'boot')).rejects.toMatchObject({ code: 'io', message: expect.stringContaining(temp.part(1, 1)) as unknown });
  expect(await readFile(victim, 'utf8')).toBe('precious');
});

test('#49 a record of a later version is refused', async () => {
  await withPart((part) => part.write([Buffer.alloc(10)], 0));
  const { seal } = await import('../../src/store/sealed.js');
  await writeFile(temp.extents(1, 1), `${seal({ v: 2, boot: 'boot', part: HEADER })}\n`);
  await expect(openPart(temp, 1, 'boot')).rejects.toMatchObject({ code: 'newer-version' });
});

test('generations stand side by side until they are removed; other tasks are left alone', async () => {
  await withPart((part) => part.write([Buffer.alloc(10)], 0));
  await withPart((part) => part.write([Buffer.alloc(20)], 0));
  const other = await createPart(temp, 11, 'boot', HEADER);
  await other.close();
  expect((await reopened()).extents).toEqual([{ start: 0, end: 20 }]);
  await removeParts(temp, 1, [1]);
  expect((await reopened()).extents).toEqual([{ start: 0, end: 10 }]);
  await removeParts(temp, 1);
  expect(await receivedBytes(temp, 1, 'boot')).toBe(0);
  await stat(temp.part(11, 1));
});

test('a finished file stands alone in its folder; a finish that no journal knows is taken back with all its bytes', async () => {
  await withPart((part) => part.write([Buffer.from('hello')], 0));
  const { file: path } = await finish(temp, 1, 1, 'name.txt');
  expect(path).toBe(join(temp.finishedDir(1), 'name.txt'));
  expect(await readFile(path, 'utf8')).toBe('hello');
  await undoFinish(temp, 1);
  await undoFinish(temp, 1);
  expect((await reopened()).extents).toEqual([{ start: 0, end: 5 }]);
  await expect(stat(temp.finishedDir(1))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a long download keeps a short record', async () => {
  await withPart(async (part) => {
    const buffer = Buffer.alloc(1);
    for (let at = 0; at < 30_000; at += 1) await part.write([buffer], at);
    await part.sync();
    await part.write([buffer], 30_000);
  });
  expect((await stat(temp.extents(1, 1))).size).toBeLessThan(10_000);
  expect((await reopened()).extents).toEqual([{ start: 0, end: 30_001 }]);
});
