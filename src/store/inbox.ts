import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAnswer, judgeRequest } from '../domain/request-shapes.js';
import type { Answer, Request } from '../domain/requests.js';
import { createFile, isThere, isUnfinished, readSealed, readWhatever, removeIfThere, replaceFile, syncDir, systemCode } from './files.js';
import { makeDir } from './own-dir.js';
import type { SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

const REQUEST_VERSION = 1;

export interface PendingRequest {
  /** Sorts by time of asking. */
  readonly requestId: string;
  readonly request: Request | 'damaged' | 'of a newer poste';
}

/** Puts a request, durably, where the session's owner looks. Returns the id under which it will be answered. */
export async function submit(paths: SessionPaths, request: Request): Promise<string> {
  await makeDir(paths.inbox);
  await makeDir(paths.answers);
  const requestId = `${Date.now().toString().padStart(15, '0')}-${randomBytes(6).toString('hex')}`;
  try {
    await createFile(join(paths.inbox, `${requestId}.json`), seal({ v: REQUEST_VERSION, request }));
  } catch (error) {
    // Its asker is told that it failed: nobody may find it later.
    await withdraw(paths, requestId).catch(() => undefined);
    throw error;
  }
  return requestId;
}

/** The ids of requests that wait, oldest first. */
export async function pendingIds(paths: SessionPaths): Promise<string[]> {
  const names = (await namesIn(paths.inbox)).filter((name) => name.endsWith('.json') && !isUnfinished(name));
  return names.map((name) => name.slice(0, -5)).sort();
}

export async function readRequest(paths: SessionPaths, requestId: string): Promise<PendingRequest | null> {
  const path = join(paths.inbox, `${requestId}.json`);
  const text = await readWhatever(path);
  if (text === null) return null;
  const { v, request } = unseal(text) ?? {};
  if (typeof v === 'number' && v > REQUEST_VERSION) return { requestId, request: 'of a newer poste' };
  const judged = v === REQUEST_VERSION ? judgeRequest(request) : 'damaged';
  // Kinds are added without another version: whoever does not know this one is the older of the two.
  return { requestId, request: judged === 'sound' ? (request as Request) : judged === 'unknown' ? 'of a newer poste' : 'damaged' };
}

/** Tells the asker, then takes the request away: a crash between the two asks again, which must do no harm. */
export async function answerRequest(paths: SessionPaths, requestId: string, answer: Answer): Promise<void> {
  await replaceFile(join(paths.answers, `${requestId}.json`), seal({ answer }), { durable: false });
  await rm(join(paths.inbox, `${requestId}.json`), { recursive: true, force: true });
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

/** True while nobody has answered it: the answer comes before the request goes. */
export async function isPending(paths: SessionPaths, requestId: string): Promise<boolean> {
  return isThere(join(paths.inbox, `${requestId}.json`));
}

/** Takes a request back that nobody has acted on; nor will anybody after a power cut. */
export async function withdraw(paths: SessionPaths, requestId: string): Promise<void> {
  await removeIfThere(join(paths.inbox, `${requestId}.json`));
  // Its session may have been forgotten, and the inbox with it.
  if (await isThere(paths.inbox)) await syncDir(paths.inbox);
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
