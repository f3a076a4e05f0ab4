import { execFileSync } from 'node:child_process';
import { link, lstat, mkdir, readFile, readdir, readlink, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { OnConflict } from '../../src/delivery/destination.js';
import { resolveDestination } from '../../src/delivery/destination.js';
import { tryTurn } from '../../src/delivery/intent.js';
import { readReceipt, writeReceipt, type Receipt } from '../../src/delivery/receipt.js';
import { PosteError } from '../../src/domain/errors.js';
import { receiptPath } from '../../src/store/paths.js';
import { claim, claimedPath, deliveredOnlyTo, ledger, makeShelf, NAME, otherFileSystem, readSession, type Shelf } from './shelf.js';

const shelves: Shelf[] = [];
async function newShelf(parent?: string): Promise<Shelf> {
  const shelf = await makeShelf(parent);
  shelves.push(shelf);
  return shelf;
}
afterEach(async () => {
  for (const shelf of shelves.splice(0)) await shelf.remove();
});

const places = [
  { place: 'on the same file system', parent: tmpdir() },
  { place: 'on another file system', parent: otherFileSystem() },
];

describe.each(places)('a claim to a place $place', ({ parent }) => {
  const other = parent ?? '';
  it.skipIf(parent === null)('#70 moves the whole file there and leaves nothing behind', async () => {
    const shelf = await newShelf(other);
    const to = join(shelf.out, NAME);
    expect(await claim(shelf, to)).toEqual({ kind: 'claimed', path: to, from: shelf.file });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  });

  it.skipIf(parent === null)('gives the file the mode that the umask leaves, as curl would', async () => {
    const before = process.umask(0o027);
    try {
      const shelf = await newShelf(other);
      const to = join(shelf.out, NAME);
      await claim(shelf, to);
      expect((await stat(to)).mode & 0o777).toBe(0o640);
    } finally {
      process.umask(before);
    }
  });

  it.skipIf(parent === null)('tells the second claimer that the file is gone, and where to', async () => {
    const shelf = await newShelf(other);
    const to = join(shelf.out, NAME);
    await claim(shelf, to);
    const second = await claim(shelf, join(shelf.out, 'other'));
    expect(second).toMatchObject({ kind: 'lost', task: { state: { kind: 'claimed', path: to } } });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  });

  it.skipIf(parent === null)('#68 leaves a file that is there alone, then takes a free name when asked', async () => {
    const shelf = await newShelf(other);
    const to = join(shelf.out, NAME);
    await writeFile(to, 'mine');
    await expect(claim(shelf, to)).rejects.toMatchObject({ code: 'destination-exists', exitCode: 13 });
    expect(await readFile(to, 'utf8')).toBe('mine');
    expect(shelf.content.equals(await readFile(shelf.file))).toBe(true);
    expect(await readdir(shelf.out)).toEqual([NAME]);
    await writeFile(join(shelf.out, 'big (1).tar.gz'), 'mine too');
    const renamed = join(shelf.out, 'big (2).tar.gz');
    expect(await claim(shelf, to, { onConflict: 'rename' })).toMatchObject({ kind: 'claimed', path: renamed });
    expect(shelf.content.equals(await readFile(renamed))).toBe(true);
    expect((await readdir(shelf.out)).length).toBe(3);
  });

  it.skipIf(parent === null)('replaces a file when asked', async () => {
    const shelf = await newShelf(other);
    const to = join(shelf.out, NAME);
    await writeFile(to, 'old');
    expect(await claim(shelf, to, { onConflict: 'overwrite' })).toMatchObject({ kind: 'claimed', path: to });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  });

  const obstacles: readonly [string, (path: string) => Promise<unknown>][] = [
    ['a folder', (path) => mkdir(path)],
    ['a FIFO', (path) => Promise.resolve(execFileSync('mkfifo', [path]))],
    ['a device', (path) => Promise.resolve(execFileSync('mknod', [path, 'c', '1', '3']))],
    ['a symbolic link', (path) => symlink('/dev/null', path)],
    ['a dangling symbolic link', (path) => symlink(join(path, '..', 'nowhere'), path)],
  ];
  const conflicts: readonly OnConflict[] = ['fail', 'overwrite'];
  it.skipIf(parent === null).each(obstacles)('#68 refuses to put the file over %s', async (_what, put) => {
    const shelf = await newShelf(other);
    const to = join(shelf.out, NAME);
    await put(to);
    const before = await lstat(to);
    for (const onConflict of conflicts) {
      await expect(claim(shelf, to, { onConflict })).rejects.toMatchObject({ code: 'destination-exists' });
    }
    expect((await lstat(to)).ino).toBe(before.ino);
    if (before.isSymbolicLink()) expect(await readlink(to)).not.toContain('.poste');
    expect(await readdir(shelf.out)).toEqual([NAME]);
    expect(shelf.content.equals(await readFile(shelf.file))).toBe(true);
    expect(await claimedPath(shelf)).toBeNull();
  });

  it.skipIf(parent === null)('#68 says which part of the path is in the way, and keeps the file', async () => {
    const shelf = await newShelf(other);
    await writeFile(join(shelf.out, 'file'), '');
    const missing = join(shelf.out, 'no', 'such', 'folder');
    await expect(claim(shelf, missing)).rejects.toMatchObject({ code: 'destination-unwritable', exitCode: 14 });
    await expect(claim(shelf, join(shelf.out, 'file', 'below'))).rejects.toMatchObject({ code: 'destination-unwritable' });
    await expect(claim(shelf, join(shelf.out, 'n'.repeat(300)))).rejects.toMatchObject({ code: 'destination-unwritable' });
    expect(shelf.content.equals(await readFile(shelf.file))).toBe(true);
    expect(await claim(shelf, join(shelf.out, NAME))).toMatchObject({ kind: 'claimed' });
  });

  it.skipIf(parent === null)('can be repeated elsewhere after it was refused', async () => {
    const shelf = await newShelf(other);
    await writeFile(join(shelf.out, 'taken'), '');
    for (let times = 0; times < 3; times += 1) await expect(claim(shelf, join(shelf.out, 'taken'))).rejects.toThrow(PosteError);
    await rm(join(shelf.out, 'taken'));
    await claim(shelf, join(shelf.out, 'free'));
    expect(await deliveredOnlyTo(shelf, join(shelf.out, 'free'))).toEqual([]);
  });
});

describe('a claim that was recorded or not', () => {
  it('stands when the journal has it although the answer got lost', async () => {
    const shelf = await newShelf();
    const to = join(shelf.out, NAME);
    const { recordClaim } = ledger(shelf);
    const lossy = async (recorded: { task: number; path: string }): Promise<void> => {
      await recordClaim(recorded);
      throw new PosteError('worker', 'no answer');
    };
    expect(await claim(shelf, to, { recordClaim: lossy })).toMatchObject({ kind: 'claimed', path: to });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  });

  it('#48 is completed by the next claim when nobody confirmed it', async () => {
    const shelf = await newShelf();
    const to = join(shelf.out, NAME);
    const silent = (): Promise<void> => Promise.reject(new PosteError('worker', 'no answer'));
    await expect(claim(shelf, to, { recordClaim: silent })).rejects.toMatchObject({ code: 'worker' });
    expect(shelf.content.equals(await readFile(shelf.file))).toBe(true);
    expect(await claim(shelf, to)).toMatchObject({ kind: 'claimed', path: to });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  });

  it('leaves nothing at the destination when the task was cancelled meanwhile', async () => {
    const shelf = await newShelf();
    const session = await readSession(shelf);
    const task = session.tasks.get(1);
    if (task === undefined) throw new Error('no task');
    let cancelled = false;
    const refuse = (): Promise<void> => {
      cancelled = true;
      return Promise.reject(new PosteError('nothing-to-claim', 'cancelled'));
    };
    const reload = (): Promise<typeof task> => Promise.resolve(cancelled ? { ...task, state: { kind: 'cancelled', at: 1 } } : task);
    await expect(claim(shelf, join(shelf.out, NAME), { recordClaim: refuse, reload })).rejects.toMatchObject({ code: 'nothing-to-claim' });
    expect(await readdir(shelf.out)).toEqual([]);
  });
});

describe('a finished file that is not what it was', () => {
  it.each<[string, (shelf: Shelf) => Promise<void>, string]>([
    ['gone', (shelf) => rm(shelf.file), 'nothing-to-claim'],
    ['shorter', (shelf) => truncate(shelf.file, 10), 'damaged'],
    ['as long, with one bit flipped', (shelf) => writeFile(shelf.file, Buffer.concat([Buffer.of((shelf.content[0] ?? 0) ^ 1), shelf.content.subarray(1)])), 'damaged'],
    [
      '#67 a symbolic link',
      async (shelf) => {
        await rm(shelf.file);
        await symlink('/etc/passwd', shelf.file);
      },
      'damaged',
    ],
  ])('#65 #67 is not delivered: %s', async (_how, spoil, code) => {
    const shelf = await newShelf();
    await spoil(shelf);
    await expect(claim(shelf, join(shelf.out, NAME))).rejects.toMatchObject({ code });
    expect(await readdir(shelf.out)).toEqual([]);
  });
});

describe('a file that was written to with the same bytes', () => {
  it('is delivered: it is read again, and is what it was', async () => {
    const shelf = await newShelf();
    await writeFile(shelf.file, shelf.content);
    await claim(shelf, join(shelf.out, NAME));
    expect(await deliveredOnlyTo(shelf, join(shelf.out, NAME))).toEqual([]);
  });
});

describe('a hook that runs', () => {
  const hookTurn = { task: 1, by: 'hook', eventId: 'shelf:1:1', move: null, insideHook: null } as const;

  it('makes a claim wait for its end', async () => {
    const shelf = await newShelf();
    const hook = await tryTurn(shelf.paths, hookTurn);
    if (hook.kind !== 'taken') throw new Error('not taken');
    await expect(claim(shelf, join(shelf.out, NAME), { waitMs: 120 })).rejects.toMatchObject({ code: 'timeout', transient: true });
    const waiting = claim(shelf, join(shelf.out, NAME));
    expect(await readdir(shelf.out)).toEqual([]);
    await hook.turn.release();
    expect(await waiting).toMatchObject({ kind: 'claimed' });
    expect(await deliveredOnlyTo(shelf, join(shelf.out, NAME))).toEqual([]);
  });

  it('may claim its own task without waiting for itself, while others go on waiting', async () => {
    const shelf = await newShelf();
    const hook = await tryTurn(shelf.paths, hookTurn);
    if (hook.kind !== 'taken') throw new Error('not taken');
    await writeFile(join(shelf.out, 'taken'), '');
    const inside = { insideHook: hookTurn.eventId };
    await expect(claim(shelf, join(shelf.out, 'taken'), inside)).rejects.toMatchObject({ code: 'destination-exists' });
    await expect(claim(shelf, join(shelf.out, 'elsewhere'), { waitMs: 0 })).rejects.toMatchObject({ code: 'timeout' });
    await rm(join(shelf.out, 'taken'));
    expect(await claim(shelf, join(shelf.out, NAME), inside)).toMatchObject({ kind: 'claimed' });
    expect(await tryTurn(shelf.paths, hookTurn), 'a second run beside this one').toMatchObject({ kind: 'held' });
    await hook.turn.close();
    expect(await deliveredOnlyTo(shelf, join(shelf.out, NAME))).toEqual([]);
  });
});

describe('the destination', () => {
  it('is the folder that exists or is asked for with a slash, and otherwise the file itself', async () => {
    const shelf = await newShelf();
    await mkdir(join(shelf.out, 'there'));
    await symlink('there', join(shelf.out, 'linked'));
    const at = (to: string | null, taskTo: string | null = null): Promise<string> =>
      resolveDestination({ to, cwd: shelf.out, name: 'n', taskTo, make: true });
    expect(await at(null)).toBe(join(shelf.out, 'n'));
    expect(await at('there')).toBe(join(shelf.out, 'there', 'n'));
    expect(await at('linked')).toBe(join(shelf.out, 'linked', 'n'));
    expect(await at('..')).toBe(join(shelf.out, '..', 'n'));
    expect(await at('file')).toBe(join(shelf.out, 'file'));
    expect(await at(null, join(shelf.out, 'recorded'))).toBe(join(shelf.out, 'recorded'));
    expect(await at('new/deep/')).toBe(join(shelf.out, 'new/deep/n'));
    expect((await stat(join(shelf.out, 'new/deep'))).isDirectory()).toBe(true);
    await writeFile(join(shelf.out, 'plain'), '');
    await expect(at('plain/')).rejects.toMatchObject({ code: 'destination-unwritable' });
    await expect(at('plain/below/')).rejects.toMatchObject({ code: 'destination-unwritable' });
  });

  it('#68 that takes no new files leaves the file where it is, and says so', async () => {
    const shelf = await newShelf();
    await expect(claim(shelf, join('/proc/self', NAME))).rejects.toMatchObject({ code: 'destination-unwritable' });
    expect(shelf.content.equals(await readFile(shelf.file))).toBe(true);
  });
});

describe('a receipt', () => {
  const receipt: Receipt = {
    schema: 1,
    id: 'shelf',
    task: 1,
    name: NAME,
    url: 'https://example.org/big.tar.gz',
    size: 300_000,
    sha256: 'aa'.repeat(32),
    length: 'verified',
    checksum: null,
    attempts: 1,
    finishedAt: '2026-01-01T00:00:00.000Z',
    claimedTo: null,
    claimedAt: null,
    posteVersion: '0.1.0',
  };

  it('tells where the bytes came from and, after the claim, where they went', async () => {
    const shelf = await newShelf();
    await writeReceipt(shelf.paths, receipt, { finalHost: 'cdn.example.org', resumes: [] });
    await claim(shelf, join(shelf.out, NAME));
    const read = await readReceipt(receiptPath(shelf.paths, 1));
    expect(read).toMatchObject({ ...receipt, finalHost: 'cdn.example.org', claimedTo: join(shelf.out, NAME), claimedAt: read?.claimedAt });
    expect(Date.parse(read?.claimedAt ?? '')).toBeGreaterThan(0);
  });

  it('#65 that is damaged does not keep a file from being claimed', async () => {
    const shelf = await newShelf();
    await writeReceipt(shelf.paths, receipt, {});
    await writeFile(receiptPath(shelf.paths, 1), '\0\0\0');
    await expect(readReceipt(receiptPath(shelf.paths, 1))).rejects.toMatchObject({ code: 'damaged' });
    expect(await claim(shelf, join(shelf.out, NAME))).toMatchObject({ kind: 'claimed' });
    expect(await readReceipt(join(shelf.out, 'none'))).toBeNull();
  });
});

it('a file that someone gave a second name in temp is delivered all the same', async () => {
  const shelf = await newShelf();
  await link(shelf.file, join(shelf.root, 'second'));
  await claim(shelf, join(shelf.out, NAME));
  expect(await deliveredOnlyTo(shelf, join(shelf.out, NAME))).toEqual([]);
});
