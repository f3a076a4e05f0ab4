import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PosteError } from '../../src/domain/errors.js';
import type { Task } from '../../src/domain/task.js';
import { claim, ledger, makeShelf, NAME, otherFileSystem } from './shelf.js';

const GONE = new PosteError('no-session', 'there is no session');
const places = [
  { place: 'on the same file system', parent: tmpdir() },
  { place: 'on another file system', parent: otherFileSystem() },
];

test.for(places)('#47 a claim to a place $place stands when the session is forgotten while it is recorded, at whatever moment that is seen', async ({ parent }, { skip }) => {
  if (parent === null) return skip();
  for (const seenAfter of [0, 1]) {
    const shelf = await makeShelf(parent);
    const to = join(shelf.out, NAME);
    let looks = Number.NEGATIVE_INFINITY;
    const recordClaim = async (): Promise<never> => {
      await rm(shelf.paths.dir, { recursive: true });
      looks = 0;
      throw GONE;
    };
    const reload = (): Promise<Task> => {
      looks += 1;
      return looks > seenAfter ? Promise.reject(GONE) : ledger(shelf).reload();
    };
    expect(await claim(shelf, to, { recordClaim, reload })).toMatchObject({ kind: 'claimed', path: to });
    expect(shelf.content.equals(await readFile(to))).toBe(true);
    expect(await readdir(shelf.out)).toEqual([NAME]);
    await shelf.remove();
  }
});
