import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Journal } from '../../src/store/journal.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { addedTask, CREATED } from '../support/sessions.js';

it('#61 too many open files at any look at who owns the journal are waited out, and what was decided is written once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'poste-journal-'));
  const path = join(directory, 'journal.ndjson');
  try {
    for (const scarce of [1, 2]) {
      let looks = 0;
      const stillMine = (): Promise<boolean> => {
        looks += 1;
        return looks === scarce ? Promise.reject(Object.assign(new Error('EMFILE'), { code: 'EMFILE' })) : Promise.resolve(true);
      };
      const journal = await Journal.open(path, { gen: scarce, stillMine }, new AbortController().signal);
      await journal.commit((session) => [...(session === null ? [CREATED] : []), addedTask(scarce)]);
      expect([looks, journal.failure]).toEqual([3, null]);
      await journal.close();
    }
    expect((await new JournalReader(path).poll()).map(({ type }) => type)).toEqual(['session.created', 'task.added', 'task.added']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
