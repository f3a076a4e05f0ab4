import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ClaimOutcome } from '../../src/delivery/claim.js';
import { readTurns, takeTurn, tryTurn, Turn } from '../../src/delivery/intent.js';
import { ownIdentity } from '../../src/platform/process-identity.js';
import { makeDir } from '../../src/store/own-dir.js';
import { intentPath } from '../../src/store/paths.js';
import { seal } from '../../src/store/sealed.js';
import { compile } from '../support/compiled.js';
import { claim, claimedPath, deliveredOnlyTo, makeShelf, recover, type Shelf } from './shelf.js';

let compiled: string;
beforeAll(async () => {
  compiled = await compile('src/delivery', 'src/domain', 'src/platform', 'src/store', 'test/delivery', 'test/support/sessions.ts');
});
afterAll(() => rm(compiled, { recursive: true, force: true }));

const DEAD = { ...ownIdentity(), startTime: '1' };

/** The intent of a claimer that died before it did anything, or one that is under way. */
async function leaveIntent(shelf: Shelf, number: number, maker: typeof DEAD | null): Promise<void> {
  await makeDir(shelf.paths.intents);
  await new Turn(shelf.paths, { number }, { task: 1, by: 'claim', eventId: null, move: null, maker, at: 0 }, []).create();
}

it('#47 of 20 claimers at once, each a process of its own, one gets the file', async () => {
  const shelf = await makeShelf();
  try {
    await leaveIntent(shelf, 1, DEAD);
    const go = join(shelf.root, 'go');
    const claimers = Array.from({ length: 20 }, (_, n) =>
      promisify(execFile)(process.execPath, [join(compiled, 'test/delivery/claimer.js'), shelf.root, join(shelf.out, `${n}`), 'fail', go]),
    );
    await writeFile(go, '');
    const outcomes = (await Promise.all(claimers)).map(({ stdout }) => JSON.parse(stdout) as ClaimOutcome);
    expect(outcomes.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    expect(outcomes.filter(({ kind }) => kind === 'lost')).toHaveLength(19);
    expect(await deliveredOnlyTo(shelf, (await claimedPath(shelf)) ?? '')).toEqual([]);
  } finally {
    await shelf.remove();
  }
});

it('#48 a claimer that died leaves its turn to exactly one of those who find it, round after round', async () => {
  const shelf = await makeShelf();
  const request = { task: 1, by: 'claim', eventId: null, move: null, insideHook: null } as const;
  let holders = 0;
  let most = 0;
  try {
    for (let round = 0; round < 10; round += 1) {
      await rm(shelf.paths.intents, { recursive: true, force: true });
      await leaveIntent(shelf, 1, DEAD);
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          const turn = await takeTurn(shelf.paths, request, 10_000);
          holders += 1;
          most = Math.max(most, holders);
          for (const left of turn.left) await turn.settled(left);
          holders -= 1;
          await turn.release();
        }),
      );
    }
    expect(most).toBe(1);
  } finally {
    await shelf.remove();
  }
});

it('one who decided long ago that a claimer is dead gets no turn that others have passed', async () => {
  const shelf = await makeShelf();
  const request = { task: 1, by: 'claim', eventId: null, move: null, insideHook: null } as const;
  const late = (number: number): Promise<boolean> =>
    new Turn(shelf.paths, { number }, { task: 1, by: 'claim', eventId: null, move: null, maker: ownIdentity(), at: 0 }, []).create();
  try {
    await leaveIntent(shelf, 1, DEAD);
    const turn = await takeTurn(shelf.paths, request, 0);
    for (const left of turn.left) await turn.settled(left);
    expect(await late(1)).toBe(false);
    expect(await late(2)).toBe(false);
    expect((await tryTurn(shelf.paths, request)).kind).toBe('held');
    await turn.release();
    expect(await late(2)).toBe(false);
    expect((await tryTurn(shelf.paths, request)).kind).toBe('taken');
  } finally {
    await shelf.remove();
  }
});

it.each(['fail', 'rename'] as const)('eight files for one destination at once never replace one another (%s)', async (onConflict) => {
  const shelves = await Promise.all(Array.from({ length: 8 }, () => makeShelf()));
  const out = shelves[0]?.out ?? '';
  try {
    const outcomes = await Promise.allSettled(shelves.map((shelf) => claim(shelf, join(out, 'one'), { onConflict })));
    const claimed = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value.kind === 'claimed' ? [outcome.value.path] : [],
    );
    expect(new Set(claimed).size).toBe(onConflict === 'fail' ? 1 : 8);
    for (const [index, outcome] of outcomes.entries()) {
      const shelf = shelves[index];
      if (shelf === undefined) continue;
      const path = outcome.status === 'fulfilled' && outcome.value.kind === 'claimed' ? outcome.value.path : shelf.file;
      expect(shelf.content.equals(await readFile(path))).toBe(true);
    }
    expect((await readdir(out)).length).toBe(claimed.length);
  } finally {
    for (const shelf of shelves) await shelf.remove();
  }
});

it('an intent from another host is left alone, and its place is named', async () => {
  const shelf = await makeShelf();
  try {
    await leaveIntent(shelf, 1, { ...ownIdentity(), host: 'elsewhere.example', bootId: 'another' });
    await expect(claim(shelf, join(shelf.out, 'x'), { waitMs: 0 })).rejects.toMatchObject({ code: 'owned-elsewhere', exitCode: 11 });
  } finally {
    await shelf.remove();
  }
});

it('#65 a damaged intent does not keep a file for ever', async () => {
  const shelf = await makeShelf();
  try {
    await leaveIntent(shelf, 1, DEAD);
    await writeFile(intentPath(shelf.paths, 1), Buffer.alloc(100));
    const to = join(shelf.out, 'x');
    expect(await claim(shelf, to)).toMatchObject({ kind: 'claimed' });
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  } finally {
    await shelf.remove();
  }
});

it('#48 a task that was claimed by someone who died before tidying up is tidied by the owner', async () => {
  const shelf = await makeShelf();
  try {
    const to = join(shelf.out, 'x');
    await writeFile(to, shelf.content);
    await writeFile(join(shelf.root, 'ledger', '1.json'), JSON.stringify(to));
    await leaveIntent(shelf, 1, DEAD);
    await recover(shelf);
    expect(await deliveredOnlyTo(shelf, to)).toEqual([]);
  } finally {
    await shelf.remove();
  }
});

const shelves: Shelf[] = [];
afterEach(async () => {
  for (const shelf of shelves.splice(0)) await shelf.remove();
});

async function newShelf(): Promise<Shelf> {
  const shelf = await makeShelf();
  shelves.push(shelf);
  return shelf;
}

describe('turns of many tasks that are taken at the same moment', () => {
  const tasks = Array.from({ length: 100 }, (_, index) => index + 1);
  const wanted = (task: number) => ({ task, by: 'claim', eventId: null, move: { kind: 'link', to: `/out/${task}` }, insideHook: null }) as const;

  it('share records, are each one\'s own, and are settled one by one when their maker dies', async () => {
    const shelf = await newShelf();
    const turns = await Promise.all(tasks.map((task) => takeTurn(shelf.paths, wanted(task), 0)));
    const inodes = new Set(await Promise.all(tasks.map(async (task) => (await stat(intentPath(shelf.paths, task))).ino)));
    expect(inodes.size).toBeLessThan(10);
    for (const task of tasks) {
      expect(await readTurns(shelf.paths, task)).toMatchObject([{ number: 1, intent: { task, move: { to: `/out/${task}` } } }]);
      expect((await tryTurn(shelf.paths, wanted(task))).kind).toBe('held');
    }
    await turns[0]?.record({ kind: 'stage', to: '/out/1', staged: '/out/.1' });
    expect(await readTurns(shelf.paths, 1)).toMatchObject([{ intent: { move: { kind: 'stage' } } }]);
    expect(await readTurns(shelf.paths, 2)).toMatchObject([{ intent: { move: { kind: 'link' } } }]);
    await Promise.all(turns.map((turn) => turn.release()));
    expect(await readdir(shelf.paths.intents)).toEqual([]);
  });

  it('go to one of those who want the same, and the record of a newer poste to none', async () => {
    const shelf = await newShelf();
    const attempts = await Promise.all([...tasks, ...tasks].map((task) => tryTurn(shelf.paths, wanted(task))));
    for (const task of tasks) {
      const kinds = attempts.filter((_, index) => (index % 100) + 1 === task).map(({ kind }) => kind);
      expect(kinds.sort()).toEqual(['held', 'taken']);
    }
    await writeFile(intentPath(shelf.paths, 101), seal({ v: 3 }));
    await expect(tryTurn(shelf.paths, wanted(101))).rejects.toMatchObject({ code: 'newer-version' });
  });
});
