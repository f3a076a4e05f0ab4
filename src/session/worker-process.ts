import { constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { spawnDetached, workerEnvironment } from '../platform/detached.js';
import { openPlain, unlessDamaged } from '../store/files.js';
import { inDirs } from '../store/own-dir.js';
import type { SessionPaths } from '../store/paths.js';

const WORKER = fileURLToPath(new URL('../worker/main.js', import.meta.url));
const LAST_WORDS = 2000;

/** A worker process that is starting; it may find that another one owns the session, and leave. */
export interface StartingWorker {
  readonly pid: number;
  /** Its exit code, when it has ended; `null` for a signal. */
  readonly exited: Promise<number | null>;
}

export async function startWorker(home: string, id: string, paths: SessionPaths, nice: boolean): Promise<StartingWorker> {
  // The session may be forgotten at this moment: its worker then finds nothing to do, and says so by leaving.
  const env = { ...workerEnvironment(process.env), POSTE_HOME: home };
  return inDirs([paths.dir], () => spawnDetached({ file: process.execPath, args: [WORKER, id], env, logPath: paths.log, nice }));
}

/** The error for a worker that ended before it could serve: its last words are what its user can go by. */
export async function workerFailed(paths: SessionPaths, id: string, code: number | null): Promise<PosteError> {
  const words = printable((await lastLine(paths.log)) ?? 'it said nothing');
  return new PosteError('worker', `the worker of session ${id} did not start (${code === null ? 'killed' : `exit ${code}`}): ${words}`, {
    hint: `what was asked for is recorded; see ${paths.log}, then: poste attach --id ${id}`,
  });
}

async function lastLine(path: string): Promise<string | null> {
  try {
    const handle = await openPlain(path, constants.O_RDONLY);
    if (handle === null) return null;
    try {
      const { size } = await handle.stat();
      const buffer = Buffer.alloc(Math.min(size, LAST_WORDS));
      await handle.read(buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString('utf8').trim().split('\n').at(-1) ?? null;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return unlessDamaged(error);
  }
}
