import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isIdentity, liveness, ownIdentity, type ProcessIdentity } from '../platform/process-identity.js';
import { isAnswer, judgeRequest } from '../domain/request-shapes.js';
import type { Answer, Request } from '../domain/requests.js';
import { createFile, isThere, isUnfinished, readSealed, readWhatever, removeIfThere, replaceFile, syncDir, systemCode } from './files.js';
import { inDirs } from './own-dir.js';
import type { SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

const REQUEST_VERSION = 1;
/** How long an answer keeps the folder that it lies in from being removed: who waits for one looks far more often. */
const TAKEN_WITHIN_MS = 1000;
const POLL_MS = 10;

export interface PendingRequest {
  /** Sorts by time of asking. */
  readonly requestId: string;
  readonly request: Request | 'damaged' | 'of a newer poste';
  /** Who asked would have taken it back, and was killed before. */
  readonly isAbandoned: boolean;
}

/**
 * Puts a request, durably, where the session's owner looks. Returns the id under which it will be answered. One that is `forNowOnly` is not
 * carried out when this process is gone by then.
 */
export async function submit(paths: SessionPaths, request: Request, { forNowOnly }: { forNowOnly: boolean } = { forNowOnly: false }): Promise<string> {
  const requestId = `${Date.now().toString().padStart(15, '0')}-${randomBytes(6).toString('hex')}`;
  const text = seal({ v: REQUEST_VERSION, request, ...(forNowOnly ? { asker: ownIdentity() } : {}) });
  try {
    await inDirs([paths.inbox, paths.answers], () => createFile(pendingPath(paths, requestId), text));
  } catch (error) {
    // Its asker is told that it failed: nobody may find it later.
    await withdraw(paths, requestId).catch(() => undefined);
    throw error;
  }
  return requestId;
}

/** The ids of requests that wait, or that an owner has begun with and did not answer, oldest first. */
export async function pendingIds(paths: SessionPaths): Promise<string[]> {
  const ids = (await namesIn(paths.inbox)).flatMap((name) => (isUnfinished(name) ? [] : (/^(.+)\.(?:json|begun)$/.exec(name)?.[1] ?? [])));
  return [...new Set(ids)].sort();
}

export async function readRequest(paths: SessionPaths, requestId: string): Promise<PendingRequest | null> {
  const waiting = await readWhatever(pendingPath(paths, requestId));
  const text = waiting ?? (await readWhatever(begunPath(paths, requestId)));
  if (text === null) return null;
  const { v, request, asker } = unseal(text) ?? {};
  const isAbandoned = waiting !== null && isIdentity(asker) && liveness(asker as ProcessIdentity) === 'dead';
  if (typeof v === 'number' && v > REQUEST_VERSION) return { requestId, request: 'of a newer poste', isAbandoned };
  const judged = v === REQUEST_VERSION ? judgeRequest(request) : 'damaged';
  // Kinds are added without another version: whoever does not know this one is the older of the two.
  return { requestId, request: judged === 'sound' ? (request as Request) : judged === 'unknown' ? 'of a newer poste' : 'damaged', isAbandoned };
}

/** Before a request is carried out: from now on nobody takes it back. False when somebody has. */
export async function begin(paths: SessionPaths, requestId: string): Promise<boolean> {
  try {
    await rename(pendingPath(paths, requestId), begunPath(paths, requestId));
    return true;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return isThere(begunPath(paths, requestId));
  }
}

/** It could not be carried out: it is a request like any other again. */
export async function unbegin(paths: SessionPaths, requestId: string): Promise<void> {
  await rename(begunPath(paths, requestId), pendingPath(paths, requestId));
}

/** Tells the asker, then takes the request away: a crash between the two asks again, which must do no harm. */
export async function answerRequest(paths: SessionPaths, requestId: string, answer: Answer): Promise<void> {
  await replaceFile(join(paths.answers, `${requestId}.json`), seal({ answer }), { durable: false });
  for (const path of [pendingPath(paths, requestId), begunPath(paths, requestId)]) await rm(path, { recursive: true, force: true });
}

/** The answer, taken away, or `null` while there is none. */
export async function takeAnswer(paths: SessionPaths, requestId: string): Promise<Answer | null> {
  const path = join(paths.answers, `${requestId}.json`);
  const record = await readSealed(path);
  if (!isAnswer(record?.['answer'])) return null;
  // It was given all the same; what cannot be removed is swept later.
  await removeIfThere(path).catch(() => undefined);
  return record?.['answer'] as Answer;
}

export async function hasAnswer(paths: SessionPaths, requestId: string): Promise<boolean> {
  return isThere(join(paths.answers, `${requestId}.json`));
}

/** True while nobody has answered it: the answer comes before the request goes. */
export async function isPending(paths: SessionPaths, requestId: string): Promise<boolean> {
  const isWaiting = (): Promise<boolean> => isThere(pendingPath(paths, requestId));
  // Once more: it may have become a request like any other again between the two looks.
  return (await isWaiting()) || (await isThere(begunPath(paths, requestId))) || (await isWaiting());
}

/** Takes a request back, so that nobody will act on it, nor after a power cut. False when somebody has begun to, or has done it. */
export async function withdraw(paths: SessionPaths, requestId: string): Promise<boolean> {
  const wasThere = await unlink(pendingPath(paths, requestId)).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
      return false;
    },
  );
  // Its session may have been forgotten, and the inbox with it.
  if (await isThere(paths.inbox)) await syncDir(paths.inbox);
  return wasThere;
}

/** Waits, a second at most, until whoever was answered just now has read it. */
export async function answersTaken(paths: SessionPaths): Promise<void> {
  const deadline = performance.now() + TAKEN_WITHIN_MS;
  while (performance.now() < deadline) {
    const answers = await Promise.all((await namesIn(paths.answers)).map((name) => stat(join(paths.answers, name)).catch(() => null)));
    if (!answers.some((answer) => answer !== null && Date.now() - answer.mtimeMs < TAKEN_WITHIN_MS)) return;
    await delay(POLL_MS);
  }
}

/** True while an answer lies there that its asker has not taken. */
export async function hasAnswers(paths: SessionPaths): Promise<boolean> {
  return (await namesIn(paths.answers)).length > 0;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function pendingPath(paths: SessionPaths, requestId: string): string {
  return join(paths.inbox, `${requestId}.json`);
}

function begunPath(paths: SessionPaths, requestId: string): string {
  return join(paths.inbox, `${requestId}.begun`);
}
