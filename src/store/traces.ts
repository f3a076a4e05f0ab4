import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sameIgnoringCase } from '../domain/ids.js';
import type { Session } from '../domain/session.js';
import { systemCode } from './files.js';

/** What nobody makes before the session's first event is durable. A late claimer of a forgotten one may make `intents` where a new one is to be. */
const AFTER_CREATION = new Set(['parts', 'finished', 'receipts', 'secrets.json', 'progress.json']);

/**
 * Whether the journal at `path` has told of a session before, by what lies beside it. One that is empty or gone then has lost all that it
 * told, and is not to be taken for one of a session that never came to be, whose folder is removed.
 */
export async function hadSession(path: string): Promise<boolean> {
  try {
    return (await readdir(dirname(path))).some((name) => AFTER_CREATION.has(name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** Whether a journal tells of another session than its folder's, `id`: a power cut may show the bytes of a removed one in its place. */
export function isOfAnother(session: Session | null, id: string): boolean {
  return session !== null && !sameIgnoringCase(session.id, id);
}
