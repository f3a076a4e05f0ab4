/**
 * The worker process: `node main.js ID`, with POSTE_HOME in its environment. Exit 0: it has done its work, or the session
 * belongs to someone else. Its last line of output is what `start` shows when it fails.
 */
import { setMaxListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { errorInfo, PosteError } from '../domain/errors.js';
import { closeInherited } from '../platform/inherited.js';
import { keepToOwner } from '../platform/umask.js';
import { VERSION } from '../platform/version.js';
import { take } from '../store/ownership.js';
import { sessionPaths } from '../store/paths.js';

/**
 * The heap may grow by so much before it is collected again, percent. By V8's own choice 100 000 queued tasks, 104 MiB of live objects, take
 * 440 MiB; like this 315 to 325, and a download costs no more (Node 20.20, in turn).
 */
const HEAP_GROWTH = 30;

setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
closeInherited();
void main();

async function main(): Promise<void> {
  const [id] = process.argv.slice(2);
  const home = process.env['POSTE_HOME'];

  try {
    keepToOwner();
    if (id === undefined || home === undefined) throw new PosteError('usage', 'the worker is started by poste itself');
    process.title = `poste worker ${id}`;
    const paths = sessionPaths(home, id);
    const taken = await take(paths, 'worker', VERSION);
    if (taken.kind === 'taken') {
      // Most of the start-up time is undici's: a worker that loses the race never loads it.
      const { work } = await import('./work.js');
      await work({ id, home, paths, ownership: taken.ownership, end: signalled() });
    }
  } catch (error) {
    // The session was forgotten meanwhile: there is nothing to do.
    if (error instanceof PosteError && error.code === 'no-session') process.exit(0);
    const { code, message, exitCode } = errorInfo(error);
    console.error(`${new Date().toISOString()} ${code === 'internal' && error instanceof Error ? (error.stack ?? message) : message}`);
    // At once: as long as it lives this process owns the session, and whatever it left under way keeps it alive.
    process.exit(exitCode);
  }
}

/** Aborts with the first signal that wants this process gone; its name is the reason. */
function signalled(): AbortSignal {
  const end = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      end.abort(name);
    });
  }
  setMaxListeners(0, end.signal);
  return end.signal;
}
