import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { choosePath } from '../../src/delivery/destination.js';

test.each([[[], 0], [[0], 1], [[0, 1], 2], [[0, 1, 2], 3], [[0, 1, 3], 2], [Array.from({ length: 41 }, (_, n) => n), 41]] as [number[], number][])(
  'rename: with %j taken the next is %i',
  async (taken, next) => {
    const dir = await mkdtemp(join(tmpdir(), 'poste-destination-'));
    onTestFinished(() => rm(dir, { recursive: true }));
    const path = (n: number): string => join(dir, n === 0 ? 'f.bin' : `f (${n}).bin`);
    for (const n of taken) await writeFile(path(n), '');
    expect(await choosePath(path(0), 'rename')).toBe(path(next));
  },
);
