import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/domain/events.js';
import { Journal, type Fence } from '../../src/store/journal.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { seal } from '../../src/store/sealed.js';
import { markOf } from '../support/marked.js';
import { addedTask, CREATED } from '../support/sessions.js';
import { noSmallDisk, SmallDisk } from '../support/small-disk.js';
import { until } from '../support/wait.js';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'poste-journal-'));
  path = join(directory, 'journal.ndjson');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function fence(gen: number): Fence & { mine: boolean } {
  const held = { gen, mine: true, stillMine: () => Promise.resolve(held.mine) };
  return held;
}

/** A journal of a session and so many tasks, each committed on its own; closed. */
async function written(tasks: number, gen = 1, at = path): Promise<void> {
  const journal = await Journal.open(at, fence(gen), null);
  await journal.commit(() => [CREATED]);
  for (let task = 1; task <= tasks; task += 1) await journal.commit(() => [addedTask(task)]);
  await journal.close();
}

async function readAll(): Promise<SessionEvent[]> {
  return new JournalReader(path).poll();
}

const tasksOf = (events: readonly SessionEvent[]): number[] => events.flatMap((event) => (event.type === 'task.added' ? [event.task] : []));

describe('what was committed', () => {
  it('is there for whoever reads, in order, with its time and generation', async () => {
    await written(3, 7);
    const events = await readAll();
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(tasksOf(events)).toEqual([1, 2, 3]);
    expect(events.every(({ gen, time }) => gen === 7 && Date.now() - time < 60_000)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('keeps its order when many commit at once, and each is told its own events', async () => {
    const journal = await Journal.open(path, fence(1), null);
    await journal.commit(() => [CREATED]);
    const all = await Promise.all(Array.from({ length: 500 }, (_, index) => journal.commit(() => [addedTask(index + 1)])));
    await journal.close();
    expect(all.map(tasksOf)).toEqual(Array.from({ length: 500 }, (_, index) => [index + 1]));
    expect(await readAll()).toEqual([expect.objectContaining({ type: 'session.created' }), ...all.flat()]);
  });

  it('is decided one after the other: each sees what the one before did, and what has become impossible is left out', async () => {
    const journal = await Journal.open(path, fence(1), null);
    await journal.commit(() => [CREATED, addedTask(1)]);
    const cancel = (): Promise<SessionEvent[]> => journal.commit(() => [{ type: 'task.cancelled', task: 1 }]);
    expect((await Promise.all([cancel(), cancel()])).map(({ length }) => length)).toEqual([1, 0]);
    await journal.close();
    expect((await readAll()).map(({ type }) => type)).toEqual(['session.created', 'task.added', 'task.cancelled']);
  });
});

describe('a journal that was hurt', () => {
  it('#65 loses only its torn last line, wherever it was torn, and goes on after it', async () => {
    await written(1);
    const before = (await stat(path)).size;
    const journal = await Journal.open(path, fence(2), null);
    await journal.commit(() => [addedTask(2)]);
    await journal.close();
    const whole = await readFile(path);
    for (let length = before; length < whole.length; length += 1) {
      await writeFile(path, whole.subarray(0, length));
      expect(tasksOf(await readAll())).toEqual([1]);
      const next = await Journal.open(path, fence(3), null);
      const [event] = await next.commit(() => [addedTask(3)]);
      await next.close();
      expect(event?.seq).toBe(3);
      expect(tasksOf(await readAll())).toEqual([1, 3]);
    }
  });

  it('#65 is cut where a power loss has left zeros', async () => {
    await written(2);
    await appendFile(path, Buffer.alloc(5000));
    expect(tasksOf(await readAll())).toEqual([1, 2]);
    await (await Journal.open(path, fence(2), null)).close();
    expect((await readFile(path)).includes(0)).toBe(false);
  });

  it('#65 never tells what nobody wrote, whatever single bit flips', async () => {
    await written(2);
    const whole = await readFile(path);
    const good = (await readAll()).map((event) => JSON.stringify(event));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
        const hurt = Buffer.from(whole);
        hurt.writeUInt8(hurt.readUInt8(at) ^ (1 << bit), at);
        await writeFile(path, hurt);
        const events = (await readAll()).map((event) => JSON.stringify(event));
        expect(events.every((event) => good.includes(event))).toBe(true);
        // A flipped newline joins two lines. Without the first, which tells what session it is, nothing is told.
        expect(events.length).toBeGreaterThanOrEqual(at <= whole.indexOf('\n') ? 0 : good.length - 2);
      }),
      { numRuns: 150 },
    );
  });

  it('#65 says how many lines cannot be read, and the next owner goes on from the highest number', async () => {
    await written(3);
    const lines = (await readFile(path, 'utf8')).split('\n');
    lines[2] = 'rubbish';
    await writeFile(path, lines.join('\n'));
    const reader = new JournalReader(path);
    expect(tasksOf(await reader.poll())).toEqual([1, 3]);
    expect(reader.damage).toEqual({ lines: 1 });
    const journal = await Journal.open(path, fence(2), null);
    expect((await journal.commit(() => [addedTask(4)]))[0]?.seq).toBe(5);
    await journal.close();
  });

  it('#65 is not taken for an empty one, which its owner would remove, when its beginning is lost', async () => {
    await written(1);
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `rubbish\n${lines.slice(1).join('\n')}`);
    const before = await readFile(path, 'utf8');
    await expect(Journal.open(path, fence(2), null)).rejects.toMatchObject({ code: 'damaged' });
    expect(await readFile(path, 'utf8')).toBe(before);
  });

  it('#64 #65 believes no line of another session, which a power cut left in the place of its own', async () => {
    await written(2);
    const other = join(directory, 'other.ndjson');
    await written(3, 1, other);
    await appendFile(path, `${(await readFile(other, 'utf8')).split('\n')[3]}\n`);
    const reader = new JournalReader(path);
    expect([tasksOf(await reader.poll()), reader.damage]).toEqual([[1, 2], { lines: 1 }]);
  });

  it('#49 that a newer poste wrote is refused and left as it is', async () => {
    await written(1);
    await appendFile(path, `${seal({ v: 3, seq: 3, gen: 1, time: new Date().toISOString(), type: 'task.teleported' }, markOf(await readFile(path, 'utf8')))}\nrest`);
    const before = await readFile(path, 'utf8');
    await expect(readAll()).rejects.toMatchObject({ code: 'newer-version' });
    await expect(Journal.open(path, fence(2), null)).rejects.toMatchObject({ code: 'newer-version' });
    expect(await readFile(path, 'utf8')).toBe(before);
  });
});

describe('two owners', () => {
  it('#43 a line of one that was displaced is ignored, a line of the new one is not', async () => {
    await written(1, 1);
    const late = await Journal.open(path, fence(1), null);
    const next = await Journal.open(path, fence(2), null);
    await next.commit(() => [addedTask(2)]);
    await expect(late.commit(() => [addedTask(3)])).rejects.toMatchObject({ code: 'worker' });
    await next.commit(() => [addedTask(4)]);
    await Promise.all([late.close(), next.close()]);
    expect(tasksOf(await readAll())).toEqual([1, 2, 4]);
  });

  it('a line that one was about to write when it was displaced makes the other stop: its own state is not what is on disk', async () => {
    await written(1, 1);
    const next = await Journal.open(path, fence(2), null);
    const mark = markOf(await readFile(path, 'utf8'));
    const line = (seq: number, gen: number, task: number): string => `${seal({ v: 1, seq, gen, time: new Date().toISOString(), ...addedTask(task) }, mark)}\n`;
    const late = line(3, 1, 3);
    await appendFile(path, late);
    await expect(next.commit(() => [addedTask(4)])).rejects.toMatchObject({ code: 'worker' });
    await next.close();
    const third = await Journal.open(path, fence(3), null);
    await third.commit(() => [addedTask(5)]);
    await appendFile(path, late.replace('seed#3', 'late#3'));
    await appendFile(path, line(5, 2, 6));
    await third.close();
    expect(tasksOf(await readAll())).toEqual([1, 3, 5]);
  });

  it('#43 one that sees that it was displaced writes nothing more, ever', async () => {
    await written(1);
    const before = await readFile(path);
    const held = fence(1);
    const journal = await Journal.open(path, held, null);
    held.mine = false;
    const refused = [journal.commit(() => [addedTask(2)]), journal.commit(() => [addedTask(3)])];
    for (const commit of refused) await expect(commit).rejects.toMatchObject({ code: 'worker' });
    held.mine = true;
    await expect(journal.commit(() => [addedTask(4)])).rejects.toMatchObject({ code: 'worker' });
    expect(journal.failure).toMatchObject({ code: 'worker' });
    await journal.close();
    expect(await readFile(path)).toEqual(before);
  });
});

describe('who follows a journal', () => {
  it('sees every event once, however the lines arrive', async () => {
    await written(3);
    const whole = await readFile(path);
    const cuts = fc.array(fc.nat({ max: whole.length }), { maxLength: 12 }).map((at) => [...at.sort((a, b) => a - b), whole.length]);
    await fc.assert(
      fc.asyncProperty(cuts, async (ends) => {
        await writeFile(path, '');
        const reader = new JournalReader(path);
        const seen: SessionEvent[] = [];
        let start = 0;
        for (const end of ends) {
          await appendFile(path, whole.subarray(start, end));
          start = end;
          seen.push(...(await reader.poll()));
        }
        expect(seen.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
        expect([reader.damage, reader.wholeBytes]).toEqual([null, whole.length]);
      }),
      { numRuns: 60 },
    );
  });

  it('misses nothing when a worker died in the middle of a line and the next one cut it off', async () => {
    await written(1);
    const reader = new JournalReader(path);
    await reader.poll();
    for (const torn of [1, 40, 5000]) {
      await appendFile(path, 'x'.repeat(torn));
      expect(await reader.poll()).toEqual([]);
      const next = await Journal.open(path, fence(torn + 1), null);
      await next.commit(() => [addedTask(torn + 1)]);
      await next.close();
      expect(tasksOf(await reader.poll())).toEqual([torn + 1]);
    }
    expect(reader.damage).toBeNull();
  });

  it('reads lines that are longer than it reads at a time', async () => {
    const journal = await Journal.open(path, fence(1), null);
    await journal.commit(() => [CREATED, addedTask(1, { label: 'ü'.repeat(1_500_000) }), addedTask(2)]);
    await journal.close();
    expect(tasksOf(await readAll())).toEqual([1, 2]);
  });

  it('finds nothing where there is no journal yet', async () => {
    expect(await readAll()).toEqual([]);
  });
});

describe.skipIf(noSmallDisk)(`#61 a full disk (${noSmallDisk ?? 'mounting works'})`, () => {
  const big = addedTask(2, { label: 'x'.repeat(20_000) });

  it('leaves the old state to an owner who does not wait', async () => {
    await using disk = await SmallDisk.make(256);
    path = join(disk.path, 'journal.ndjson');
    await written(1);
    const before = await readFile(path);
    const journal = await Journal.open(path, fence(2), null);
    await disk.fill(4096);
    await expect(journal.commit(() => [big])).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(journal.failure).toMatchObject({ code: 'ENOSPC' });
    await journal.close();
    expect(await readFile(path)).toEqual(before);
  });

  it('is waited out by one who does: nothing that was decided is lost', async () => {
    await using disk = await SmallDisk.make(256);
    path = join(disk.path, 'journal.ndjson');
    await written(1);
    const journal = await Journal.open(path, fence(2), new AbortController().signal);
    await disk.fill(4096);
    const commits = Promise.all([journal.commit(() => [big]), journal.commit(() => [addedTask(3)])]);
    await until('the failed write to be taken back', async () => tasksOf(await readAll()).length === 1);
    await disk.empty();
    expect((await commits).map(tasksOf)).toEqual([[2], [3]]);
    await journal.close();
    expect(tasksOf(await readAll())).toEqual([1, 2, 3]);
  });

  it('is waited out no longer than the owner may live', async () => {
    await using disk = await SmallDisk.make(256);
    path = join(disk.path, 'journal.ndjson');
    await written(1);
    const before = await readFile(path);
    const end = new AbortController();
    const journal = await Journal.open(path, fence(2), end.signal);
    await disk.fill(4096);
    const commit = journal.commit(() => [big]);
    end.abort('SIGTERM');
    await expect(commit).rejects.toMatchObject({ code: 'ENOSPC' });
    await journal.close();
    expect(await readFile(path)).toEqual(before);
  });
});
