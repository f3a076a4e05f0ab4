import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { claimTask, type ClaimOutcome, type ClaimRequest } from '../../src/delivery/claim.js';
import { recoverIntents, type RecordClaim } from '../../src/delivery/settle.js';
import { PosteError } from '../../src/domain/errors.js';
import { DEFAULT_SETTINGS, type SessionEvent } from '../../src/domain/events.js';
import { SessionFold, type Session } from '../../src/domain/session.js';
import type { Task } from '../../src/domain/task.js';
import { createFile, readIfThere, systemCode } from '../../src/store/files.js';
import { makeDir } from '../../src/store/own-dir.js';
import { sessionPaths, tempPaths, type SessionPaths } from '../../src/store/paths.js';
import { specOf } from '../support/sessions.js';

export const NAME = 'big.tar.gz';
const ID = 'shelf';
const SIZE = 300_000;

/** One session with one finished file, and a ledger (a file made exclusively) that stands for the journal's `task.claimed`. */
export interface Shelf {
  readonly root: string;
  readonly paths: SessionPaths;
  /** The finished file. */
  readonly file: string;
  readonly content: Buffer;
  /** An empty folder for destinations, on another file system when asked for. */
  readonly out: string;
  remove(): Promise<void>;
}

export async function makeShelf(outParent = tmpdir()): Promise<Shelf> {
  const root = await mkdtemp(join(tmpdir(), 'poste-shelf-'));
  const out = await mkdtemp(join(outParent, 'poste-out-'));
  const content = contentOf(root);
  const shelf = { ...shelfAt(root), content, out, remove: () => clear(root, out) };
  await makeDir(dirname(shelf.file));
  await makeDir(shelf.paths.dir);
  await makeDir(join(root, 'ledger'));
  await writeFile(shelf.file, content, { mode: 0o600 });
  return shelf;
}

function contentOf(root: string): Buffer {
  return Buffer.alloc(SIZE, createHash('sha256').update(root).digest());
}

/** The same shelf as another process sees it. */
export function shelfAt(root: string): { root: string; paths: SessionPaths; file: string } {
  return { root, paths: sessionPaths(root, ID), file: join(tempPaths(join(root, 'temp')).finishedDir(1), NAME) };
}

export async function claim(
  shelf: Pick<Shelf, 'root' | 'paths'>,
  destination: string,
  more: Partial<ClaimRequest> = {},
): Promise<ClaimOutcome> {
  const request = { onConflict: 'fail', waitMs: 10_000, insideHook: null, ...ledger(shelf), ...more } as const;
  return claimTask({ paths: shelf.paths, task: 1, destination, ...request });
}

export function ledger(shelf: Pick<Shelf, 'root'>): { recordClaim: RecordClaim; reload: () => Promise<Task> } {
  const entry = join(shelf.root, 'ledger', '1.json');
  return {
    recordClaim: async ({ path }) => {
      try {
        await createFile(entry, JSON.stringify(path));
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
        if ((await claimedPath(shelf)) !== path) throw new PosteError('nothing-to-claim', 'it was recorded for another');
      }
    },
    reload: async () => {
      const task = (await readSession(shelf)).tasks.get(1);
      if (task === undefined) throw new Error('the shelf has no task');
      return task;
    },
  };
}

/** What the session's owner does at load. */
export async function recover(shelf: Pick<Shelf, 'root' | 'paths'>): Promise<void> {
  const session = await readSession(shelf);
  const tasks = new Map(session.tasks);
  await recoverIntents(shelf.paths, { ...session, tasks }, async (recorded) => {
    const { recordClaim, reload } = ledger(shelf);
    await recordClaim(recorded);
    tasks.set(recorded.task, await reload());
  });
}

export async function claimedPath(shelf: Pick<Shelf, 'root'>): Promise<string | null> {
  const text = await readIfThere(join(shelf.root, 'ledger', '1.json'));
  return text === null ? null : (JSON.parse(text) as string);
}

export async function readSession(shelf: Pick<Shelf, 'root'>): Promise<Session> {
  const path = await claimedPath(shelf);
  const { file } = shelfAt(shelf.root);
  const fold = new SessionFold();
  const bodies = [
    { type: 'session.created', id: ID, temp: join(shelf.root, 'temp'), cwd: '/', settings: DEFAULT_SETTINGS },
    { type: 'task.added', task: 1, request: 'r', paused: false, spec: SPEC },
    { type: 'task.started', task: 1, attempt: 1, offset: 0 },
    { type: 'task.finished', task: 1, name: NAME, file, size: SIZE, sha256: createHash('sha256').update(contentOf(shelf.root)).digest('hex'), length: 'verified' },
    ...(path === null ? [] : [{ type: 'task.claimed', task: 1, path, by: 'claim' }]),
  ];
  bodies.forEach((body, index) => {
    fold.apply({ ...body, seq: index + 1, gen: 1, time: 1000 } as SessionEvent);
  });
  if (fold.session === null) throw new Error('no session');
  return fold.session;
}

/** Everything that must be true when the one file of a shelf was delivered to `path`, and nothing else is left anywhere. */
export async function deliveredOnlyTo(shelf: Shelf, path: string): Promise<string[]> {
  const faults: string[] = [];
  if (!shelf.content.equals(await readFile(path).catch(() => Buffer.alloc(0)))) faults.push(`${path} is not the file`);
  if ((await claimedPath(shelf)) !== path) faults.push(`the claim was recorded for ${String(await claimedPath(shelf))}`);
  const beside = (await readdir(shelf.out)).filter((name) => join(shelf.out, name) !== path);
  if (beside.length > 0) faults.push(`left beside it: ${beside.join(' ')}`);
  const inTemp = await readdir(join(shelf.root, 'temp', 'finished')).catch(() => []);
  if (inTemp.length > 0) faults.push(`left in temp: ${inTemp.join(' ')}`);
  const intents = (await readdir(shelf.paths.intents)).filter((name) => name.endsWith('.json'));
  if (intents.length > 0) faults.push(`left of intents: ${intents.join(' ')}`);
  return faults;
}

/** A folder on a file system other than the temporary one's, or `null` where there is none. */
export function otherFileSystem(): string | null {
  try {
    return statSync('/dev/shm').dev === statSync(tmpdir()).dev ? null : '/dev/shm';
  } catch {
    return null;
  }
}

async function clear(...folders: string[]): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}

const SPEC = specOf({ url: 'https://example.org/big.tar.gz', name: NAME });
