import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_SETTINGS, type EventBody } from '../../src/domain/events.js';
import type { Asking } from '../../src/session/ask.js';
import { makeDir } from '../../src/store/own-dir.js';
import { openOwned } from '../../src/store/owned-session.js';
import { take } from '../../src/store/ownership.js';
import { tempPaths } from '../../src/store/paths.js';
import { sha256 } from './content.js';
import { addedTask } from './sessions.js';

/** Makes a session whose tasks 1, 2, … have all finished with these files, by name; nobody owns it. `retainMs` as in `--retain`. */
export async function makeShelves(asking: Asking, files: ReadonlyMap<string, Buffer>, retainMs: number | null = null): Promise<void> {
  const { id, paths } = asking;
  await makeDir(paths.dir);
  const temp = tempPaths(paths.dir);
  const taken = await take(paths, 'command', 'test');
  if (taken.kind !== 'taken') throw new Error(`the session is ${taken.kind}`);
  const owned = await openOwned(id, paths, taken.ownership, null);
  await owned.journal.commit(() => [{ type: 'session.created', id, temp: paths.dir, cwd: '/', settings: { ...DEFAULT_SETTINGS, retainMs } }]);
  const events: EventBody[] = [];
  let task = 0;
  for (const [name, bytes] of files) {
    task += 1;
    const file = join(temp.finishedDir(task), name);
    await mkdir(temp.finishedDir(task), { recursive: true });
    await writeFile(file, bytes, { mode: 0o600 });
    const { mtimeMs: modifiedAt } = await stat(file);
    events.push(
      addedTask(task, { name, cwd: '/' }),
      { type: 'task.started', task, attempt: 1, offset: 0 },
      { type: 'task.finished', task, name, file, size: bytes.length, sha256: sha256(bytes), length: 'verified', modifiedAt },
    );
  }
  await owned.journal.commit(() => [...events, { type: 'session.settled', counts: { finished: task } }]);
  await owned.journal.close();
  await taken.ownership.release();
}
