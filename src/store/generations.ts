import { link, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessIdentity } from '../platform/process-identity.js';
import { createFile, readIfThere, removeIfThere, replaceFile, systemCode } from './files.js';
import type { SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

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

/** The holder of a generation, or `null` when neither the record nor its mirror is there and whole. */
export async function readGeneration(paths: SessionPaths, gen: number): Promise<Owner | null> {
  for (const path of [generationPath(paths, gen), paths.owner]) {
    const text = await readIfThere(path);
    const owner = text === null ? null : (unseal(text) as unknown as Owner | null);
    if (owner?.gen === gen) return owner;
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

/** Removes what generations long past have left, half-written files of killed contenders included. */
export async function sweepGenerations(paths: SessionPaths, present: number): Promise<void> {
  for (const name of await namesOf(paths)) {
    const gen = /^\.?(\d{1,15})(\.|$)/.exec(name)?.[1];
    if (gen !== undefined && Number(gen) <= present - KEPT) await removeIfThere(join(paths.generations, name));
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
