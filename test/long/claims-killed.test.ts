import { execFileSync, spawnSync } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OnConflict } from '../../src/delivery/destination.js';
import { compile } from '../support/compiled.js';
import { claim, claimedPath, deliveredOnlyTo, makeShelf, NAME, otherFileSystem, recover, type Shelf } from '../delivery/shelf.js';

let compiled: string;
beforeAll(async () => {
  compiled = await compile('src/delivery', 'src/domain', 'src/platform', 'src/store', 'test/delivery', 'test/support/sessions.ts');
});
afterAll(() => rm(compiled, { recursive: true, force: true }));

const canTrace = ((): boolean => {
  try {
    execFileSync('strace', ['-qq', '-o', '/dev/null', '-e', 'trace=exit_group', 'true']);
    return true;
  } catch {
    return false;
  }
})();

/** Runs a claimer that is killed as it is about to make the `nth` system call of this kind; false when it makes no such call. */
function claimUntil(shelf: Shelf, to: string, onConflict: OnConflict, rules: readonly string[]): boolean {
  const inject = rules.flatMap((rule) => ['-e', rule]);
  const claimer = [process.execPath, join(compiled, 'test/delivery/claimer.js'), shelf.root, to, onConflict];
  const { signal, status, stderr } = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, ...claimer], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '1' },
  });
  if (signal !== 'SIGKILL' && status !== 137 && status !== 0) throw new Error(`the claimer ended with ${status ?? signal}: ${stderr}`);
  return signal === 'SIGKILL' || status === 137;
}

/** Whatever a killed claimer left: nothing at its destination, what was there before, or the whole file. */
async function expectNothingPartial(shelf: Shelf, to: string, before: string | null): Promise<void> {
  const there = await readFile(to).catch(() => null);
  const whole = there?.equals(shelf.content) === true;
  const asBefore = (there === null ? null : there.toString()) === before;
  expect(whole || asBefore, `a file of ${there?.length ?? 'no'} bytes at the destination`).toBe(true);
}

const CALLS = ['link', 'unlink', 'rename', 'rmdir', 'chmod', 'fchmod', 'fsync', 'fdatasync', 'copy_file_range', 'sendfile'];

describe.skipIf(!canTrace).each([
  { place: 'the same file system', parent: tmpdir(), onConflict: 'fail' },
  { place: 'the same file system, over an old file', parent: tmpdir(), onConflict: 'overwrite' },
  { place: 'another file system', parent: otherFileSystem(), onConflict: 'fail' },
  { place: 'another file system, over an old file', parent: otherFileSystem(), onConflict: 'overwrite' },
] as const)('a claim to $place, killed before any one system call', ({ parent, onConflict }) => {
  it.skipIf(parent === null)('#48 is completed or undone by the next', async () => {
    let kills = 0;
    for (const call of CALLS) {
      for (let nth = 1; ; nth += 1) {
        const shelf = await makeShelf(parent ?? '');
        const to = join(shelf.out, NAME);
        try {
          const old = onConflict === 'overwrite' ? 'old' : null;
          if (old !== null) execFileSync('sh', ['-c', `printf ${old} > "$1"`, '-', to]);
          const killed = claimUntil(shelf, to, onConflict, [`trace=${call}`, `inject=${call}:signal=KILL:when=${nth}`]);
          if (!killed) break;
          kills += 1;
          await expectNothingPartial(shelf, to, old);
          const how = nth % 3;
          // The next may be the same claim, one to another place, or the session's owner.
          if (how === 2) await recover(shelf);
          const outcome = await claim(shelf, how === 1 ? to : join(shelf.out, 'elsewhere'), { onConflict });
          const path = outcome.kind === 'claimed' ? outcome.path : await claimedPath(shelf);
          if (old !== null && path !== to) {
            expect(await readFile(to, 'utf8')).toBe(old);
            await rm(to);
          }
          expect(await deliveredOnlyTo(shelf, path ?? ''), `killed at ${call} ${nth}`).toEqual([]);
        } finally {
          await shelf.remove();
        }
      }
    }
    expect(kills).toBeGreaterThan(12);
  });
});

describe.skipIf(!canTrace)('a file system without hard links', () => {
  /** All calls that name the destination or a staged file are refused links, as FAT does. The first link is that of the intent. */
  const noLinks = 'inject=link:error=EPERM:when=2+';

  it('#70 gets the file by copy and rename', async () => {
    const shelf = await makeShelf();
    const to = join(shelf.out, NAME);
    try {
      const { ino } = await stat(shelf.file);
      claimUntil(shelf, to, 'fail', ['trace=link', 'inject=link:error=EPERM:when=2..3']);
      expect((await stat(to)).ino).not.toBe(ino);
      expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
    } finally {
      await shelf.remove();
    }
  });

  it('#48 #70 shows no stray file after a claimer was killed while it reserved the name', async () => {
    const shelf = await makeShelf();
    const to = join(shelf.out, NAME);
    try {
      // Renames: the intent at `stage`, at `place` and at `reserve`, then the staged file itself.
      const killed = claimUntil(shelf, to, 'fail', ['trace=link,rename', noLinks, 'inject=rename:signal=KILL:when=4']);
      expect(killed).toBe(true);
      expect((await readFile(to)).length).toBe(0);
      expect((await readdir(shelf.out)).length).toBe(2);
      expect(await claim(shelf, to)).toMatchObject({ kind: 'claimed', path: to });
      expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
    } finally {
      await shelf.remove();
    }
  });

  it('#48 #70 has a claimer completed that was killed right after its rename', async () => {
    const shelf = await makeShelf();
    const to = join(shelf.out, NAME);
    try {
      // Syncs: the folder of intents, the intent and what it becomes (four), the staged file, and now the folder that has it under its name.
      expect(claimUntil(shelf, to, 'fail', ['trace=link,rename,fsync', noLinks, 'inject=fsync:signal=KILL:when=7'])).toBe(true);
      expect(shelf.content.equals(await readFile(to))).toBe(true);
      expect(await claimedPath(shelf)).toBeNull();
      expect(await claim(shelf, to)).toMatchObject({ kind: 'claimed', path: to });
      expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
    } finally {
      await shelf.remove();
    }
  });
});
