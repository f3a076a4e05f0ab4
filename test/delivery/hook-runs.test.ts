import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { sessionPaths } from '../../src/store/paths.js';
import { openOwned } from '../../src/store/owned-session.js';
import { take } from '../../src/store/ownership.js';
import { HookRuns } from '../../src/worker/hook-runs.js';
import { makeShelves } from '../support/shelves.js';
import { addedTask, FILE } from '../support/sessions.js';
import { until } from '../support/wait.js';

it('#40 a file that its hook took is claimed when the hook is told to have succeeded, whenever the worker is killed', async () => {
  const home = await mkdtemp(join(tmpdir(), 'poste-hook-'));
  const paths = sessionPaths(home, 's');
  await makeShelves({ home, id: 's', paths, needsWorker: false }, new Map([['a', Buffer.from('a')]]));
  const taken = await take(paths, 'worker', 'test');
  if (taken.kind !== 'taken') throw new Error(`the session is ${taken.kind}`);
  const owned = await openOwned('s', paths, taken.ownership, null);
  try {
    const file = join(home, 'taken');
    await owned.journal.commit(() => [
      addedTask(2, { name: 'b', cwd: home, onFinish: 'mkdir taken', hookTimeoutMs: 20_000 }),
      { type: 'task.started', task: 2, attempt: 1, offset: 0 },
      { type: 'task.finished', task: 2, name: 'b', file: join(home, 'gone', 'b'), ...FILE },
    ]);
    // The kill: nothing is written after what tells of the hook's end.
    const asIs = owned.journal.commit.bind(owned.journal);
    let isKilled = false;
    const commit = vi.spyOn(owned.journal, 'commit').mockImplementation(async (decide) => {
      if (isKilled) throw new Error('killed');
      const events = await asIs(decide);
      isKilled = events.some(({ type }) => type === 'hook.finished');
      return events;
    });
    const hooks = new HookRuns(owned, () => undefined);
    if (owned.journal.session === null) throw new Error('no session');
    hooks.runDue(owned.journal.session, Date.now());
    await until('the hook to be told', () => isKilled && !hooks.isBusy);
    commit.mockRestore();
    expect(await readdir(file)).toEqual([]);
    expect(owned.journal.session.tasks.get(2)?.state).toMatchObject({ kind: 'claimed', path: null, by: 'hook' });
  } finally {
    await owned.journal.close();
    await taken.ownership.release();
    await rm(home, { recursive: true, force: true });
  }
});
