import { dirname } from 'node:path';
import { count, either, instant, maybe, oneOf, orNull, place, record, text } from '../domain/shape.js';
import { PosteError } from '../domain/errors.js';
import { createFiles } from '../store/files.js';
import { seal, unseal } from '../store/sealed.js';
import { isIdentity, type ProcessIdentity } from '../platform/process-identity.js';
import type { Move } from './move.js';

/** Who is delivering a task at this moment, and how far it has come. */
export interface Intent {
  /** 0 for the session's own hook, which delivers nothing. */
  readonly task: number;
  readonly by: 'claim' | 'hook';
  /** Of a hook's run: a claim made from inside that run does not wait for it. */
  readonly eventId: string | null;
  readonly move: Move | null;
  /** `null`: its maker could not tell how it ended, and leaves it to the next one. */
  readonly maker: ProcessIdentity | null;
  /** A hook's process, which may outlive its maker. */
  readonly hook?: ProcessIdentity;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** One intent, which is the whole record; or those of several tasks, each of which has the record under its own name. */
const ONE = 1;
const SEVERAL = 2;
/** Intents in one record: whoever looks for one of them reads all. */
const MOST = 64;

interface Wanted {
  readonly path: string;
  readonly intent: Intent;
  readonly resolve: (made: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const waiting = new Map<string, Wanted[]>();

/**
 * Makes an intent durable under a name that nobody has; false when somebody has it. Those that come while others are written share a record,
 * and with it a sync: it is made once, and linked to each name.
 */
export function createIntent(path: string, intent: Intent): Promise<boolean> {
  const folder = dirname(path);
  return new Promise((resolve, reject) => {
    const wanted = { path, intent, resolve, reject };
    const others = waiting.get(folder);
    if (others !== undefined) others.push(wanted);
    else {
      waiting.set(folder, [wanted]);
      void writeWaiting(folder);
    }
  });
}

async function writeWaiting(folder: string): Promise<void> {
  // Those who ask in the same moment are together from the first.
  await Promise.resolve();
  for (let batch = take(folder); batch.length > 0; batch = take(folder)) {
    const intents = batch.map(({ intent }) => intent);
    const [only] = intents;
    try {
      const made = await createFiles(
        batch.map(({ path }) => path),
        only !== undefined && intents.length === 1 ? formatIntent(only) : seal({ v: SEVERAL, intents }),
      );
      batch.forEach(({ resolve }, index) => {
        resolve(made[index] === true);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
  waiting.delete(folder);
}

function take(folder: string): Wanted[] {
  const all = waiting.get(folder) ?? [];
  // Two of one task are two turns: a record tells of a task once.
  const batch = new Map<number, Wanted>();
  for (const wanted of all) if (batch.size < MOST && !batch.has(wanted.intent.task)) batch.set(wanted.intent.task, wanted);
  const taken = [...batch.values()];
  waiting.set(
    folder,
    all.filter((wanted) => !taken.includes(wanted)),
  );
  return taken;
}

export function formatIntent(intent: Intent): string {
  return seal({ v: ONE, ...intent });
}

const isMove = either(record({ kind: oneOf('link'), to: place }), record({ kind: oneOf('stage', 'place', 'reserve'), to: place, staged: place }));
const isIntent = record({
  task: count,
  by: oneOf('claim', 'hook'),
  eventId: orNull(text),
  move: orNull(isMove),
  maker: orNull(isIdentity),
  hook: maybe(isIdentity),
  at: instant,
});

/**
 * The intent of `task` in a record; `null` for one that is over. Damage stems from the disk: the file was complete when it got its name.
 * There is nothing in it to go by, so nothing is undone.
 * @throws PosteError `newer-version`
 */
export function parseIntent(line: string, task: number): Intent | null {
  const sealed = unseal(line);
  if (sealed === null || sealed['over'] === true) return null;
  if (typeof sealed['v'] === 'number' && sealed['v'] > SEVERAL) {
    throw new PosteError('newer-version', 'the delivery of this task was begun by a newer version of poste; the file is kept', {
      hint: 'use that version to claim it',
    });
  }
  const intents = sealed['v'] === SEVERAL && Array.isArray(sealed['intents']) ? (sealed['intents'] as unknown[]) : [sealed];
  const found = intents.find((intent) => isIntent(intent) && (intent as Intent).task === task);
  return found === undefined ? null : (found as Intent);
}
