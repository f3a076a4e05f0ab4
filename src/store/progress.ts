import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { isNews, type Progress } from '../domain/progress.js';
import { readIfThere, replaceFile } from './files.js';
import { sessionPaths, sessionsDir, type SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

/** What the live worker last said of its transfers; for showing, and for a guess at what they still need. */
export async function readProgress(paths: SessionPaths): Promise<Progress | null> {
  const text = await readIfThere(paths.progress);
  const record = text === null ? null : unseal(text);
  return record === null ? null : (record as unknown as Progress);
}

export async function writeProgress(paths: SessionPaths, progress: Progress): Promise<void> {
  await replaceFile(paths.progress, seal(progress), { durable: false });
}

/** Bytes that the workers of the home's other sessions are still to write to the file system `device`, as far as they have said. */
export async function neededElsewhere(home: string, { dir }: SessionPaths, device: number, now: number): Promise<number> {
  let needed = 0;
  for (const id of await readdir(sessionsDir(home))) {
    if (id === basename(dir)) continue;
    const progress = await readProgress(sessionPaths(home, id));
    if (progress?.device === device && isNews(progress, now)) needed += progress.needed ?? 0;
  }
  return needed;
}
