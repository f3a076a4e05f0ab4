import { stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { PosteError } from '../domain/errors.js';
import type { SessionSettings } from '../domain/events.js';
import type { NewTask } from '../domain/requests.js';
import { systemCode } from '../store/files.js';
import { makeDir } from '../store/own-dir.js';
import { ask, DEADLINE, ensureWorker, type Asking, type Granted } from './ask.js';
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

/** So much longer for each task that is to be recorded: of 100 000, on a busy machine, that takes minutes. */
const DEADLINE_A_TASK = 3;

/** Records the tasks durably, makes sure that a worker owns the session, and returns. */
export async function start(asking: Asking, request: StartRequest): Promise<Started> {
  await checkIdIsDistinct(asking.home, asking.id);
  const tasks = await withDestinations(request.tasks);
  await readSession(asking.home, asking.id);
  const temp = request.tempDir === null ? null : tempFolder(request.tempDir, asking);
  const nice = tasks.every(({ spec }) => spec.conditions.when !== null);
  await makeHome(asking.home);
  if (temp !== null) await makeTemp(temp);
  const granted = await ask({ ...asking, nice, deadlineMs: DEADLINE + tasks.length * DEADLINE_A_TASK }, {
    kind: 'add',
    tasks,
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

/** A `--to` that is a directory means into it. One that names a file cannot be for two tasks. */
async function withDestinations(tasks: readonly NewTask[]): Promise<NewTask[]> {
  const directories = new Map<string, boolean>();
  const files = new Set<string>();
  const placed: NewTask[] = [];
  for (const task of tasks) {
    const { to } = task.spec;
    if (to !== null && !directories.has(to)) directories.set(to, to.endsWith('/') || (await isDirectory(to)));
    if (to === null || directories.get(to) === true) {
      placed.push(to === null || to.endsWith('/') ? task : { ...task, spec: { ...task.spec, to: `${to}/` } });
      continue;
    }
    if (files.has(to)) {
      throw new PosteError('usage', 'a --to that names one file is for one download', { hint: 'end it in / to mean a directory' });
    }
    files.add(to);
    placed.push(task);
  }
  return placed;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
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
