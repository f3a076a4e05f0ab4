import { errorInfo, PosteError } from '../domain/errors.js';
import { single } from '../domain/answer.js';
import { printable } from '../domain/printable.js';
import { isHostBusy, needOf, refusal } from '../domain/refusal.js';
import { parseRetryAfter } from '../domain/retry.js';
import type { Asked } from './ask.js';
import type { AttemptOutcome } from './attempt.js';

/** What an error status means for a task of which `kept` bytes are here, or were once when `hadBytes`. `scrub` comes before anything is cut. */
export function refuse(asked: Asked, kept: number, hadBytes: boolean, scrub: (text: string) => string): AttemptOutcome {
  const { status } = asked.answer;
  const error = errorInfo(refusal(status, asked.hosts.at(-1) ?? '', printable(scrub(asked.statusText), 80)));
  const told = kept === 0 ? error : { ...error, message: `${error.message}; ${kept} bytes are kept` };
  if (error.transient) {
    const retryAfterMs = parseRetryAfter(single(asked.fields, 'retry-after'), Date.now());
    return { kind: 'retry', error: told, progressed: false, unreached: false, retryAfterMs, hostBusy: isHostBusy(status), waitFor: null };
  }
  const need = needOf(status);
  return need !== null && (hadBytes || kept > 0) ? { kind: 'needs', code: need, error: told } : { kind: 'failed', error: told };
}

/** A page that nobody asked for: what is here is kept, and the file is asked for again later. */
export function portal(received: number): AttemptOutcome & { kind: 'retry' } {
  const message = `a web page came in place of the file, as a log-in page would${received === 0 ? '' : `; ${received} bytes are kept`}`;
  const error = errorInfo(new PosteError('malformed-answer', message, { hint: 'log in to the network or the site; if the page is what you want, name it: -o NAME.html', transient: true }));
  return { kind: 'retry', error, progressed: false, unreached: false, retryAfterMs: null, hostBusy: false, waitFor: 'portal' };
}
