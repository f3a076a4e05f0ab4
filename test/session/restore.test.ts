import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { restore } from '../../src/session/restore.js';
import { openOwned } from '../../src/store/owned-session.js';
import { take } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import { CREATED } from '../support/sessions.js';

it('#40 a session whose owner died when it was forgotten and not yet removed is removed, unless it has an owner who does that', async () => {
  const home = await mkdtemp(join(tmpdir(), 'poste-restore-'));
  try {
    const paths = sessionPaths(home, 's');
    const temp = join(home, 'temp');
    for (const dir of [paths.dir, temp]) await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(join(temp, 'bytes'), 'bytes');
    const taken = await take(paths, 'worker', 'test');
    if (taken.kind !== 'taken') throw new Error(`the session is ${taken.kind}`);
    const owned = await openOwned('s', paths, taken.ownership, null);
    await owned.journal.commit(() => [{ ...CREATED, temp } as typeof CREATED, { type: 'session.forgotten' }]);
    await owned.journal.close();
    expect(await restore(home, null)).toEqual({ restored: [], failed: [] });
    expect(await readdir(temp)).toEqual(['bytes']);
    await taken.ownership.release();
    expect(await restore(home, null)).toEqual({ restored: [], failed: [] });
    expect([await readdir(join(home, 'sessions')), (await readdir(home)).includes('temp')]).toEqual([[], false]);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
