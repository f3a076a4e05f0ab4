import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { uptime } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PosteError } from '../domain/errors.js';
import { liveness, ownIdentity } from '../platform/process-identity.js';
import { systemCode } from './files.js';
import {
  createGeneration,
  generationPath,
  highestGeneration,
  mirrorOwner,
  readGeneration,
  removeGeneration,
  sweepGenerations,
  writtenAt,
  type Owner,
} from './generations.js';
import { isOwnDir } from './own-dir.js';
import { Lease, type Ownership, type Unlock } from './lease.js';
import type { SessionPaths } from './paths.js';

export type { Owner } from './generations.js';
export type { Ownership } from './lease.js';

/*
 * One owner for each session, whoever races, stops or dies.
 *
 * The generations decide. A contender may create gen/N+1 only after it saw that N is the highest and that N's holder gave
 * it back or is proven dead; neither is ever undone. link() lets one contender create a name, and the name of a
 * generation stays taken when it is given back. So of all who judged N, one gets N+1, and nobody gets N+2 before the holder of N+1
 * has given it back or died. A contender that slept through several generations could find the name N+1 free again, swept;
 * then higher ones are there, the highest is never swept, and its look after creating tells it that it lost.
 *
 * A contender killed at any instant: before its link() it has changed nothing; after, it is a dead holder like any other.
 *
 * worker.lock comes after the generation: only its holder touches the directory, and what it finds there was left by a dead one.
 * Taken the other way round, a contender killed between lock and generation would leave a lock that nobody can be asked about,
 * and a slow loser giving its lock back would remove the winner's.
 *
 * guard.lock keeps contenders in a queue, so that the losers see the winner instead of all writing to the disk. Nothing rests
 * on it, so it alone may be broken by time.
 */

/** Milliseconds; the least that proper-lockfile takes. */
const GUARD_STALE = 2000;
/** Milliseconds that a contender queues. Longer than the stale limit, which a clock that was set back does not reach. */
const GUARD_PATIENCE = 2 * GUARD_STALE;

/** What is known of a session's owner. `foreign`: alive or not, it cannot be seen from this host or pid namespace. */
export type Holder =
  | { readonly kind: 'none' }
  | { readonly kind: 'live'; readonly owner: Owner }
  | { readonly kind: 'dead'; readonly owner: Owner }
  | { readonly kind: 'foreign'; readonly owner: Owner };

export type Taken =
  | { readonly kind: 'taken'; readonly ownership: Ownership }
  | { readonly kind: 'held'; readonly owner: Owner }
  | { readonly kind: 'foreign'; readonly owner: Owner };

/** Who owns the session now. Reads only; a record that is damaged beyond its mirror names nobody. */
export async function readOwner(paths: SessionPaths): Promise<Holder> {
  return (await judge(paths)).holder;
}

/**
 * Makes this process the owner, unless there is one that is not proven dead. The session's directory must exist.
 * @throws PosteError `no-session` without that directory; `damaged` when the record of the last owner is beyond reading
 */
export async function take(paths: SessionPaths, role: Owner['role'], version: string): Promise<Taken> {
  const patience = performance.now() + GUARD_PATIENCE;
  for (;;) {
    await makeGenerations(paths);
    const guard = await tryGuard(paths);
    try {
      const { gen, holder, unreadable } = await judge(paths);
      if (holder.kind === 'live') return { kind: 'held', owner: holder.owner };
      if (holder.kind === 'foreign') return { kind: 'foreign', owner: holder.owner };
      if (guard !== 'busy' && (!unreadable || (await isFromEarlierBoot(paths, gen)))) {
        const ownership = await contend(paths, gen, role, version);
        if (ownership !== null) return { kind: 'taken', ownership };
      }
    } finally {
      if (guard !== 'busy') await guard();
    }
    if (guard === 'busy') await delay(10);
    if (performance.now() > patience) await rm(paths.guardLock, { recursive: true, force: true });
  }
}

interface Judgement {
  /** The highest generation; 0 for none. */
  readonly gen: number;
  readonly holder: Holder;
  /** It is held, and nothing tells by whom. */
  readonly unreadable: boolean;
}

async function judge(paths: SessionPaths): Promise<Judgement> {
  const { gen, released } = await highestGeneration(paths);
  if (gen === 0 || released) return { gen, holder: { kind: 'none' }, unreadable: false };
  const owner = await readGeneration(paths, gen);
  if (owner === null) return { gen, holder: { kind: 'none' }, unreadable: true };
  const kind = ({ alive: 'live', dead: 'dead', unknown: 'foreign' } as const)[liveness(owner.identity)];
  return { gen, holder: { kind, owner }, unreadable: false };
}

/**
 * Power loss may empty a file that was written before it, on disks that do not keep what they say: then its holder has gone
 * with that boot. False when the record is no longer there to ask about.
 * @throws PosteError `damaged` for a record of this boot: its holder may be alive
 */
async function isFromEarlierBoot(paths: SessionPaths, gen: number): Promise<boolean> {
  const written = await writtenAt(paths, gen);
  if (written === null) return false;
  if (written < Date.now() - uptime() * 1000) return true;
  throw new PosteError('damaged', `the record of who owns session ${basename(paths.dir)} is damaged; nothing was changed`, {
    hint: `if no worker of this session runs, remove ${generationPath(paths, gen)} and try again`,
  });
}

/** Whether the machine may have been booted since the owner before the one of `gen`. */
export async function isAfterBoot(paths: SessionPaths, gen: number): Promise<boolean> {
  if (gen === 1) return false;
  const before = await readGeneration(paths, gen - 1);
  return before?.identity.bootId !== ownIdentity().bootId;
}

/** The generation after `gen`, or `null` when somebody else has it. */
async function contend(paths: SessionPaths, gen: number, role: Owner['role'], version: string): Promise<Ownership | null> {
  const startedAt = new Date().toISOString();
  const owner: Owner = { gen: gen + 1, token: randomUUID(), role, version, startedAt, identity: ownIdentity() };
  const lease = new Lease(paths, owner);
  try {
    await createGeneration(paths, owner);
    if ((await highestGeneration(paths)).gen !== owner.gen) {
      await removeGeneration(paths, owner.gen);
      return null;
    }
    await lease.lock();
    await mirrorOwner(paths, owner);
    await sweepGenerations(paths, owner.gen);
    return lease;
  } catch (error) {
    await lease.release();
    // ENOENT: so slow that the half-written record was swept, or the whole session has gone.
    if (systemCode(error) === 'EEXIST' || systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** One try for the guard: what gives it back, or `busy`. Any other failure is left to show where it matters. */
async function tryGuard(paths: SessionPaths): Promise<Unlock | 'busy'> {
  const { lock } = await import('proper-lockfile');
  try {
    const unlock = await lock(paths.guardLock, {
      lockfilePath: paths.guardLock,
      realpath: false,
      stale: GUARD_STALE,
      onCompromised: () => undefined,
    });
    return () => unlock().catch(() => undefined);
  } catch (error) {
    return systemCode(error) === 'ELOCKED' ? 'busy' : () => Promise.resolve();
  }
}

async function makeGenerations(paths: SessionPaths): Promise<void> {
  try {
    await mkdir(paths.generations, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && (await isOwnDir(paths.generations))) return;
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new PosteError('no-session', `there is no session ${basename(paths.dir)}; nothing was changed`, { cause: error });
  }
}
