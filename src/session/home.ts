import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { sameIgnoringCase } from '../domain/ids.js';
import { systemCode } from '../store/files.js';
import { dirFault, lstatIfThere, makeDir } from '../store/own-dir.js';
import { sweepHome } from '../store/leftovers.js';
import { isGrave, reservePath, sessionsDir } from '../store/paths.js';
import { keepReserve } from '../store/reserve.js';

/** Where poste keeps everything; absolute. Nothing is created or checked here. */
export function homePath(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (env['POSTE_HOME']) return resolve(env['POSTE_HOME']);
  if (env['XDG_STATE_HOME']) return resolve(env['XDG_STATE_HOME'], 'poste');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'poste');
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'poste');
  return join(homedir(), '.local', 'state', 'poste');
}

/**
 * Refuses a home that another user owns or may write to: whoever can write there can have commands run.
 * A home that does not exist yet is fine.
 */
export async function checkHome(home: string): Promise<void> {
  for (const path of [home, sessionsDir(home)]) {
    const found = await lstatIfThere(path);
    if (found === null) return;
    const fault = dirFault(found, path);
    if (fault !== null) throw new PosteError('usage', `${path} ${fault.what}; poste does not use it`, { hint: `${fault.hint}, or set POSTE_HOME` });
  }
}

/** Makes what is missing of the home, and removes what is left of sessions whose removal was killed half way. */
export async function makeHome(home: string): Promise<void> {
  const sessions = sessionsDir(home);
  await makeDir(sessions);
  await sweepHome(home, Date.now());
  await keepReserve(reservePath(home));
  for (const name of await readdir(sessions)) {
    // Someone else may be at it, or the disk refuses: then it stays for the next time.
    if (isGrave(name)) await rm(join(sessions, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The ids that have a folder, sorted. */
export async function sessionIds(home: string): Promise<string[]> {
  try {
    const entries = await readdir(sessionsDir(home), { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Two ids that differ only in case would be one folder on some file systems. */
export async function checkIdIsDistinct(home: string, id: string): Promise<void> {
  const twin = (await sessionIds(home)).find((other) => other !== id && sameIgnoringCase(other, id));
  if (twin !== undefined) {
    throw new PosteError('usage', `there is a session ${twin} already, which differs from ${id} only in case`, { hint: `use --id ${twin}, or another name` });
  }
}
