import { link, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isIdentity, type ProcessIdentity } from '../platform/process-identity.js';
import { PosteError } from '../domain/errors.js';
import { oneOf, ordinal, record, text } from '../domain/shape.js';
import { createFile, readSealed, removeIfThere, replaceFile, systemCode } from './files.js';
import type { SessionPaths } from './paths.js';
import { seal } from './sealed.js';

/** Who holds a generation of a session. */
export interface Owner {
  readonly gen: number;
  /** Random: two holders never share one. */
  readonly token: string;
  readonly role: 'worker' | 'command';
  /** Of poste. */
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly identity: ProcessIdentity;
}

/** The highest generation taken so far (0 for none) and whether its holder has given it back. */
export interface HighestGeneration {
  readonly gen: number;
  readonly released: boolean;
}

/** Generations that stay on disk, the present one included. */
const KEPT = 3;

export async function highestGeneration(paths: SessionPaths): Promise<HighestGeneration> {
  const names = await namesOf(paths);
  const gen = Math.max(0, ...names.filter((name) => /^\d{1,15}$/.test(name)).map(Number));
  return { gen, released: names.includes(`${gen}.released`) };
}

const isOwner = record({
  gen: ordinal,
  token: text,
  role: oneOf('worker', 'command'),
  version: text,
  startedAt: text,
  identity: isIdentity,
});

/**
 * The holder of a generation, or `null` when neither the record nor its mirror is there and whole.
 * @throws PosteError `newer-version` when a later poste holds it, whose record says things that are not known here
 */
export async function readGeneration(paths: SessionPaths, gen: number): Promise<Owner | null> {
  for (const path of [generationPath(paths, gen), paths.owner]) {
    const owner = await readSealed(path);
    if (owner?.['gen'] !== gen) continue;
    // No record of this version has a `v`; one that does is of a format to come.
    if (typeof owner['v'] === 'number' && owner['v'] > 1) {
      throw new PosteError('newer-version', 'a newer poste owns this session; nothing was changed', { hint: 'use that version of poste for it' });
    }
    if (isOwner(owner)) return owner as unknown as Owner;
  }
  return null;
}

/** Takes a generation that nobody has taken before, durably. Throws EEXIST when somebody has. */
export async function createGeneration(paths: SessionPaths, owner: Owner): Promise<void> {
  await createFile(generationPath(paths, owner.gen), seal(owner));
}

/** A second copy of the present holder's record, for readers and for a record that was damaged. */
export async function mirrorOwner(paths: SessionPaths, owner: Owner): Promise<void> {
  await replaceFile(paths.owner, seal(owner), { durable: false });
}

/** Gives a generation back. Its own name stays taken: who judged an older state must not find it free. */
export async function markReleased(paths: SessionPaths, gen: number): Promise<void> {
  try {
    await link(generationPath(paths, gen), `${generationPath(paths, gen)}.released`);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' && systemCode(error) !== 'ENOENT') throw error;
  }
}

export async function removeGeneration(paths: SessionPaths, gen: number): Promise<void> {
  await removeIfThere(generationPath(paths, gen));
}

/** Removes what generations long past have left, half-written files of killed contenders included. What cannot be removed stays for the next. */
export async function sweepGenerations(paths: SessionPaths, present: number): Promise<void> {
  for (const name of await namesOf(paths)) {
    const gen = /^\.?(\d{1,15})(\.|$)/.exec(name)?.[1];
    if (gen === undefined || Number(gen) > present - KEPT) continue;
    // What cannot be removed (someone put a directory there) hinders nobody.
    await removeIfThere(join(paths.generations, name)).catch(() => undefined);
  }
}

/** When the record was written, epoch milliseconds; `null` when it is not there. */
export async function writtenAt(paths: SessionPaths, gen: number): Promise<number | null> {
  try {
    return (await stat(generationPath(paths, gen))).mtimeMs;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function namesOf(paths: SessionPaths): Promise<string[]> {
  try {
    return await readdir(paths.generations);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

export function generationPath(paths: SessionPaths, gen: number): string {
  return join(paths.generations, String(gen));
}
