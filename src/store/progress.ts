import type { Progress } from '../domain/progress.js';
import { readIfThere, replaceFile } from './files.js';
import type { SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

/** What the live worker last said of its transfers; for showing only, never for deciding. */
export async function readProgress(paths: SessionPaths): Promise<Progress | null> {
  const text = await readIfThere(paths.progress);
  const record = text === null ? null : unseal(text);
  return record === null ? null : (record as unknown as Progress);
}

export async function writeProgress(paths: SessionPaths, progress: Progress): Promise<void> {
  await replaceFile(paths.progress, seal(progress), { durable: false });
}
