import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { isNews, type Progress } from '../domain/progress.js';
import { amount, count, instant, maybe, orNull, record, tableOf } from '../domain/shape.js';
import { readSealed, replaceFile } from './files.js';
import { sessionPaths, sessionsDir, type SessionPaths } from './paths.js';
import { seal } from './sealed.js';

const task = record({ received: count, total: orNull(count), connections: count, bytesPerSecond: orNull(amount), etaSeconds: orNull(amount) });
const isProgress = record({ pid: count, at: instant, needed: maybe(count), device: maybe(orNull(count)), tasks: tableOf(task) });

/** What the live worker last said of its transfers; for showing, and for a guess at what they still need. */
export async function readProgress(paths: SessionPaths): Promise<Progress | null> {
  const progress = await readSealed(paths.progress);
  return isProgress(progress) ? (progress as unknown as Progress) : null;
}

export async function writeProgress(paths: SessionPaths, progress: Progress): Promise<void> {
  await replaceFile(paths.progress, seal(progress), { durable: false });
}

/** Bytes that the workers of the home's other sessions are still to write to the file system `device`, as far as they have said. */
export async function neededElsewhere(home: string, { dir }: SessionPaths, device: number, now: number): Promise<number> {
  let needed = 0;
  for (const id of await readdir(sessionsDir(home))) {
    if (id === basename(dir)) continue;
    const progress = await readProgress(sessionPaths(home, id)).catch(() => null);
    if (progress?.device === device && isNews(progress, now)) needed += progress.needed ?? 0;
  }
  return needed;
}
