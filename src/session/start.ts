import { lstat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { PosteError } from '../domain/errors.js';
import type { SessionSettings } from '../domain/events.js';
import type { NewTask } from '../domain/requests.js';
import { makeDir, systemCode } from '../store/files.js';
import { ask, ensureWorker, type Asking, type Granted } from './ask.js';
import { checkIdIsDistinct, makeHome } from './home.js';
import { readSession, requireSession, type SessionView } from './read.js';

export interface StartRequest {
  readonly tasks: readonly NewTask[];
  readonly settings: Partial<SessionSettings>;
  /** Absolute, as the user chose it; `null` for the session's own folder. */
  readonly tempDir: string | null;
  readonly cwd: string;
}

export interface Started {
  readonly granted: Granted;
  readonly view: SessionView;
  /** The worker's process id; `null` when it has done all there was and left. */
  readonly workerPid: number | null;
}

/** Records the tasks durably, makes sure that a worker owns the session, and returns. */
export async function start(asking: Asking, request: StartRequest): Promise<Started> {
  await checkIdIsDistinct(asking.home, asking.id);
  await checkDestinations(request.tasks);
  await readSession(asking.home, asking.id);
  const temp = request.tempDir === null ? null : tempFolder(request.tempDir, asking);
  const nice = request.tasks.every(({ spec }) => spec.conditions.when !== null);
  await makeHome(asking.home);
  if (temp !== null) await makeTemp(temp);
  const granted = await ask({ ...asking, nice }, {
    kind: 'add',
    tasks: request.tasks,
    settings: request.settings,
    temp,
    defaultTemp: asking.paths.dir,
    cwd: request.cwd,
  });
  // Somebody's command may have taken the request for its moment of ownership: the work still needs a worker.
  if ((await readSession(asking.home, asking.id))?.state === 'interrupted') await ensureWorker({ ...asking, nice });
  const view = await requireSession(asking.home, asking.id);
  return { granted, view, workerPid: view.worker?.identity.pid ?? null };
}

/** A `--to` that names one file cannot be for two tasks, nor be a directory's place. */
async function checkDestinations(tasks: readonly NewTask[]): Promise<void> {
  const files = tasks.filter(({ spec }) => spec.to !== null && !spec.to.endsWith('/'));
  const seen = new Set<string>();
  for (const { spec } of files) {
    if (spec.to === null || (await isDirectory(spec.to))) continue;
    if (seen.has(spec.to)) {
      throw new PosteError('usage', 'a --to that names one file is for one download', { hint: 'end it in / to mean a directory' });
    }
    seen.add(spec.to);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** One folder for each session in `--temp-dir`, told apart from other homes' sessions of the same name. */
function tempFolder(tempDir: string, { home, id }: Asking): string {
  return join(tempDir, `.poste-${id}-${createHash('sha256').update(home).digest('hex').slice(0, 8)}`);
}

async function makeTemp(temp: string): Promise<void> {
  try {
    await makeDir(temp);
  } catch (error) {
    throw new PosteError('destination-unwritable', `--temp-dir cannot be used (${systemCode(error) ?? 'error'}); nothing was started`, {
      hint: 'name a directory that you may write to',
      cause: error,
    });
  }
}
